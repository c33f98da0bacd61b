"""The tools a lab needs and the commands that get them, system by system.

Pure: `HostFacts` in, an argument list or a line for people to type out. The tools are those that
`harness/lab/` and `boxes/` call.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.base.settings import ProviderName
from harness.host.facts import HostFacts

# Set-up is done for the user on these, and nowhere else; bootstrap.sh has the same list.
SUPPORTED = (("debian", "12"), ("debian", "13"), ("ubuntu", "24.04"))


@dataclass(frozen=True)
class Tool:
    """A program a lab needs, what for, and the Debian package that has it."""

    program: str
    package: str
    why: str


VAGRANT = Tool("vagrant", "vagrant", "makes the machines")
NFT = Tool("nft", "nftables", "keeps the lab's packets in the lab")
# Debian 13 took the client out of docker.io; `packages_for` adds it there.
DOCKER = Tool("docker", "docker.io", "the container engine's client")
DOCKERD = Tool("dockerd", "docker.io", "the container engine")
# mmdebstrap makes a root file system as an ordinary user in a namespace of that user's.
UIDMAP = Tool("newuidmap", "uidmap", "lets an ordinary user make the machines' image")
COMMON = (
    VAGRANT,
    NFT,
    Tool("ssh", "openssh-client", "reaches the machines"),
    Tool("ip", "iproute2", "finds a free subnet"),
)
# What talks to a libvirt, here or on another host.
LIBVIRT_CLIENT = (
    Tool("vagrant-libvirt", "vagrant-libvirt", "Vagrant's way to libvirt"),
    Tool("virsh", "libvirt-clients", "asks libvirt"),
    Tool("qemu-img", "qemu-utils", "reads and makes the box's disk"),
)
LIBVIRTD = Tool("libvirtd", "libvirt-daemon-system", "runs the VMs")
# What the box is made with (harness/images/box/boxes.py).
BOX_BUILD = (
    Tool("mmdebstrap", "mmdebstrap", "makes the box from Debian packages"),
    Tool("mkfs.ext4", "e2fsprogs", "makes the box's file system"),
    Tool("sfdisk", "fdisk", "makes the box's partition"),
    Tool("grub-mkimage", "grub-common", "makes the box's boot loader"),
    Tool("/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin", "is the box's boot loader"),
    Tool("containerd", "containerd", "unpacks pod images into the box"),
)
TOOLS: Mapping[ProviderName, tuple[Tool, ...]] = {
    ProviderName.DOCKER: (
        *COMMON,
        DOCKER,
        DOCKERD,
        Tool("mmdebstrap", "mmdebstrap", "makes the node image from Debian packages"),
    ),
    ProviderName.LIBVIRT: (
        *COMMON,
        *LIBVIRT_CLIENT,
        LIBVIRTD,
        Tool("qemu-system-x86_64", "qemu-system-x86", "is a VM"),
        Tool("dnsmasq", "dnsmasq-base", "gives the VMs their NAT addresses"),
        *BOX_BUILD,
    ),
    ProviderName.VIRTUALBOX: (
        *COMMON,
        Tool("VBoxManage", "virtualbox", "runs the VMs"),
        Tool("qemu-img", "qemu-utils", "makes the box's disk"),
        *BOX_BUILD,
    ),
}

# Where an archive has no Vagrant (Ubuntu's since 24.04): the release as its makers publish it.
UPSTREAM_VAGRANT = "2.4.9"
UPSTREAM = {
    "vagrant": "curl -LO https://releases.hashicorp.com/vagrant/{version}/"
    "vagrant_{version}-1_{architecture}.deb"
    " && {sudo}apt-get install ./vagrant_{version}-1_{architecture}.deb",
    "virtualbox": "see https://www.virtualbox.org/wiki/Linux_Downloads",
    # A plugin of Vagrant's own kind, built for the Ruby inside the release.
    "vagrant-libvirt": "{sudo}apt-get install gcc g++ make pkg-config libvirt-dev"
    " && vagrant plugin install vagrant-libvirt",
}
# Other systems' commands; a name that differs from Debian's stands in the mapping.
OTHER_SYSTEMS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "fedora": ("dnf install", {"docker.io": "moby-engine", "openssh-client": "openssh-clients",
                               "iproute2": "iproute"}),
    "arch": ("pacman -S", {"docker.io": "docker", "openssh-client": "openssh"}),
    "opensuse": ("zypper install", {"docker.io": "docker", "openssh-client": "openssh-clients"}),
    "alpine": ("apk add", {"docker.io": "docker", "openssh-client": "openssh-client-default"}),
}  # fmt: skip


def missing_tools(facts: HostFacts, provider: ProviderName) -> tuple[Tool, ...]:
    """Return the tools of `provider` that are not on this host, in the order they are needed."""
    tools = TOOLS[provider]
    if provider is ProviderName.LIBVIRT and facts.libvirt.host:
        # The other host has the rest, and its packet filter is not this user's.
        away = {*TOOLS[provider]} - {*COMMON, *LIBVIRT_CLIENT, *BOX_BUILD} | {NFT}
        tools = tuple(tool for tool in tools if tool not in away)
    # A box is made on Linux alone; elsewhere BOX_URL= brings one.
    builds = provider is ProviderName.DOCKER or (facts.system == "linux" and not facts.box_url)
    if not builds:
        tools = tuple(tool for tool in tools if tool not in BOX_BUILD)
    elif facts.sudo != "root":
        tools = (*tools, UIDMAP)
    # Where a daemon answers it may be one of another kind, or in another place on this host.
    served = {DOCKERD} if facts.engine.reachable else set()
    served |= {LIBVIRTD} if facts.libvirt.reachable else set()
    return tuple(
        tool for tool in tools if tool.program not in facts.programs and tool not in served
    )


def sudo_for(facts: HostFacts) -> str:
    """Return what a command for root begins with: nothing for root, else `sudo `."""
    return "" if facts.sudo == "root" else "sudo "


def is_supported(facts: HostFacts) -> bool:
    """Whether set-up is done for the user on this system."""
    return facts.system == "linux" and facts.release in SUPPORTED


def packages_for(facts: HostFacts, tools: Sequence[Tool]) -> tuple[str, ...]:
    """Return Debian's packages for `tools`, each once, as this release has them."""
    names = [name for tool in tools for name in tool.package.split()]
    if DOCKER in tools and facts.release == ("debian", "13"):
        names.append("docker-cli")
    return tuple(dict.fromkeys(names))


