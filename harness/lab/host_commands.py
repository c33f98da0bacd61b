"""The tools a lab needs and the commands that get, start and stop them, system by system.

Pure: `HostFacts` in, an argument list or a line for people to type out. The tools are those that
`harness/lab/` and `boxes/` call.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.lab.host_facts import HostFacts
from harness.settings import ProviderName

# Set-up is done for the user on these, and nowhere else; bootstrap.sh has the same list.
SUPPORTED = (("debian", "12"), ("debian", "13"), ("ubuntu", "24.04"))
# The pid file dockerd writes by default, named so that stopping finds it whatever the default is.
ENGINE_PID = Path("/var/run/docker.pid")


@dataclass(frozen=True)
class Tool:
    """A program a lab needs, what for, and the Debian package that has it."""

    program: str
    package: str
    why: str


VAGRANT = Tool("vagrant", "vagrant", "makes the machines")
# Debian 13 took the client out of docker.io; `packages_for` adds it there.
DOCKER = Tool("docker", "docker.io", "the container engine's client")
DOCKERD = Tool("dockerd", "docker.io", "the container engine")
# mmdebstrap makes a root file system as an ordinary user in a namespace of that user's.
UIDMAP = Tool("newuidmap", "uidmap", "lets an ordinary user make the node image")
COMMON = (
    VAGRANT,
    Tool("nft", "nftables", "keeps the lab's packets in the lab"),
    Tool("ssh", "openssh-client", "reaches the machines"),
    Tool("ip", "iproute2", "finds a free subnet"),
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
        Tool("virsh", "vagrant-libvirt libvirt-daemon-system qemu-system-x86", "runs the VMs"),
    ),
    ProviderName.VIRTUALBOX: (*COMMON, Tool("VBoxManage", "virtualbox", "runs the VMs")),
}

# Where an archive has no Vagrant (Ubuntu's since 24.04): the release as its makers publish it.
UPSTREAM_VAGRANT = "2.4.9"
UPSTREAM = {
    "vagrant": "curl -LO https://releases.hashicorp.com/vagrant/{version}/"
    "vagrant_{version}-1_{architecture}.deb"
    " && {sudo}apt-get install ./vagrant_{version}-1_{architecture}.deb",
    "virtualbox": "see https://www.virtualbox.org/wiki/Linux_Downloads",
}
# Other systems' commands; a name that differs from Debian's stands in the mapping.
OTHER_SYSTEMS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "fedora": ("dnf install", {"docker.io": "moby-engine", "openssh-client": "openssh-clients",
                               "iproute2": "iproute"}),
    "arch": ("pacman -S", {"docker.io": "docker", "openssh-client": "openssh"}),
    "opensuse": ("zypper install", {"docker.io": "docker", "openssh-client": "openssh-clients"}),
    "alpine": ("apk add", {"docker.io": "docker", "openssh-client": "openssh-client-default"}),
}  # fmt: skip


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
    """Return the packages for `tools` that this system's archive is known not to have."""
    return tuple(name for name in packages_for(facts, tools) if name in facts.archive_lacks)


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


def start_command(facts: HostFacts) -> str:
    """Return the command that starts the docker engine here, for people to type."""
    sudo = sudo_for(facts)
    if facts.systemd:
        return f"{sudo}systemctl start docker"
    return f"{sudo}sh -c 'dockerd >/var/log/dockerd.log 2>&1 &'"


def start_argv(facts: HostFacts, log: Path) -> list[str]:
    """Return what starts the docker engine: its init where there is one, else by hand, detached.

    start-stop-daemon is part of dpkg; it refuses to start a second one of the same program.
    """
    if facts.systemd:
        return ["systemctl", "start", "docker"]
    daemon = facts.programs["dockerd"]
    return [
        facts.programs.get("start-stop-daemon", "start-stop-daemon"),
        "--start",
        "--background",
        f"--output={log}",
        f"--exec={daemon}",
        "--",
        f"--pidfile={ENGINE_PID}",
    ]


def stop_argv(facts: HostFacts) -> list[str]:
    """Return what stops the docker engine and waits for its end; 30 s, then it is killed."""
    if facts.systemd:
        # The socket unit would start the service again at the next call.
        return ["systemctl", "stop", "docker.socket", "docker"]
    return [
        facts.programs.get("start-stop-daemon", "start-stop-daemon"),
        "--stop",
        "--oknodo",
        "--retry=30",
        f"--pidfile={ENGINE_PID}",
        f"--exec={facts.programs['dockerd']}",
    ]
