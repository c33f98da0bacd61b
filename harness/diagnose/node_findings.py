"""Whether the nodes are told apart, where they should be, and of one time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from harness.cni import Cni, named
from harness.diagnose import mesh
from harness.diagnose.facts import Facts, once
from harness.probe import controlplane, machines, workloads
from harness.probe.workloads import Node

# k0sctl refuses hosts whose clocks differ by more (phase/validate_hosts.go).
MOST_SKEW_SECONDS = 30.0


def duplicate_addresses(nodes: tuple[Node, ...]) -> Mapping[str, tuple[str, ...]]:
    """Return, by address, the nodes that share it."""
    by_address: dict[str, list[str]] = {}
    for node in nodes:
        for address in node.addresses:
            by_address.setdefault(address, []).append(node.name)
    return {address: tuple(names) for address, names in by_address.items() if len(names) > 1}


def without_address(nodes: tuple[Node, ...]) -> tuple[str, ...]:
    """Return the Ready nodes that have no InternalIP: their pods wait for `host IP unknown`."""
    return tuple(node.name for node in nodes if node.ready and not node.addresses)


def cni_elsewhere(nodes: tuple[Node, ...]) -> Mapping[str, tuple[Cni, str]]:
    """Return, by node, the CNI that uses an address which is none of the node's, and which."""
    found = {node.name: (named(node.cni), node.cni_address.partition("/")[0]) for node in nodes}
    return {
        node.name: found[node.name]
        for node in nodes
        if node.cni_address and node.addresses and found[node.name][1] not in node.addresses
    }


@once
def stray_addresses(facts: Facts) -> Mapping[str, str]:
    """Return, by node, what is odd about its InternalIP as its own machine sees it."""
    odd = {}
    for node in facts.one(workloads.NODES) or ():
        machine = facts.machine_of(node.name)
        own = facts.on(machines.ADDRESSES).get(machine) if machine is not None else None
        if machine is None or own is None or not node.addresses:
            continue
        internal = node.addresses[0]
        home = {each.address: each for each in own}
        if internal not in home:
            odd[node.name] = f"{internal} is no address of {machine}"
            continue
        used = {
            local
            for local, _ in facts.on(machines.API_CONNECTIONS).get(machine, ())
            if local in home and not home[local].of_cluster
        }
        if used and internal not in used:
            local = min(used)
            odd[node.name] = (
                f"{internal} is on {home[internal].interface}, and {machine} reaches the API "
                f"server from {local} on {home[local].interface}"
            )
    return odd


def untold_addresses(facts: Facts) -> bool:
    """Whether a machine did not say its addresses or its way to the API server, while others did.

    Then it is not to be told whether its Node has the right address.
    """
    asked = [set(facts.on(machines.ADDRESSES)), set(facts.on(machines.API_CONNECTIONS))]
    nodes = {facts.machine_of(node.name) for node in facts.one(workloads.NODES) or ()} - {None}
    return any(seen and nodes - seen for seen in asked)


def uncovered(facts: Facts) -> tuple[str, ...]:
    """Return the nodes on whose machines nothing was seen, while on other nodes' there was."""
    silent = set(facts.lost_machines)
    nodes = {node.name: facts.machine_of(node.name) for node in facts.one(workloads.NODES) or ()}
    without = [name for name, machine in nodes.items() if machine is None or machine in silent]
    return tuple(without) if set(facts.workers) - silent else ()


@once
def overlaps(facts: Facts) -> tuple[str, ...] | None:
    """Return the sentences on networks that overlap; None where one is not known and none does."""
    flags = facts.of_controller(controlplane.FLAGS)
    cidrs = {"the Service CIDR": flags.service_cidr if flags is not None else ""}
    cidrs |= _pods_cidrs(facts)
    networks = {name: each for name, text in cidrs.items() if (each := _network(text)) is not None}
    found = [
        f"{one[0]} {one[1]} and {other[0]} {other[1]} overlap"
        for one, other in itertools.combinations(networks.items(), 2)
        if _overlap(one[1], other[1])
    ]
    found += [
        f"{own.address} of {machine} ({own.interface}, {own.network}) is in {name} {network}"
        for machine, addresses in facts.on(machines.ADDRESSES).items()
        for own in addresses
        for name, network in networks.items()
        if not own.of_cluster and _overlap(own.network, network)
    ]
    return tuple(found) if found or len(networks) == len(cidrs) else None


def _pods_cidrs(facts: Facts) -> Mapping[str, str]:
    """Return the pods' networks by what they are called, empty text for one that is not known."""
    nodes = facts.one(workloads.NODES)
    known = facts.of_controller(controlplane.CLUSTER_CIDR)
    # k0s starts the controller manager, whose flag it is, some seconds after the rest; what each
    # node was given before is known all the while.
    if known is None and nodes and mesh.young_server(facts):
        return {f"the pods' CIDR of {node.name}": node.pod_cidr for node in nodes}
    return {"the pods' CIDR": known or ""}


@once
def skewed(facts: Facts) -> Mapping[str, float] | None:
    """Return the machines whose clock differs from most others', with the seconds.

    None where a machine that answered did not say its time, while others did.
    """
    clocks = facts.on(machines.CLOCK)
    answered = {
        where
        for (probe, where), reading in facts.readings.items()
        if not reading.failed and probe in {"addresses", controlplane.FLAGS.name, "agent_log"}
    }
    if not clocks:
        return {}
    ahead = sorted(each.ahead for each in clocks.values())
    middle = ahead[len(ahead) // 2]
    found = {
        name: round(each.ahead - middle, 1)
        for name, each in clocks.items()
        if abs(each.ahead - middle) > MOST_SKEW_SECONDS + each.within
    }
    return None if not found and answered - set(clocks) else found


def _network(text: str) -> IPv4Network | IPv6Network | None:
    # Dual-stack clusters name several, the first decides.
    try:
        return ip_network(text.partition(",")[0].strip(), strict=False)
    except ValueError:
        return None


def _overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    match one, other:
        case (IPv4Network(), IPv4Network()) | (IPv6Network(), IPv6Network()):
            return one.overlaps(other)
    return False
