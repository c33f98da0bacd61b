"""Pods, the Service of metrics-server and its endpoints, and the nodes, as the API lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

from harness import cni
from harness.evidence.reading import Reading
from harness.probe import stack
from harness.probe.core import ApiProbe, Probe, not_found, raw_probe, require_json
from harness.probe.metrics_data import OF_NODES, seconds_of

METRICS_SERVER = "k8s-app=metrics-server"
_KEEPS_AWAY = {"NoSchedule", "NoExecute"}


@dataclass(frozen=True)
class Pod:
    """One pod: `ready` is its Ready condition.

    Until its init containers are done, what is said of a container is of the first that is not,
    which `initializing` names.
    `waiting` is the reason of a container that waits, such as ImagePullBackOff, `trouble` what
    Kubernetes says of it, of a container's end or of why it is not scheduled. `created`, `placed`
    (when it got its node), `running_since` and `ready_since`, when its Ready condition last
    changed, are seconds since 1970, 0 where they are not known.
    `unscheduled` is the scheduler's own sentence where no node takes it, `account` its
    ServiceAccount; `scheduled` is False while no scheduler has said anything of it. `ended` and
    `exit_code` are of a container that ended, `ports` those that containers say they listen on.
    """

    name: str
    ready: bool
    phase: str
    node: str
    address: str
    restarts: int
    waiting: str = ""
    trouble: str = ""
    images: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    created: float = 0.0
    placed: float = 0.0
    running_since: float = 0.0
    ready_since: float = 0.0
    namespace: str = ""
    uid: str = ""
    unscheduled: str = ""
    scheduled: bool = True
    account: str = ""
    ended: str = ""
    exit_code: int | None = None
    initializing: str = ""
    ports: tuple[tuple[str, int], ...] = ()

    @property
    def unstarted(self) -> bool:
        """Whether it has a node, and the kubelet there has started none of its containers."""
        return bool(self.node) and self.waiting == "ContainerCreating"


@dataclass(frozen=True)
class Service:
    """A Service's ClusterIP and first port; `exists` is False when there is none.

    `ports` are all of its ports with their names, `selector` picks its pods; `by_k0s` is one that
    k0s applied, `edited` what somebody changed in that.
    """

    exists: bool
    cluster_ip: str = ""
    port: int = 0
    ports: tuple[tuple[str, int], ...] = ()
    selector: tuple[tuple[str, str], ...] = ()
    by_k0s: bool = False
    edited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """One ready address behind the Service, with its first port, and all of them by name."""

    address: str
    port: int
    node: str
    ports: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Node:
    """One Node: its InternalIPs and the pod CIDR it was given.

    `cni` is what took an address for the node's by itself, and `cni_address` which, with its
    prefix, both empty where nothing did. `version` is the kubelet's; `trouble` what its Ready
    condition says where it is not Ready. `created` and `ready_since`, when that condition last
    changed, are seconds since 1970, 0 where not known. `taints` are its taints' keys, of those that
    keep pods away; a cordon is one of them.
    """

    name: str
    ready: bool
    addresses: tuple[str, ...]
    pod_cidr: str
    cni: str = ""
    cni_address: str = ""
    version: str = ""
    trouble: str = ""
    created: float = 0.0
    ready_since: float = 0.0
    taints: tuple[str, ...] = ()


@dataclass(frozen=True)
class DaemonSet:
    """A DaemonSet: how many pods it is to have, and how many of them are Ready."""

    name: str
    desired: int
    ready: int


def parse_pods(reading: Reading) -> tuple[Pod, ...]:
    """Return the pods, in the API's order; an empty list is a value."""
    return tuple(_pod(item) for item in require_json(reading)["items"])


def parse_service(reading: Reading) -> Service:
    """Return the Service; one that does not exist is a value."""
    if not_found(reading):
        return Service(exists=False)
    item = require_json(reading)
    spec = item["spec"]
    return Service(
        exists=True,
        cluster_ip=_address(spec["clusterIP"]),
        port=spec["ports"][0]["port"],
        ports=tuple((each.get("name", ""), each["port"]) for each in spec["ports"]),
        selector=tuple(sorted((spec.get("selector") or {}).items())),
        by_k0s=stack.by_k0s(item),
        edited=stack.edited(item),
    )


