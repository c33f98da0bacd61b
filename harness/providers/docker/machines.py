"""Machines that are containers: the docker provider's part in making a lab."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.base.process import Completed, Runner
from harness.base.wait import Clock
from harness.images.seed import Seed
from harness.lab import isolation
from harness.lab.leftovers import IMAGE_LOCK
from harness.providers.docker import node_image
from harness.providers.docker.engine import Docker
from harness.providers.substrate import Say
from harness.providers.topology import MachineSpec, container_name, dropped_capabilities
from harness.providers.vagrant import mark
from harness.ssh import files as ssh_files
from harness.state.locks import host_lock
from harness.state.records import LabRecord

# What a container printed at its boot is a few lines.
LOG_LINES = 200


class Containers:
    """The docker provider: a node image of this host's own distribution, two bridge networks.

    `seed` is what the image is to have of k0s already, None for nothing.
    """

    def __init__(
        self, record: LabRecord, runner: Runner, clock: Clock, *, seed: Seed | None = None
    ) -> None:
        self._record = record
        self._runner = runner
        self._clock = clock
        self._seed = seed
        self._docker = Docker(runner)

    @property
    def elsewhere(self) -> str:
        """Nothing: containers are on this host."""
        return ""

    def image(self, *, log_dir: Path, say: Say) -> Mapping[str, Any]:
        """Return the node image's tag, made now if this host does not have it."""
        with host_lock(
            IMAGE_LOCK,
            holder=self._record.holder(),
            bound=node_image.BUILD_SECONDS,
            clock=self._clock,
            narrate=say,
        ):
            made = node_image.ensure(
                self._runner,
                log=log_dir / "node-image.log",
                seed=self._seed,
                narrate=say,
                mark=mark(self._record.folder),
            )
        return {"image": made.tag}

    def make_networks(self) -> None:
        """Make the two bridges."""
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
        """Return what containers must do without on this host."""
        return {"drop_capabilities": list(dropped_capabilities())}

    def before_up(self) -> None:
        """Do nothing: a killed run leaves nothing that others would use."""

    def host_layer_reason(self) -> str | None:
        """Return why this host cannot isolate the lab, None where it can."""
        return isolation.host_layer_reason(self._record.provider)

    def way(self, spec: MachineSpec, port: int) -> tuple[str, int]:
        """Return the machine's private address, which this host reaches, and the port."""
        return spec.address, port

    def key(self, machine: str) -> Path:  # noqa: ARG002  # one key for all: the image knows none
        """Return the run's own key, which the containers were given when they were made."""
        return self._record.key

    def host_keys(self, machines: tuple[MachineSpec, ...], said: Completed) -> dict[str, str]:  # noqa: ARG002
        """Return each machine's host key, read through the engine."""
        return {
            spec.name: ssh_files.host_key(
                self._docker.run(
                    "exec",
                    container_name(self._record.run_id, spec.name),
                    "cat",
                    "/etc/ssh/ssh_host_ed25519_key.pub",
                    doing=f"Taking the host key of {spec.name}",
                ).stdout,
                spec.name,
            )
            for spec in machines
        }

    def console(self, machine: str) -> str:
        """Return the last lines of what the container printed."""
        return self._docker.logs(container_name(self._record.run_id, machine), LOG_LINES)
