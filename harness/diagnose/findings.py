"""What follows from several facts together; None wherever what it takes was not seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from harness.base.places import address_of, with_port
from harness.diagnose import messages
from harness.diagnose.facts import Facts, moment
from harness.probe import controlplane
from harness.probe.dials import Dials
from harness.probe.https import Payload
from harness.probe.nodelogs import Failure, MetricsServerLog
from harness.probe.objects import Policy
from harness.probe.workloads import Pod
from harness.scenario.words import MessageClass

T = TypeVar("T")

# What k0s gives metrics-server (pkg/component/controller/metricserver.go, --secure-port).
METRICS_PORT = 10250
KUBELET_PORT = 10250
# metrics-server scrapes every 15 s (--metric-resolution) and logs each failure: four in a minute.
# One alone may have been chance.
RECENT_SECONDS = 60.0
FAILURES = 2
# What starts has a readiness delay of 20 s, two scrapes, and image pulls before that: 130 s were
# measured on emulated machines, 30 s on others.
YOUNG_SECONDS = 120.0
# Figures are of the last scrape, at most 15 s old when served, and of slow machines a few more.
STALE_SECONDS = 90.0

# Go's words for what failed on the network.
_LOST = re.compile(
    r"deadline exceeded|timeout|refused|no route to host|unreachable|reset by peer|connection lost"
)


def konnectivity(facts: Facts) -> bool | None:
    """Whether the API server dials through konnectivity."""
    if facts.apiserver_flags is not None:
        return facts.apiserver_flags.egress_selector
    counted = facts.single.get("apiserver_metrics")
    if counted is not None and counted.seen:
        return True
    return True if message_class(facts) is MessageClass.NO_AGENT else None


def message_class(facts: Facts) -> MessageClass | None:
    """Return the class of the condition's message, None while it is not a failed check."""
    state = facts.apiservice
    if state is None or state.reason != "FailedDiscoveryCheck":
        return None
    return messages.classify(state.message)


def metrics_pod(facts: Facts) -> Pod | None:
    """Return the pod of metrics-server that counts: a Ready one, else the youngest."""
    pods = sorted(facts.pods or (), key=lambda pod: (not pod.ready, -pod.created))
    return pods[0] if pods else None


def pod_target(facts: Facts) -> tuple[str, int, str] | None:
    """Return address, port and node of the pod behind the Service, Ready or not."""
    for endpoint in facts.endpoints or ():
        return endpoint.address, endpoint.port, endpoint.node
    pod = metrics_pod(facts)
    return (pod.address, METRICS_PORT, pod.node) if pod is not None and pod.address else None


def service_target(facts: Facts) -> tuple[str, int] | None:
    """Return ClusterIP and port of metrics-server's Service."""
    service = facts.service
    return (service.cluster_ip, service.port) if service is not None and service.exists else None


def server_target(facts: Facts) -> tuple[str, int] | None:
    """Return where the konnectivity agents look for their server."""
    if facts.agents is not None and facts.agents.server_host:
        return facts.agents.server_host, facts.agents.server_port or controlplane.AGENT_PORT
    flags = facts.apiserver_flags
    return (flags.advertised, controlplane.AGENT_PORT) if flags and flags.advertised else None


def reaches(facts: Facts, machine: str, address: str, port: int) -> bool | None:
    """Whether every new connection from a machine to `address:port` opened."""
    dialled = facts.dial(machine, with_port(address, port))
    if dialled is not None:
        return dialled.all_connected
    payload = facts.payload(machine, with_port(address, port))
    return payload.connected if payload is not None else None


def agent_reaches(facts: Facts, machine: str, address: str, port: int) -> bool | None:
    """Whether a connection from a worker's konnectivity agent to `address:port` opens."""
    payload = facts.agent_payload(machine, with_port(address, port))
    return payload.connected if payload is not None else None


def stuck(facts: Facts) -> Mapping[tuple[str, str, str], Payload]:
    """Return the large requests without an answer on connections that open, by probe and way."""
    found = {}
    for probe in ("payload", "agent_payload"):
        for (machine, target), payload in facts.by_target.get(probe, {}).items():
            dialled = facts.dial(machine, target) if probe == "payload" else None
            opened = payload.connected or (dialled is not None and dialled.all_connected)
            if opened and not payload.answered and not payload.refused:
                found[probe, machine, target] = payload
    return found


def server_dials(facts: Facts) -> Mapping[str, Dials]:
    """Return the dials to the konnectivity server, by worker."""
    return _to_server(facts, facts.dial)


def expected_agents(facts: Facts) -> int | None:
    """Return how many agents there should be: one on each node."""
    counts = [len(facts.nodes)] if facts.nodes is not None else []
    if facts.agents is not None and facts.agents.exists:
        counts.append(facts.agents.desired)
    return max(counts, default=None)


