"""What a lab needs of its host: which provider, what is missing and the command that gets it.

All of it is pure: `HostFacts` in, a choice, a list of problems or a refusal out. The numbers are
those of real runs (docs/status.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.base.errors import HostLacksError
from harness.host.facts import HostFacts
from harness.host.needs import CACHE_MIB, SMALL_MIB, LabNeeds, Problem
from harness.host.tools import install_command, upstream_command
from harness.providers.base import Provider, ProviderChoice
from harness.providers.registry import PROVIDERS, provider

# Debian 12's; what the Vagrantfile and the reading of Vagrant's output are written for.
OLDEST_VAGRANT = (2, 3, 4)


def choose_provider(facts: HostFacts, asked: str | None) -> ProviderChoice:
    """Return the provider for this host: what the user asked for, else the first that wants it.

    That is libvirt with KVM where all of it is there, then docker, then emulated libvirt where
    docker is not there. VirtualBox is never taken unasked: no run of it has been seen
    (docs/providers.md).
    """
    if asked is not None:
        return provider(asked).choice(facts, "asked for by PROVIDER")
    found = ((each, each.wanted(facts)) for each in PROVIDERS.values())
    return next(each.choice(facts, why) for each, why in found if why)


def problems(facts: HostFacts, name: str, needs: LabNeeds) -> tuple[Problem, ...]:
    """Return everything that keeps a lab with `needs` from this host, all at once."""
    chosen = provider(name)
    return (
        *_tool_problems(facts, chosen),
        *chosen.problems(facts, needs),
        *_room_problems(facts, chosen, needs),
    )


def refuse(found: Sequence[Problem], provider: str) -> None:
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
        remedy="k0s-harness doctor shows this host as a whole",
    )


def _tool_problems(facts: HostFacts, provider: Provider) -> list[Problem]:
    found = []
    missing = provider.missing_tools(facts)
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


def _room_problems(facts: HostFacts, provider: Provider, needs: LabNeeds) -> list[Problem]:
    """Return where memory, disk or inotify are short; what could not be read refuses nothing."""
    found = []
    memory = provider.memory_mib(needs)
    available, elsewhere = provider.available_mib(facts)
    if 0 < available < memory:
        where = f" on {elsewhere}" if elsewhere else ""
        found.append(
            Problem(
                f"{available} MiB of memory are available{where}, this lab needs {memory}",
                "end what uses it (k0s-harness labs shows other labs), or take fewer workers",
                passes=not elsewhere,
            )
        )
    inotify = None if provider.own_kernel else facts.free_inotify
    if inotify is not None and inotify < needs.inotify:
        found.append(
            Problem(
                f"{inotify} inotify instances are left to root, this lab needs {needs.inotify}",
                "end what uses them (k0s-harness labs shows other labs), or allow more: "
                "sysctl -w fs.inotify.max_user_instances=1024",
                passes=True,
            )
        )
    places = {"cache": CACHE_MIB, "state": SMALL_MIB, "runs": SMALL_MIB, **provider.places(needs)}
    free = provider.free_mib(facts)
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
