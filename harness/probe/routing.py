"""Which way a machine's kernel would send a packet."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from harness.evidence.reading import Reading
from harness.probe.core import Probe, TargetProbe, require_json


@dataclass(frozen=True)
class Route:
    """The route of one address: the default one, one of its own, a rejecting one, or none.

    `kind` is the kernel's type: `unicast`, or `blackhole`, `unreachable`, `prohibit`.
    """

    destination: str
    prefix: str | None
    gateway: str = ""
    device: str = ""
    kind: str = "unicast"

    @property
    def own(self) -> bool:
        """Whether there is a usable route other than the default one."""
        return self.prefix not in (None, "default") and self.kind == "unicast"

    def text(self) -> str:
        """Return the route in a few words."""
        if self.prefix is None:
            return f"no route to {self.destination}"
        name = "the default route" if self.prefix == "default" else f"the route {self.prefix}"
        if self.kind != "unicast":
            return f"{self.destination} is caught by {name} ({self.kind})"
        via = f" via {self.gateway}" if self.gateway else ""
        return f"{self.destination} goes by {name}{via} dev {self.device}"


def parse(reading: Reading) -> Route:
    """Return the most specific matching route, which is the one the kernel takes.

    `ip route get` would name the gateway but not the prefix, and the prefix is what tells a route
    to the cluster's networks from the default one.
    """
    destination = reading.argv[-1]
    routes = require_json(reading)
    if not routes:
        return Route(destination, None)
    best = max(routes, key=_length)
    return Route(
        destination,
        best["dst"],
        best.get("gateway", ""),
        best.get("dev", ""),
        best.get("type", "unicast"),
    )


def _length(route: dict[str, str]) -> int:
    prefix = route["dst"]
    return -1 if prefix == "default" else ipaddress.ip_network(prefix).prefixlen


PROBE = TargetProbe("route", parse)


def look(machine: str, destination: str) -> Probe[Route]:
    """Return the look at the routes on `machine` that match `destination` (an IPv4 address)."""
    argv = ("ip", "-json", "-details", "route", "show", "match", destination)
    return PROBE.on(machine, destination, argv)
