"""What a lab needs of its host: which provider, what is missing and the command that gets it.

All of it is pure: `HostFacts` in, a choice, a list of problems or a refusal out. The numbers are
those of real runs (docs/providers.md), the tools those that `harness/lab/` and `boxes/` call.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from harness.base.errors import HostLacksError
from harness.base.settings import ProviderName
from harness.host.facts import HostFacts
from harness.host.needs import (
    CACHE_MIB,
    HOST_MEMORY_MIB,
    IMAGE_MIB,
    SMALL_MIB,
    LabNeeds,
    Problem,
)
from harness.host.services import DOCKER, Service, start_command
from harness.host.tools import Tool, install_command, missing_tools, upstream_command
from harness.host.vm_facts import Kvm
from harness.providers.libvirt.problems import (
    libvirt_problems,
    processors,
    virtualbox_problems,
    vm_memory_mib,
)

# What the layers above use of a host's needs is found here.
__all__ = [
    "LabNeeds",
    "Problem",
    "ProviderChoice",
    "Tool",
    "choose_provider",
    "engine_problem",
    "missing_tools",
    "problems",
    "refuse",
    "service_problem",
]

# Debian 12's; what the Vagrantfile and the reading of Vagrant's output are written for.
OLDEST_VAGRANT = (2, 3, 4)
# The kubelet of 1.35 refuses to start on the first version of cgroups.
LAST_K0S_ON_CGROUP_1 = (1, 34)


@dataclass(frozen=True)
class ProviderChoice:
    """The provider of a run and why it is that one; both are printed and recorded.

    `emulated` says that the machines' processors are programs: everything takes several times as
    long there.
    """

    provider: ProviderName
    reason: str
    emulated: bool = False


def choose_provider(facts: HostFacts, asked: ProviderName | None) -> ProviderChoice:
    """Return the provider for this host: what the user asked for, else what design's order says.

    libvirt with KVM where all of it is there, then docker, then emulated libvirt where docker is
    not there. VirtualBox is never taken unasked: no run of it has been seen (docs/providers.md).
    """
    if asked is ProviderName.LIBVIRT:
        return _libvirt(facts, "asked for by PROVIDER")
    if asked is ProviderName.VIRTUALBOX:
        return ProviderChoice(asked, "asked for by PROVIDER; not yet run on real VMs")
    if asked is not None:
        return ProviderChoice(asked, "asked for by PROVIDER")
    machines = _libvirt_is_ready(facts)
    if machines and not facts.emulated:
        return _libvirt(facts, "everything for VMs is here")
    if machines and "docker" not in facts.programs:
        return _libvirt(facts, "there is no docker here")
    if facts.kvm is Kvm.USABLE:
        why = "KVM is usable, but libvirt is not set up; PROVIDER=libvirt does it"
    else:
        why = f"no VMs at full speed: {facts.kvm.value}"
    return ProviderChoice(ProviderName.DOCKER, why)


def problems(facts: HostFacts, provider: ProviderName, needs: LabNeeds) -> tuple[Problem, ...]:
    """Return everything that keeps a lab with `needs` from this host, all at once."""
    return (
        *_tool_problems(facts, provider),
        *{
            ProviderName.DOCKER: lambda: _engine_problems(facts, needs),
            ProviderName.LIBVIRT: lambda: libvirt_problems(facts),
            ProviderName.VIRTUALBOX: lambda: virtualbox_problems(facts, needs),
        }[provider](),
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


def service_problem(facts: HostFacts, service: Service) -> str:
    """Return why `service` does not serve a lab here, in a few words."""
    if service is DOCKER:
        return engine_problem(facts)
    return "; ".join(problem.happened for problem in libvirt_problems(facts))


def engine_problem(facts: HostFacts) -> str:
    """Return why the docker engine does not answer this user, in a few words."""
    if facts.engine.denied:
        return f"{facts.user} may not talk to the docker engine"
    return f"docker is not running: {facts.engine.problem}"


def _libvirt(facts: HostFacts, why: str) -> ProviderChoice:
    return ProviderChoice(ProviderName.LIBVIRT, f"{why}; {processors(facts)}", facts.emulated)


def _libvirt_is_ready(facts: HostFacts) -> bool:
    """Whether machines of libvirt can be made here as it stands, disk and memory aside."""
    return (
        facts.libvirt.reachable
        and not missing_tools(facts, ProviderName.LIBVIRT)
        and not libvirt_problems(facts)
    )


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
        found.append(Problem(engine_problem(facts), start_command(facts, DOCKER)))
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
    """Return where memory, disk or inotify are short; what could not be read refuses nothing."""
    found = []
    on_docker = provider is ProviderName.DOCKER
    libvirt = facts.libvirt
    remote = provider is ProviderName.LIBVIRT and libvirt.host
    memory = HOST_MEMORY_MIB + (needs.memory_mib if on_docker else vm_memory_mib(needs))
    available = libvirt.available_mib or 0 if remote else facts.available_mib
    if 0 < available < memory:
        where = f" on {remote}" if remote else ""
        found.append(
            Problem(
                f"{available} MiB of memory are available{where}, this lab needs {memory}",
                "end what uses it (k0s-harness labs shows other labs), or take fewer workers",
                passes=not remote,
            )
        )
    if on_docker and facts.free_inotify is not None and facts.free_inotify < needs.inotify:
        found.append(
            Problem(
                f"{facts.free_inotify} inotify instances are left to root, this lab needs "
                f"{needs.inotify}",
                "end what uses them (k0s-harness labs shows other labs), or allow more: "
                "sysctl -w fs.inotify.max_user_instances=1024",
                passes=True,
            )
        )
    places = {"cache": CACHE_MIB, "state": SMALL_MIB, "runs": SMALL_MIB}
    free = dict(facts.free_mib)
    if on_docker:
        places["docker"] = needs.machines_mib
    elif provider is ProviderName.LIBVIRT:
        places |= {"pool": needs.machines_mib, "boxes": 2 * IMAGE_MIB}
        # libvirt counts what the file system keeps for root; qemu is not root.
        if libvirt.pool is not None and libvirt.pool.free_mib is not None:
            free["pool"] = min(libvirt.pool.free_mib, free.get("pool", libvirt.pool.free_mib))
    else:
        places["boxes"] = 2 * IMAGE_MIB + needs.machines_mib
    for place, need in places.items():
        if place in free and free[place] < need:
            found.append(
                Problem(
                    f"{free[place]} MiB of disk are free for {DISK_NAMES[place]},"
                    f" this lab needs {need}",
                    DISK_REMEDIES[place],
                )
            )
    return found


DISK_NAMES = {
    "docker": "docker's images and machines",
    "pool": "the machines in libvirt's storage pool",
    "boxes": "Vagrant's boxes",
    "cache": "the k0s artifacts",
    "state": "the lab's state",
    "runs": "the evidence of runs",
}
DISK_REMEDIES = {
    "docker": "docker system df shows what takes it; k0s-harness labs --clean removes old labs",
    "pool": "k0s-harness labs --clean removes old labs; K0S_HARNESS_POOL names another pool",
    "boxes": "vagrant box prune removes old boxes; VAGRANT_HOME names another folder",
    "cache": "make room, or set K0S_HARNESS_CACHE to a folder on a larger disk",
    "state": "make room, or set K0S_HARNESS_STATE to a folder on a larger disk",
    "runs": "make room, or set K0S_HARNESS_RUNS to a folder on a larger disk",
}
