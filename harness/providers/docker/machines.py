"""Machines that are containers: the docker provider's part in making a lab."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.base.completed import Completed
from harness.base.context import Context, Say
from harness.base.locks import IMAGE_LOCK, host_lock
from harness.images.making import Making
from harness.providers.docker import node_image
from harness.providers.docker.engine import Docker
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec
from harness.providers.vagrant import mark
from harness.ssh import files as ssh_files
from harness.state.owner import machine_name
from harness.state.records import LabRecord

# Container machines never get these: a clock set, a module loaded, a port written in a container is
# the host's.
ALWAYS_DROPPED = ("SYS_TIME", "SYS_MODULE", "SYS_RAWIO")
# Position of each capability's bit, for those that a host's engine itself may lack.
_CAPABILITY_BITS = {"SYS_RESOURCE": 24}
# What a container printed at its boot is a few lines.
LOG_LINES = 200


class Containers:
    """The docker provider: a node image of this host's own distribution, two bridge networks."""

    def __init__(self, record: LabRecord, request: LabRequest, context: Context) -> None:
        self._record = record
        self._context = context
        self._request = request
        self._docker = Docker(context.runner)

    @property
    def elsewhere(self) -> str:
        return ""

    def image(self, *, log_dir: Path, say: Say) -> Mapping[str, Any]:
        with host_lock(
            IMAGE_LOCK,
            holder=self._record.holder(),
            bound=node_image.BUILD_SECONDS,
            clock=self._context.clock,
            narrate=say,
        ):
            making = Making(
                replace(self._context, say=say),
                log_dir / "node-image.log",
                mark(self._record.folder),
            )
            made = node_image.ensure(making, self._request.seed)
        return {"image": made.tag}

    def make_networks(self) -> None:
        networks = self._record.networks
        for network in (networks.nat, networks.private):
            self._docker.create_network(
                network.name,
                bridge=network.bridge,
                subnet=network.ipv4,
                gateway=network.gateway,
                labels=self._record.labels,
            )

    def settings(self) -> Mapping[str, Any]:
        labels = self._record.labels
        return {
            "drop_capabilities": list(dropped_capabilities()),
            "labels": dict(labels),
            "volume_labels": volume_labels(labels),
        }

    def before_up(self) -> None:
        """Do nothing: a killed run leaves nothing that others would use."""

    def way(self, spec: MachineSpec, port: int) -> tuple[str, int]:
        return spec.address, port

    def key(self, machine: str) -> Path:  # one key for all: the image knows none
        return self._record.key

    def host_keys(self, machines: tuple[MachineSpec, ...], said: Completed) -> dict[str, str]:
        return {
            spec.name: ssh_files.host_key(
                self._docker.run(
                    *("exec", machine_name(self._record.run_id, spec.name)),
                    *("cat", "/etc/ssh/ssh_host_ed25519_key.pub"),
                    doing=f"Taking the host key of {spec.name}",
                ).stdout,
                spec.name,
            )
            for spec in machines
        }

    def console(self, machine: str) -> str:
        return self._docker.logs(machine_name(self._record.run_id, machine), LOG_LINES)


def volume_labels(labels: Mapping[str, str]) -> str:
    """Return `labels` as docker's `--mount` wants them for a volume: fields of a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(
        f"volume-label={name}={text}" for name, text in labels.items()
    )
    return line.getvalue()


def dropped_capabilities() -> tuple[str, ...]:
    """Return the capabilities that container machines do without on this host.

    Docker's `--cap-add=ALL` fails for one that the engine itself does not have.
    """
    bounding = _bounding_set()
    lacking = [name for name, bit in _CAPABILITY_BITS.items() if not bounding >> bit & 1]
    return (*ALWAYS_DROPPED, *lacking)


def _bounding_set() -> int:
    """Return the bounding set of the docker engine, or of this process where it is not seen."""
    try:
        engine = Path("/var/run/docker.pid").read_text().strip()
        status = Path(f"/proc/{engine}/status").read_text()
    except OSError:
        status = Path(f"/proc/{os.getpid()}/status").read_text()
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return ~0
