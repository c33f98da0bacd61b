"""Making the machines of a lab, step by step: image, networks, machines, the way in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from harness.base.completed import Completed
from harness.base.context import Context, Narrate, Say
from harness.base.errors import HarnessError
from harness.base.locks import LOCK_SECONDS, MACHINES_LOCK, host_lock
from harness.k0s import API_PORT
from harness.lab import isolation, nat_picture
from harness.lab.isolation import IsolationReport
from harness.lab.machine import Machine, prepare
from harness.providers.registry import provider
from harness.providers.substrate import LabRequest, Substrate
from harness.providers.topology import MachineSpec, topology
from harness.providers.vagrant import (
    BOOT_SECONDS,
    Vagrant,
    VagrantError,
    topology_path,
    up_seconds,
)
from harness.ssh import files as ssh_files
from harness.ssh import pace
from harness.ssh.files import SshEndpoint
from harness.ssh.remote import Remote
from harness.state.records import LabRecord

STEP_IMAGE = "image"
STEP_NETWORKS = "networks and isolation of the host"
STEP_MACHINES = "machines"
STEP_ACCESS = "access and isolation of the machines"
SSH_PORT = 22
# Where k0s's API server listens: no scenario can ask for another port.
# Two networks and a table: 0.5 s measured, 1.5 s on a busy host.
NETWORKS_SECONDS = 60.0
# Host keys and four short commands a machine: 0.8 s measured, 2 s on a busy host.
ACCESS_SECONDS = 60.0


@dataclass(frozen=True)
class Created:
    """Machines that are up, reachable and isolated, and the seconds each step took.

    `pace` is how many times slower they are than this host, 1 for machines that share its kernel.
    """

    machines: Mapping[str, Machine]
    remotes: Mapping[str, Remote]
    isolation: IsolationReport
    pace: float
    timings: Mapping[str, float]


def bounds(request: LabRequest) -> Mapping[str, float]:
    """Return how long each step may take, in seconds, on a host that has the machines' image."""
    slow = request.boot_pace
    return {
        STEP_NETWORKS: NETWORKS_SECONDS,
        STEP_MACHINES: up_seconds(len(request.machines), slow),
        STEP_ACCESS: ACCESS_SECONDS * slow,
    }


