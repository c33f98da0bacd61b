"""Bringing a lab up and taking it down: the machines of one run, their network, the way in.

`bring_up` makes the machines that a reservation stands for, `Lab.destroy` removes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Network
from pathlib import Path

from harness.base.run_id import RunId
from harness.images.seed import Seed
from harness.lab import machine, nat_picture
from harness.lab.creation import Creation
from harness.lab.isolation import IsolationReport
from harness.lab.machine import Machine
from harness.lab.reservation import Reservation, files_written, removing
from harness.providers.backend import backend
from harness.providers.registry import provider
from harness.providers.substrate import LabRequest
from harness.providers.vagrant import environment
from harness.ssh import files as ssh_files
from harness.ssh.remote import Remote
from harness.state import records
from harness.state.records import LabRecord


@dataclass(frozen=True)
class Lab:
    """The machines of one run and the way in; `timings` has the seconds each step took.

    `pace` is how many times slower than this host the machines are, by which bounds are scaled;
    `seed` what they were made with of k0s, None for nothing.
    `reservation` is None for a kept lab that is only looked at: it is `clean` that removes it.
    """

    record: LabRecord
    machines: Mapping[str, Machine]
    substrate: str
    isolation: IsolationReport
    pace: float
    seed: Seed | None
    reservation: Reservation | None
    timings: Mapping[str, float]
    _remotes: Mapping[str, Remote]

    @property
    def run_id(self) -> RunId:
        """The run's id."""
        return self.record.run_id

    @property
    def name(self) -> str:
        """The scenario it was made for."""
        return self.record.scenario

    @property
    def own_kernel(self) -> bool:
        """Whether its machines share no kernel with this host."""
        return provider(self.record.provider).own_kernel

    @property
    def subnet(self) -> IPv4Network:
        """The private network, which carries the cluster."""
        return self.record.networks.private.ipv4

    @property
    def folder(self) -> Path:
        """The state folder (0700): keys, known_hosts, Vagrant's state."""
        return self.record.folder

    @property
    def ssh_config(self) -> Path:
        """OpenSSH's configuration with an alias for each machine, for testinfra and for people."""
        return self.record.ssh_config

    @property
    def known_hosts(self) -> Path:
        """The machines' pinned host keys, for every SSH client."""
        return self.record.known_hosts

    def remote(self, name: str) -> Remote:
        """Return the machine `name` over SSH; raises `KeyError` for a name that is not there."""
        return self._remotes[name]

    def second_ways(self) -> Mapping[str, Remote]:
        """Return ways in by the NAT interface, for when a change takes the private one away.

        There is none where this host does not reach that network, or cannot tell machines apart
        there.
        """
        if provider(self.record.provider).same_nat_address or self.record.elsewhere:
            return {}
        endpoints = {
            name: replace(found.endpoint, address=found.nat_address)
            for name, found in self.machines.items()
            if found.nat_address not in {"", nat_picture.ADDRESS}
        }
        return ssh_files.lab_remotes(endpoints, self.known_hosts)

    def destroy(self) -> None:
        """Remove the lab; raises `InfrastructureError` naming what could not be removed."""
        self.close()
        if self.reservation is not None:
            self.reservation.remove()

    def keep(self, until: datetime) -> None:
        """Leave the lab standing until then; `k0s-harness labs` shows it."""
        self.close()
        if self.reservation is not None:
            self.reservation.keep(until)

    def close(self) -> None:
        """Close the connections to the machines."""
        for remote in self._remotes.values():
            remote.close()


def bring_up(reservation: Reservation, request: LabRequest) -> Lab:
    """Make the machines and return the lab, every machine reachable and isolated.

    Raises `InfrastructureError` when something does not come up; evidence is then in the request's
    folder and everything of the run is removed, as after an interrupt.
    """
    creation = _begin(reservation, request)
    record = reservation.record
    with files_written(), removing(reservation, creation.keep_evidence):
        records.write(record)
        created = creation.run()
        machine.save(record.folder, created.machines, created.isolation, created.pace)
    return Lab(
        record=record,
        machines=created.machines,
        substrate=provider(record.provider).describe(
            len(created.machines), emulated=request.emulated, elsewhere=bool(record.elsewhere)
        ),
        isolation=created.isolation,
        pace=created.pace,
        seed=request.seed,
        reservation=reservation,
        timings=created.timings,
        _remotes=created.remotes,
    )


def lay_out(reservation: Reservation, request: LabRequest) -> Mapping[str, str]:
    """Make all ready for `vagrant up` to be typed by hand, and return the environment it needs.

    The bench compares that with `bring_up`. What is made then goes with the reservation.
    """
    creation = _begin(reservation, request)
    record = reservation.record
    with files_written(), removing(reservation):
        records.write(record)
        creation.lay_out()
    return environment(record.folder)


def _begin(reservation: Reservation, request: LabRequest) -> Creation:
    """Name the machines in the record and return what makes them."""
    request.log_dir.mkdir(parents=True, exist_ok=True)
    reservation.log = request.log
    reservation.record = replace(
        reservation.record, machines=tuple(spec.name for spec in request.machines)
    )
    record, context = reservation.record, reservation.context
    substrate = backend(record.provider).substrate(record, request, context)
    return Creation(record, request, substrate, context, reservation.narrate)
