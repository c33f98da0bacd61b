"""Pods, the Service of metrics-server and its endpoints, and the nodes, as the API lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.evidence.reading import Reading
from harness.probe.core import API
from harness.probe.core import Probe
from harness.probe.core import not_found
from harness.probe.core import require_json

METRICS_SERVER = "k8s-app=metrics-server"


@dataclass(frozen=True)
class Pod:
    """One pod: `ready` is its Ready condition."""

    name: str
    ready: bool
    phase: str
    node: str
    address: str
    restarts: int


@dataclass(frozen=True)
class Service:
    """A Service's ClusterIP and first port; `exists` is False when there is none."""

    exists: bool
    cluster_ip: str = ""
    port: int = 0


@dataclass(frozen=True)
class Endpoint:
    """One ready address behind the Service."""

    address: str
    port: int
    node: str


@dataclass(frozen=True)
class Node:
    """One Node: its InternalIPs and the pod CIDR it was given."""

    name: str
    ready: bool
    addresses: tuple[str, ...]
    pod_cidr: str


def pods_probe(
    selector: str = METRICS_SERVER, namespace: str = "kube-system"
) -> Probe[tuple[Pod, ...]]:
    """Return the probe of the pods that `selector` picks."""
    argv = ("kubectl", "get", "pods", "-n", namespace, "-l", selector, "-o", "json")
    return Probe("pods", API, argv, parse_pods)


def parse_pods(reading: Reading) -> tuple[Pod, ...]:
    """Return the pods, in the API's order; an empty list is a value."""
    return tuple(_pod(item) for item in require_json(reading)["items"])


def service_probe() -> Probe[Service]:
    """Return the probe of metrics-server's Service."""
    argv = ("kubectl", "get", "service", "-n", "kube-system", "metrics-server", "-o", "json")
    return Probe("service", API, argv, parse_service)


def parse_service(reading: Reading) -> Service:
    """Return the Service; one that does not exist is a value."""
    if not_found(reading):
        return Service(exists=False)
    spec = require_json(reading)["spec"]
    return Service(exists=True, cluster_ip=spec["clusterIP"], port=spec["ports"][0]["port"])


def endpoints_probe() -> Probe[tuple[Endpoint, ...]]:
    """Return the probe of the ready endpoints of metrics-server's Service."""
    selector = "kubernetes.io/service-name=metrics-server"
    argv = ("kubectl", "get", "endpointslices", "-n", "kube-system", "-l", selector, "-o", "json")
    return Probe("endpoints", API, argv, parse_endpoints)


def parse_endpoints(reading: Reading) -> tuple[Endpoint, ...]:
    """Return the ready endpoints of all slices; none is a value."""
    ready: list[Endpoint] = []
    for item in require_json(reading)["items"]:
        port = (item.get("ports") or [{}])[0].get("port") or 0
        for endpoint in item.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready"):
                ready += [
                    Endpoint(address, port, endpoint.get("nodeName", ""))
                    for address in endpoint["addresses"]
                ]
    return tuple(ready)


def nodes_probe() -> Probe[tuple[Node, ...]]:
    """Return the probe of all Nodes."""
    return Probe("nodes", API, ("kubectl", "get", "nodes", "-o", "json"), parse_nodes)


def parse_nodes(reading: Reading) -> tuple[Node, ...]:
    """Return the Nodes, in the API's order."""
    return tuple(_node(item) for item in require_json(reading)["items"])


def _pod(item: dict[str, Any]) -> Pod:
    status = item.get("status", {})
    return Pod(
        name=item["metadata"]["name"],
        ready=_condition(status, "Ready"),
        phase=status.get("phase", ""),
        node=item.get("spec", {}).get("nodeName", ""),
        address=status.get("podIP", ""),
        restarts=sum(each.get("restartCount", 0) for each in status.get("containerStatuses", [])),
    )


def _node(item: dict[str, Any]) -> Node:
    status = item.get("status", {})
    return Node(
        name=item["metadata"]["name"],
        ready=_condition(status, "Ready"),
        addresses=tuple(
            each["address"] for each in status.get("addresses", []) if each["type"] == "InternalIP"
        ),
        pod_cidr=item.get("spec", {}).get("podCIDR", ""),
    )


def _condition(status: dict[str, Any], name: str) -> bool:
    return any(
        each["type"] == name and each["status"] == "True" for each in status.get("conditions", [])
    )
