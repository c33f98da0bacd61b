"""From hops to the cause, with its proof, what was ruled out, and the remedy for this cluster."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from datetime import datetime

from harness.diagnose import findings
from harness.diagnose import hops_inside
from harness.diagnose import hops_way
from harness.diagnose import ladder
from harness.diagnose import node_findings
from harness.diagnose import passing
from harness.diagnose import remedies
from harness.diagnose import rules
from harness.diagnose.facts import Facts
from harness.diagnose.facts import facts_from
from harness.diagnose.model import Confidence
from harness.diagnose.model import Diagnosis
from harness.diagnose.model import Hop
from harness.diagnose.model import HopState
from harness.diagnose.rules import Rule
from harness.evidence.reading import Reading
from harness.probe.metrics_data import seconds_of
from harness.scenario.words import Cause

# The aggregator looks again every 30 s, with 5 s for its tries.
RESYNC_SECONDS = 40
# Longer than a way that was mended at once leaves the APIService unavailable.
LONG_SECONDS = 120
# Until what starts has had its time.
STARTING_SECONDS = 60
_APISERVICE = "kubectl get apiservice v1beta1.metrics.k8s.io"
# What people suspect first, and the hop that speaks against it.
_SUSPECTS = (
    ("not the nodes", hops_inside.NODES),
    ("not metrics-server itself", hops_inside.ALIVE),
    ("not metrics-server itself", hops_inside.BACKEND),
    ("not the kubelets", hops_inside.SCRAPING),
    ("not the Service", hops_inside.SERVICE),
    ("not the tunnel", hops_way.TUNNEL),
    ("not the way between nodes", hops_way.PATH),
    ("not the MTU", hops_way.LARGE),
)
_MOST_RULED_OUT = 4
_BY_THE_LOG = frozenset({Cause.KUBELET_UNREACHABLE_FROM_PODS, Cause.NODE_NOT_SCRAPED})


def diagnose(readings: Iterable[Reading]) -> Diagnosis:
    """Return the cause that the readings show; nothing else is looked at."""
    return diagnose_facts(facts_from(readings))


def diagnose_facts(facts: Facts) -> Diagnosis:
    """Return the cause that was seen; nothing else is looked at."""
    hops = ladder.walk(facts)
    state = {hop.name: hop for hop in hops}
    rule, untold = _first(facts, state)
    cause = rule.cause if rule is not None else Cause.UNKNOWN
    rests_on = [state[name] for name in rule.rests_on if name in state] if rule is not None else []
    missing = [f"{hop.name}: {hop.text}" for hop in rests_on if hop.state is HopState.NOT_SEEN]
    missing += untold
    missing += [f"nothing was seen on {node}'s machine" for node in _uncovered(facts, cause)]
    missing += [
        f"whether metrics-server's pod reaches {node}'s kubelet now"
        for node in _only_logged(facts, cause)
    ]
    if cause is Cause.SETTLING and not passing.known(facts):
        missing += _unavailable_for_long(facts)
    if rule is None:
        missing += [
            f"{hop.name}: {hop.text}"
            for hop in hops
            if hop.state is HopState.NOT_SEEN and hop.name != hops_way.OTHERS
        ]
    also = _also(facts, state, rule)
    broken = next((hop for hop in hops if hop.state is HopState.BROKEN), None)
    if rule is None and broken is not None:
        rests_on = [hop for hop in hops if hop.state is HopState.BROKEN]
    seen = [hop for hop in rests_on if hop.state is not HopState.NOT_SEEN]
    # What is broken proves; what holds says where it is not.
    seen.sort(key=lambda hop: hop.state is not HopState.BROKEN)
    return Diagnosis(
        cause=cause,
        confidence=Confidence.LOW if missing or rule is None else Confidence.HIGH,
        hops=hops,
        facts=(*(f"{hop.name}: {hop.text}" for hop in seen), *_side_facts(facts, cause)),
        remedy=remedies.remedy(facts, cause),
        not_seen=tuple(dict.fromkeys(missing)),
        also=also,
        ruled_out=_ruled_out(hops, cause),
        link=remedies.LINKS.get(cause),
        check_again=_check_again(broken),
        look_again=_look_again(facts) if cause is Cause.SETTLING else None,
    )


def _first(facts: Facts, hops: dict[str, Hop]) -> tuple[Rule | None, list[str]]:
    """Return the first rule that is shown, and what would have been needed to be sure of one."""
    told: dict[Cause, bool | None] = {}
    joining = passing.joining(facts)
    for rule in rules.RULES:
        shown = rule.shown(facts, hops)
        told[rule.cause] = shown
        if not shown or (joining and rule.cause in rules.PASSING):
            continue
        if joining is None and rule.cause in rules.PASSING:
            return None, [f"it may be {rule.cause}; not seen: whether a node has just joined"]
        untold = [rival for rival in rule.rivals if told.get(rival, False) is None]
        if untold:
            text = ", ".join(untold)
            return None, [f"it may be {rule.cause}; not to be told from it: {text}"]
        return rule, []
    return None, []


def _uncovered(facts: Facts, cause: Cause) -> tuple[str, ...]:
    """Return the nodes on whose machines nothing was seen and, for this cause, ought to be."""
    # That a node which is not Ready does not answer is what the cause predicts.
    down = {node.name for node in facts.nodes or () if not node.ready}
    explained = down if cause is Cause.NODE_NOT_READY else set()
    return tuple(name for name in node_findings.uncovered(facts) if name not in explained)


def _only_logged(facts: Facts, cause: Cause) -> tuple[str, ...]:
    """Return the nodes that metrics-server could not read by its log alone, for this cause.

    The log has a line in 15 s, and the port may have been opened since the last.
    """
    if cause not in _BY_THE_LOG:
        return ()
    asked = findings.kubelets(facts)
    return tuple(node for node in findings.failing_scrapes(facts) or () if node not in asked)


def _unavailable_for_long(facts: Facts) -> list[str]:
    """Return what makes a whole way with an unavailable APIService odd, nothing while it is not."""
    state = facts.apiservice
    if state is None or state.available or not state.since:
        return []
    seconds = findings.age(facts, seconds_of(state.since))
    if seconds is None or seconds < LONG_SECONDS:
        return []
    return [f"since when the way is whole: the APIService has been unavailable for {seconds:.0f} s"]


def _also(facts: Facts, hops: dict[str, Hop], first: Rule | None) -> tuple[Cause, ...]:
    """Return the causes that stand beside the first one and do not follow from it."""
    if first is None or first.cause in {Cause.HEALTHY, Cause.SETTLING}:
        return ()
    explained = {first.cause, *first.explains, Cause.HEALTHY, Cause.SETTLING}
    found = []
    for rule in rules.RULES:
        if rule.cause not in explained and rule.shown(facts, hops):
            found.append(rule.cause)
            explained |= {rule.cause, *rule.explains}
    return tuple(found)


def _side_facts(facts: Facts, cause: Cause) -> tuple[str, ...]:
    """Return what else tells this cause from its neighbours."""
    if cause in {Cause.AGENTS_CANNOT_CONNECT, Cause.AGENT_MISSING}:
        target = findings.server_target(facts)
        return (f"agents look for their server at {target[0]}:{target[1]}",) if target else ()
    if cause is Cause.WAY_TO_SERVICE_BLOCKED:
        policies = findings.isolating_policies(facts) or ()
        return tuple(f"NetworkPolicy kube-system/{each.name} isolates it" for each in policies)
    if cause is not Cause.NO_ROUTE_TO_SERVICE_NETWORK:
        return ()
    found = []
    for endpoint in facts.endpoints or ():
        route = facts.route(endpoint.address)
        if route is not None:
            found.append(f"the pod itself: {route.text()}")
    left = sum((facts.isolation or {}).values())
    if left:
        found.append(
            f"{left} packets left the controller by the NAT interface and were dropped "
            "there by the lab's isolation, which is where they went and not why"
        )
    return tuple(found)


def _ruled_out(hops: tuple[Hop, ...], cause: Cause) -> tuple[str, ...]:
    if cause in {Cause.HEALTHY, Cause.SETTLING}:
        return ()
    holding = {hop.name: hop for hop in hops if hop.state is HopState.HOLDS}
    found: dict[str, str] = {}
    for what, name in _SUSPECTS:
        if name in holding:
            found.setdefault(what, f"{what}: {holding[name].text}")
    return tuple(found.values())[:_MOST_RULED_OUT]


def _check_again(broken: Hop | None) -> str:
    if broken is None or broken.command is None:
        return _APISERVICE
    return broken.command


def _look_again(facts: Facts) -> str:
    seconds = STARTING_SECONDS if passing.joining(facts) else RESYNC_SECONDS
    then = datetime.fromtimestamp(facts.at + seconds, UTC)
    return f"in {seconds} seconds, at {then:%H:%M:%S} UTC"
