"""What a machine says of itself: its time, its addresses and networks, its k0s."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network

from harness import cni
from harness.base.places import address_of
from harness.evidence.reading import Reading
from harness.k0s import API_PORT
from harness.probe.core import Asked, MachineProbe, UnreadableError, require_json, require_success

_VERSION = re.compile(r"^v\d++\.\d++\.\d++\S*+$", re.MULTILINE)


@dataclass(frozen=True)
class Clock:
    """How far a machine's clock is ahead of this host's, in seconds, give or take `within`."""

    machine: str
    ahead: float
    within: float


@dataclass(frozen=True)
class Address:
    """One address of a machine, with its network and the interface it is on."""

    address: str
    network: IPv4Network | IPv6Network
    interface: str
    mtu: int

    @property
    def of_cluster(self) -> bool:
        """Whether the interface is one that k0s or its network provider made."""
        # As k0s tells them apart: internal/pkg/iface/iface.go at v1.32.3+k0s.0.
        return self.interface == "lo" or self.interface.startswith(("kube_", *cni.interfaces()))


def parse_clock(reading: Reading) -> Clock:
    """Return the difference, taking the machine to have answered in the middle of the look."""
    # busybox knows no %N and prints it as it stands.
    there = float(require_success(reading).strip().removesuffix(".%N"))
    here = datetime.fromisoformat(reading.at).timestamp() + reading.duration / 2
    return Clock(reading.where, round(there - here, 1), reading.duration / 2 + 1)


def parse_addresses(reading: Reading) -> tuple[Address, ...]:
    """Return the addresses of all interfaces, loopback's too."""
    return tuple(
        Address(
            each["local"],
            ipaddress.ip_network(f"{each['local']}/{each['prefixlen']}", strict=False),
            link["ifname"],
            link.get("mtu", 0),
        )
        for link in require_json(reading)
        for each in link.get("addr_info") or []
        # Every interface has one of these, and the same network everywhere.
        if not (":" in each["local"] and ipaddress.ip_address(each["local"]).is_link_local)
    )


def parse_api_connections(reading: Reading) -> tuple[tuple[str, str], ...]:
    """Return the machine's own address and the API server's, of each connection, once."""
    found: dict[tuple[str, str], None] = {}
    for line in require_success(reading).splitlines():
        # The columns of ss -Htn state established: two queues, local, peer.
        _, _, local, peer, *_ = line.split()
        found[address_of(local), address_of(peer)] = None
    return tuple(found)


def parse_k0s_version(reading: Reading) -> str:
    """Return the version, such as `v1.32.3+k0s.0`."""
    found = _VERSION.search(require_success(reading))
    if found is None:
        raise UnreadableError(f"k0s version on {reading.where} names no version")
    return found.group()


CLOCK = MachineProbe("clock", ("date", "+%s.%N"), parse_clock, Asked.MACHINES)
ADDRESSES = MachineProbe("addresses", ("ip", "-json", "address"), parse_addresses, Asked.MACHINES)
# Another port than k0s's default costs this one fact.
API_CONNECTIONS = MachineProbe(
    "api_connections",
    ("ss", "-Htn", "state", "established", f"( dport = :{API_PORT} )"),
    parse_api_connections,
    Asked.WORKERS,
)
# k0sctl installs k0s for root and its group only.
K0S_VERSION = MachineProbe(
    "k0s_version", ("k0s", "version"), parse_k0s_version, Asked.CONTROLLERS, sudo=True
)
