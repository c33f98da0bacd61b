"""The networks of a lab, and what of it on this host is named after its id."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from harness.base.run_id import RunId
from harness.host.subnets import gateway


@dataclass(frozen=True)
class Network:
    """A network of a lab: its name, the bridge's name on the host, its subnet."""

    name: str
    bridge: str
    subnet: str

    @property
    def ipv4(self) -> IPv4Network:
        """The subnet as a value."""
        return IPv4Network(self.subnet)

    @property
    def gateway(self) -> str:
        """The host's own address in it."""
        return str(gateway(self.ipv4))


@dataclass(frozen=True)
class Networks:
    """The two networks of a lab: NAT (default route) and private (carries the cluster)."""

    nat: Network
    private: Network


def network_names(run_id: RunId) -> tuple[str, str]:
    """Return the names of a run's NAT and private network."""
    return f"{RunId(run_id)}-nat", f"{RunId(run_id)}-private"


def bridge_names(run_id: RunId) -> tuple[str, str]:
    """Return the names of the bridges of a run's NAT and private network.

    An interface's name has at most 15 characters; these have ten.
    """
    return f"{RunId(run_id)}n", f"{RunId(run_id)}p"


def host_table(run_id: RunId) -> str:
    """Return the name of the run's table on the host."""
    return f"k0s_harness_{RunId(run_id).replace('-', '_')}"
