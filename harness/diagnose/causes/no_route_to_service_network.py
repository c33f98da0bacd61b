"""The API server dials the ClusterIP, and its machine has no route there."""

from __future__ import annotations

from harness.diagnose import findings, hops_egress, places
from harness.diagnose.causes.kind import K0S_ISSUES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, HopState, does_hold, is_broken, state_of
from harness.probe import controlplane, isolation, routing, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether the API server dials the ClusterIP and its machine has no route there."""
    return no_route(facts, hops, to_pods=False)


def no_route(facts: Facts, hops: Hops, *, to_pods: bool) -> bool | None:
    """Whether the API server's machine has no route to what it dials: to pods, or the ClusterIP."""
    on = findings.konnectivity(facts)
    if on is not False:
        return None if on is None else False
    flags = facts.of_controller(controlplane.FLAGS)
    if flags is not None and flags.aggregator_routing is not to_pods:
        return False
    if state_of(hops, HopId.ROUTE) is HopState.NOT_SEEN:
        return None
    return is_broken(hops, HopId.ROUTE) and not does_hold(hops, HopId.DIAL)


def _remedy(facts: Facts) -> str:
    flags = facts.of_controller(controlplane.FLAGS)
    cidr = flags.service_cidr if flags is not None else ""
    target = hops_egress.dialled(facts)
    route = (
        facts.to(routing.PROBE).get((facts.controller, target[0])) if target is not None else None
    )
    if route is not None and route.kind != "unicast" and route.prefix is not None:
        return (
            f"on {facts.controller}: ip route del {route.kind} {route.prefix}\n"
            "and then, while konnectivity stays off, a route to the Service network "
            f"({places.route_through_a_worker(facts, cidr)}), or enable konnectivity"
        )
    text = (
        "enable konnectivity: remove konnectivity-server from --disable-components "
        "in the controller's installFlags and run k0sctl apply"
    )
    way = places.route_through_a_worker(facts, cidr)
    return f"{text}\nor, while it stays off, on the controller: {way}" if way else text


def _side_facts(facts: Facts) -> tuple[str, ...]:
    found = []
    for endpoint in facts.one(workloads.ENDPOINTS) or ():
        route = facts.to(routing.PROBE).get((facts.controller, endpoint.address))
        if route is not None:
            found.append(f"the pod itself: {route.text()}")
    left = sum((facts.of_controller(isolation.PROBE) or {}).values())
    if left:
        found.append(
            f"{left} packets left the controller by the NAT interface and were dropped "
            "there by the lab's isolation, which is where they went and not why"
        )
    return tuple(found)


KIND = CauseKind(
    Cause.NO_ROUTE_TO_SERVICE_NETWORK,
    "the API server dials the ClusterIP, and its machine has no route there",
    _shown,
    (HopId.EGRESS, HopId.ROUTE, HopId.DIAL, HopId.BACKEND),
    remedy=_remedy,
    link=f"{K0S_ISSUES}5781",
    side_facts=_side_facts,
)
