"""Machines of libvirt: two networks that are there before them, domains that say whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.base.context import Context
from harness.providers.boxed import BoxedMachines
from harness.providers.libvirt import box_volumes
from harness.providers.libvirt.forwards import LISTEN, Forwards
from harness.providers.libvirt.virsh import Libvirt, mac_of, nat_network_xml, private_network_xml
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec, nat_address
from harness.providers.vagrant import mark
from harness.state.owner import machine_name
from harness.state.records import LabRecord


class LibvirtMachines(BoxedMachines):
    """VMs of a libvirt, here or on another host."""

    def __init__(self, record: LabRecord, request: LabRequest, context: Context) -> None:
        super().__init__(record, request, context)
        self._virsh = Libvirt(context.runner, record.libvirt_uri)
        self._forwards = Forwards(
            record.libvirt_uri or "",
            folder=record.socket_dir,
            mark=mark(record.folder),
            runner=context.runner,
        )

    def make_networks(self) -> None:
        """Make the two networks, with an address for each machine's MAC.

        On another host the way to them is opened.
        """
        networks = self._record.networks
        leases = {
            mac_of(self._record.run_id, spec.name, "nat"): nat_address(spec, networks)
            for spec in self._request.machines
        }
        mark_of = self._record.mark_of
        nat, private = networks.nat, networks.private
        self._virsh.create_network(nat_network_xml(nat, leases, mark=mark_of(nat.name)))
        self._virsh.create_network(private_network_xml(private, mark=mark_of(private.name)))
        if self.elsewhere:
            self._forwards.open()
            self._forwards.check(private.ipv4)

    def settings(self) -> Mapping[str, Any]:
        return {
            # Without hardware virtualisation a virtual CPU is a program.
            "driver": "qemu" if self._request.emulated else "kvm",
            "pool": self._context.settings.pool,
            "uri": self._record.libvirt_uri,
            "domains": {spec.name: self._domain(spec.name) for spec in self._request.machines},
        }

    def before_up(self) -> None:
        box_volumes.remove_incomplete(self._virsh, self._context.settings.pool)
        super().before_up()

    def way(self, spec: MachineSpec, port: int) -> tuple[str, int]:
        if self.elsewhere:
            return LISTEN, self._forwards.forward(spec.address, port)
        return super().way(spec, port)

    def console(self, machine: str) -> str:
        return self._virsh.console(machine_name(self._record.run_id, machine))

    def _domain(self, machine: str) -> Mapping[str, str | None]:
        run_id = self._record.run_id
        return {
            "uuid": str(self._record.mark_of(machine_name(run_id, machine))),
            "nat_mac": mac_of(run_id, machine, "nat"),
            "private_mac": mac_of(run_id, machine, "private"),
            # On another host there is no such folder, and nobody here could read the file.
            "console": None if self.elsewhere else str(self._record.folder / f"{machine}.console"),
        }
