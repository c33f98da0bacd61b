"""From hops to the cause, with the remedy for this very cluster."""

from __future__ import annotations

from collections.abc import Iterable

from harness.diagnose import ladder
from harness.diagnose.facts import Facts
from harness.diagnose.facts import facts_from
from harness.diagnose.model import Confidence
from harness.diagnose.model import Diagnosis
from harness.diagnose.model import Hop
from harness.diagnose.model import HopState
from harness.evidence.reading import Reading
from harness.scenario.words import Cause


def diagnose(readings: Iterable[Reading]) -> Diagnosis:
    """Return the cause that the readings show; nothing else is looked at."""
    facts = facts_from(readings)
    hops = ladder.walk(facts)
    state = {hop.name: hop for hop in hops}
    cause = _cause(facts, state)
    rests_on = [state[name] for name in _RESTS_ON[cause] if name in state]
    missing = tuple(f"{hop.name}: {hop.text}" for hop in rests_on if hop.state is HopState.NOT_SEEN)
    return Diagnosis(
        cause=cause,
        confidence=Confidence.LOW if missing or cause is Cause.UNKNOWN else Confidence.HIGH,
        hops=hops,
        facts=(*(f"{hop.name}: {hop.text}" for hop in rests_on), *_side_facts(facts, cause)),
        remedy=_remedy(facts, cause),
        not_seen=missing,
    )


def _cause(facts: Facts, hops: dict[str, Hop]) -> Cause:
    broken = {name for name, hop in hops.items() if hop.state is HopState.BROKEN}
    holding = {name for name, hop in hops.items() if hop.state is HopState.HOLDS}
    missing = facts.apiservice is not None and not facts.apiservice.exists
    # In the order of the way: an earlier link that is broken explains the later ones.
    cases = (
        (missing, Cause.APISERVICE_MISSING),
        ({ladder.BACKEND, ladder.SERVICE} & broken, Cause.METRICS_SERVER_NOT_READY),
        (ladder.TUNNEL in broken, Cause.TUNNEL_DOWN),
        (
            ladder.ROUTE in broken and ladder.DIAL not in holding,
            Cause.NO_ROUTE_TO_SERVICE_NETWORK,
        ),
        (ladder.CONDITION in holding, Cause.HEALTHY),
        # All else holds, so the aggregator has only not looked again yet; it does within 30 s.
        (broken == {ladder.CONDITION} and holding | broken == set(hops), Cause.SETTLING),
    )
    return next((cause for holds, cause in cases if holds), Cause.UNKNOWN)


_RESTS_ON: dict[Cause, tuple[str, ...]] = {
    Cause.HEALTHY: (
        ladder.BACKEND,
        ladder.SERVICE,
        ladder.EGRESS,
        ladder.TUNNEL,
        ladder.DIAL,
        ladder.CONDITION,
    ),
    Cause.SETTLING: (ladder.BACKEND, ladder.SERVICE, ladder.EGRESS, ladder.CONDITION),
    Cause.NO_ROUTE_TO_SERVICE_NETWORK: (ladder.EGRESS, ladder.ROUTE, ladder.DIAL, ladder.BACKEND),
    Cause.TUNNEL_DOWN: (ladder.EGRESS, ladder.TUNNEL, ladder.BACKEND),
    Cause.METRICS_SERVER_NOT_READY: (ladder.BACKEND, ladder.SERVICE),
    Cause.APISERVICE_MISSING: (ladder.CONDITION,),
    Cause.UNKNOWN: (),
}


def _side_facts(facts: Facts, cause: Cause) -> tuple[str, ...]:
    """Return what else tells this cause from its neighbours."""
    if cause is not Cause.NO_ROUTE_TO_SERVICE_NETWORK:
        return ()
    found = []
    for endpoint in facts.endpoints or ():
        route = facts.routes.get(endpoint.address)
        if route is not None:
            found.append(f"the pod itself: {route.text()}")
    left = sum((facts.isolation or {}).values())
    if left:
        found.append(
            f"{left} packets left the controller by the NAT interface and were dropped "
            "there by the lab's isolation, which is where they went and not why"
        )
    return tuple(found)


def _remedy(facts: Facts, cause: Cause) -> str | None:
    if cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK:
        remedy = (
            "enable konnectivity: remove konnectivity-server from --disable-components "
            "in the controller's installFlags and run k0sctl apply"
        )
        flags = facts.apiserver_flags
        workers = [node for node in facts.nodes or () if node.ready and node.addresses]
        if flags is not None and flags.service_cidr and workers:
            remedy += (
                "; or, while it stays off, on the controller: "
                f"ip route add {flags.service_cidr} via {workers[0].addresses[0]}"
            )
        return remedy
    return {
        Cause.TUNNEL_DOWN: "let every worker reach TCP 8132 on the controller, then look at "
        "the konnectivity-agent logs on the workers (kubectl logs dies with the tunnel)",
        Cause.METRICS_SERVER_NOT_READY: "look at the metrics-server pod: "
        "kubectl -n kube-system describe pod -l k8s-app=metrics-server",
        Cause.APISERVICE_MISSING: "metrics-server is not installed: remove it from "
        "--disable-components, or wait until k0s has applied its manifest",
        Cause.SETTLING: "look again in 40 seconds",
    }.get(cause)