def parse_endpoints(reading: Reading) -> tuple[Endpoint, ...]:
    """Return the ready endpoints of all slices; none is a value."""
    ready: list[Endpoint] = []
    for item in require_json(reading)["items"]:
        ports = tuple(
            (each.get("name") or "", each.get("port") or 0) for each in item.get("ports") or [{}]
        )
        for endpoint in item.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready"):
                ready += [
                    Endpoint(_address(address), ports[0][1], endpoint.get("nodeName", ""), ports)
                    for address in endpoint["addresses"]
                ]
    return tuple(ready)


def parse_plugins(reading: Reading) -> tuple[DaemonSet, ...]:
    """Return those of network providers and kube-proxy that are there, in the API's order."""
    return tuple(
        DaemonSet(
            name=item["metadata"]["name"],
            desired=item["status"].get("desiredNumberScheduled", 0),
            ready=item["status"].get("numberReady", 0),
        )
        for item in require_json(reading)["items"]
        if item["metadata"]["name"] in cni.daemonsets()
    )


def parse_nodes(reading: Reading) -> tuple[Node, ...]:
    """Return the Nodes, in the API's order."""
    return tuple(_node(item) for item in require_json(reading)["items"])


def _pod(item: dict[str, Any]) -> Pod:
    status, spec = item.get("status", {}), item.get("spec", {})
    initializing = _initializing(spec, status)
    containers = [*initializing, *status.get("containerStatuses", [])]
    states = [each.get("state", {}) for each in containers]
    waiting = [state["waiting"] for state in states if "waiting" in state]
    ended = [state["terminated"] for state in states if "terminated" in state]
    ended += [
        each["lastState"]["terminated"]
        for each in containers
        if "terminated" in each.get("lastState", {})
    ]
    running = [state["running"].get("startedAt", "") for state in states if "running" in state]
    step = next((each["name"] for each in initializing), "")
    said = [f"init container {step} is not done" if step else ""]
    said += [each.get("message", "") for each in waiting]
    said += [f"{each.get('reason', '')}, exit code {each.get('exitCode')}" for each in ended]
    placed = next(
        (each for each in status.get("conditions", []) if each["type"] == "PodScheduled"), None
    )
    refused = placed is not None and placed["status"] != "True"
    said += [placed.get("message", "")] if placed is not None and refused else []
    said += [status.get("message", "")] if status.get("phase") == "Failed" else []
    return Pod(
        name=item["metadata"]["name"],
        ready=_condition(status, "Ready"),
        phase=status.get("phase", ""),
        node=spec.get("nodeName", ""),
        address=_address(status["podIP"]) if status.get("podIP") else "",
        restarts=sum(each.get("restartCount", 0) for each in containers),
        waiting=next((each.get("reason", "") for each in waiting), ""),
        trouble="; ".join(text for text in said if text),
        images=tuple(each.get("image", "") for each in initializing or spec.get("containers", ())),
        labels=tuple(sorted(item["metadata"].get("labels", {}).items())),
        created=_seconds(item["metadata"].get("creationTimestamp")),
        placed=_seconds(placed.get("lastTransitionTime")) if placed and not refused else 0.0,
        running_since=_seconds(min(running, default=None)),
        ready_since=_changed(status, "Ready"),
        namespace=item["metadata"].get("namespace", ""),
        uid=item["metadata"].get("uid", ""),
        unscheduled=placed.get("message", "") if placed is not None and refused else "",
        scheduled=placed is not None or bool(spec.get("nodeName")),
        account=spec.get("serviceAccountName", ""),
        ended=next((each.get("reason", "") for each in ended), ""),
        exit_code=next((each.get("exitCode") for each in ended), None),
        initializing=step,
        ports=tuple(
            (each.get("name", ""), each["containerPort"])
            for container in spec.get("containers", ())
            for each in container.get("ports") or ()
        ),
    )


