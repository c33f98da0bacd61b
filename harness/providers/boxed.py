"""Machines that are virtual: the part of libvirt and VirtualBox in making a lab."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.base.process import Completed, Runner
from harness.base.settings import ProviderName, Settings
from harness.base.wait import Clock
from harness.images.box import boxes
from harness.images.seed import Seed
from harness.lab import isolation
from harness.lab.leftovers import IMAGE_LOCK
from harness.providers.libvirt import box_volumes, virsh
from harness.providers.libvirt.forwards import LISTEN, Forwards
from harness.providers.libvirt.virsh import Libvirt
from harness.providers.substrate import Say
from harness.providers.topology import HOST_KEY_MARKER, MachineSpec, container_name, nat_address
from harness.providers.vagrant import STATE_FOLDER, Vagrant, machine_lines, mark, share_home
from harness.ssh import files as ssh_files
from harness.state.locks import host_lock
from harness.state.records import LabRecord

# What Vagrant calls the system of our own box.
GUEST = "debian"


class VirtualMachines:
    """The VM providers: a box, and on libvirt two networks that are there before the machines."""

    def __init__(
        self,
        record: LabRecord,
        machines: tuple[MachineSpec, ...],
        *,
        seed: Seed | None,
        emulated: bool,
        runner: Runner,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._record = record
        self._machines = machines
        self._seed = seed
        self._emulated = emulated
        self._runner = runner
        self._clock = clock
        self._settings = settings
        self._on_libvirt = record.provider is ProviderName.LIBVIRT
        self._virsh = Libvirt(runner, record.libvirt_uri)
        self._elsewhere = record.elsewhere
        self._forwards = Forwards(
            record.libvirt_uri or "",
            folder=record.socket_dir,
            mark=mark(record.folder),
            runner=runner,
        )

    @property
    def elsewhere(self) -> str:
        """The other host that the machines are on, nothing where it is this one."""
        return self._elsewhere

    def image(self, *, log_dir: Path, say: Say) -> Mapping[str, Any]:
        """Return the box's name, version, catalogue and system, made now if it is not there yet."""
        provider = self._record.provider
        made = boxes.present(self._settings, provider, seed=self._seed)
        if made is None:
            with host_lock(
                IMAGE_LOCK,
                holder=self._record.holder(),
                bound=boxes.BUILD_SECONDS,
                clock=self._clock,
                narrate=say,
            ):
                made = boxes.ensure(
                    self._runner,
                    self._settings,
                    provider,
                    seed=self._seed,
                    log=log_dir / "box.log",
                    clock=self._clock,
                    narrate=say,
                    mark=mark(self._record.folder),
                )
        return {
            "box": made.name,
            "box_version": made.version,
            "box_url": made.catalogue.as_uri(),
            # Of a box that somebody brought Vagrant finds out by itself.
            "guest": None if made.brought else GUEST,
        }

    def make_networks(self) -> None:
        """Make the two networks of libvirt, with an address for each machine's MAC.

        On another host the way to them is opened. VirtualBox makes its own.
        """
        if not self._on_libvirt:
            return
        networks = self._record.networks
        leases = {
            virsh.mac_of(self._record.run_id, spec.name, "nat"): nat_address(spec, networks)
            for spec in self._machines
        }
        mark_of = self._record.mark_of
        nat, private = networks.nat, networks.private
        self._virsh.create_network(virsh.nat_network_xml(nat, leases, mark=mark_of(nat.name)))
        self._virsh.create_network(virsh.private_network_xml(private, mark=mark_of(private.name)))
        if self._elsewhere:
            self._forwards.open()
            self._forwards.check(private.ipv4)

    def settings(self) -> Mapping[str, Any]:
        """Return how VMs run here, and whose they are."""
        return {
            # Without hardware virtualisation a virtual CPU is a program.
            "driver": "qemu" if self._emulated else "kvm",
            "pool": self._settings.pool,
            "uri": self._record.libvirt_uri,
            "domains": {spec.name: self._domain(spec.name) for spec in self._machines},
        }

    def before_up(self) -> None:
        """Delete box images that were not sent whole, and share the user's boxes with the run."""
        if self._on_libvirt:
            box_volumes.remove_incomplete(self._virsh, self._settings.pool)
        share_home(self._record.folder)

    def host_layer_reason(self) -> str | None:
        """Return why this host cannot isolate the lab, None where it can."""
        return isolation.host_layer_reason(self._record.provider, elsewhere=bool(self._elsewhere))

    def way(self, spec: MachineSpec, port: int) -> tuple[str, int]:
        """Return the machine's address and the port, or those of a way to it on another host."""
        if self._elsewhere:
            return LISTEN, self._forwards.forward(spec.address, port)
        return spec.address, port

    def key(self, machine: str) -> Path:
        """Return the key that Vagrant put in place of the box's at the machine's first boot.

        A box that somebody brings may have one of its own, which Vagrant leaves.
        """
        folder, provider = self._record.folder, self._record.provider
        replaced = folder / STATE_FOLDER / "machines" / machine / provider.value / "private_key"
        if replaced.exists():
            return replaced
        vagrant = Vagrant(self._runner, folder=folder, provider=provider, log=None)
        return Path(vagrant.ssh_settings(machine)["IdentityFile"])

    def host_keys(self, machines: tuple[MachineSpec, ...], said: Completed) -> dict[str, str]:
        """Return each machine's host key, which it printed over Vagrant's own connection."""
        lines = machine_lines(said, HOST_KEY_MARKER)
        return {
            spec.name: ssh_files.host_key(lines.get(spec.name, ""), spec.name) for spec in machines
        }

    def console(self, machine: str) -> str:
        """Return the end of what the machine printed on its serial console."""
        if not self._on_libvirt:
            return ""
        return self._virsh.console(container_name(self._record.run_id, machine))

    def _domain(self, machine: str) -> Mapping[str, str | None]:
        run_id = self._record.run_id
        return {
            "uuid": str(self._record.mark_of(container_name(run_id, machine))),
            "nat_mac": virsh.mac_of(run_id, machine, "nat"),
            "private_mac": virsh.mac_of(run_id, machine, "private"),
            # On another host there is no such folder, and nobody here could read the file.
            "console": None if self._elsewhere else str(self._record.folder / f"{machine}.console"),
        }
