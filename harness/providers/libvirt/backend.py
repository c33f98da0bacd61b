"""libvirt's part of labs: what it makes of a record, what it has, how that goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from uuid import UUID

from harness.base.context import Context, Narrate
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.providers.backend import Backend
from harness.providers.libvirt import LibvirtProvider, box_volumes, snapshots
from harness.providers.libvirt.forwards import Forwards, networks_of
from harness.providers.libvirt.machines import LibvirtMachines
from harness.providers.libvirt.sweep import sweep
from harness.providers.libvirt.virsh import Libvirt
from harness.providers.substrate import LabRequest
from harness.providers.vagrant import mark
from harness.ssh import files as ssh_files
from harness.state import owner
from harness.state.entries import WITHOUT_RECORD, LabEntry, LabState
from harness.state.owner import Owner, machine_name
from harness.state.records import LabRecord


class LibvirtBackend(Backend):
    """Domains, networks and volumes of libvirt that carry the run's mark or its names."""

    def substrate(
        self, record: LabRecord, request: LabRequest, context: Context
    ) -> LibvirtMachines:
        return LibvirtMachines(record, request, context)

    def sweep(
        self, whose: Owner, context: Context, narrate: Narrate, record: LabRecord | None
    ) -> list[str]:
        virsh = Libvirt(context.runner, record.libvirt_uri if record is not None else None)
        machines = record.machines if record is not None else ()
        return sweep(virsh, whose, narrate, machines=machines, context=context)

    def seen(self, runner: Runner, labs_dir: Path) -> Iterator[LabEntry]:
        virsh = Libvirt(runner)
        user = owner.current_user()
        marks: dict[str, UUID | None] = {found.name: found.uuid for found in virsh.domains("k5-")}
        marks |= {found.name: found.uuid for found in virsh.networks("k5-")}
        # An image says nothing of its owner, so without a machine or a network beside it it stays.
        marks |= {found.name: None for found in virsh.volumes("k5-") if found.name not in marks}
        for name, marked in marks.items():
            run_id = RunId.of(name)
            if run_id is None:
                continue
            # On another host a mark proves nothing: a third one may have a user and a folder of
            # these names, and a live run. There only a record makes a lab one's own.
            ours = virsh.is_local and marked == Owner(run_id, user, labs_dir).mark(name)
            state = LabState.DEAD if ours else LabState.FOREIGN
            text = WITHOUT_RECORD if ours else "of another user or another state folder, on libvirt"
            yield LabEntry(run_id, state, text, provider=LibvirtProvider.name)

    def networks(self, runner: Runner) -> Iterable[IPv4Network]:
        virsh = Libvirt(runner)
        used = [] if virsh.is_local else [*networks_of(virsh.uri, runner)]
        for network in virsh.networks():
            used += network.subnets
        return used

    def tidy(self, context: Context) -> None:
        box_volumes.remove_incomplete(Libvirt(context.runner), context.settings.pool)

    def restore_ways(
        self, record: LabRecord, ways: Mapping[int, tuple[str, int]], runner: Runner
    ) -> None:
        ssh_files.make_socket_dir(record.run_id, record.folder)
        Forwards(
            record.libvirt_uri or "",
            folder=record.socket_dir,
            mark=mark(record.folder),
            runner=runner,
        ).restore(ways)

    def save(self, record: LabRecord, runner: Runner) -> None:
        snapshots.save(Libvirt(runner, record.libvirt_uri), _domains(record))

    def restore(self, record: LabRecord, runner: Runner) -> None:
        snapshots.restore(Libvirt(runner, record.libvirt_uri), _domains(record))

    def stop(self, record: LabRecord, runner: Runner) -> None:
        snapshots.stop(Libvirt(runner, record.libvirt_uri), _domains(record))


def _domains(record: LabRecord) -> tuple[str, ...]:
    return tuple(machine_name(record.run_id, each) for each in record.machines)


BACKEND = LibvirtBackend()
