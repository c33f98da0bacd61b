"""What static routes and blackhole routes, in a machine's main table, have in common.

A CNI writes routes of its own and brings back those that go; it does not touch others. So a route
of ours never takes the place of one that is there: it has a prefix of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeAlias

from harness.base.errors import InconclusiveError
from harness.changes.action import Action, Before, Check, Command
from harness.changes.addresses import Addresses, machines, spare_ssh
from harness.changes.kind import DirectChange, OnMachine
from harness.changes.places import place_rules
from harness.evidence.reading import Reading
from harness.probe.core import Probe, UnreadableError, require_ended, require_json
from harness.vocabulary.fields import Place
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.machines import PODS_ON, named
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found

# The routes of a table, as `ip -json route` has them.
Table: TypeAlias = Sequence[Mapping[str, Any]]

# Tells our routes from those of the kernel, of DHCP and of the CNI plugin.
PROTOCOL = "static"


@dataclass(frozen=True)
class Taken:
    """The way a kernel would send a packet: by a gateway and an interface, or nowhere."""

    gateway: str = ""
    device: str = ""
    dropped: bool = False

    def text(self) -> str:
        """Return the way in a few words."""
        if self.dropped:
            return "dropped by a blackhole"
        return f"sent via {self.gateway or 'no gateway'} dev {self.device}"


@dataclass
class Added:
    """The routes of one change, each with what takes it away and what shows it."""

    do: list[Command] = field(default_factory=list)
    undo: list[Command] = field(default_factory=list)
    check: list[Check] = field(default_factory=list)

    def add(self, machine: str, words: Sequence[str], check: Check) -> None:
        """Add one route on `machine`, in the words of `ip route`."""
        route = (*words, "proto", PROTOCOL)
        self.do.append(Command(machine, ("ip", "route", "add", *route)))
        self.undo.insert(0, Command(machine, ("ip", "route", "del", *route)))
        self.check.append(check)

    def action(self, text: str) -> Action:
        return Action(text, tuple(self.do), tuple(self.undo), tuple(self.check))


def main_table_probe(machine: str) -> Probe[Table]:
    """Return the probe of a machine's main table."""
    argv = ("ip", "-4", "-json", "route", "show", "table", "main")
    return Probe("main_table", machine, argv, _parse_table)


def taken_probe(machine: str, destination: IPv4Address) -> Probe[Taken]:
    """Return the probe of the way that the kernel of `machine` takes to `destination`."""
    argv = ("ip", "-4", "-json", "route", "get", str(destination))
    return Probe(f"way:{destination}", machine, argv, parse_taken)


def parse_taken(reading: Reading) -> Taken:
    """Return the way: of a blackhole the kernel says that the address is no valid argument."""
    require_ended(reading)
    if reading.returncode != 0:
        if "Invalid argument" in reading.stderr:
            return Taken(dropped=True)
        raise UnreadableError(f"ip route get on {reading.where}: {reading.stderr.strip()}")
    route = json.loads(reading.stdout)[0]
    return Taken(route.get("gateway", ""), route.get("dev", ""))


def tables_of(
    where: Iterable[str], networks: Iterable[IPv4Network], addresses: Addresses, before: Before
) -> Iterator[tuple[str, Table]]:
    """Yield each machine with its main table, once its own way in was seen to be spared."""
    for machine in where:
        spare_ssh(machine, networks, addresses)
        yield machine, before.value(main_table_probe(machine))


def prefixes(table: Table) -> frozenset[IPv4Network]:
    """Return all prefixes but the default route's."""
    return frozenset(IPv4Network(each["dst"]) for each in table if each["dst"] != "default")


def address_in(network: IPv4Network, table: Table) -> IPv4Address:
    """Return an address of `network` that no more specific route of the table has."""
    inner = [each for each in prefixes(table) if each != network and each.subnet_of(network)]
    # The first is the network's own; with the second, it is an address that somebody could have.
    candidate = network[min(1, network.num_addresses - 1)]
    for each in sorted(inner):
        if candidate in each:
            candidate = each.broadcast_address + 1
    if candidate not in network:
        raise InconclusiveError(
            f"Adding a route to {network}", "more specific routes have every address of it"
        )
    return candidate


def names(networks: Iterable[IPv4Network]) -> str:
    """Return the networks as a list in words."""
    return ", ".join(str(each) for each in networks)


def _parse_table(reading: Reading) -> Table:
    table: Table = require_json(reading)
    return table


class RouteChange(OnMachine, DirectChange):
    """A change that adds routes to a place."""

    to: Place
    """Where to: `service-network`, `pod-network`, `pods-on-worker0`, an address or a network."""

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return (*super().rules(around), *place_rules(self, "to", around), self._not_its_own(around))

    def clashes(self, subnet: IPv4Network) -> Found:
        """Yield a route to the network that every machine is in, which would also cut SSH off."""
        try:
            to = IPv4Network(self.to)
        except ValueError:
            return
        if to.overlaps(subnet):
            why = f"`{self.to}` is in the machines' own network {subnet}; name the machine"
            yield ("to",), why

    def looks(self, addresses: Addresses) -> tuple[Probe[Any], ...]:
        return tuple(main_table_probe(machine) for machine in machines(self.machine, addresses))

    def _not_its_own(self, around: Surroundings) -> Found:
        if self.to.removeprefix(PODS_ON) in named(self.machine, around.cluster.worker_names):
            whose = "the pods' own machine" if self.to.startswith(PODS_ON) else "the machine itself"
            yield ("to",), f"{quoted(self.to)} needs no route on {whose}"
