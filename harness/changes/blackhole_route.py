"""Routes that silently drop."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import ClassVar

from harness.base.errors import InconclusiveError
from harness.changes.action import Action, Before, Check
from harness.changes.addresses import Addresses, machines, resolve
from harness.changes.routes import (
    Added,
    RouteChange,
    Table,
    Taken,
    address_in,
    names,
    prefixes,
    tables_of,
    taken_probe,
)

BLACKHOLE = "blackhole"
HOST_BITS = 32


class BlackholeRoute(RouteChange):
    """Add a route that silently drops what goes to a place."""

    kind: ClassVar[str] = "blackhole_route"
    body: ClassVar[str] = "{machine: MACHINE, to: PLACE}"
    does: ClassVar[str] = "adds a route that silently drops"

    def describe(self) -> str:
        return f"drop by a route what {self.machine} sends to {self.to}"

    def action(self, addresses: Addresses, before: Before) -> Action:
        """Return the action of routes that drop what goes to a place.

        A route that is more specific than ours would win, so each of those gets a blackhole, too;
        and a network that has a route already gets two, for its halves. What is on one of the
        machine's own links, such as its own pods, is left alone unless it is the place that was
        asked for.
        """
        networks = resolve(self.to, addresses)
        where = machines(self.machine, addresses)
        added = Added()
        for machine, table in tables_of(where, networks, addresses, before):
            for piece in _pieces(networks, table, machine):
                check = _check_dropped(machine, address_in(piece, table))
                added.add(machine, (BLACKHOLE, str(piece)), check)
        return added.action(f"blackhole route to {names(networks)} on {', '.join(where)}")


def _pieces(networks: Iterable[IPv4Network], table: Table, machine: str) -> tuple[IPv4Network, ...]:
    """Return the prefixes that catch all of `networks`, none of which is in the table."""
    there = prefixes(table)
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


def _routed(table: Table) -> frozenset[IPv4Network]:
    """Return the prefixes that lead to other machines."""
    return frozenset(
        IPv4Network(each["dst"]) for each in table if each["dst"] != "default" and "gateway" in each
    )


def _check_dropped(machine: str, sample: IPv4Address) -> Check:
    def wrong(taken: Taken) -> str | None:
        return None if taken.dropped else f"a packet from {machine} to {sample} is {taken.text()}"

    return Check(f"{machine} drops what goes to {sample}", taken_probe(machine, sample), wrong)
