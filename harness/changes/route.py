"""A route through another machine."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import ClassVar

from harness.base.errors import InconclusiveError
from harness.changes.action import Action, Before, Check
from harness.changes.addresses import Addresses, address, machines, resolve
from harness.changes.routes import (
    Added,
    RouteChange,
    Taken,
    address_in,
    names,
    prefixes,
    tables_of,
    taken_probe,
)
from harness.vocabulary.fields import MachineName
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.machines import WORKERS, named
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.part import Found


class Route(RouteChange):
    """Add a route to a machine's main table."""

    kind: ClassVar[str] = "route"
    body: ClassVar[str] = "{machine: MACHINE, to: PLACE, via: worker0}"
    does: ClassVar[str] = "adds a route through another machine"

    machine: MachineName
    """Name of the machine, as in controller0; or `workers`, for all of them."""

    via: MachineName
    """The machine to go through, by its address on the private network."""

    def describe(self) -> str:
        return f"route {self.to} via {self.via} on {self.machine}"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return (*super().rules(around), self._leads_on(around))

    def _leads_on(self, around: Surroundings) -> Found:
        there = around.cluster.machine_names
        if self.via == WORKERS:
            yield ("via",), "a route goes through one machine; name it"
        elif self.via not in there:
            yield ("via",), f"there is no machine {quoted(self.via)}{nearest(self.via, there)}"
        elif self.via in named(self.machine, around.cluster.worker_names):
            yield ("via",), f"{quoted(self.via)} would send to itself: the route leads nowhere"

    def action(self, addresses: Addresses, before: Before) -> Action:
        gateway = address(self.via, addresses)
        networks = resolve(self.to, addresses)
        where = machines(self.machine, addresses)
        added = Added()
        for machine, table in tables_of(where, networks, addresses, before):
            for network in networks:
                if network in prefixes(table):
                    raise InconclusiveError(
                        f"Adding a route to {network} on {machine}",
                        "the machine has one to that very network already",
                    )
                sample = address_in(network, table)
                words = (str(network), "via", str(gateway))
                added.add(machine, words, _check_gateway(machine, sample, gateway))
        return added.action(
            f"route to {names(networks)} via {gateway} ({self.via}) on {', '.join(where)}"
        )


def _check_gateway(machine: str, sample: IPv4Address, gateway: IPv4Address) -> Check:
    def wrong(taken: Taken) -> str | None:
        if taken.gateway == str(gateway) and not taken.dropped:
            return None
        return f"a packet from {machine} to {sample} would be {taken.text()}"

    return Check(f"{machine} sends {sample} via {gateway}", taken_probe(machine, sample), wrong)