def connected_agents(facts: Facts) -> int | None:
    """Return the agents at the server that has the fewest; None where no server was seen."""
    tunnels = facts.by_machine.get("tunnel", {}).values()
    return min((each.agents for each in tunnels if each.listening), default=None)


def agents_to_server(facts: Facts) -> Mapping[str, Payload]:
    """Return how the agents' own pods reach the konnectivity server, by worker."""
    return _to_server(facts, facts.agent_server)


def _to_server(facts: Facts, look: Callable[[str, str], T | None]) -> Mapping[str, T]:
    """Return what `look` found of the way to the konnectivity server, by worker."""
    target = server_target(facts)
    if target is None:
        return {}
    found = {name: look(name, with_port(*target)) for name in facts.workers}
    return {name: each for name, each in found.items() if each is not None}


def unconnected(facts: Facts) -> Mapping[str, Failure]:
    """Return, by worker, why its agent cannot connect, from its own log in the last minute."""
    found = {}
    for machine, log in facts.by_machine.get("agent_log", {}).items():
        recent = _recent(facts, "agent_log", machine, log.connecting)
        connected = [line.at for line in log.lines if "Connect to server" in line.text]
        if recent and (not connected or connected[-1] < recent[-1].at):
            found[machine] = recent[-1]
    return found


def kubelets(facts: Facts) -> Mapping[str, Payload]:
    """Return, by node, how a request to its kubelet out of metrics-server's pod fared."""
    names = {address: node.name for node in facts.nodes or () for address in node.addresses}
    return {
        names[address]: payload
        for (_, target), payload in facts.by_target.get("kubelet", {}).items()
        if (address := address_of(target)) in names
    }


def failing_scrapes(facts: Facts) -> Mapping[str, Failure] | None:
    """Return, by node, why metrics-server cannot read its kubelet now.

    From metrics-server's log, and from requests out of its pod's own network namespace: those say
    how it is now, but only the log knows of answers that metrics-server did not like. What the log
    says counts only while it is newer than the figures that are served.
    """
    logged = _logged_scrapes(facts)
    asked = kubelets(facts)
    failing = {
        node: Failure(facts.at, node, payload.text)
        for node, payload in asked.items()
        if not payload.answered
    }
    # One that answers now shows that the log tells of a while ago.
    visible = {node for node, each in (logged or {}).items() if _shows_in_a_request(each.why)}
    over = any(asked[node].answered for node in visible & set(asked))
    for node, each in (logged or {}).items():
        if node not in failing and not (over and node in visible):
            failing[node] = each
    return failing if failing or logged is not None else None


def scraped(facts: Facts) -> set[str]:
    """Return the nodes of which it was seen that metrics-server reads them, or could."""
    names = {node.name for node in facts.nodes or ()}
    missing = missing_figures(facts)
    served = names - set(missing) if missing is not None else set()
    return served | {name for name, each in kubelets(facts).items() if each.answered}


def scrapes_failed_lately(facts: Facts) -> int | None:
    """Return how many scrapes failed in the last minute, by metrics-server's log."""
    logs = _metrics_server_logs(facts)
    if not logs:
        return None
    return sum(
        len(_recent(facts, "metrics_server_log", name, log.scrapes)) for name, log in logs.items()
    )


def _metrics_server_logs(facts: Facts) -> Mapping[str, MetricsServerLog]:
    logs = facts.by_machine.get("metrics_server_log", {})
    pod = metrics_pod(facts)
    machine = facts.machine_of(pod.node) if pod is not None and pod.node else None
    if machine is not None:
        # Where it runs, a log without a line is one of a program that has just started.
        return {machine: logs[machine]} if machine in logs else {}
    return {name: log for name, log in logs.items() if log.lines}


def _logged_scrapes(facts: Facts) -> Mapping[str, Failure] | None:
    logs = _metrics_server_logs(facts)
    if not logs:
        return None
    served = _served_at(facts)
    failing: dict[str, list[Failure]] = {}
    for name, log in logs.items():
        for failure in _recent(facts, "metrics_server_log", name, log.scrapes):
            if failure.at > served.get(failure.target, 0.0):
                failing.setdefault(failure.target, []).append(failure)
    return {node: each[-1] for node, each in failing.items() if len(each) >= FAILURES}


def _served_at(facts: Facts) -> Mapping[str, float]:
    """Return, by node, when the figures were taken that are served of it."""
    if facts.metrics is not None and facts.metrics.answered:
        return {each.node: each.at for each in facts.metrics.nodes}
    missing = missing_figures(facts)
    names = {node.name for node in facts.nodes or ()}
    # kubectl top prints no times.
    return {} if missing is None else dict.fromkeys(names - set(missing), facts.at)


def is_of_network(why: str) -> bool:
    """Whether something failed on the network, and not on what was answered."""
    return _LOST.search(why) is not None


def _shows_in_a_request(why: str) -> bool:
    return is_of_network(why) or is_about_certificates(why)


