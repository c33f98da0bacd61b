"""Removing from one provider all that a run made there, by labels or by names.

A sweep may be done again at any time: what is not there is as good as removed. It returns what
stays, in words, and raises nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from harness.errors import HarnessError
from harness.errors import InfrastructureError
from harness.lab.docker import Docker
from harness.lab.libvirt import Libvirt
from harness.lab.libvirt import remove_remains
from harness.lab.records import bridge_names
from harness.lab.virtualbox import VirtualBox
from harness.process import Runner
from harness.wait import Clock
from harness.wait import WaitTimeoutError
from harness.wait import wait_until

# A killed client's last request is carried out by the daemon all the same, and what it was sending
# is let go of: within a tenth of a second, more on a host where emulated machines compete.
LOOK_EVERY = 0.5
RELEASE_SECONDS = 10.0
IP_SECONDS = 20.0

Narrate = Callable[[str, str], None]
Step = tuple[str, Callable[[], None]]


def each(steps: Sequence[Step], narrate: Narrate) -> list[str]:
    """Take all steps, whatever became of the others; return what went wrong, in words."""
    problems = []
    for what, step in steps:
        narrate(what, "removing")
        try:
            step()
        except HarnessError as problem:
            # The program's own last words, where it had any: "exit status 1" helps nobody.
            said = (problem.details or "").splitlines()[-1:]
            problems.append(": ".join([what, str(problem), *said]))
        except OSError as problem:
            problems.append(f"{what}: {problem}")
    return problems


def sweep_docker(docker: Docker, run_id: str, narrate: Narrate) -> list[str]:
    """Remove all that carries the run's label."""
    steps: list[Step] = [
        ("containers", lambda: docker.remove_containers([c.id for c in docker.containers(run_id)])),
        ("networks", lambda: docker.remove_named("network", docker.named("network", run_id))),
        ("volumes", lambda: docker.remove_named("volume", docker.named("volume", run_id))),
    ]
    # Twice: the engine may have been in the middle of making a container for a killed run.
    return each(steps, narrate) and each(steps, narrate)


def sweep_virtualbox(
    virtualbox: VirtualBox, run_id: str, private: IPv4Network | None, narrate: Narrate
) -> list[str]:
    """Remove the machines named after the run, and the interface of its `private` network."""
    steps: list[Step] = [("machines", lambda: virtualbox.destroy(f"{run_id}-"))]
    if private is not None:
        steps.append(("networks", lambda: virtualbox.remove_host_only(private)))
    return each(steps, narrate)


def sweep_libvirt(
    virsh: Libvirt, run_id: str, narrate: Narrate, *, runner: Runner, clock: Clock
) -> list[str]:
    """Remove domains, volumes and networks named after the run, until none is found any more."""
    prefix = f"{run_id}-"
    try:
        virsh.domains(prefix)
    except HarnessError as away:
        # Without the daemon nothing else is touched either: its machines may well be running.
        return [f"machines: {away}"]
    sweep = _LibvirtSweep(virsh, prefix, narrate)
    try:
        rounds = wait_until(
            "libvirt to let go of the run",
            sweep.round,
            lambda _seen: sweep.done,
            bound=RELEASE_SECONDS,
            every=LOOK_EVERY,
            clock=clock,
        )
    except WaitTimeoutError as late:
        rounds = late.history
    problems = rounds[-1].value.problems
    if problems or not virsh.is_local:
        return list(problems)
    remove_remains(prefix)
    bridges = bridge_names(run_id)
    return each([("links", lambda: _remove_links(runner, bridges))], narrate)


@dataclass(frozen=True)
class _Round:
    """What was there when the sweep looked, and what could not be removed."""

    found: tuple[str, ...]
    problems: tuple[str, ...]


class _LibvirtSweep:
    def __init__(self, virsh: Libvirt, prefix: str, narrate: Narrate) -> None:
        self._virsh = virsh
        self._prefix = prefix
        self._narrate = narrate
        self._rounds: list[_Round] = []
        self._found: list[str] = []

    @property
    def done(self) -> bool:
        """Whether the last of at least two rounds found nothing."""
        last = self._rounds[-1]
        return len(self._rounds) > 1 and not last.found and not last.problems

    def round(self) -> _Round:
        """Remove what is there now.

        Domains are forgotten after their disks are gone: only they tell of those in a storage pool
        that is not active.
        """
        self._found = []
        steps: list[Step] = [
            ("machines", self._stop),
            ("volumes", self._delete_volumes),
            ("domains", self._undefine),
            ("networks", self._destroy_networks),
        ]
        problems = each(steps, self._narrate if not self._rounds else lambda *_: None)
        self._rounds.append(_Round(tuple(self._found), tuple(problems)))
        return self._rounds[-1]

    def _stop(self) -> None:
        names = [domain.name for domain in self._virsh.domains(self._prefix)]
        self._found += names
        # Two seconds for each were measured, side by side as well as one after another.
        with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
            for _ in pool.map(self._virsh.stop_domain, names):
                pass

    def _delete_volumes(self) -> None:
        for volume in self._virsh.volumes(self._prefix):
            self._found.append(volume.name)
            self._virsh.delete_volume(volume)

    def _undefine(self) -> None:
        for domain in self._virsh.domains(self._prefix):
            staying = self._staying_disks(domain.name)
            if staying:
                raise InfrastructureError(
                    f"Removing {domain.name}",
                    f"its disk {staying[0]} lies in no active storage pool "
                    "(virsh pool-list --all shows them, virsh pool-start activates one)",
                )
            self._virsh.undefine_domain(domain.name)

    def _staying_disks(self, domain: str) -> tuple[Path, ...]:
        """Return the domain's own disks that are still there, as far as this host can see."""
        if not self._virsh.is_local:
            return ()
        disks = self._virsh.disks(domain)
        return tuple(
            # Not Path.exists, which raises where this user may not look.
            disk
            for disk in disks
            if disk.name.startswith(self._prefix) and os.path.exists(disk)  # noqa: PTH110
        )

    def _destroy_networks(self) -> None:
        for network in self._virsh.networks(self._prefix):
            self._found.append(network.name)
            self._virsh.destroy_network(network.name)


def _remove_links(runner: Runner, bridges: Sequence[str]) -> None:
    """Remove bridges that a libvirtd which was killed itself does not know of any more."""
    for bridge in bridges:
        if not Path("/sys/class/net", bridge).exists():
            continue
        runner.run(
            ["ip", "link", "delete", bridge],
            doing=f"Removing the bridge {bridge}",
            deadline=IP_SECONDS,
        )
