"""Which kubelets metrics-server reads, which not and why, and whether figures are missing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from harness.base.places import address_of
from harness.diagnose.facts import Facts, once
from harness.diagnose.failures import FailedOf, failed_of
from harness.diagnose.findings import RECENT_SECONDS, age, metrics_pod, read_at, recent
from harness.probe import (
    apiservice,
    https,
    machines,
    metrics_data,
    nodelogs,
    objects,
    top_nodes,
    workloads,
)
from harness.probe.https import Payload
from harness.probe.nodelogs import Failure, MetricsServerLog

# metrics-server scrapes every 15 s (--metric-resolution) and logs each failure: four in a minute.
# One alone may have been chance.
FAILURES = 2
# Beyond the time from one to the next, until it is known that the next did not fail.
_LATE_SECONDS = 5.0
# Figures are of the last scrape, at most 15 s old when served, and of slow machines a few more.
STALE_SECONDS = 90.0


@once
def kubelets(facts: Facts) -> Mapping[str, Payload]:
    """Return, by node, how a request to its kubelet out of metrics-server's pod fared."""
    names = {
        address: node.name
        for node in facts.one(workloads.NODES) or ()
        for address in node.addresses
    }
    return {
        names[address]: payload
        for (_, target), payload in facts.to(https.KUBELET).items()
        if (address := address_of(target)) in names
    }


@once
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
    visible = {node for node, each in (logged or {}).items() if shows_in_a_request(each.why)}
    over = any(asked[node].answered for node in visible & set(asked))
    for node, each in (logged or {}).items():
        if node not in failing and not (over and node in visible):
            failing[node] = each
    return failing if failing or logged is not None else None


def failing_of(facts: Facts, kind: FailedOf) -> Mapping[str, Failure] | None:
    """Return, of the scrapes that fail now, those that fail of `kind`."""
    failing = failing_scrapes(facts)
    if failing is None:
        return None
    return {node: each for node, each in failing.items() if failed_of(each.why) is kind}


def any_failing_of(facts: Facts, kind: FailedOf) -> bool | None:
    """Whether a scrape fails of `kind`.

    None where metrics-server runs, and no scrape was seen, or none any more: the log does not say
    of one that it is well.
    """
    failing = failing_of(facts, kind)
    if failing is None:
        return None if metrics_server_runs(facts) is not False else False
    if failing and not _still_logged(facts) & set(failing):
        return None
    return bool(failing)


@once
def _still_logged(facts: Facts) -> set[str]:
    """Return the nodes of which the log would not be silent yet, had it nothing more to say."""
    name = nodelogs.METRICS_SERVER.name
    found = set()
    for machine, log in _metrics_server_logs(facts).items():
        times: dict[str, list[float]] = {}
        for failure in recent(facts, name, machine, log.scrapes):
            times.setdefault(failure.target, []).append(failure.at)
        for node, at in times.items():
            between = max((after - before for before, after in pairwise(at)), default=0.0)
            silent = read_at(facts, name, machine) - at[-1]
            if not between or silent <= between + _LATE_SECONDS:
                found.add(node)
    return found


def scraped(facts: Facts) -> set[str]:
    """Return the nodes of which it was seen that metrics-server reads them, or could."""
    names = {node.name for node in facts.one(workloads.NODES) or ()}
    missing = missing_figures(facts)
    served = names - set(missing) if missing is not None else set()
    return served | {name for name, each in kubelets(facts).items() if each.answered}


def scrapes_failed_lately(
    facts: Facts, within: float = RECENT_SECONDS
) -> tuple[Failure, ...] | None:
    """Return the scrapes that failed in the last `within` seconds, by metrics-server's log."""
    logs = _metrics_server_logs(facts)
    if not logs:
        return None
    return tuple(
        failure
        for name, log in logs.items()
        for failure in recent(facts, nodelogs.METRICS_SERVER.name, name, log.scrapes, within)
    )