def unapproved(facts: Facts) -> tuple[str, ...] | None:
    """Return the nodes whose kubelet waits for a serving certificate and has none approved."""
    if facts.csrs is None:
        return None
    served = {each.node for each in facts.csrs if each.approved}
    waiting = {each.node for each in facts.csrs if not each.approved}
    born = {node.name: node.created for node in facts.nodes or ()}
    # k0s approves one request in 10 s: a node that has just joined waits its turn.
    return tuple(
        sorted(
            node
            for node in waiting - served
            if age(facts, born.get(node, 0.0)) is None
            or (age(facts, born[node]) or 0.0) > RECENT_SECONDS
        )
    )


def is_about_certificates(why: str) -> bool:
    """Whether a failed scrape says that the kubelet has no certificate to show."""
    # Go's words, and OpenSSL's for the same alert.
    return "tls: internal error" in why or "alert internal error" in why


def age(facts: Facts, since: float) -> float | None:
    """Return the seconds since `since`, a time of the API server's clock; None without one."""
    if not since or not facts.at:
        return None
    clock = facts.clock(facts.controller)
    return facts.at + (clock.ahead if clock is not None else 0.0) - since


def is_young(facts: Facts, since: float) -> bool:
    """Whether what began at `since` may still be starting."""
    seconds = age(facts, since)
    return seconds is not None and seconds < YOUNG_SECONDS


def listens(facts: Facts) -> bool | None:
    """Whether the controller's konnectivity server is there for agents."""
    if facts.tunnel is not None:
        return facts.tunnel.listening
    target = server_target(facts)
    port = target[1] if target is not None else controlplane.AGENT_PORT
    return port in facts.listening if facts.listening is not None else None


def isolating_policies(facts: Facts) -> tuple[Policy, ...] | None:
    """Return the NetworkPolicies that isolate metrics-server's pod."""
    if facts.policies is None:
        return None
    pod = metrics_pod(facts)
    labels = dict(pod.labels) if pod is not None else {"k8s-app": "metrics-server"}
    return tuple(each for each in facts.policies if each.selects(labels))


def isolated(facts: Facts) -> bool | None:
    """Whether a NetworkPolicy isolates metrics-server."""
    found = isolating_policies(facts)
    return None if found is None else bool(found)


def metrics_server_runs(facts: Facts) -> bool | None:
    """Whether a container of metrics-server runs, so that it could read kubelets."""
    if facts.pods is None:
        return None
    return any(pod.phase == "Running" and not pod.waiting for pod in facts.pods)


def suffers(facts: Facts) -> bool:
    """Whether people notice: the APIService is not available, or figures are missing."""
    state = facts.apiservice
    return bool((state is not None and not state.available) or missing_figures(facts))


def missing_figures(facts: Facts) -> tuple[str, ...] | None:
    """Return the nodes without fresh figures; None where the metrics or the nodes were not seen."""
    if facts.nodes is None:
        return None
    names = {node.name for node in facts.nodes}
    if facts.metrics is not None and facts.metrics.answered:
        ages = _ages(facts, {each.node: each.at for each in facts.metrics.nodes})
        fresh = {node for node, seconds in ages.items() if seconds < STALE_SECONDS}
        return tuple(sorted(names - fresh))
    if facts.top_nodes is not None and facts.top_nodes.nodes:
        return tuple(sorted(names - set(facts.top_nodes.nodes) | set(facts.top_nodes.unknown)))
    if facts.metrics is not None or facts.top_nodes is not None:
        return tuple(sorted(names))
    return None


def _ages(facts: Facts, taken: Mapping[str, float]) -> Mapping[str, float]:
    """Return how many seconds ago the figures were taken, which each kubelet says by its own clock.

    Those of a node whose clock was not seen are old only if they are by every clock that was; where
    none was, the newest figures are taken to be of now.
    """
    clocks = {node: facts.clock(facts.machine_of(node) or "") for node in taken}
    ahead = {node: clock.ahead for node, clock in clocks.items() if clock is not None}
    seen = facts.by_machine.get("clock", {}).values()
    slowest = min((clock.ahead for clock in seen), default=0.0)
    by_here = {node: at - ahead.get(node, slowest) for node, at in taken.items()}
    now = facts.at if seen else max(by_here.values(), default=0.0)
    return {node: now - at for node, at in by_here.items()}


def seconds_ago(facts: Facts, probe: str, machine: str, at: float) -> float:
    """Return how long before a look at a machine's log a line of that log was written."""
    clock = facts.clock(machine)
    taken = moment(facts.readings[probe, machine])
    return taken + (clock.ahead if clock is not None else 0.0) - at


def _recent(facts: Facts, probe: str, machine: str, failures: tuple[Failure, ...]) -> list[Failure]:
    return [
        each for each in failures if seconds_ago(facts, probe, machine, each.at) < RECENT_SECONDS
    ]
