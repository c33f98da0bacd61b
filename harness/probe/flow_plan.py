"""Which flows there are to try in a cluster: pure, from facts to cells.

Ends are what is there anyhow. A flow comes from a machine's own network or from that of a pod that
runs on it, and goes to what listens: metrics-server and kubelet (10250), CoreDNS (53), the API
server (6443) and the konnectivity server (8132). Pods on their machine's network are no pod ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness import cni
from harness.base.places import address_of
from harness.k0s import AGENT_PORT, KUBELET_PORT, METRICS_SERVER_PORT
from harness.probe.core import API
from harness.probe.flow_cells import FlowCell, Payload
from harness.probe.flow_facts import DNS, METRICS_SERVER, FlowFacts, MachineEnd, PodEnd, ServiceEnd
from harness.probe.workloads import Node
from harness.vocabulary.words import Flow, Role

DNS_PORT = 53
# Of a large cluster each place tries so many others, not all: a look is to stay short.
MOST = 6
_TUNNELLED = "the API server dials through konnectivity, and nothing here has to get there"
_NO_TUNNEL = "konnectivity is off, so nothing listens there"
# What a request is filled up with so that it needs several packets of any size in use.
FILLER = "pad=" + "0" * 4096


def plan(facts: FlowFacts) -> tuple[FlowCell, ...]:
    """Return the cells in the order of `Flow`; a flow that cannot be tried has one that says so."""
    planned = [
        replace(_with_tools(cell, facts), unneeded=_unneeded(cell, facts))
        for each in _PLANS
        for cell in each(facts)
    ]
    cells: list[FlowCell] = []
    for flow in Flow:
        own = [cell for cell in planned if cell.flow is flow]
        cells += own or [FlowCell(flow, "", "", "", missing=_why_nothing(flow, facts))]
    return tuple(cells)


def _pod_flows(facts: FlowFacts) -> Iterator[FlowCell]:
    for node, machine in _workers(facts):
        inhabitants = _ends_on(facts, node)
        if not inhabitants:
            continue
        for target in [each for each in _pod_targets(facts) if each.node == node.name][:MOST]:
            source = next((pod for pod in inhabitants if pod != target), None)
            if source is not None:
                flow = Flow.POD_TO_POD_SAME_NODE
                yield _From(machine, source, node).to_pod(flow, target)
        away = [target for target in _pod_targets(facts) if target.node != node.name]
        for target in away[:MOST]:
            flow = Flow.POD_TO_POD_ACROSS_NODES
            yield _From(machine, inhabitants[0], node).to_pod(flow, target)
        for service, backend in _service_targets(facts):
            # A pod that came back to itself would try its node's hairpin and not the network.
            source = next((pod for pod in inhabitants if pod.app != backend), None)
            if source is not None:
                yield _From(machine, source, node).to_service(Flow.POD_TO_CLUSTER_IP, service)
                break
        for other in _some_nodes(facts, node):
            yield _From(machine, inhabitants[0], node).to_kubelet(Flow.POD_TO_NODE, other)


def _node_flows(facts: FlowFacts) -> Iterator[FlowCell]:
    for _, machine in _workers(facts):
        for target in _pod_targets(facts)[:MOST]:
            yield _From(machine).to_pod(Flow.NODE_TO_POD, target)
        for service, _ in _service_targets(facts)[:1]:
            yield _From(machine).to_service(Flow.NODE_TO_CLUSTER_IP, service)
        for server in (facts.servers or ())[:MOST]:
            address, port = address_of(server), server.rpartition(":")[2]
            if address in machine.addresses:
                continue
            owner = _owner_of(address, facts)
            host = _From(machine)
            yield host.to(Flow.WORKER_TO_APISERVER, f"API server {owner}", address, int(port))
            konnectivity = f"konnectivity {owner}"
            yield host.to(
                Flow.WORKER_TO_KONNECTIVITY, konnectivity, address, AGENT_PORT, Payload.GRPC
            )


def _controller_flows(facts: FlowFacts) -> Iterator[FlowCell]:
    for machine in facts.machines:
        if machine.role is Role.WORKER:
            continue
        for target in _pod_targets(facts)[:MOST]:
            yield _From(machine).to_pod(Flow.CONTROLLER_TO_POD, target)
        for service, _ in _service_targets(facts)[:1]:
            yield _From(machine).to_service(Flow.CONTROLLER_TO_CLUSTER_IP, service)


def _apiserver_flows(facts: FlowFacts) -> Iterator[FlowCell]:
    for node in (facts.nodes or ())[:MOST]:
        yield _by_apiserver(
            f"kubelet {node.name}, proxy",
            "get",
            "--raw",
            f"/api/v1/nodes/{node.name}/proxy/healthz?{FILLER}",
        )
        here = [pod for pod in facts.pods or () if pod.node == node.name and pod.containers]
        if here:
            (container, *_), path = here[0].containers, f"{here[0].namespace}/pods/{here[0].name}"
            yield _by_apiserver(
                f"kubelet {node.name}, logs",
                "get",
                "--raw",
                f"/api/v1/namespaces/{path}/log?tailLines=1&container={container}",
            )
        yield _exec(node, here)
    if any(pod.app == METRICS_SERVER and pod.ready for pod in facts.pods or ()):
        service = facts.service(METRICS_SERVER)
        flow = Flow.APISERVER_TO_SERVICE
        path = f"/apis/metrics.k8s.io/v1beta1?{FILLER}"
        yield _by_apiserver("aggregation, metrics", "get", "--raw", path, flow=flow)
        if service is not None:
            name = f"https:{service.name}:{service.port}"
            path = f"/api/v1/namespaces/kube-system/services/{name}/proxy/livez?{FILLER}"
            yield _by_apiserver("Service proxy, metrics", "get", "--raw", path, flow=flow)


_PLANS = (_pod_flows, _node_flows, _controller_flows, _apiserver_flows)


def _unneeded(cell: FlowCell, facts: FlowFacts) -> str:
    """Return why this cluster does not live on a way; empty where it does, or that is not known."""
    match cell.flow:
        case Flow.CONTROLLER_TO_POD | Flow.CONTROLLER_TO_CLUSTER_IP:
            return _TUNNELLED if facts.tunnelled.get(cell.source) else ""
        case Flow.WORKER_TO_KONNECTIVITY:
            return _NO_TUNNEL if facts.tunnelled and not any(facts.tunnelled.values()) else ""
        case _:
            return ""


def _with_tools(cell: FlowCell, facts: FlowFacts) -> FlowCell:
    """Return the cell, as one that cannot be tried where its machine lacks the tool for it."""
    machine = next((each for each in facts.machines if each.machine == cell.source), None)
    wanted = {"curl", "nsenter"} if cell.containers else {"curl"}
    lacking = sorted(wanted - machine.tools) if machine is not None else []
    return replace(cell, missing=f"there is no {lacking[0]} on this machine") if lacking else cell


def _exec(node: Node, here: Sequence[PodEnd]) -> FlowCell:
    """Return the cell of `kubectl exec -- true` on the node, in a pod that is known to have it."""
    target = f"kubelet {node.name}, exec"
    # CoreDNS, metrics-server and the konnectivity agents have no program but their own.
    for pod in here:
        if pod.app in cni.with_true() and pod.namespace == "kube-system":
            container = pod.app if pod.app in pod.containers else next(iter(pod.containers))
            words = ("exec", "-n", pod.namespace, pod.name, "-c", container, "--", "true")
            return _by_apiserver(target, *words)
    why = "no pod here is known to have a program for exec"
    return FlowCell(Flow.APISERVER_TO_KUBELET, API, "API server", target, missing=why)


def _by_apiserver(target: str, *request: str, flow: Flow = Flow.APISERVER_TO_KUBELET) -> FlowCell:
    return FlowCell(flow, API, "API server", target, request=request)


@dataclass(frozen=True)
class _From:
    """Where a flow begins: on a machine, or in the network of a pod on its Node."""

    machine: MachineEnd
    pod: PodEnd | None = None
    node: Node | None = None

    def to_pod(self, flow: Flow, target: PodEnd) -> FlowCell:
        name = f"{_short(target)}@{target.node}"
        if target.app == DNS:
            return self.to(flow, name, target.address, DNS_PORT, Payload.DNS)
        return self.to(flow, name, target.address, METRICS_SERVER_PORT)

    def to_service(self, flow: Flow, service: ServiceEnd) -> FlowCell:
        payload = Payload.DNS if service.name == DNS else Payload.HTTPS
        return self.to(flow, f"Service {service.name}", service.cluster_ip, service.port, payload)

    def to_kubelet(self, flow: Flow, target: Node) -> FlowCell:
        return self.to(flow, f"kubelet {target.name}", target.addresses[0], KUBELET_PORT)

    def to(
        self, flow: Flow, target: str, address: str, port: int, payload: Payload = Payload.HTTPS
    ) -> FlowCell:
        containers = tuple(self.pod.containers.values()) if self.pod is not None else ()
        return FlowCell(
            flow, self.machine.machine, self._name(), target, address, port, payload, containers
        )

    def _name(self) -> str:
        if self.pod is None or self.node is None:
            return f"host {self.machine.hostname}"
        return f"{_short(self.pod)}@{self.node.name}"


def _short(pod: PodEnd) -> str:
    """Return what a pod is, without its hash: CoreDNS goes by the name that people know."""
    return "coredns" if pod.app == DNS else pod.app or pod.name


def _workers(facts: FlowFacts) -> list[tuple[Node, MachineEnd]]:
    """Return the Nodes that can be looked from."""
    found = [(node, facts.machine_of(node)) for node in facts.nodes or ()]
    return [(node, machine) for node, machine in found if machine is not None]


def _ends_on(facts: FlowFacts, node: Node) -> list[PodEnd]:
    return [pod for pod in facts.pods or () if pod.is_end and pod.node == node.name]


def _pod_targets(facts: FlowFacts) -> list[PodEnd]:
    """Return the pods that are known to listen, metrics-server first: it speaks TLS."""
    known = [pod for pod in facts.pods or () if pod.is_end and pod.namespace == "kube-system"]
    return [pod for app in (METRICS_SERVER, DNS) for pod in known if pod.app == app]


def _service_targets(facts: FlowFacts) -> list[tuple[ServiceEnd, str]]:
    """Return the Services with a Ready pod, and that pod's app, metrics-server first."""
    found = [(app, facts.service(app)) for app in (METRICS_SERVER, DNS)]
    ready = {pod.app for pod in facts.pods or () if pod.ready}
    return [(each, app) for app, each in found if each is not None and app in ready]