def _initializing(spec: dict[str, Any], status: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the status of the init container that a pod is at; nothing once all are done.

    Those with a restart policy of their own are sidecars: the pod goes on once they have started.
    """
    if _condition(status, "Initialized"):
        return []
    inits = spec.get("initContainers", ())
    sidecars = {each["name"] for each in inits if each.get("restartPolicy") == "Always"}
    return [
        each
        for each in status.get("initContainerStatuses", ())
        if not each.get("started" if each["name"] in sidecars else "ready")
    ][:1]


def _node(item: dict[str, Any]) -> Node:
    status = item.get("status", {})
    finder, found = _found_address(item["metadata"].get("annotations", {}))
    return Node(
        name=item["metadata"]["name"],
        ready=_condition(status, "Ready"),
        addresses=tuple(
            _address(each["address"])
            for each in status.get("addresses", [])
            if each["type"] == "InternalIP"
        ),
        pod_cidr=item.get("spec", {}).get("podCIDR", ""),
        cni=finder,
        cni_address=found,
        version=status.get("nodeInfo", {}).get("kubeletVersion", ""),
        trouble=next(
            (
                f"{each.get('reason', '')}: {each.get('message', '')}"
                for each in status.get("conditions", [])
                if each["type"] == "Ready" and each["status"] != "True"
            ),
            "",
        ),
        created=_seconds(item["metadata"].get("creationTimestamp")),
        ready_since=_changed(status, "Ready"),
        taints=tuple(
            each["key"]
            for each in item.get("spec", {}).get("taints") or ()
            if each.get("effect") in _KEEPS_AWAY
        ),
    )


def _found_address(annotations: Mapping[str, str]) -> tuple[str, str]:
    """Return the CNI that says which address it found for a Node, and that address."""
    for each in cni.CNIS:
        if each.node_address is not None and each.node_address.annotation in annotations:
            return each.word, annotations[each.node_address.annotation]
    return "", ""


def _address(text: str) -> str:
    """Return an IP address as it is; raises `ValueError` for what is none."""
    ip_address(text)
    return text


def _seconds(timestamp: str | None) -> float:
    return seconds_of(timestamp) if timestamp else 0.0


def _condition(status: dict[str, Any], name: str) -> bool:
    return any(
        each["type"] == name and each["status"] == "True" for each in status.get("conditions", [])
    )


def _changed(status: dict[str, Any], name: str) -> float:
    """Return when a condition last changed, in seconds since 1970, 0 where that is not known."""
    conditions = status.get("conditions", [])
    changed = (each.get("lastTransitionTime") for each in conditions if each["type"] == name)
    return _seconds(next(changed, None))


SERVICE = raw_probe(
    "service", "/api/v1/namespaces/kube-system/services/metrics-server", parse_service
)
ENDPOINTS = raw_probe(
    "endpoints",
    "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices?labelSelector="
    + quote("kubernetes.io/service-name=metrics-server"),
    parse_endpoints,
)
PLUGINS = raw_probe("plugins", "/apis/apps/v1/namespaces/kube-system/daemonsets", parse_plugins)
"""The DaemonSets that make rules and routes on the machines."""
NODES = raw_probe("nodes", "/api/v1/nodes", parse_nodes)


def escaped(text: str) -> str:
    """Return text as a part of an API path."""
    return quote(text)


def _selected(name: str, selector: str, namespace: str) -> ApiProbe[tuple[Pod, ...]]:
    path = f"/api/v1/namespaces/{namespace}/pods?labelSelector={quote(selector)}"
    return raw_probe(name, path, parse_pods)


PODS = _selected("pods", METRICS_SERVER, "kube-system")
NODE_PODS = raw_probe("node_pods", f"/api/v1/namespaces/kube-system/pods?{OF_NODES}", parse_pods)
"""Pods of which each node has one."""


def pods_look(selector: str, namespace: str) -> Probe[tuple[Pod, ...]]:
    """Return the look at the pods that `selector` picks."""
    # Named apart from metrics-server's own pods, which the diagnosis goes by.
    ours = (selector, namespace) == (METRICS_SERVER, "kube-system")
    other = _selected(f"selected:{namespace}:{selector}", selector, namespace)
    return (PODS if ours else other).look()
