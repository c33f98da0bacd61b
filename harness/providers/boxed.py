"""Machines that are made of a box: what the VM providers have in common in making a lab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.base.completed import Completed
from harness.base.context import Context, Say
from harness.base.locks import IMAGE_LOCK, host_lock
from harness.images.box import boxes
from harness.images.making import Making
from harness.providers.substrate import LabRequest
from harness.providers.topology import HOST_KEY_MARKER, MachineSpec
from harness.providers.vagrant import STATE_FOLDER, Vagrant, machine_lines, mark, share_home
from harness.ssh import files as ssh_files
from harness.state.records import LabRecord

# What Vagrant calls the system of our own box.
GUEST = "debian"


class BoxedMachines:
    """VMs on networks that Vagrant makes, each reached at its private address."""

    def __init__(self, record: LabRecord, request: LabRequest, context: Context) -> None:
        self._record = record
        self._request = request
        self._context = context

    @property
    def elsewhere(self) -> str:
        return self._record.elsewhere

    def image(self, *, log_dir: Path, say: Say) -> Mapping[str, Any]:
        provider = self._record.provider
        made = boxes.present(self._context.settings, provider, seed=self._request.seed)
        if made is None:
            with host_lock(
                IMAGE_LOCK,
                holder=self._record.holder(),
                bound=boxes.BUILD_SECONDS,
                clock=self._context.clock,
                narrate=say,
            ):
                making = Making(
                    replace(self._context, say=say), log_dir / "box.log", mark(self._record.folder)
                )
                made = boxes.ensure(making, provider, self._request.seed)
        return {
            "box": made.name,
            "box_version": made.version,
            "box_url": made.catalogue.as_uri(),
            # Of a box that somebody brought Vagrant finds out by itself.
            "guest": None if made.brought else GUEST,
        }

    def make_networks(self) -> None:
        """Do nothing: Vagrant makes them with the machines."""

    def settings(self) -> Mapping[str, Any]:
        return {}

    def before_up(self) -> None:
        share_home(self._record.folder)

    def way(self, spec: MachineSpec, port: int) -> tuple[str, int]:
        return spec.address, port

    def key(self, machine: str) -> Path:
        """Return the key that Vagrant put in place of the box's at the machine's first boot.

        A box that somebody brings may have one of its own, which Vagrant leaves.
        """
        folder, provider = self._record.folder, self._record.provider
        replaced = folder / STATE_FOLDER / "machines" / machine / provider / "private_key"
        if replaced.exists():
            return replaced
        vagrant = Vagrant(self._context.runner, folder=folder, provider=provider, log=None)
        return Path(vagrant.ssh_settings(machine)["IdentityFile"])

    def host_keys(self, machines: tuple[MachineSpec, ...], said: Completed) -> dict[str, str]:
        lines = machine_lines(said, HOST_KEY_MARKER)
        return {
            spec.name: ssh_files.host_key(lines.get(spec.name, ""), spec.name) for spec in machines
        }

    def console(self, machine: str) -> str:
        return ""
