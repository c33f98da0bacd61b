"""Nothing leaves a lab: two packet filters of the harness's own.

With konnectivity off the API server dials the service network through the machine's default route;
on a laptop in a corporate 10/8 network that traffic would reach strangers. So on every machine a
table silently drops and counts what leaves by the NAT interface, and where this process has root a
table on the host stops whatever comes from a lab's bridges or goes to them from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from uuid import UUID

from harness.base.completed import CommandFailedError
from harness.base.errors import HostLacksError, InfrastructureError
from harness.base.process import Runner
from harness.host.subnets import POD_NETWORK, SERVICE_NETWORK
from harness.probe.isolation import MACHINE_TABLE
from harness.ssh.remote import Remote
from harness.state.networks import Networks

# The machine table's counters, by where the dropped packets were going.
COUNTER_SERVICES = "service_network"
COUNTER_PODS = "pod_network"
COUNTER_NAMES = "name_service"
COUNTER_OTHER = "other"
# The host table's counters.
COUNTER_FORWARD = "forward_dropped"
COUNTER_INPUT = "input_dropped"

# nft loads a table in a few milliseconds.
NFT_SECONDS = 20.0


class UnmarkedError(InfrastructureError):
    """A table has the name of a run's and not its mark."""


@dataclass(frozen=True)
class IsolationReport:
    """Which layers hold: `machines` on every machine, `host` on this host.

    `host_reason` says why the host layer is not there, None where it is.
    """

    machines: bool
    host: bool
    host_reason: str | None = None

    def lines(self) -> Mapping[str, str]:
        """Return a sentence for each layer."""
        return {
            "machines": "each machine drops and counts what leaves by its NAT interface"
            if self.machines
            else "not in place",
            "host": "this host lets nothing pass between the lab and anything else"
            if self.host
            else f"not in place: {self.host_reason}",
        }


def machine_rules(
    nat_interface: str,
    *,
    services: IPv4Network = SERVICE_NETWORK,
    pods: IPv4Network = POD_NETWORK,
) -> str:
    """Return the machine's table as nft text; loading it again replaces it.

    Postrouting, because only there a packet's interface is final: kube-proxy's translation of a
    local packet may still turn it to another one. Silent, because people's networks time out and
    do not answer.
    """
    return f"""\
table inet {MACHINE_TABLE}
delete table inet {MACHINE_TABLE}
table inet {MACHINE_TABLE} {{
    counter {COUNTER_SERVICES} {{ }}
    counter {COUNTER_PODS} {{ }}
    counter {COUNTER_NAMES} {{ }}
    counter {COUNTER_OTHER} {{ }}
    chain leaving {{
        type filter hook postrouting priority filter; policy accept;
        oifname != "{nat_interface}" accept
        ct direction reply tcp sport 22 accept
        udp sport 68 udp dport 67 accept
        ip daddr {services} counter name {COUNTER_SERVICES} drop
        ip daddr {pods} counter name {COUNTER_PODS} drop
        meta l4proto {{ tcp, udp }} th dport 53 counter name {COUNTER_NAMES} drop
        counter name {COUNTER_OTHER} drop
    }}
}}
"""


def install_on_machine(remote: Remote, rules: str) -> None:
    """Load the machine's table; raise when it is not there afterwards."""
    remote.run(
        ["nft", "--file", "-"],
        doing="Isolating the machine",
        deadline=NFT_SECONDS,
        sudo=True,
        stdin=rules,
    )


def host_rules(table: str, networks: Networks, *, mark: UUID) -> str:
    """Return the host's table as nft text; loading it again replaces it.

    A counter that counts nothing has the `mark` in its name and says whose the table is: comments
    are not known to every nft.

    A packet that one filter accepts still passes all others, and one that any drops is gone: so
    nothing here opens what docker or the host's own firewall closes. Frames between machines come
    by here only where br_netfilter is on, with the same bridge on both sides. What VMs ask the host
    for is their NAT address (DHCP).
    """
    nat, private = networks.nat.bridge, networks.private.bridge
    bridges = f'{{ "{nat}", "{private}" }}'
    return f"""\
table inet {table}
delete table inet {table}
table inet {table} {{
    counter {COUNTER_FORWARD} {{ }}
    counter {COUNTER_INPUT} {{ }}
    counter {_owner(mark)} {{ }}
    chain forward {{
        type filter hook forward priority filter - 20; policy accept;
        iifname "{nat}" oifname "{nat}" accept
        iifname "{private}" oifname "{private}" accept
        iifname {bridges} counter name {COUNTER_FORWARD} drop
        oifname {bridges} counter name {COUNTER_FORWARD} drop
    }}
    chain input {{
        type filter hook input priority filter - 20; policy accept;
        iifname {bridges} ct state established,related accept
        iifname "{nat}" udp sport 68 udp dport 67 accept
        iifname {bridges} counter name {COUNTER_INPUT} drop
    }}
}}
"""


def _owner(mark: UUID) -> str:
    return f"owner_{mark.hex}"


def install_on_host(runner: Runner, table: str, networks: Networks, *, mark: UUID) -> None:
    """Load the host's table, before the first machine is up."""
    runner.run(
        ["nft", "--file", "-"],
        doing="Isolating the lab on this host",
        deadline=NFT_SECONDS,
        stdin=host_rules(table, networks, mark=mark),
    )


def remove_from_host(runner: Runner, table: str, *, mark: UUID) -> None:
    """Remove the host's table; one that is not there is as good as removed.

    Raises `InfrastructureError` where it does not go, and `UnmarkedError` for one that does not
    carry the `mark`.
    """
    doing = "Removing the lab's packet filter"
    try:
        listed = runner.run(
            ["nft", "list", "tables"],
            doing="Listing this host's packet filters",
            deadline=NFT_SECONDS,
            check=False,
        )
    except HostLacksError:
        return
    if f"table inet {table}" not in listed.stdout.splitlines():
        return
    shown = runner.run(
        ["nft", "list", "counters", "table", "inet", table],
        doing="Reading the lab's packet filter",
        deadline=NFT_SECONDS,
        check=False,
    )
    if not re.search(rf"^\s*counter {_owner(mark)}\b", shown.stdout, re.MULTILINE):
        raise UnmarkedError(
            doing,
            f"table inet {table} does not say that it is this lab's, and stays",
            remedy=f"nft delete table inet {table} removes it",
        )
    try:
        runner.run(["nft", "delete", "table", "inet", table], doing=doing, deadline=NFT_SECONDS)
    except CommandFailedError as failed:
        raise InfrastructureError(
            doing, f"table inet {table} stays", details=failed.details
        ) from failed
