"""The way into a lab that was kept: its machines as they stand, to look at them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import InfrastructureError
from harness.errors import UsageError
from harness.lab import machine
from harness.lab import records
from harness.lab.creation import API_PORT
from harness.lab.creation import SSH_PORT
from harness.lab.forwards import Forwards
from harness.lab.lab import Host
from harness.lab.lab import Lab
from harness.lab.lab import substrate
from harness.lab.machine import Machine
from harness.lab.records import LabRecord
from harness.lab.records import LabState
from harness.lab.ssh import ParamikoRemote
from harness.lab.vagrant import Vagrant
from harness.lab.vagrant import mark


def attach(host: Host, run_id: str) -> Lab:
    """Return a kept lab by its run id, to look at it.

    Raises `UsageError` when there is none of that name, `InfrastructureError` when its machines are
    not running.
    """
    doing = f"Looking at the lab {run_id}"
    entries = records.list_labs(host.settings.labs_dir, host.runner, now=host.clock.now())
    kept = {entry.run_id: entry.record for entry in entries if entry.state is LabState.KEPT}
    record = kept.get(run_id)
    if record is None:
        names = ", ".join(kept) or "there is none"
        raise UsageError(doing, f"no lab of that name is kept ({names})")
    machines, isolated, pace = machine.load(record.folder)
    vagrant = Vagrant(host.runner, folder=record.folder, provider=record.provider, log=None)
    states = vagrant.states()
    down = [f"{name} is {states.get(name)}" for name in machines if states.get(name) != "running"]
    if down:
        raise InfrastructureError(
            doing, ", ".join(down), remedy=f"k0s-harness labs --clean {run_id} removes it"
        )
    if record.elsewhere:
        _restore_ways(host, record, machines)
    return Lab(
        record=record,
        machines=machines,
        substrate=substrate(
            record.provider, len(machines), emulated=pace > 1, elsewhere=bool(record.elsewhere)
        ),
        isolation=isolated,
        pace=pace,
        seed=None,
        reservation=None,
        timings={},
        _remotes={
            name: ParamikoRemote(name, found.endpoint, record.known_hosts)
            for name, found in machines.items()
        },
    )


def _restore_ways(host: Host, record: LabRecord, machines: Mapping[str, Machine]) -> None:
    """Open the ways to a kept lab on another host again, should they have been cut."""
    ways = {}
    for found in machines.values():
        ways[found.endpoint.port] = (found.address, SSH_PORT)
        ways[int(found.api.rpartition(":")[2])] = (found.address, API_PORT)
    Forwards(
        record.libvirt_uri or "",
        folder=record.socket_dir,
        mark=mark(record.folder),
        runner=host.runner,
    ).restore(ways)
