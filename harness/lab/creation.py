"""Making the machines of a lab, step by step: image, networks, machines, the way in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from harness.errors import HarnessError
from harness.lab import isolation
from harness.lab import node_image
from harness.lab import ssh_files
from harness.lab.docker import Docker
from harness.lab.isolation import IsolationReport
from harness.lab.leftovers import IMAGE_LOCK
from harness.lab.leftovers import LOCK_SECONDS
from harness.lab.leftovers import Narrate
from harness.lab.locks import host_lock
from harness.lab.machine import Machine
from harness.lab.machine import prepare
from harness.lab.records import LabRecord
from harness.lab.remote import Remote
from harness.lab.ssh import ParamikoRemote
from harness.lab.ssh_files import SshEndpoint
from harness.lab.topology import HOST_KEY_MARKER
from harness.lab.topology import MachineSpec
from harness.lab.topology import box_of
from harness.lab.topology import container_name
from harness.lab.topology import dropped_capabilities
from harness.lab.topology import topology
from harness.lab.vagrant import START_SECONDS
from harness.lab.vagrant import UP_SECONDS_PER_MACHINE
from harness.lab.vagrant import Vagrant
from harness.lab.vagrant import machine_lines
from harness.lab.vagrant import mark
from harness.lab.vagrant import topology_path
from harness.process import Completed
from harness.process import Runner
from harness.settings import ProviderName
from harness.wait import Clock

STEP_IMAGE = "node image"
STEP_NETWORKS = "networks and isolation of the host"
STEP_MACHINES = "machines"
STEP_ACCESS = "access and isolation of the machines"
# Two networks and a table: 0.5 s measured, 1.5 s on a busy host.
NETWORKS_SECONDS = 60.0
# Host keys and four short commands a machine: 0.8 s measured, 2 s on a busy host.
ACCESS_SECONDS = 60.0
# Creating machines is the heaviest quarter minute of a run: two at once on a small host overrun the
# bound of a boot.
MACHINES_LOCK = "machines"
# What a container printed at its boot is a few lines.
LOG_LINES = 200


@dataclass(frozen=True)
class LabRequest:
    """What is to be made; `log_dir` is the run's folder, where vagrant.log goes.

    `services` and `pods` are the cluster's networks, which the isolation counts by name.
    """

    machines: tuple[MachineSpec, ...]
    log_dir: Path
    services: IPv4Network = isolation.SERVICE_NETWORK
    pods: IPv4Network = isolation.POD_NETWORK

    @property
    def log(self) -> Path:
        """The file with all that Vagrant said."""
        return self.log_dir / "vagrant.log"


@dataclass(frozen=True)
class Created:
    """Machines that are up, reachable and isolated, and the seconds each step took."""

    machines: Mapping[str, Machine]
    remotes: Mapping[str, Remote]
    isolation: IsolationReport
    timings: Mapping[str, float]


def bounds(machines: int) -> Mapping[str, float]:
    """Return how long each step may take for so many machines, in seconds."""
    return {
        STEP_IMAGE: node_image.BUILD_SECONDS + node_image.IMPORT_SECONDS,
        STEP_NETWORKS: NETWORKS_SECONDS,
        STEP_MACHINES: START_SECONDS + UP_SECONDS_PER_MACHINE * machines,
        STEP_ACCESS: ACCESS_SECONDS,
    }


class Creation:
    """The steps of making one lab."""

    def __init__(
        self,
        record: LabRecord,
        request: LabRequest,
        *,
        runner: Runner,
        clock: Clock,
        narrate: Narrate,
    ) -> None:
        self._record = record
        self._request = request
        self._runner = runner
        self._clock = clock
        self._narrate = narrate
        self._docker = Docker(runner)
        self._on_docker = self._record.provider is ProviderName.DOCKER
        self._key = self._record.folder / "id"
        self._timings: dict[str, float] = {}
        self._vagrant = Vagrant(
            self._runner,
            folder=self._record.folder,
            provider=self._record.provider,
            log=request.log,
        )

    def run(self) -> Created:
        """Take all steps, each within its bound; raise a `HarnessError` at the first that fails."""
        host_reason = self.lay_out()
        with self._step(STEP_MACHINES):
            said = self._up()
        with self._step(STEP_ACCESS):
            endpoints = self._endpoints()
            self._write_ssh_files(endpoints, self._host_keys(said))
            remotes = {
                name: ParamikoRemote(name, endpoint, self._record.known_hosts)
                for name, endpoint in endpoints.items()
            }
            machines = self._prepare(remotes, endpoints)
        return Created(
            machines=machines,
            remotes=remotes,
            isolation=IsolationReport(
                machines=True, host=host_reason is None, host_reason=host_reason
            ),
            timings=dict(self._timings),
        )

    def lay_out(self) -> str | None:
        """Make ready what `vagrant up` needs: image, networks, topology, isolation of this host.

        Returns why this host does not isolate the lab, None where it does.
        """
        with self._step(STEP_IMAGE):
            image = self._image() if self._on_docker else None
        with self._step(STEP_NETWORKS):
            host_reason = self._host_layer()
            self._write_topology(image)
        return host_reason

    def keep_evidence(self) -> None:
        """Keep what the machines printed, before they go; each on its own."""
        for name in self._record.machines:
            with contextlib.suppress(HarnessError, OSError):
                text = self._docker.logs(container_name(self._record.run_id, name), LOG_LINES)
                if text:
                    (self._request.log_dir / f"{name}.console.log").write_text(text)

    @contextlib.contextmanager
    def _step(self, title: str) -> Iterator[None]:
        self._narrate(title, "")
        started = self._clock.monotonic()
        yield
        self._timings[title] = self._clock.monotonic() - started

    def _telling(self, title: str) -> Callable[[str], None]:
        return lambda text: self._narrate(title, text)

    def _image(self) -> str:
        with host_lock(
            IMAGE_LOCK,
            holder=self._record.holder(),
            bound=node_image.BUILD_SECONDS,
            clock=self._clock,
            narrate=self._telling(STEP_IMAGE),
        ):
            return node_image.ensure(
                self._runner,
                log=self._request.log_dir / "node-image.log",
                narrate=self._telling(STEP_IMAGE),
                mark=mark(self._record.folder),
            ).tag

    def _host_layer(self) -> str | None:
        """Isolate the lab on this host and make its networks; return why not, None where it is."""
        reason = isolation.host_layer_reason(self._record.provider)
        networks = self._record.networks
        if reason is None:
            isolation.install_on_host(self._runner, self._record.nft_table, networks)
        for network in (networks.nat, networks.private) if self._on_docker else ():
            self._docker.create_network(
                network.name,
                bridge=network.bridge,
                subnet=network.ipv4,
                gateway=network.gateway,
                labels=self._record.labels,
            )
        return reason

    def _write_topology(self, image: str | None) -> None:
        text = topology(
            run_id=self._record.run_id,
            provider=self._record.provider,
            machines=self._request.machines,
            networks=self._record.networks,
            labels=self._record.labels,
            image=image,
            box=None if self._on_docker else box_of(self._record.provider),
            key=self._key,
            public_key=ssh_files.make_key(self._runner, self._key),
            dropped=dropped_capabilities(),
        )
        topology_path(self._record.folder).write_text(text)

    def _up(self) -> Completed:
        with host_lock(
            MACHINES_LOCK,
            holder=self._record.holder(),
            bound=LOCK_SECONDS,
            clock=self._clock,
            narrate=self._telling(STEP_MACHINES),
        ):
            return self._vagrant.up(
                [spec.name for spec in self._request.machines],
                on_line=self._telling(STEP_MACHINES),
            )

    def _endpoints(self) -> dict[str, SshEndpoint]:
        return {
            spec.name: SshEndpoint(
                spec.address,
                22,
                ssh_files.USER,
                self._key
                if self._on_docker
                # Vagrant put a key of its own in place of the box's.
                else Path(self._vagrant.ssh_settings(spec.name)["IdentityFile"]),
            )
            for spec in self._request.machines
        }

    def _host_keys(self, said: Completed) -> dict[str, str]:
        """Return each machine's host key, from inside the machine."""
        if not self._on_docker:
            lines = machine_lines(said, HOST_KEY_MARKER)
            return {
                spec.name: ssh_files.host_key(lines.get(spec.name, ""), spec.name)
                for spec in self._request.machines
            }
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
            for spec in self._request.machines
        }

    def _write_ssh_files(
        self, endpoints: Mapping[str, SshEndpoint], keys: Mapping[str, str]
    ) -> None:
        record = self._record
        record.known_hosts.write_text(ssh_files.known_hosts(keys, endpoints))
        record.socket_dir.mkdir(mode=0o700)
        record.ssh_config.write_text(
            ssh_files.ssh_config(endpoints, record.known_hosts, record.socket_dir)
        )

    def _prepare(
        self, remotes: Mapping[str, Remote], endpoints: Mapping[str, SshEndpoint]
    ) -> dict[str, Machine]:
        specs = self._request.machines

        def one(spec: MachineSpec) -> Machine:
            return prepare(
                spec,
                remotes[spec.name],
                endpoints[spec.name],
                everyone=specs,
                services=self._request.services,
                pods=self._request.pods,
            )

        with ThreadPoolExecutor(max_workers=len(specs)) as pool:
            return {machine.name: machine for machine in pool.map(one, specs)}
