"""The hops from the API server on: its way out, the path to metrics-server, and what arrives."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.base.places import with_port
from harness.diagnose import findings, hops_tunnel, pod_figures, scrapes, settling
from harness.diagnose.evidence import broken, edited, holds, not_seen
from harness.diagnose.facts import Facts
from harness.diagnose.messages import classify
from harness.diagnose.model import HOP_NAMES, Hop, HopId, HopState
from harness.probe import (
    apiservice,
    controlplane,
    dials,
    egress,
    environment,
    https,
    metrics_data,
    objects,
    routing,
    top_nodes,
    workloads,
)
from harness.vocabulary.words import TopOutcome


def dialled(facts: Facts) -> tuple[str, int] | None:
    """Return what the aggregator dials: the ClusterIP, or a pod with aggregator routing."""
    endpoints = facts.one(workloads.ENDPOINTS)
    flags = facts.of_controller(controlplane.FLAGS)
    if flags is not None and flags.aggregator_routing:
        return (endpoints[0].address, endpoints[0].port) if endpoints else None
    return findings.service_target(facts)


def proxied(facts: Facts) -> bool | None:
    """Whether a proxy has the aggregator's dials; None where that was not seen."""
    proxy = facts.of_controller(environment.PROBE)
    target = dialled(facts)
    if proxy is None or (proxy.proxy and target is None):
        return None
    return target is not None and proxy.takes(*target)


def egress_selector(facts: Facts) -> Hop:
    """Return which way the API server dials; it is a fault where a proxy has it instead."""
    proxy = facts.of_controller(environment.PROBE)
    flags = facts.of_controller(controlplane.FLAGS)
    state = facts.one(apiservice.PROBE)
    available = state is not None and state.available
    if proxied(facts) and not available and proxy is not None:
        text = (
            f"HTTPS_PROXY={proxy.proxy} has its dials, for NO_PROXY "
            f"({proxy.no_proxy or 'not set'}) does not name what it dials"
        )
        return broken(facts, HopId.EGRESS, text, environment.PROBE.name, facts.controller)
    counted = facts.one(egress.PROBE)
    counts = f"; {counted.text()}" if counted is not None else ""
    if flags is None:
        if findings.konnectivity(facts):
            text = f"it dials through konnectivity{counts}"
            return holds(facts, HopId.EGRESS, text, egress.PROBE.name)
        return not_seen(facts, HopId.EGRESS, controlplane.FLAGS.name)
    if flags.egress_selector:
        text = f"has an egress selector: it dials through konnectivity{counts}"
    else:
        text = "has no egress selector: it dials from the controller itself"
    if flags.aggregator_routing:
        text += "; enable-aggregator-routing: it dials the pod and not the ClusterIP"
    return holds(facts, HopId.EGRESS, text, controlplane.FLAGS.name, facts.controller)


def way_out(facts: Facts) -> tuple[Hop, ...]:
    """Return the tunnel, or route and connection, or all three as not seen."""
    on = findings.konnectivity(facts)
    if on is None:
        unseen = (HopId.TUNNEL, HopId.ROUTE, HopId.DIAL)
        return tuple(not_seen(facts, each, controlplane.FLAGS.name) for each in unseen)
    if not on:
        return (route(facts), dial(facts))
    return hops_tunnel.hops(facts)


def route(facts: Facts) -> Hop:
    """Return whether the controller has a route of its own to what the API server dials."""
    target = dialled(facts)
    found = (
        facts.to(routing.PROBE).get((facts.controller, target[0])) if target is not None else None
    )
    if target is None or found is None:
        name = routing.PROBE.of(target[0]) if target is not None else workloads.SERVICE.name
        return not_seen(facts, HopId.ROUTE, name)
    connected = findings.reaches(facts, facts.controller, *target)
    # Where kube-proxy runs beside the API server, the ClusterIP is rewritten before it is routed:
    # then the default route is right, and only the dial tells.
    make = holds if found.own or connected or facts.controller in facts.workers else broken
    hop = make(facts, HopId.ROUTE, found.text(), routing.PROBE.of(target[0]), facts.controller)
    return replace(hop, device=found.device or None, gateway=found.gateway or None)


def dial(facts: Facts) -> Hop:
    """Return whether the controller can connect to what the API server dials."""
    target = dialled(facts)
    if target is None:
        return not_seen(facts, HopId.DIAL, workloads.SERVICE.name)
    place = with_port(*target)
    found = facts.to(dials.PROBE).get((facts.controller, place))
    if found is not None:
        make = holds if found.all_connected else broken
        return make(facts, HopId.DIAL, found.text(), dials.PROBE.of(place), facts.controller)
    # sshd has no words for some errors of connect(), such as a blackhole's; curl's own tell.
    asked = facts.to(https.PAYLOAD).get((facts.controller, place))
    if asked is None:
        return not_seen(facts, HopId.DIAL, dials.PROBE.of(place), facts.controller)
    make = holds if asked.connected else broken
    text = f"{facts.controller} to {place}: {'connected' if asked.connected else asked.text}"
    return make(facts, HopId.DIAL, text, https.PAYLOAD.of(place), facts.controller)


@dataclass(frozen=True)
class _Try:
    """One way from a worker, or from its agent, to metrics-server, and how it fared."""

    opened: bool
    text: str
    probe: str
    machine: str


