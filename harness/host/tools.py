"""The tools a lab needs and the commands that get them, system by system.

Which they are stands in files `tools.txt` (of every lab here, of each provider in its folder),
which `bootstrap.sh` reads before there is Python. The rest is pure: `HostFacts` in, a line for
people to type out.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.host.facts import HostFacts

# Set-up is done for the user on these, and nowhere else; bootstrap.sh has the same list.
SUPPORTED = (("debian", "12"), ("debian", "13"), ("ubuntu", "24.04"))


@dataclass(frozen=True)
class Tool:
    """A program a lab needs, what for, and the Debian package that has it."""

    program: str
    package: str
    why: str


# mmdebstrap makes a root file system as an ordinary user in a namespace of that user's.
UIDMAP = Tool("newuidmap", "uidmap", "lets an ordinary user make the machines' image")
# What a release took out of a package, by the program that went.
SPLIT: Mapping[tuple[str, str], Mapping[str, str]] = {("debian", "13"): {"docker": "docker-cli"}}

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


@functools.cache
def tools_in(folder: Path) -> tuple[Tool, ...]:
    """Return the tools in the `tools.txt` of `folder`, in the order they are needed."""
    lines = (folder / "tools.txt").read_text(encoding="utf-8").splitlines()
    words = (line.split(maxsplit=2) for line in lines if line and not line.startswith("#"))
    return tuple(Tool(program, package, why) for program, package, why in words)


def common_tools() -> tuple[Tool, ...]:
    """Return the tools of every lab."""
    return tools_in(Path(__file__).parent)


def sudo_for(facts: HostFacts) -> str:
    """Return what a command for root begins with: nothing for root, else `sudo `."""
    return "" if facts.sudo == "root" else "sudo "


def is_supported(facts: HostFacts) -> bool:
    """Whether set-up is done for the user on this system."""
    return facts.system == "linux" and facts.release in SUPPORTED


def packages_for(facts: HostFacts, tools: Sequence[Tool]) -> tuple[str, ...]:
    """Return Debian's packages for `tools`, each once, as this release has them."""
    split = SPLIT.get(facts.release, {})
    names = [tool.package for tool in tools]
    names += [split[tool.program] for tool in tools if tool.program in split]
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
