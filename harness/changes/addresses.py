"""What the words for places and machines in a scenario mean on this very cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Protocol

from harness.base.errors import InconclusiveError
from harness.evidence.reading import Reading
from harness.probe import controlplane, workloads
from harness.probe.core import Asked, MachineProbe, Probe, require_success
from harness.probe.seen import seen_in
from harness.vocabulary.machines import POD_NETWORK, PODS_ON, SERVICE_NETWORK, WORKERS
from harness.vocabulary.words import Role


class Machine(Protocol):
    """A machine of a lab, as it is planned."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def role(self) -> Role:
        """What k0s does on it."""

    @property
    def address(self) -> str:
        """Its address on the private network."""


@dataclass(frozen=True)
class SshWay:
    """The harness's own connection to a machine, as that machine sees it."""

    client: IPv4Address
    server: IPv4Address
    port: int


@dataclass(frozen=True)
class Addresses:
    """Addresses of a cluster; `None`, or a machine that is not a key, where they were not seen.

    `machines` are addresses on the private network, `pods_on` the networks that a node's pods get
    their addresses from (some CNIs have blocks of their own), `unread` why something is
    not known. `second_ssh` is the other way to a machine, where there is one.
    """

    machines: Mapping[str, IPv4Address]
    workers: tuple[str, ...]
    services: IPv4Network | None = None
    pods: IPv4Network | None = None
    pods_on: Mapping[str, IPv4Network] = field(default_factory=dict)
    ssh: Mapping[str, SshWay] = field(default_factory=dict)
    second_ssh: Mapping[str, SshWay] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all was seen that there is; a node gets its pods' network after it registered."""
        return not self.unread and set(self.workers) <= set(self.pods_on)


def probes(lab: Sequence[Machine]) -> tuple[Probe[Any], ...]:
    """Return what is to be read for `from_readings`; the first machine is the controller."""
    controller = lab[0].name
    return (
        controlplane.FLAGS.on(controller),
        controlplane.CLUSTER_CIDR.on(controller),
        workloads.NODES.look(),
        *(SSH.on(machine.name) for machine in lab),
    )


def from_readings(
    lab: Sequence[Machine], readings: Iterable[Reading], second: Iterable[Reading] = ()
) -> Addresses:
    """Return the addresses that the readings of `probes(lab)` name.

    `second` are readings of `SSH` by the second way to a machine.
    """
    seen = seen_in(readings, (controlplane.FLAGS, controlplane.CLUSTER_CIDR, workloads.NODES, SSH))
    controller = lab[0].name
    flags = seen.on(controlplane.FLAGS).get(controller)
    nodes = seen.one(workloads.NODES) or ()
    pods_on = {node.name: IPv4Network(node.pod_cidr) for node in nodes if _is_ipv4(node.pod_cidr)}
    return Addresses(
        machines={machine.name: IPv4Address(machine.address) for machine in lab},
        workers=tuple(each.name for each in lab if each.role is Role.WORKER),
        services=_ipv4_of(flags.service_cidr) if flags is not None else None,
        pods=_ipv4_of(seen.on(controlplane.CLUSTER_CIDR).get(controller, "")),
        pods_on=pods_on,
        ssh=seen.on(SSH),
        second_ssh=seen_in(second, (SSH,)).on(SSH),
        unread=tuple(seen.unseen_at.values()),
    )


def machines(word: str, addresses: Addresses) -> tuple[str, ...]:
    """Return the machines that `word` means: all workers, or the one of that name."""
    if word == WORKERS:
        return addresses.workers
    if word not in addresses.machines:
        raise InconclusiveError(f"Looking for the machine {word}", "the lab has none of that name")
    return (word,)


def address(machine: str, addresses: Addresses) -> IPv4Address:
    """Return a machine's address on the private network."""
    (name,) = machines(machine, addresses)
    return addresses.machines[name]


def resolve(place: str, addresses: Addresses) -> tuple[IPv4Network, ...]:
    """Return the networks that `place` means.

    Raises `InconclusiveError` where it was not seen on this cluster.
    """
    if place == SERVICE_NETWORK:
        return (_known(addresses.services, "network of the Services", addresses),)
    if place == POD_NETWORK:
        return (_known(addresses.pods, "network of the pods", addresses),)
    if place.startswith(PODS_ON):
        name = place.removeprefix(PODS_ON)
        return (_known(addresses.pods_on.get(name), f"pods' network on {name}", addresses),)
    if place in addresses.machines:
        return (IPv4Network(addresses.machines[place]),)
    try:
        return (IPv4Network(place),)
    except ValueError as error:
        raise InconclusiveError(f"Looking for the place {place}", str(error)) from None


def spare_ssh(machine: str, networks: Iterable[IPv4Network], addresses: Addresses) -> None:
    """Raise `InconclusiveError` where the harness's own way to `machine` leads into `networks`."""
    doing = f"Adding a route on {machine}"
    way = addresses.ssh.get(machine)
    if way is None:
        raise InconclusiveError(doing, "the harness's own connection to it was not seen")
    for network in networks:
        if way.client in network:
            raise InconclusiveError(
                doing, f"{network} has the harness's own address there, {way.client}"
            )


def parse_ssh(reading: Reading) -> SshWay:
    """Return the connection: sshd's variable names client, its port, server, its port."""
    client, _, server, port = require_success(reading).split()
    return SshWay(IPv4Address(client), IPv4Address(server), int(port))


SSH = MachineProbe("ssh_connection", ("printenv", "SSH_CONNECTION"), parse_ssh, Asked.MACHINES)
"""The harness's own connection to a machine."""


def _known(value: Any, what: str, addresses: Addresses) -> Any:  # noqa: ANN401  # handed through
    if value is None:
        seen = "; ".join(addresses.unread) or "the cluster does not name it"
        raise InconclusiveError(f"Looking for the {what}", seen)
    return value


def _ipv4_of(text: str) -> IPv4Network | None:
    return next((IPv4Network(each) for each in text.split(",") if _is_ipv4(each)), None)


def _is_ipv4(text: str) -> bool:
    return bool(text) and ":" not in text