@once
def _metrics_server_logs(facts: Facts) -> Mapping[str, MetricsServerLog]:
    logs = facts.on(nodelogs.METRICS_SERVER)
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
        for failure in recent(facts, nodelogs.METRICS_SERVER.name, name, log.scrapes):
            if failure.at > served.get(failure.target, 0.0):
                failing.setdefault(failure.target, []).append(failure)
    return {node: each[-1] for node, each in failing.items() if len(each) >= FAILURES}


@once
def _served_at(facts: Facts) -> Mapping[str, float]:
    """Return, by node, when the figures were taken that are served of it."""
    metrics = facts.one(metrics_data.PROBE)
    if metrics is not None and metrics.answered:
        return {each.node: each.at for each in metrics.nodes}
    missing = missing_figures(facts)
    names = {node.name for node in facts.one(workloads.NODES) or ()}
    # kubectl top prints no times.
    return {} if missing is None else dict.fromkeys(names - set(missing), facts.at)


def is_of_network(why: str) -> bool:
    """Whether something failed on the network, and not on what was answered."""
    return failed_of(why) is FailedOf.NETWORK


def shows_in_a_request(why: str) -> bool:
    """Whether a request without rights fails of the same, so that one that is answered tells."""
    return is_of_network(why) or is_about_certificates(why)


def unapproved(facts: Facts) -> tuple[str, ...] | None:
    """Return the nodes whose kubelet waits for a serving certificate and has none approved."""
    csrs = facts.one(objects.CSRS)
    if csrs is None:
        return None
    served = {each.node for each in csrs if each.approved}
    waiting = {each.node for each in csrs if not each.approved}
    born = {node.name: node.created for node in facts.one(workloads.NODES) or ()}
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
    return failed_of(why) is FailedOf.NO_CERTIFICATE


def metrics_server_runs(facts: Facts) -> bool | None:
    """Whether a container of metrics-server runs, so that it could read kubelets."""
    pods = facts.one(workloads.PODS)
    if pods is None:
        return None
    return any(pod.phase == "Running" and not pod.waiting for pod in pods)


def suffers(facts: Facts) -> bool:
    """Whether people notice: the APIService is not available, or figures are missing."""
    state = facts.one(apiservice.PROBE)
    return bool((state is not None and not state.available) or missing_figures(facts))


@once
def missing_figures(facts: Facts) -> tuple[str, ...] | None:
    """Return the nodes without fresh figures; None where the metrics or the nodes were not seen."""
    top = facts.one(top_nodes.PROBE)
    metrics = facts.one(metrics_data.PROBE)
    nodes = facts.one(workloads.NODES)
    if nodes is None:
        return None
    names = {node.name for node in nodes}
    if metrics is not None and metrics.answered:
        ages = _ages(facts, {each.node: each.at for each in metrics.nodes})
        fresh = {node for node, seconds in ages.items() if seconds < STALE_SECONDS}
        return tuple(sorted(names - fresh))
    if top is not None and top.nodes:
        return tuple(sorted(names - set(top.nodes) | set(top.unknown)))
    if metrics is not None or top is not None:
        return tuple(sorted(names))
    return None


def _ages(facts: Facts, taken: Mapping[str, float]) -> Mapping[str, float]:
    """Return how many seconds ago the figures were taken, which each kubelet says by its own clock.

    Those of a node whose clock was not seen are old only if they are by every clock that was; where
    none was, the newest figures are taken to be of now.
    """
    clocks = {node: facts.on(machines.CLOCK).get(facts.machine_of(node) or "") for node in taken}
    ahead = {node: clock.ahead for node, clock in clocks.items() if clock is not None}
    seen = facts.on(machines.CLOCK).values()
    slowest = min((clock.ahead for clock in seen), default=0.0)
    by_here = {node: at - ahead.get(node, slowest) for node, at in taken.items()}
    now = facts.at if seen else max(by_here.values(), default=0.0)
    return {node: now - at for node, at in by_here.items()}
