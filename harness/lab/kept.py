"""The way into a lab that was kept: its machines as they stand, to look at them."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from harness.base.context import Context, Narrate
from harness.base.errors import InfrastructureError, UsageError
from harness.base.locks import FileLock
from harness.images.seed import Seed
from harness.k0s import API_PORT
from harness.lab import isolation, listing, machine
from harness.lab.creation import SSH_PORT
from harness.lab.isolation import IsolationReport
from harness.lab.lab import Lab
from harness.lab.machine import Machine
from harness.lab.reservation import Reservation
from harness.providers.backend import backend
from harness.providers.registry import connections, provider
from harness.providers.vagrant import Vagrant
from harness.ssh import files as ssh_files
from harness.state import records
from harness.state.entries import LabState
from harness.state.record_fields import moment
from harness.state.records import LabRecord

# A machine on this host answers in a millisecond, an emulated one in its own time.
ANSWER_SECONDS = 2.0


def attach(context: Context, run_id: str | None = None, *, doing: str = "Looking at a lab") -> Lab:
    """Return a kept lab by its run id, or the only one there is, to look at it.

    Raises `UsageError` when there is none of that name, or not one only, `InfrastructureError` when
    its machines are not running. `doing` says what for where no lab is named.
    """
    entries = listing.list_labs(context.settings.labs_dir, context.runner, now=context.clock.now())
    kept = {
        str(entry.run_id): entry.record
        for entry in entries
        if entry.state is LabState.KEPT and entry.record is not None
    }
    if run_id is None:
        run_id = _only(kept, doing)
    doing = f"Looking at the lab {run_id}"
    record = kept.get(run_id)
    if record is None:
        names = ", ".join(kept) or "there is none"
        raise UsageError(
            doing, f"no lab of that name is kept ({names})", remedy="k0s-harness labs lists them"
        )
    machines, isolated, pace = machine.load(record.folder)
    # `vagrant status` takes 6 s, 20 s on a busy host; a way to a host elsewhere accepts anything.
    if record.elsewhere or not all(_answers(found) for found in machines.values()):
        _require_running(context, record, machines, doing)
    if record.elsewhere:
        backend(record.provider).restore_ways(record, _ways(machines), context.runner)
    return _lab(record, machines, isolated, pace)


def take_over(
    context: Context, folder: Path, *, seed: Seed | None, narrate: Narrate, off: bool = False
) -> Lab | None:
    """Return a kept lab as this process's own, isolated anew, to be kept again or destroyed.

    None where its time is over, another process has it, or a machine does not answer that is not
    `off`; then it is left as it is. `seed` is what it was made with.
    """
    lock = FileLock(folder / records.LOCK)
    with contextlib.ExitStack() as unless_taken:
        unless_taken.callback(lock.release)
        if not lock.try_acquire(f"process {os.getpid()}"):
            return None
        # Only now: until the lock was held another process could have removed it.
        record = records.read(folder, connections())
        machines, isolated, pace = machine.load(folder)
        until = record.kept_until
        if until is None or moment(until) <= context.clock.now() or record.elsewhere:
            return None
        if not off and not all(_answers(found) for found in machines.values()):
            return None
        if isolated.host:
            isolation.install_on_host(
                context.runner,
                record.nft_table,
                record.networks,
                mark=record.mark_of(record.nft_table),
            )
        record = replace(record, kept_until=None, pid=os.getpid())
        records.write(record)
        unless_taken.pop_all()
    reservation = Reservation(context, record, (lock,), narrate)
    return replace(_lab(record, machines, isolated, pace), seed=seed, reservation=reservation)


def _lab(
    record: LabRecord, machines: Mapping[str, Machine], isolated: IsolationReport, pace: float
) -> Lab:
    return Lab(
        record=record,
        machines=machines,
        substrate=provider(record.provider).describe(
            len(machines), emulated=pace > 1, elsewhere=bool(record.elsewhere)
        ),
        isolation=isolated,
        pace=pace,
        seed=None,
        reservation=None,
        timings={},
        _remotes=ssh_files.lab_remotes(
            {name: found.endpoint for name, found in machines.items()}, record.known_hosts
        ),
    )


def _only(kept: Collection[str], doing: str) -> str:
    """Return the kept lab's run id where there is just one."""
    if len(kept) != 1:
        raise UsageError(
            doing,
            f"several labs are kept: {', '.join(kept)}" if kept else "no lab is kept",
            remedy="name one, or the k0sctl.yaml of a cluster with --k0sctl",
        )
    return next(iter(kept))


def _answers(found: Machine) -> bool:
    """Whether something listens where the machine's sshd does."""
    try:
        place = (found.endpoint.address, found.endpoint.port)
        socket.create_connection(place, ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def _require_running(
    context: Context, record: LabRecord, machines: Mapping[str, Machine], doing: str
) -> None:
    """Raise `InfrastructureError` with the state of each machine that does not run."""
    vagrant = Vagrant(context.runner, folder=record.folder, provider=record.provider, log=None)
    states = vagrant.states()
    down = [f"{name} is {states.get(name)}" for name in machines if states.get(name) != "running"]
    if down:
        raise InfrastructureError(
            doing, ", ".join(down), remedy=f"k0s-harness labs --clean {record.run_id} removes it"
        )


def _ways(machines: Mapping[str, Machine]) -> Mapping[int, tuple[str, int]]:
    """Return where each local port leads, of a lab on another host."""
    ways = {}
    for found in machines.values():
        ways[found.endpoint.port] = (found.address, SSH_PORT)
        ways[int(found.api.rpartition(":")[2])] = (found.address, API_PORT)
    return ways