def _some_nodes(facts: FlowFacts, first: Node) -> list[Node]:
    """Return the Nodes from `first` on, at most `MOST`, so that together all have their turn."""
    nodes = [node for node in facts.nodes or () if node.addresses]
    start = nodes.index(first) if first in nodes else 0
    return [*nodes[start:], *nodes[:start]][:MOST]


def _owner_of(address: str, facts: FlowFacts) -> str:
    owner = next((each for each in facts.machines if address in each.addresses), None)
    return owner.hostname if owner is not None else address


def _why_nothing(flow: Flow, facts: FlowFacts) -> str:
    """Return why a flow has no cell: what could not be read, else which end is not there."""
    if facts.unread:
        return facts.unread[0]
    controls = any(each.role is not Role.WORKER for each in facts.machines)
    match flow:
        case Flow.POD_TO_POD_SAME_NODE:
            why = "no node has two pods with a network of their own, one of them listening"
        case Flow.POD_TO_POD_ACROSS_NODES:
            why = "no two nodes have pods with a network of their own, one of them listening"
        case Flow.POD_TO_CLUSTER_IP:
            why = "no Service has a Ready pod, or no other pod with a network of its own is there"
        case Flow.CONTROLLER_TO_POD | Flow.CONTROLLER_TO_CLUSTER_IP if not controls:
            why = "no controller can be looked from"
        case Flow.APISERVER_TO_SERVICE:
            why = "metrics-server has no Ready pod"
        case Flow.WORKER_TO_APISERVER | Flow.WORKER_TO_KONNECTIVITY if not facts.servers:
            why = "no API server has registered itself"
        case _:
            why = "no node can be looked from, or nothing that listens is there"
    return why
