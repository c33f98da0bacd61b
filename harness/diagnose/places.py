"""Addresses and folders that remedies name, as this cluster has them."""

from __future__ import annotations

from harness import cni
from harness.diagnose import findings, mesh
from harness.diagnose.facts import Facts
from harness.k0s import DATA_DIR
from harness.probe import controlplane, machines, workloads


def data_dir(facts: Facts) -> str:
    """Return where k0s keeps its files."""
    flags = facts.of_controller(controlplane.FLAGS)
    return flags.data_dir if flags is not None else DATA_DIR


def applied_again(facts: Facts) -> str:
    """Return how k0s applies metrics-server's objects again that are gone.

    It does when their file changes, and not when an object is gone (seen on v1.32.3+k0s.0: not
    within 60 s, and 4 s after the touch); one that was edited has to be deleted before.
    """
    where = f"{data_dir(facts)}/manifests/metricserver"
    return f"on {facts.controller or 'the controller'}: touch {where}/*"


def network_pods(node: str) -> str:
    """Return how to see the pods that make a node's network."""
    return (
        f"kubectl -n kube-system get pods -o wide --field-selector spec.nodeName={node} "
        f"(of {', '.join(cni.daemonsets())})"
    )


def issuer(facts: Facts) -> str:
    """Return who the API server says makes ServiceAccounts' tokens, empty where not seen."""
    flags = facts.of_controller(controlplane.FLAGS)
    return flags.issuer if flags is not None else ""


def route_through_a_worker(facts: Facts, cidr: str) -> str:
    """Return the command for a route to `cidr` through a worker; empty without one."""
    workers = [node for node in facts.one(workloads.NODES) or () if node.ready and node.addresses]
    return f"ip route add {cidr} via {workers[0].addresses[0]}" if cidr and workers else ""


def controller_address(facts: Facts) -> str:
    """Return the controller's address on the cluster's network, empty where it was not seen."""
    flags = facts.of_controller(controlplane.FLAGS)
    return api_server_reached_at(facts) or (flags.advertised if flags else "")


def api_server_reached_at(facts: Facts) -> str:
    """Return the address at which workers reach the API server, empty where that was not seen."""
    peers = [
        peer
        for found in facts.on(machines.API_CONNECTIONS).values()
        for _, peer in found
        if not findings.is_loopback(peer)
    ]
    return max(peers, key=peers.count) if peers else ""


def agents_sent_elsewhere(facts: Facts) -> str:
    """Return where agents are sent, if that is not where workers reach the API server.

    A balancer on their own machine is where agents belong, wherever else kubelets go.
    """
    target = findings.server_target(facts)
    if target is None or mesh.behind_balancer(facts):
        return ""
    if facts.on(controlplane.FLAGS) and not mesh.is_one_controller(facts, target[0]):
        # A balancer before the controllers need not be where kubelets go.
        return ""
    reached = api_server_reached_at(facts)
    return target[0] if reached and target[0] != reached else ""
