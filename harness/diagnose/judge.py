"""From hops to the cause, with its proof, what was ruled out, and the remedy for this cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeAlias

from harness.diagnose import findings, ladder, node_findings, scrapes, settling
from harness.diagnose.causes import KINDS
from harness.diagnose.causes.kind import CauseKind
from harness.diagnose.facts import Facts, facts_from
from harness.diagnose.model import Confidence, Diagnosis, Hop, HopId, Hops, HopState, does_hold
from harness.evidence.reading import Reading
from harness.probe import apiservice, https, machines, objects, workloads
from harness.probe.metrics_data import seconds_of
from harness.vocabulary.words import Cause

# The aggregator looks again every 30 s, with 5 s for its tries.
RESYNC_SECONDS = 40
# Longer than a way that was mended at once leaves the APIService unavailable.
LONG_SECONDS = 120
# Until what starts has had its time.
STARTING_SECONDS = 60
_APISERVICE = "kubectl get apiservice v1beta1.metrics.k8s.io"
# What people suspect first, and the hop that speaks against it.
_SUSPECTS = (
    ("not the nodes", HopId.NODES),
    ("not metrics-server itself", HopId.ALIVE),
    ("not metrics-server itself", HopId.BACKEND),
    ("not the kubelets", HopId.SCRAPING),
    ("not the Service", HopId.SERVICE),
    ("not the tunnel", HopId.TUNNEL),
    ("not the way between nodes", HopId.PATH),
    ("not the MTU", HopId.LARGE),
)
_MOST_RULED_OUT = 4
# What is only seen by requests to metrics-server's pod.
_BY_REQUESTS = {HopId.ALIVE, HopId.PATH, HopId.LARGE}
# Of the causes of a walk: whether the facts show it.
_Shown: TypeAlias = Callable[[CauseKind], bool | None]


def diagnose(readings: Iterable[Reading]) -> Diagnosis:
    """Return the cause that the readings show; nothing else is looked at."""
    return diagnose_facts(facts_from(readings))


def diagnose_facts(facts: Facts) -> Diagnosis:
    """Return the cause that was seen; nothing else is looked at."""
    hops = ladder.walk(facts)
    state = {hop.id: hop for hop in hops}

    @functools.cache
    def shown(kind: CauseKind) -> bool | None:
        if _is_by_requests(kind) and settling.pod_changed(facts):
            return False
        return kind.shown(facts, state)

    kind, untold = _first(facts, shown)
    cause = kind.cause if kind is not None else Cause.UNKNOWN
    rests_on = [state[each] for each in kind.rests_on if each in state] if kind is not None else []
    missing = [hop.sentence for hop in rests_on if hop.state is HopState.NOT_SEEN]
    missing += (*untold, *(kind.not_seen(facts) if kind is not None else ()))
    missing += [f"nothing was seen on {node}'s machine" for node in _uncovered(facts, cause)]
    missing += [
        f"whether metrics-server's pod reaches {node}'s kubelet now"
        for node in _only_logged(facts, kind)
    ]
    if kind is not None and _is_by_requests(kind) and settling.pod_lost(facts):
        missing.append("whether metrics-server's pod stayed")
    if cause == Cause.SETTLING and not settling.known(facts):
        missing += _unavailable_for_long(facts)
    if cause in {Cause.HEALTHY, Cause.SETTLING} and not settling.joining(facts):
        missing += _unasked(facts, state)
    if kind is None:
        missing += [
            hop.sentence
            for hop in hops
            if hop.state is HopState.NOT_SEEN and hop.id is not HopId.OTHERS
        ]
    also = _also(kind, shown)
    broken = next((hop for hop in hops if hop.state is HopState.BROKEN), None)
    if kind is None and broken is not None:
        rests_on = [hop for hop in hops if hop.state is HopState.BROKEN]
    seen = [hop for hop in rests_on if hop.state is not HopState.NOT_SEEN]
    # What is broken proves; what holds says where it is not.
    seen.sort(key=lambda hop: hop.state is not HopState.BROKEN)
    return Diagnosis(
        cause=cause,
        confidence=Confidence.LOW if missing or kind is None else Confidence.HIGH,
        hops=hops,
        facts=(
            *(hop.sentence for hop in seen),
            *(kind.side_facts(facts) if kind is not None else ()),
        ),
        remedies=tuple(kind.remedy(facts).splitlines()) if kind is not None else (),
        not_seen=tuple(dict.fromkeys(missing)),
        also=also,
        ruled_out=_ruled_out(hops, cause),
        link=kind.link if kind is not None else None,
        check_again=_check_again(broken),
        look_again=_look_again(facts) if cause == Cause.SETTLING else None,
    )


def _first(facts: Facts, is_shown: _Shown) -> tuple[CauseKind | None, list[str]]:
    """Return the first kind that is shown, and what would have been needed to be sure of one."""
    told: dict[str, bool | None] = {}
    joining = settling.joining(facts)
    for kind in KINDS:
        shown = is_shown(kind)
        told[kind.cause] = shown
        if not shown or (joining and kind.passes):
            continue
        if joining is None and kind.passes:
            return None, [f"it may be {kind.cause}; not seen: whether a node has just joined"]
        untold = [rival for rival in kind.rivals if told.get(rival, False) is None]
        if untold:
            text = ", ".join(untold)
            return None, [f"it may be {kind.cause}; not to be told from it: {text}"]
        return kind, []
    return None, []


def _is_by_requests(kind: CauseKind) -> bool:
    """Whether a cause goes by what requests to metrics-server's pod came to.

    Of a pod that did not stay these were of two states, and none of them is shown.
    """
    whole = kind.cause in {Cause.HEALTHY, Cause.SETTLING}
    return not whole and not _BY_REQUESTS.isdisjoint(kind.rests_on)


def _uncovered(facts: Facts, cause: str) -> tuple[str, ...]:
    """Return the nodes on whose machines nothing was seen and, for this cause, ought to be."""
    # That a node which is not Ready does not answer is what the cause predicts.
    down = {node.name for node in facts.one(workloads.NODES) or () if not node.ready}
    explained = down if cause == Cause.NODE_NOT_READY else set()
    return tuple(name for name in node_findings.uncovered(facts) if name not in explained)


def _only_logged(facts: Facts, kind: CauseKind | None) -> tuple[str, ...]:
    """Return the nodes that metrics-server could not read by its log alone, for this cause.

    The log has a line in 15 s, and the port may have been opened since the last.
    """
    if kind is None or not kind.by_the_log:
        return ()
    asked = scrapes.kubelets(facts)
    return tuple(node for node in scrapes.failing_scrapes(facts) or () if node not in asked)


def _unasked(facts: Facts, hops: Hops) -> list[str]:
    """Return what of a way that is said to be whole nobody looked at at all.

    Figures outlive what they came by for half a minute, and a connection shows its own end only.
    """
    found = []
    runs = scrapes.metrics_server_runs(facts) and does_hold(hops, HopId.SCRAPING)
    if runs and not scrapes.kubelets(facts):
        found.append("whether metrics-server's pod reaches the kubelets now")
    if not facts.on(machines.CLOCK):
        found.append("whether the machines' clocks agree")
    agents = facts.one(objects.AGENTS)
    agents_dial = findings.konnectivity(facts) and agents is not None and agents.exists
    if agents_dial and does_hold(hops, HopId.SERVICE) and not facts.to(https.AGENT_PAYLOAD):
        found.append("whether the agents reach metrics-server")
    return found


def _unavailable_for_long(facts: Facts) -> list[str]:
    """Return what makes a whole way with an unavailable APIService odd, nothing while it is not."""
    state = facts.one(apiservice.PROBE)
    if state is None or state.available or not state.since:
        return []
    seconds = findings.age(facts, seconds_of(state.since))
    if seconds is None or seconds < LONG_SECONDS:
        return []
    return [f"since when the way is whole: the APIService has been unavailable for {seconds:.0f} s"]


def _also(first: CauseKind | None, is_shown: _Shown) -> tuple[str, ...]:
    """Return the causes that stand beside the first one and do not follow from it."""
    if first is None or first.cause in {Cause.HEALTHY, Cause.SETTLING}:
        return ()
    explained = {first.cause, *first.explains, Cause.HEALTHY, Cause.SETTLING}
    found: list[str] = []
    for kind in KINDS:
        if kind.cause not in explained and is_shown(kind):
            found.append(kind.cause)
            explained |= {kind.cause, *kind.explains}
    return tuple(found)


def _ruled_out(hops: tuple[Hop, ...], cause: str) -> tuple[str, ...]:
    if cause in {Cause.HEALTHY, Cause.SETTLING}:
        return ()
    holding = {hop.id: hop for hop in hops if hop.state is HopState.HOLDS}
    found: dict[str, str] = {}
    for what, hop in _SUSPECTS:
        if hop in holding:
            found.setdefault(what, f"{what}: {holding[hop].text}")
    return tuple(found.values())[:_MOST_RULED_OUT]


def _check_again(broken: Hop | None) -> str:
    if broken is None or broken.command is None:
        return _APISERVICE
    return broken.command


def _look_again(facts: Facts) -> str:
    seconds = STARTING_SECONDS if settling.joining(facts) else RESYNC_SECONDS
    then = datetime.fromtimestamp(facts.at + seconds, UTC)
    return f"in {seconds} seconds, at {then:%H:%M:%S} UTC"
