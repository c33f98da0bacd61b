"""The API server dials pods, and its machine has no route there."""

from __future__ import annotations

from harness.diagnose.causes.kind import K0S_ISSUES, CauseKind
from harness.diagnose.causes.no_route_to_service_network import no_route
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether the API server dials pods and its machine has no route there."""
    return no_route(facts, hops, to_pods=True)


def _remedy(facts: Facts) -> str:
    routes = [
        f"ip route add {node.pod_cidr} via {node.addresses[0]}"
        for node in facts.one(workloads.NODES) or ()
        if node.pod_cidr and node.addresses and facts.machine_of(node.name) != facts.controller
    ]
    return (
        "the API server dials pods (enable-aggregator-routing); on the controller: "
        f"{'; '.join(routes) or 'a route to each pod network of a worker'}\n"
        "or enable konnectivity: remove konnectivity-server from --disable-components in the "
        "controller's installFlags and run k0sctl apply"
    )


KIND = CauseKind(
    Cause.NO_ROUTE_TO_POD_NETWORK,
    "the API server dials pods, and its machine has no route there",
    _shown,
    (HopId.EGRESS, HopId.ROUTE, HopId.DIAL, HopId.BACKEND),
    remedy=_remedy,
    link=f"{K0S_ISSUES}5781",
)
