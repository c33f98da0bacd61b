"""Interfaces of a machine, and the routes through them: how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from harness.changes.addresses import Addresses, machines
from harness.changes.kind import DirectChange, OnMachine
from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_json
from harness.vocabulary.fields import Interface

Entry: TypeAlias = Mapping[str, Any]


class LinkChange(OnMachine, DirectChange):
    """A change of an interface."""

    interface: Interface
    """Name of the interface, as in eth1."""

    def looks(self, addresses: Addresses) -> tuple[Probe[Any], ...]:
        return tuple(
            probe
            for machine in machines(self.machine, addresses)
            for probe in (
                link_probe(machine, self.interface),
                routes_probe(machine, self.interface),
            )
        )


def link_probe(machine: str, interface: str) -> Probe[Entry]:
    """Return the probe of an interface: flags, MTU and IPv4 addresses."""
    argv = ("ip", "-json", "address", "show", "dev", interface)
    return Probe(f"link:{interface}", machine, argv, parse_link)


def routes_probe(machine: str, interface: str) -> Probe[Sequence[Entry]]:
    """Return the probe of the routes through an interface, in all tables."""
    argv = ("ip", "-4", "-json", "route", "show", "table", "all", "dev", interface)
    return Probe(f"routes:{interface}", machine, argv, parse_routes)


def parse_link(reading: Reading) -> Entry:
    """Return ip's entry of the interface, its IPv6 addresses left out."""
    (entry,) = require_json(reading)
    addresses = [each for each in entry["addr_info"] if each["family"] == "inet"]
    return {**entry, "addr_info": addresses}


def parse_routes(reading: Reading) -> Sequence[Entry]:
    """Return the routes; ip leaves out the interface that it was asked for."""
    return [{**each, "dev": reading.argv[-1]} for each in require_json(reading)]
