"""The hop ladder: from the API server's own flags to the metrics, each link on its own.

It is always walked to its end, so that two causes at once are both seen. The way the API server
dials is k0s's: with konnectivity every dial to a Service, a pod or a kubelet goes through the
tunnel (egress selection `cluster`, pkg/component/controller/apiserver.go:138-201 at
v1.32.3+k0s.0); without it the controller's own routes decide. `enable-aggregator-routing` is set
nowhere in k0s, so the aggregator dials the Service's ClusterIP and not the pod.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.diagnose.facts import Facts
from harness.diagnose.model import Hop
from harness.diagnose.model import HopState
from harness.probe import apiservice
from harness.probe import controlplane
from harness.probe import dials
from harness.probe import isolation
from harness.probe import routing
from harness.probe import workloads
from harness.probe.core import Probe

BACKEND = "metrics-server is ready"
SERVICE = "the Service has an endpoint"
EGRESS = "the API server's way out"
TUNNEL = "the konnectivity tunnel"
ROUTE = "the controller's route to the dialled address"
DIAL = "a connection to the dialled address"
CONDITION = "the APIService"


def first_probes(controller: str, *, in_lab: bool) -> tuple[Probe[object], ...]:
    """Return the probes that depend on nothing; `in_lab` adds the harness's own packet counters."""
    probes: tuple[Probe[object], ...] = (
        apiservice.probe(),
        workloads.pods_probe(),
        workloads.service_probe(),
        workloads.endpoints_probe(),
        workloads.nodes_probe(),
        controlplane.flags_probe(controller),
        controlplane.sockets_probe(controller),
        controlplane.tunnel_probe(controller),
    )
    return (*probes, isolation.probe(controller)) if in_lab else probes


def second_probes(controller: str, facts: Facts) -> tuple[Probe[object], ...]:
    """Return the probes of the addresses that the first ones found."""
    found: list[Probe[object]] = []
    for address, port in _targets(facts):
        found += [
            routing.probe(controller, address),
            dials.probe(controller, address, port, times=1),
        ]
    return tuple(found)


def walk(facts: Facts) -> tuple[Hop, ...]:
    """Return every hop, in the order of the way, each with what it rests on.

    The way past the API server depends on its egress selector; while that is not seen, nothing
    beyond it is judged.
    """
    hops = [_backend(facts), _service(facts), _egress(facts)]
    if facts.apiserver_flags is None:
        hops += [_not_seen(facts, name, "apiserver_flags") for name in (TUNNEL, ROUTE, DIAL)]
    elif facts.apiserver_flags.egress_selector:
        hops.append(_tunnel(facts))
    else:
        hops += [_route(facts), _dial(facts)]
    return (*hops, _condition(facts))


def dialled_address(facts: Facts) -> str | None:
    """Return the address the aggregator dials: the ClusterIP, or a pod with aggregator routing."""
    flags = facts.apiserver_flags
    if flags is not None and flags.aggregator_routing:
        return facts.endpoints[0].address if facts.endpoints else None
    return facts.service.cluster_ip if facts.service and facts.service.exists else None


def _targets(facts: Facts) -> Sequence[tuple[str, int]]:
    targets = [(each.address, each.port) for each in facts.endpoints or ()][:1]
    if facts.service is not None and facts.service.exists:
        targets.insert(0, (facts.service.cluster_ip, facts.service.port))
    return targets


def _backend(facts: Facts) -> Hop:
    command = facts.commands.get("pods")
    if facts.pods is None:
        return _not_seen(facts, BACKEND, "pods")
    ready = [pod for pod in facts.pods if pod.ready]
    if ready:
        where = ", ".join(f"{pod.name} on {pod.node}" for pod in ready)
        return Hop(BACKEND, HopState.HOLDS, f"Ready: {where}", command)
    if not facts.pods:
        return Hop(BACKEND, HopState.BROKEN, "there is no metrics-server pod", command)
    states = ", ".join(f"{pod.name} {pod.phase}" for pod in facts.pods)
    return Hop(BACKEND, HopState.BROKEN, f"no metrics-server pod is Ready: {states}", command)


def _service(facts: Facts) -> Hop:
    command = facts.commands.get("endpoints")
    if facts.service is None:
        return _not_seen(facts, SERVICE, "service")
    if not facts.service.exists:
        return Hop(SERVICE, HopState.BROKEN, "Service metrics-server does not exist", command)
    if facts.endpoints is None:
        return _not_seen(facts, SERVICE, "endpoints")
    name = f"{facts.service.cluster_ip}:{facts.service.port}"
    if not facts.endpoints:
        return Hop(SERVICE, HopState.BROKEN, f"{name} has no ready endpoint", command)
    behind = ", ".join(f"{each.address}:{each.port}" for each in facts.endpoints)
    return Hop(SERVICE, HopState.HOLDS, f"{name} stands for {behind}", command)


def _egress(facts: Facts) -> Hop:
    if facts.apiserver_flags is None:
        return _not_seen(facts, EGRESS, "apiserver_flags")
    text = (
        "has an egress selector: it dials through konnectivity"
        if facts.apiserver_flags.egress_selector
        else "has no egress selector: it dials from the controller itself"
    )
    return Hop(EGRESS, HopState.HOLDS, text, facts.commands.get("apiserver_flags"))


def _tunnel(facts: Facts) -> Hop:
    command = facts.commands.get("tunnel")
    if facts.tunnel is None:
        return _not_seen(facts, TUNNEL, "tunnel")
    if not facts.tunnel.listening:
        text = f"no konnectivity server listens on 127.0.0.1:{controlplane.ADMIN_PORT}"
        return Hop(TUNNEL, HopState.BROKEN, text, command)
    workers = len(facts.nodes) if facts.nodes is not None else None
    text = f"{facts.tunnel.agents} agents connected" + (
        f", {workers} nodes" if workers is not None else ""
    )
    enough = facts.tunnel.agents >= (1 if workers is None else workers)
    return Hop(TUNNEL, HopState.HOLDS if enough else HopState.BROKEN, text, command)


def _route(facts: Facts) -> Hop:
    address = dialled_address(facts)
    route = facts.routes.get(address) if address else None
    if route is None:
        return _not_seen(facts, ROUTE, f"route:{address}")
    dial = facts.dials.get(route.destination)
    # Where kube-proxy runs beside the API server, the ClusterIP is rewritten before it is routed:
    # then the default route is right, and only the dial tells.
    holds = route.own or (dial is not None and dial.all_connected)
    state = HopState.HOLDS if holds else HopState.BROKEN
    return Hop(ROUTE, state, route.text(), facts.commands.get(f"route:{address}"))


def _dial(facts: Facts) -> Hop:
    address = dialled_address(facts)
    found = facts.dials.get(address) if address else None
    if found is None:
        key = next((key for key in facts.unseen if key.startswith(f"dial:{address}")), "dial")
        return _not_seen(facts, DIAL, key)
    state = HopState.HOLDS if found.all_connected else HopState.BROKEN
    return Hop(DIAL, state, found.text(), facts.commands.get(f"dial:{found.target}"))


def _condition(facts: Facts) -> Hop:
    if facts.apiservice is None:
        return _not_seen(facts, CONDITION, "apiservice")
    state = HopState.HOLDS if facts.apiservice.available else HopState.BROKEN
    return Hop(CONDITION, state, facts.apiservice.text(), facts.commands.get("apiservice"))


def _not_seen(facts: Facts, name: str, probe: str) -> Hop:
    why = facts.unseen.get(probe, "it was not asked, because what it needs was not seen")
    return Hop(name, HopState.NOT_SEEN, why, facts.commands.get(probe))