def absent_for(facts: HostFacts, tools: Sequence[Tool]) -> tuple[str, ...]:
    """Return the packages for `tools` that this system's archive is known not to have.

    A plugin whose Vagrant is not there is not there either, although its name may be.
    """
    lacks = {*facts.archive_lacks}
    if "vagrant" in lacks:
        lacks.add("vagrant-libvirt")
    return tuple(name for name in packages_for(facts, tools) if name in lacks)


def install_command(facts: HostFacts, tools: Sequence[Tool]) -> str:
    """Return the command that gets `tools` here; what the archive lacks comes from upstream."""
    sudo = sudo_for(facts)
    names = packages_for(facts, tools)
    family = {facts.release[0], *facts.like}
    if facts.system == "darwin":
        return "brew install --cask vagrant virtualbox"
    if family & {"debian", "ubuntu"}:
        absent = absent_for(facts, tools)
        here = [name for name in names if name not in absent]
        commands = [upstream_command(facts, name) for name in absent]
        if here:
            install = f"{sudo}apt-get install --no-install-recommends {shlex.join(here)}"
            commands.insert(0, f"{sudo}apt-get update && {install}")
        return " && ".join(commands)
    for system, (command, differing) in OTHER_SYSTEMS.items():
        if any(word.startswith(system) for word in family):
            return f"{sudo}{command} {' '.join(differing.get(name, name) for name in names)}"
    return f"install {' '.join(names)} with the package manager of {facts.name}"


def upstream_command(facts: HostFacts, package: str) -> str:
    """Return how to get `package` where the system's archive does not have it."""
    sudo = sudo_for(facts)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(facts.architecture, "amd64")
    known = UPSTREAM.get(package, "enable the archive's component that has {package} (universe?)")
    return known.format(
        version=UPSTREAM_VAGRANT, architecture=architecture, sudo=sudo, package=package
    )