class Creation:
    """The steps of making one lab, the same on every provider."""

    def __init__(
        self,
        record: LabRecord,
        request: LabRequest,
        substrate: Substrate,
        context: Context,
        narrate: Narrate,
    ) -> None:
        self._record = record
        self._provider = provider(record.provider)
        self._request = request
        self._substrate = substrate
        self._context = context
        self._narrate = narrate
        self._timings: dict[str, float] = {}
        self._vagrant = Vagrant(
            self._context.runner,
            folder=self._record.folder,
            provider=self._record.provider,
            log=request.log,
            pace=request.boot_pace,
        )

    def run(self) -> Created:
        """Take all steps, each within its bound; raise a `HarnessError` at the first that fails."""
        host_reason = self.lay_out()
        with self._step(STEP_MACHINES):
            said = self._up()
        with self._step(STEP_ACCESS):
            endpoints = self._endpoints()
            keys = self._substrate.host_keys(self._request.machines, said)
            self._write_ssh_files(endpoints, keys)
            remotes = ssh_files.lab_remotes(endpoints, self._record.known_hosts)
            machines = self._prepare(remotes, endpoints)
            pace = self._pace(remotes)
        return Created(
            machines=machines,
            remotes=remotes,
            isolation=IsolationReport(
                machines=True, host=host_reason is None, host_reason=host_reason
            ),
            pace=pace,
            timings=dict(self._timings),
        )

    def lay_out(self) -> str | None:
        """Make ready what `vagrant up` needs: image, networks, topology, isolation of this host.

        Returns why this host does not isolate the lab, None where it does.
        """
        with self._step(STEP_IMAGE):
            image = self._substrate.image(
                log_dir=self._request.log_dir, say=self._telling(STEP_IMAGE)
            )
        with self._step(STEP_NETWORKS):
            host_reason = self._provider.host_layer_reason(elsewhere=bool(self._record.elsewhere))
            if host_reason is None:
                # Before anything is in them.
                isolation.install_on_host(
                    self._context.runner,
                    self._record.nft_table,
                    self._record.networks,
                    mark=self._record.mark_of(self._record.nft_table),
                )
            ssh_files.make_socket_dir(self._record.run_id, self._record.folder)
            self._substrate.make_networks()
            self._write_topology(image)
        return host_reason

    def keep_evidence(self) -> None:
        """Keep what the machines printed, before they go; each on its own."""
        for name in self._record.machines:
            with contextlib.suppress(HarnessError, OSError):
                text = self._substrate.console(name)
                if text:
                    (self._request.log_dir / f"{name}.console.log").write_text(text)

    @contextlib.contextmanager
    def _step(self, title: str) -> Iterator[None]:
        self._narrate(title, "")
        started = self._context.clock.monotonic()
        yield
        self._timings[title] = self._context.clock.monotonic() - started

    def _telling(self, title: str) -> Say:
        return lambda text: self._narrate(title, text)

    def _write_topology(self, image: Mapping[str, Any]) -> None:
        text = topology(
            self._record,
            self._request.machines,
            public_key=ssh_files.make_key(self._context.runner, self._record.key),
            boot_seconds=round(BOOT_SECONDS * self._request.boot_pace),
            of_provider={**image, **self._substrate.settings()},
        )
        topology_path(self._record.folder).write_text(text)

    def _up(self) -> Completed:
        with host_lock(
            MACHINES_LOCK,
            holder=self._record.holder(),
            bound=LOCK_SECONDS,
            clock=self._context.clock,
            narrate=self._telling(STEP_MACHINES),
        ):
            self._substrate.before_up()
            try:
                return self._vagrant.up(
                    [spec.name for spec in self._request.machines],
                    on_line=self._telling(STEP_MACHINES),
                )
            except VagrantError as error:
                for name in error.late:
                    with contextlib.suppress(HarnessError, OSError):
                        error.quote_console(name, self._substrate.console(name))
                raise

    def _endpoints(self) -> dict[str, SshEndpoint]:
        return {
            spec.name: SshEndpoint(
                *self._substrate.way(spec, SSH_PORT),
                ssh_files.USER,
                self._substrate.key(spec.name),
                via=self._substrate.elsewhere,
            )
            for spec in self._request.machines
        }

    def _write_ssh_files(
        self, endpoints: Mapping[str, SshEndpoint], keys: Mapping[str, str]
    ) -> None:
        record = self._record
        record.known_hosts.write_text(ssh_files.known_hosts(keys, endpoints))
        record.ssh_config.write_text(
            ssh_files.ssh_config(endpoints, record.known_hosts, record.socket_dir)
        )

    def _prepare(
        self, remotes: Mapping[str, Remote], endpoints: Mapping[str, SshEndpoint]
    ) -> dict[str, Machine]:
        specs = self._request.machines

        def one(spec: MachineSpec) -> Machine:
            address, port = self._substrate.way(spec, API_PORT)
            machine = prepare(
                spec,
                remotes[spec.name],
                endpoints[spec.name],
                f"{address}:{port}",
                self._request,
            )
            if self._request.same_nat_address:
                nat_picture.paint(remotes[spec.name], machine.nat_interface)
                return replace(machine, nat_address=nat_picture.ADDRESS)
            return machine

        with ThreadPoolExecutor(max_workers=len(specs)) as pool:
            return {machine.name: machine for machine in pool.map(one, specs)}

    def _pace(self, remotes: Mapping[str, Remote]) -> float:
        if not self._provider.own_kernel:
            # The same kernel on the same processors.
            return 1.0
        with ThreadPoolExecutor(max_workers=len(remotes)) as pool:
            guests = list(pool.map(pace.on_machine, remotes.values()))
        return pace.factor(pace.on_host(self._context.runner), guests)