def path(facts: Facts) -> Hop:
    """Return whether each worker and its agent connect to metrics-server, pod and ClusterIP."""
    pod = findings.pod_target(facts)
    service = findings.service_target(facts)
    targets = [each for each in (pod[:2] if pod is not None else None, service) if each is not None]
    tried = [
        each
        for worker in facts.workers
        for address, port in targets
        for each in _tries(facts, worker, address, port)
    ]
    if not tried:
        probe = (
            dials.PROBE.of(with_port(targets[0][0], targets[0][1]))
            if targets
            else workloads.PODS.name
        )
        return not_seen(facts, HopId.PATH, probe)
    failed = [each for each in tried if not each.opened]
    shown = failed or tried
    make = broken if failed else holds
    text = "; ".join(each.text for each in shown)
    return make(facts, HopId.PATH, text, shown[0].probe, shown[0].machine)


def _tries(facts: Facts, worker: str, address: str, port: int) -> list[_Try]:
    target = with_port(address, port)
    found = []
    reached = findings.reaches(facts, worker, address, port)
    if reached is not None:
        dialled = facts.to(dials.PROBE).get((worker, target))
        probe = dials.PROBE if dialled is not None else https.PAYLOAD
        text = dialled.text() if dialled is not None else f"{worker} to {target}"
        found.append(_Try(reached, text, probe.of(target), worker))
    payload = facts.to(https.AGENT_PAYLOAD).get((worker, target))
    if payload is not None:
        how = "connects" if payload.connected else f"does not connect ({payload.text})"
        text = f"the agent on {worker} {how} to {target}"
        found.append(_Try(payload.connected, text, https.AGENT_PAYLOAD.of(target), worker))
    return found


def large(facts: Facts) -> Hop:
    """Return whether large requests get through wherever connections open."""
    payloads = facts.to(https.PAYLOAD)
    stuck = findings.stuck(facts)
    if stuck:
        probe, machine, target = next(iter(stuck))
        text = "; ".join(
            f"{'an agent on ' if way[0] is https.AGENT_PAYLOAD else ''}{each.machine} connects to "
            f"{each.target}, and a request of 8 kB {'after' if each.tls else 'in'} TLS gets no "
            f"answer: {each.text}"
            for way, each in stuck.items()
        )
        return broken(facts, HopId.LARGE, text, probe.of(target), machine)
    # While agents' pods are replaced, one after the other, none may be there to ask.
    asked = {https.PAYLOAD.name}
    asked |= set() if settling.rolling(facts) else {https.AGENT_PAYLOAD.name}
    for name, where in facts.unseen_at:
        if name.partition(":")[0] in asked:
            return not_seen(facts, HopId.LARGE, name, where)
    if not payloads:
        return not_seen(facts, HopId.LARGE, https.PAYLOAD.name)
    answered = [each for each in payloads.values() if each.answered]
    (machine, target), _ = next(iter(payloads.items()))
    if not answered:
        text = "no connection opened that could carry them"
        return Hop(HopId.LARGE, HOP_NAMES[HopId.LARGE], HopState.NOT_SEEN, text)
    text = f"{len(answered)} requests of 8 kB were answered"
    return holds(facts, HopId.LARGE, text, https.PAYLOAD.of(target), machine)


def condition(facts: Facts) -> Hop:
    """Return what the aggregator says, with the class of its message."""
    state = facts.one(apiservice.PROBE)
    if state is None:
        return not_seen(facts, HopId.CONDITION, apiservice.PROBE.name)
    text = state.text() + edited(state.edited)
    if state.available:
        return holds(facts, HopId.CONDITION, text, apiservice.PROBE.name)
    named = f"({classify(state.message)}) " if findings.message_class(facts) else ""
    return broken(facts, HopId.CONDITION, f"{named}{text}", apiservice.PROBE.name)


def data(facts: Facts) -> Hop:
    """Return whether there are fresh figures of every node."""
    metrics = facts.one(metrics_data.PROBE)
    missing = scrapes.missing_figures(facts)
    if missing is None:
        return not_seen(facts, HopId.DATA, metrics_data.PROBE.name)
    probe = metrics_data.PROBE.name if metrics is not None else top_nodes.PROBE.name
    if missing:
        text = f"no fresh figures of {', '.join(missing)}"
        said = metrics.text if metrics is not None else ""
        top = facts.one(top_nodes.PROBE)
        if top is not None and top.outcome is not TopOutcome.COMPLETE:
            said = top.text.splitlines()[-1] if top.text else said
        return broken(facts, HopId.DATA, f"{text}: {said}" if said else text, probe)
    text = f"fresh figures of all {len(facts.one(workloads.NODES) or ())} nodes"
    lacking = pod_figures.lacking(facts)
    if lacking:
        none = "; ".join(f"none of {', '.join(pods)} on {node}" for node, pods in lacking.items())
        return broken(facts, HopId.DATA, f"{text}, and {none}", metrics_data.PODS.name)
    return holds(facts, HopId.DATA, text, probe)


def others(facts: Facts) -> Hop:
    """Return what suffers with it; it is no link of the way and never broken."""
    agents = facts.one(objects.AGENTS)
    found = []
    apis = facts.one(objects.OTHER_APIS)
    if apis is not None and apis.unavailable:
        found.append(f"other APIServices unavailable: {', '.join(apis.unavailable)}")
    stuck = facts.one(objects.STUCK_NAMESPACES)
    if stuck:
        found.append(f"namespaces that cannot be deleted: {', '.join(stuck)}")
    blind = facts.one(objects.BLIND_AUTOSCALERS)
    if blind:
        found.append(f"HorizontalPodAutoscalers without metrics: {', '.join(blind)}")
    if findings.konnectivity(facts) is False and agents is not None and agents.exists:
        found.append(
            f"{agents.desired} konnectivity agents are left over from when it was on "
            "(k0s leaves the DaemonSet behind)"
        )
    if apis is None and stuck is None and blind is None:
        return not_seen(facts, HopId.OTHERS, objects.OTHER_APIS.name)
    return holds(facts, HopId.OTHERS, "; ".join(found) or "nothing else", objects.OTHER_APIS.name)
