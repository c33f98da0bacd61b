"""How an expectation sees one observation: which probe it needs, and whether the value matches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.check.model import Match, Sample
from harness.diagnose.messages import classify
from harness.diagnose.model import Diagnosis
from harness.probe import apiservice, top_nodes, workloads
from harness.probe.core import Observation, Probe
from harness.scenario import model as scenario
from harness.vocabulary.words import Cause, TopOutcome

# A healthy cluster, too, says FailedDiscoveryCheck and `Metrics API not available` in its first
# minute; one resync of the aggregator (30 s), its probe's cap (6 s) and a little more tell apart.
SETTLE_SECONDS = 40.0
# A condition's message is about 200 characters and is kept of every look; the whole text is in the
# readings.
_MOST_TEXT = 1000


def presumes_metrics_server(expectation: scenario.Expectation) -> bool:
    """Whether the expectation says something of a cluster whose metrics-server pod is Ready."""
    return isinstance(
        expectation,
        (scenario.Apiservice, scenario.TopNodes, scenario.Diagnosis, scenario.Reachability),
    )


def settle_seconds(expectation: scenario.Expectation) -> float:
    """Return how long after the endpoint became ready an observation first counts."""
    match expectation:
        case scenario.Apiservice(available=False):
            return SETTLE_SECONDS
        case scenario.TopNodes(
            outcome=TopOutcome.API_NOT_AVAILABLE | TopOutcome.SERVICE_UNAVAILABLE
        ):
            return SETTLE_SECONDS
        case scenario.Diagnosis() if expectation.cause != Cause.HEALTHY:
            return SETTLE_SECONDS
        case _:
            return 0.0


def is_gone(expectation: scenario.Expectation, state: str) -> bool:
    """Whether `state` is that of a working cluster where the expectation wants a broken one."""
    if settle_seconds(expectation) == 0:
        return False
    working = {"True Passed", TopOutcome.COMPLETE, TopOutcome.PARTIAL, Cause.HEALTHY}
    return state in working


def probe_for(expectation: scenario.Expectation) -> Probe[Any] | None:
    """Return the probe whose readings the expectation is judged by; None where it is no stream."""
    match expectation:
        case scenario.Apiservice():
            return apiservice.look(expectation.name)
        case scenario.TopNodes():
            return top_nodes.PROBE.look()
        case scenario.Pods():
            return workloads.pods_look(expectation.selector, expectation.namespace)
        case _:
            return None


def sample(
    expectation: scenario.Expectation, seen: Observation[Any], nodes: tuple[str, ...]
) -> Sample:
    """Return what was seen as `expectation` sees it; `nodes` are the cluster's workers by name.

    `seen` is of the probe that `probe_for` returns.
    """
    match expectation:
        case scenario.Apiservice():
            return _sample(
                seen, lambda state: _apiservice(expectation, state), since=lambda state: state.since
            )
        case scenario.TopNodes():
            wanted = expectation.nodes or nodes
            return _sample(seen, lambda top: _top_nodes(expectation, top, wanted))
        case scenario.Pods():
            return _sample(seen, lambda pods: _pods(expectation, pods))
        case _:
            raise AssertionError(f"{expectation.kind} is not judged by a stream of readings")


def sample_diagnosis(expectation: scenario.Diagnosis, diagnosis: Diagnosis, at: float) -> Sample:
    """Return a diagnosis made at `at` as `expectation` sees it."""
    named = diagnosis.cause is expectation.cause and set(expectation.also) <= set(diagnosis.also)
    match = Match.MATCH if named else Match.MISMATCH
    first = diagnosis.first_broken_hop
    text = f"{diagnosis.cause} ({diagnosis.confidence} confidence)" + "".join(
        f", also {cause}" for cause in diagnosis.also
    )
    full = text + (f", first broken hop: {first}" if first else "")
    return Sample(at, match, full, state=diagnosis.cause)


def _sample(
    seen: Observation[Any],
    judge: Callable[[Any], tuple[bool, str, str]],
    since: Callable[[Any], str] = lambda _: "",
) -> Sample:
    at = seen.reading.elapsed + seen.reading.duration
    if seen.problem is not None:
        return Sample(at, Match.GAP, seen.problem[:_MOST_TEXT], state="not read")
    matches, text, state = judge(seen.value)
    match = Match.MATCH if matches else Match.MISMATCH
    return Sample(at, match, text[:_MOST_TEXT], state[:_MOST_TEXT], since(seen.value)[:_MOST_TEXT])


def _apiservice(
    expectation: scenario.Apiservice, state: apiservice.APIServiceState
) -> tuple[bool, str, str]:
    matches = (
        state.exists
        and state.available is expectation.available
        and expectation.reason in (None, state.reason)
        and expectation.message_class in (None, classify(state.message))
    )
    return matches, state.text(), state.brief()


def _top_nodes(
    expectation: scenario.TopNodes, top: top_nodes.TopNodes, wanted: tuple[str, ...]
) -> tuple[bool, str, str]:
    matches = top.outcome is expectation.outcome
    if matches and top.outcome is TopOutcome.COMPLETE:
        matches = set(top.nodes) == set(wanted)
    rows = f": {', '.join(top.nodes)}" if top.nodes else f": {top.text}" if top.text else ""
    unknown = f" (<unknown>: {', '.join(top.unknown)})" if top.unknown else ""
    return matches, f"{top.outcome}{rows}{unknown}", top.outcome


def _pods(expectation: scenario.Pods, pods: tuple[workloads.Pod, ...]) -> tuple[bool, str, str]:
    ready = sum(pod.ready for pod in pods)
    text = f"{ready} of {len(pods)} Ready"
    return ready == expectation.ready, text, text
