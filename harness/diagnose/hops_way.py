"""The hops from the API server on: its way out, the path to metrics-server, and what arrives."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.base.places import with_port
from harness.diagnose import findings
from harness.diagnose.evidence import broken, holds, not_seen
from harness.diagnose.facts import Facts
from harness.diagnose.messages import classify
from harness.diagnose.model import HOP_NAMES, Hop, HopId, HopState
from harness.probe import controlplane
from harness.scenario.words import TopOutcome


def dialled(facts: Facts) -> tuple[str, int] | None:
    """Return what the aggregator dials: the ClusterIP, or a pod with aggregator routing."""
    flags = facts.apiserver_flags
    if flags is not None and flags.aggregator_routing:
        return (facts.endpoints[0].address, facts.endpoints[0].port) if facts.endpoints else None
    return findings.service_target(facts)


def proxied(facts: Facts) -> bool | None:
    """Whether a proxy has the aggregator's dials; None where that was not seen."""
    target = dialled(facts)
    if facts.proxy is None or (facts.proxy.proxy and target is None):
        return None
    return target is not None and facts.proxy.takes(*target)


def egress(facts: Facts) -> Hop:
    """Return which way the API server dials; it is a fault where a proxy has it instead."""
    available = facts.apiservice is not None and facts.apiservice.available
    if proxied(facts) and not available and facts.proxy is not None:
        text = (
            f"HTTPS_PROXY={facts.proxy.proxy} has its dials, for NO_PROXY "
            f"({facts.proxy.no_proxy or 'not set'}) does not name what it dials"
        )
        return broken(facts, HopId.EGRESS, text, "apiserver_environment", facts.controller)
    counted = facts.single.get("apiserver_metrics")
    counts = f"; {counted.text()}" if counted is not None else ""
    if facts.apiserver_flags is None:
        if findings.konnectivity(facts):
            text = f"it dials through konnectivity{counts}"
            return holds(facts, HopId.EGRESS, text, "apiserver_metrics")
        return not_seen(facts, HopId.EGRESS, "apiserver_flags")
    if facts.apiserver_flags.egress_selector:
        text = f"has an egress selector: it dials through konnectivity{counts}"
    else:
        text = "has no egress selector: it dials from the controller itself"
    if facts.apiserver_flags.aggregator_routing:
        text += "; enable-aggregator-routing: it dials the pod and not the ClusterIP"
    return holds(facts, HopId.EGRESS, text, "apiserver_flags", facts.controller)


def way_out(facts: Facts) -> tuple[Hop, ...]:
    """Return the tunnel, or route and connection, or all three as not seen."""
    on = findings.konnectivity(facts)
    if on is None:
        unseen = (HopId.TUNNEL, HopId.ROUTE, HopId.DIAL)
        return tuple(not_seen(facts, each, "apiserver_flags") for each in unseen)
    return (tunnel(facts),) if on else (route(facts), dial(facts))


def tunnel(facts: Facts) -> Hop:
    """Return whether every agent is connected and a new one could connect."""
    server = facts.tunnel
    dials = findings.server_dials(facts)
    lost = {name: each for name, each in dials.items() if not each.all_connected}
    said = findings.unconnected(facts)
    reasons = [each.text() for each in lost.values()]
    reasons += [
        f"the agent on {name} does not connect to {each.target} ({each.text})"
        for name, each in findings.agents_to_server(facts).items()
        if not each.connected
    ]
    reasons += [f"agent on {name}: {each.why}" for name, each in said.items()]
    if findings.listens(facts) is False:
        probe = "tunnel" if server is not None else "listening"
        port = controlplane.ADMIN_PORT if server is not None else controlplane.AGENT_PORT
        text = f"no konnectivity server listens on port {port} of {facts.controller}"
        return broken(facts, HopId.TUNNEL, text, probe, facts.controller)
    agents = findings.connected_agents(facts)
    expected = findings.expected_agents(facts)
    if agents is None:
        target = findings.server_target(facts)
        if lost and target is not None:
            probe = f"dial:{with_port(*target)}"
            return broken(facts, HopId.TUNNEL, "; ".join(reasons), probe, next(iter(lost)))
        if said:
            return broken(facts, HopId.TUNNEL, "; ".join(reasons), "agent_log", next(iter(said)))
        return not_seen(facts, HopId.TUNNEL, "tunnel", facts.controller or None)
    nodes = f", {len(facts.nodes)} nodes" if facts.nodes is not None else ""
    text = "; ".join([f"{agents} agents connected{nodes}", *reasons])
    if agents >= (1 if expected is None else expected) and not reasons:
        return holds(facts, HopId.TUNNEL, text, "tunnel", facts.controller)
    if server is not None and server.failures_by_reason:
        counted = ", ".join(f"{count} {reason}" for reason, count in server.failures_by_reason)
        text += f"; failed dials counted: {counted}"
    return broken(facts, HopId.TUNNEL, text, "tunnel", facts.controller)


def route(facts: Facts) -> Hop:
    """Return whether the controller has a route of its own to what the API server dials."""
    target = dialled(facts)
    found = facts.route(target[0]) if target is not None else None
    if target is None or found is None:
        name = f"route:{target[0]}" if target is not None else "service"
        return not_seen(facts, HopId.ROUTE, name)
    connected = findings.reaches(facts, facts.controller, *target)
    # Where kube-proxy runs beside the API server, the ClusterIP is rewritten before it is routed:
    # then the default route is right, and only the dial tells.
    make = holds if found.own or connected or facts.controller in facts.workers else broken
    hop = make(facts, HopId.ROUTE, found.text(), f"route:{target[0]}", facts.controller)
    return replace(hop, device=found.device or None, gateway=found.gateway or None)


