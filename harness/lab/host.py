"""What a lab needs of its host: which provider, what is missing and the command that gets it.

All of it is pure: `HostFacts` in, a choice, a list of problems or a refusal out. The numbers are
those of real runs (docs/providers.md), the tools those that `harness/lab/` and `boxes/` call.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import HostLacksError
from harness.lab.host_commands import DOCKERD
from harness.lab.host_commands import TOOLS
from harness.lab.host_commands import UIDMAP
from harness.lab.host_commands import Tool
from harness.lab.host_commands import install_command
from harness.lab.host_commands import start_command
from harness.lab.host_commands import upstream_command
from harness.lab.host_facts import HostFacts
from harness.settings import ProviderName

# Debian 12's; what the Vagrantfile and the reading of Vagrant's output are written for.
OLDEST_VAGRANT = (2, 3, 4)
# The kubelet of 1.35 refuses to start on the first version of cgroups.
LAST_K0S_ON_CGROUP_1 = (1, 34)

# Memory: 2 GiB a machine is what a k0s node of this size is given everywhere; the host itself, the
# harness (below 150 MB) and Vagrant (about 200 MB while it runs) are left this much.
HOST_MEMORY_MIB = 512
# Disk of the docker provider, from measured sizes: the node image below 1 GiB; a k0s binary 253 MB
# plus etcd and logs on each machine; a bundle of 494 MB and the 958 MB store it unpacks to on each
# worker. For VMs the same stands in their overlays, on top of a box of the image's size.
IMAGE_MIB = 1024
CONTROLLER_MIB = 1024
WORKER_MIB = 2048
# The cache holds binary, bundle, k0sctl and kubectl once; keys, logs and evidence are a few MiB.
CACHE_MIB = 1024
SMALL_MIB = 64


@dataclass(frozen=True)
class ProviderChoice:
    """The provider of a run and why it is that one; both are printed and recorded."""

    provider: ProviderName
    reason: str


@dataclass(frozen=True)
class LabNeeds:
    """What one lab asks of its host: numbers of machines, memory of all together, k0s's version."""

    controllers: int = 1
    workers: int = 2
    memory_mib: int = 3 * 2048
    k0s_version: str = "v1.32.3+k0s.0"

    @property
    def machines_mib(self) -> int:
        """Return the disk that image and machines take, in MiB."""
        return IMAGE_MIB + self.controllers * CONTROLLER_MIB + self.workers * WORKER_MIB


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a lab from this host, and what to do about it.

    `passes` says that it goes away by itself when other labs on this host end.
    """

    happened: str
    remedy: str
    passes: bool = False

    def __str__(self) -> str:
        """Return both, the remedy on a line of its own."""
        return f"{self.happened}\n  -> {self.remedy}"


def choose_provider(facts: HostFacts, asked: ProviderName | None) -> ProviderChoice:
    """Return the provider for this host: what the user asked for, else docker.

    VMs are to come first where they can run (docs/providers.md), but no real VM has been run by
    this harness yet, so docker is the default everywhere.
    """
    if asked is ProviderName.DOCKER:
        return ProviderChoice(asked, "asked for by PROVIDER")
    if asked is not None:
        return ProviderChoice(asked, "asked for by PROVIDER; not yet run on real VMs")
    kvm = "there is a /dev/kvm here" if facts.kvm else "there is no /dev/kvm here"
    return ProviderChoice(
        ProviderName.DOCKER, f"the default until VMs have been run for real ({kvm})"
    )


def missing_tools(facts: HostFacts, provider: ProviderName) -> tuple[Tool, ...]:
    """Return the tools of `provider` that are not on this host, in the order they are needed."""
    tools = TOOLS[provider]
    if provider is ProviderName.DOCKER and facts.sudo != "root":
        tools = (*tools, UIDMAP)
    return tuple(
        tool
        for tool in tools
        if tool.program not in facts.programs
        # An engine that answers needs no daemon of ours: it may run elsewhere on this host.
        and not (tool is DOCKERD and facts.engine.reachable)
    )


def problems(facts: HostFacts, provider: ProviderName, needs: LabNeeds) -> tuple[Problem, ...]:
    """Return everything that keeps a lab with `needs` from this host, all at once."""
    return (
        *_tool_problems(facts, provider),
        *(_engine_problems(facts, needs) if provider is ProviderName.DOCKER else ()),
        *_room_problems(facts, provider, needs),
    )


def refuse(found: Sequence[Problem], provider: ProviderName) -> None:
    """Raise `HostLacksError` with every problem and its remedy; nothing found raises nothing."""
    if not found:
        return
    if len(found) == 1:
        raise HostLacksError(
            f"Checking this host for the {provider} provider",
            found[0].happened,
            remedy=found[0].remedy,
        )
    raise HostLacksError(
        f"Checking this host for the {provider} provider",
        f"{len(found)} things keep a lab from it",
        details="\n".join(str(problem) for problem in found),
        remedy="make doctor shows this host as a whole",
    )


def engine_problem(facts: HostFacts) -> str:
    """Return why the docker engine does not answer this user, in a few words."""
    if facts.engine.denied:
        return f"{facts.user} may not talk to the docker engine"
    return f"docker is not running: {facts.engine.problem}"


def _tool_problems(facts: HostFacts, provider: ProviderName) -> list[Problem]:
    found = []
    missing = missing_tools(facts, provider)
    if missing:
        names = ", ".join(f"{tool.program} ({tool.why})" for tool in missing)
        found.append(Problem(f"missing: {names}", install_command(facts, missing)))
    if facts.vagrant is not None and facts.vagrant < OLDEST_VAGRANT:
        have = ".".join(map(str, facts.vagrant))
        need = ".".join(map(str, OLDEST_VAGRANT))
        found.append(
            Problem(
                f"Vagrant {have} is too old, {need} is the oldest that works",
                upstream_command(facts, "vagrant"),
            )
        )
    elif facts.vagrant is None and "vagrant" in facts.programs:
        found.append(
            Problem(
                f"{facts.programs['vagrant']} does not say its version",
                "vagrant --version shows why",
            )
        )
    return found


def _engine_problems(facts: HostFacts, needs: LabNeeds) -> list[Problem]:
    engine = facts.engine
    if facts.system != "linux":
        return [
            Problem(
                "machines in containers need a Linux host",
                "PROVIDER=virtualbox (not yet run on real VMs), or a Linux host",
            )
        ]
    found = []
    if engine.foreign:
        found.append(
            Problem(
                f"the lab's network would not be reachable: {engine.foreign}",
                "use the system's own engine: unset DOCKER_HOST and docker context use default",
            )
        )
    if engine.denied:
        found.append(
            Problem(
                engine_problem(facts),
                f"sudo usermod -aG docker {shlex.quote(facts.user)}, then log in again"
                " (members of that group are as powerful as root)",
            )
        )
    elif not engine.reachable and "docker" in facts.programs:
        found.append(Problem(engine_problem(facts), start_command(facts)))
    version = re.match(r"v?(\d+)\.(\d+)", needs.k0s_version)
    if version and facts.cgroup == 1:
        minor = (int(version.group(1)), int(version.group(2)))
        if minor > LAST_K0S_ON_CGROUP_1:
            found.append(
                Problem(
                    f"k0s {needs.k0s_version} does not run on cgroup v1, and containers share this"
                    " host's",
                    "boot this host with systemd.unified_cgroup_hierarchy=1, or use a k0s up to"
                    f" {'.'.join(map(str, LAST_K0S_ON_CGROUP_1))}, or a VM provider",
                )
            )
    return found


def _room_problems(facts: HostFacts, provider: ProviderName, needs: LabNeeds) -> list[Problem]:
    found = []
    memory = needs.memory_mib + HOST_MEMORY_MIB
    # An amount that could not be read (no /proc/meminfo) refuses nothing.
    if 0 < facts.available_mib < memory:
        found.append(
            Problem(
                f"{facts.available_mib} MiB of memory are available, this lab needs {memory}",
                "end what uses it (k0s-harness labs shows other labs), or take fewer workers",
                passes=True,
            )
        )
    places = {"cache": CACHE_MIB, "state": SMALL_MIB, "runs": SMALL_MIB}
    if provider is ProviderName.DOCKER:
        places["docker"] = needs.machines_mib
    else:
        places["state"] += needs.machines_mib
    for place, need in places.items():
        free = facts.free_mib.get(place)
        if free is not None and free < need:
            found.append(
                Problem(
                    f"{free} MiB of disk are free for {DISK_NAMES[place]}, this lab needs {need}",
                    DISK_REMEDIES[place],
                )
            )
    return found


DISK_NAMES = {
    "docker": "docker's images and machines",
    "cache": "the k0s artifacts",
    "state": "the lab's state",
    "runs": "the evidence of runs",
}
DISK_REMEDIES = {
    "docker": "docker system df shows what takes it; k0s-harness labs --clean removes old labs",
    "cache": "make room, or set K0S_HARNESS_CACHE to a folder on a larger disk",
    "state": "make room, or set K0S_HARNESS_STATE to a folder on a larger disk",
    "runs": "make room, or set K0S_HARNESS_RUNS to a folder on a larger disk",
}
