"""Static routes and blackhole routes, in a machine's main table.

A CNI writes routes of its own and brings back those that go; it does not touch others. So
a route of ours never takes the place of one that is there: it has a prefix of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeAlias

from harness.base.errors import InconclusiveError
from harness.change.addresses import Addresses, address, machines, resolve, spare_ssh
from harness.change.model import Action, Before, Check, Command
from harness.evidence.reading import Reading
from harness.probe.core import Probe, UnreadableError, require_ended, require_json
from harness.scenario import changes

# The routes of a table, as `ip -json route` has them.
Table: TypeAlias = Sequence[Mapping[str, Any]]

# Tells our routes from those of the kernel, of DHCP and of the CNI plugin.
PROTOCOL = "static"
BLACKHOLE = "blackhole"
HOST_BITS = 32


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
class _Added:
    """The routes of one change, each with what takes it away and what shows it."""

    do: list[Command] = field(default_factory=list)
    undo: list[Command] = field(default_factory=list)
    check: list[Check] = field(default_factory=list)

    def add(self, machine: str, words: Sequence[str], check: Check) -> None:
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


def looks(
    change: changes.Route | changes.BlackholeRoute, addresses: Addresses
) -> tuple[Probe[Any], ...]:
    """Return what is to be read before: the tables that the routes go into."""
    return tuple(main_table_probe(machine) for machine in machines(change.machine, addresses))


def route(change: changes.Route, addresses: Addresses, before: Before) -> Action:
    """Return the action of a route through another machine."""
    gateway = address(change.via, addresses)
    networks = resolve(change.to, addresses)
    where = machines(change.machine, addresses)
    added = _Added()
    for machine, table in _tables(where, networks, addresses, before):
        for network in networks:
            if network in _prefixes(table):
                raise InconclusiveError(
                    f"Adding a route to {network} on {machine}",
                    "the machine has one to that very network already",
                )
            sample = _sample(network, table)
            words = (str(network), "via", str(gateway))
            added.add(machine, words, _check_gateway(machine, sample, gateway))
    return added.action(
        f"route to {_names(networks)} via {gateway} ({change.via}) on {', '.join(where)}"
    )


def blackhole(change: changes.BlackholeRoute, addresses: Addresses, before: Before) -> Action:
    """Return the action of routes that drop what goes to a place.

    A route that is more specific than ours would win, so each of those gets a blackhole, too; and a
    network that has a route already gets two, for its halves. What is on one of the machine's own
    links, such as its own pods, is left alone unless it is the place that was asked for.
    """
    networks = resolve(change.to, addresses)
    where = machines(change.machine, addresses)
    added = _Added()
    for machine, table in _tables(where, networks, addresses, before):
        for piece in _pieces(networks, table, machine):
            check = _check_dropped(machine, _sample(piece, table))
            added.add(machine, (BLACKHOLE, str(piece)), check)
    return added.action(f"blackhole route to {_names(networks)} on {', '.join(where)}")


def _tables(
    where: Iterable[str], networks: Iterable[IPv4Network], addresses: Addresses, before: Before
) -> Iterator[tuple[str, Table]]:
    """Yield each machine with its main table, once its own way in was seen to be spared."""
    for machine in where:
        spare_ssh(machine, networks, addresses)
        yield machine, before.value(main_table_probe(machine))


def _pieces(networks: Iterable[IPv4Network], table: Table, machine: str) -> tuple[IPv4Network, ...]:
    """Return the prefixes that catch all of `networks`, none of which is in the table."""
    there = _prefixes(table)
    pieces: list[IPv4Network] = []
    for network in networks:
        pieces += _free(network, there, machine)
        for inner in sorted(_routed(table)):
            if inner != network and inner.subnet_of(network):
                pieces += _free(inner, there, machine)
    return tuple(pieces)


def _free(
    network: IPv4Network, there: frozenset[IPv4Network], machine: str
) -> tuple[IPv4Network, ...]:
    if network not in there:
        return (network,)
    if network.prefixlen == HOST_BITS:
        raise InconclusiveError(
            f"Adding a blackhole route to {network} on {machine}",
            "the machine has a route to that very address already",
        )
    return tuple(network.subnets())


def _prefixes(table: Table) -> frozenset[IPv4Network]:
    """Return all prefixes but the default route's."""
    return frozenset(IPv4Network(each["dst"]) for each in table if each["dst"] != "default")


def _routed(table: Table) -> frozenset[IPv4Network]:
    """Return the prefixes that lead to other machines."""
    return frozenset(
        IPv4Network(each["dst"]) for each in table if each["dst"] != "default" and "gateway" in each
    )


def _sample(network: IPv4Network, table: Table) -> IPv4Address:
    """Return an address of `network` that no more specific route of the table has."""
    inner = [each for each in _prefixes(table) if each != network and each.subnet_of(network)]
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


def _check_gateway(machine: str, sample: IPv4Address, gateway: IPv4Address) -> Check:
    def wrong(taken: Taken) -> str | None:
        if taken.gateway == str(gateway) and not taken.dropped:
            return None
        return f"a packet from {machine} to {sample} would be {taken.text()}"

    return Check(f"{machine} sends {sample} via {gateway}", taken_probe(machine, sample), wrong)


def _check_dropped(machine: str, sample: IPv4Address) -> Check:
    def wrong(taken: Taken) -> str | None:
        return None if taken.dropped else f"a packet from {machine} to {sample} is {taken.text()}"

    return Check(f"{machine} drops what goes to {sample}", taken_probe(machine, sample), wrong)


def _names(networks: Iterable[IPv4Network]) -> str:
    return ", ".join(str(each) for each in networks)


def _parse_table(reading: Reading) -> Table:
    table: Table = require_json(reading)
    return table