def dial(facts: Facts) -> Hop:
    """Return whether the controller can connect to what the API server dials."""
    target = dialled(facts)
    if target is None:
        return not_seen(facts, HopId.DIAL, "service")
    place = with_port(*target)
    found = facts.dial(facts.controller, place)
    if found is not None:
        make = holds if found.all_connected else broken
        return make(facts, HopId.DIAL, found.text(), f"dial:{place}", facts.controller)
    # sshd has no words for some errors of connect(), such as a blackhole's; curl's own tell.
    asked = facts.payload(facts.controller, place)
    if asked is None:
        return not_seen(facts, HopId.DIAL, f"dial:{place}", facts.controller)
    make = holds if asked.connected else broken
    text = f"{facts.controller} to {place}: {'connected' if asked.connected else asked.text}"
    return make(facts, HopId.DIAL, text, f"payload:{place}", facts.controller)


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
        probe = f"dial:{with_port(*targets[0][:2])}" if targets else "pods"
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
        dialled = facts.dial(worker, target)
        probe = "dial" if dialled is not None else "payload"
        text = dialled.text() if dialled is not None else f"{worker} to {target}"
        found.append(_Try(reached, text, f"{probe}:{target}", worker))
    payload = facts.agent_payload(worker, target)
    if payload is not None:
        how = "connects" if payload.connected else f"does not connect ({payload.text})"
        text = f"the agent on {worker} {how} to {target}"
        found.append(_Try(payload.connected, text, f"agent_payload:{target}", worker))
    return found


def large(facts: Facts) -> Hop:
    """Return whether large requests get through wherever connections open."""
    payloads = facts.by_target.get("payload", {})
    stuck = findings.stuck(facts)
    if stuck:
        probe, machine, target = next(iter(stuck))
        text = "; ".join(
            f"{'an agent on ' if way[0] == 'agent_payload' else ''}{each.machine} connects to "
            f"{each.target}, and a request of 8 kB {'after' if each.tls else 'in'} TLS gets no "
            f"answer: {each.text}"
            for way, each in stuck.items()
        )
        return broken(facts, HopId.LARGE, text, f"{probe}:{target}", machine)
    for name, where in facts.unseen_at:
        if name.partition(":")[0] in {"payload", "agent_payload"}:
            return not_seen(facts, HopId.LARGE, name, where)
    if not payloads:
        return not_seen(facts, HopId.LARGE, "payload")
    answered = [each for each in payloads.values() if each.answered]
    (machine, target), _ = next(iter(payloads.items()))
    if not answered:
        text = "no connection opened that could carry them"
        return Hop(HopId.LARGE, HOP_NAMES[HopId.LARGE], HopState.NOT_SEEN, text)
    text = f"{len(answered)} requests of 8 kB were answered"
    return holds(facts, HopId.LARGE, text, f"payload:{target}", machine)


def condition(facts: Facts) -> Hop:
    """Return what the aggregator says, with the class of its message."""
    state = facts.apiservice
    if state is None:
        return not_seen(facts, HopId.CONDITION, "apiservice")
    if state.available:
        return holds(facts, HopId.CONDITION, state.text(), "apiservice")
    named = f"({classify(state.message)}) " if findings.message_class(facts) else ""
    return broken(facts, HopId.CONDITION, f"{named}{state.text()}", "apiservice")


def data(facts: Facts) -> Hop:
    """Return whether there are fresh figures of every node."""
    missing = findings.missing_figures(facts)
    if missing is None:
        return not_seen(facts, HopId.DATA, "metrics")
    probe = "metrics" if facts.metrics is not None else "top_nodes"
    if missing:
        text = f"no fresh figures of {', '.join(missing)}"
        said = facts.metrics.text if facts.metrics is not None else ""
        top = facts.top_nodes
        if top is not None and top.outcome is not TopOutcome.COMPLETE:
            said = top.text.splitlines()[-1] if top.text else said
        return broken(facts, HopId.DATA, f"{text}: {said}" if said else text, probe)
    return holds(facts, HopId.DATA, f"fresh figures of all {len(facts.nodes or ())} nodes", probe)


def others(facts: Facts) -> Hop:
    """Return what suffers with it; it is no link of the way and never broken."""
    found = []
    apis = facts.single.get("apiservices")
    if apis is not None and apis.unavailable:
        found.append(f"other APIServices unavailable: {', '.join(apis.unavailable)}")
    stuck = facts.single.get("namespaces")
    if stuck:
        found.append(f"namespaces that cannot be deleted: {', '.join(stuck)}")
    blind = facts.single.get("autoscalers")
    if blind:
        found.append(f"HorizontalPodAutoscalers without metrics: {', '.join(blind)}")
    if findings.konnectivity(facts) is False and facts.agents is not None and facts.agents.exists:
        found.append(
            f"{facts.agents.desired} konnectivity agents are left over from when it was on "
            "(k0s leaves the DaemonSet behind)"
        )
    if apis is None and stuck is None and blind is None:
        return not_seen(facts, HopId.OTHERS, "apiservices")
    return holds(facts, HopId.OTHERS, "; ".join(found) or "nothing else", "apiservices")
