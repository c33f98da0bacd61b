"""Removing from libvirt all that a run made there, by marks and by names.

A sweep may be done again at any time: what is not there is as good as removed. It returns what
stays, in words, and raises nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.base.context import Context, Narrate
from harness.base.errors import HarnessError, InfrastructureError
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.base.wait import WaitTimeoutError, wait_until
from harness.providers.libvirt.virsh import Libvirt, remove_remains
from harness.state.networks import bridge_names, network_names
from harness.state.owner import Owner, machine_name
from harness.state.removal import Step, each

# A killed client's last request is carried out by the daemon all the same, and what it was sending
# is let go of: within a tenth of a second, more on a host where emulated machines compete.
LOOK_EVERY = 0.5
RELEASE_SECONDS = 10.0
IP_SECONDS = 20.0
LINKS = Path("/sys/class/net")
_REST_OF_A_VOLUME = re.compile(r"[0-9A-Za-z._-]+")


def sweep(
    virsh: Libvirt,
    owner: Owner,
    narrate: Narrate,
    *,
    machines: Sequence[str] = (),
    context: Context,
) -> list[str]:
    """Remove the domains and networks that carry the run's mark, until none is found any more.

    The volumes that go are those named after such a domain or after one of the record's `machines`:
    a volume has no mark.
    """
    try:
        virsh.domains(f"{owner.run_id}-")
    except HarnessError as away:
        # Without the daemon nothing else is touched either: its machines may well be running.
        return [f"machines: {away}"]
    sweeping = _Sweep(virsh, owner, machines, narrate)
    try:
        rounds = wait_until(
            "libvirt to let go of the run",
            sweeping.round,
            lambda _seen: sweeping.done,
            bound=RELEASE_SECONDS,
            every=LOOK_EVERY,
            clock=context.clock,
        )
    except WaitTimeoutError as late:
        rounds = late.history
    problems = rounds[-1].value.problems
    if problems or not virsh.is_local:
        return list(problems)
    remove_remains(sweeping.domains, network_names(owner.run_id))
    steps: list[Step] = [("links", lambda: _remove_links(context.runner, virsh, owner.run_id))]
    return each(steps, narrate)


@dataclass(frozen=True)
class _Round:
    """What was there when the sweep looked, and what could not be removed."""

    found: tuple[str, ...]
    problems: tuple[str, ...]


class _Sweep:
    def __init__(
        self, virsh: Libvirt, owner: Owner, machines: Sequence[str], narrate: Narrate
    ) -> None:
        self._virsh = virsh
        self._owner = owner
        self._prefix = f"{owner.run_id}-"
        self._narrate = narrate
        self._rounds: list[_Round] = []
        self._found: list[str] = []
        # Names of the run's domains, those that are gone by now included.
        self.domains = {machine_name(owner.run_id, name) for name in machines}

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

    def _marked(self) -> tuple[str, ...]:
        """Return the run's domains that are there now."""
        names = tuple(
            domain.name
            for domain in self._virsh.domains(self._prefix)
            if RunId.of_machine(domain.name) and domain.uuid == self._owner.mark(domain.name)
        )
        self.domains.update(names)
        return names

    def _stop(self) -> None:
        names = self._marked()
        self._found += names
        # Two seconds for each were measured, side by side as well as one after another.
        with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
            for _ in pool.map(self._virsh.stop_domain, names):
                pass

    def _delete_volumes(self) -> None:
        for volume in self._virsh.volumes(self._prefix):
            if self._is_of_a_domain(volume.name):
                self._found.append(volume.name)
                self._virsh.delete_volume(volume)

    def _is_of_a_domain(self, volume: str) -> bool:
        """Return whether a volume is named as Vagrant names a domain's, or begins like that."""
        domain, mark, rest = volume.partition(".")
        if not mark or not _REST_OF_A_VOLUME.fullmatch(rest):
            return False
        return any(domain == each or domain.startswith(f"{each}-") for each in self.domains)

    def _undefine(self) -> None:
        for domain in self._marked():
            staying = self._staying_disks(domain)
            if staying:
                raise InfrastructureError(
                    f"Removing {domain}",
                    f"its disk {staying[0]} lies in no active storage pool "
                    "(virsh pool-list --all shows them, virsh pool-start activates one)",
                )
            self._virsh.undefine_domain(domain)

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
        unmarked = []
        for network in self._virsh.networks(self._prefix):
            if network.name not in network_names(self._owner.run_id):
                continue
            if network.uuid != self._owner.mark(network.name):
                unmarked.append(network.name)
                continue
            self._found.append(network.name)
            self._virsh.destroy_network(network.name)
        if unmarked:
            raise InfrastructureError(
                f"Removing the network {unmarked[0]}",
                "it does not say that it is this lab's, and stays",
                remedy=f"virsh net-destroy {unmarked[0]} removes it",
            )


def _remove_links(runner: Runner, virsh: Libvirt, run_id: RunId) -> None:
    """Remove bridges that a libvirtd which was killed itself does not know of any more.

    One that a network of libvirt's uses, or that something is plugged into, is somebody's.
    """
    used = {network.bridge for network in virsh.networks()}
    for bridge in bridge_names(run_id):
        ports = LINKS / bridge / "brif"
        if bridge in used or not ports.is_dir() or any(ports.iterdir()):
            continue
        runner.run(
            ["ip", "link", "delete", bridge],
            doing=f"Removing the bridge {bridge}",
            deadline=IP_SECONDS,
        )
