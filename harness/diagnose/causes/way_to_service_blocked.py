"""Something stands between the dialling side and metrics-server."""

from __future__ import annotations

from harness.base.places import with_port
from harness.diagnose import findings, hops_egress, places
from harness.diagnose.causes.kind import SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, HopState, does_hold, is_broken, state_of
from harness.k0s import METRICS_SERVER_PORT
from harness.probe import routing, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether something stands between the dialling side and metrics-server."""
    on = findings.konnectivity(facts)
    if facts.one(workloads.PODS) is None:
        # An endpoint may be of a pod that is gone.
        return None
    # Without an endpoint nothing is there to be reached.
    if not does_hold(hops, HopId.SERVICE):
        return (
            None
            if facts.one(workloads.SERVICE) is None or facts.one(workloads.ENDPOINTS) is None
            else False
        )
    if findings.isolated(facts) and (is_broken(hops, HopId.PATH) or is_broken(hops, HopId.DIAL)):
        return True
    if on is not False:
        return None if on is None else _no_agent_reaches(facts)
    if state_of(hops, HopId.ROUTE) is HopState.NOT_SEEN:
        return None
    connected = _connects(facts)
    return None if connected is None else does_hold(hops, HopId.ROUTE) and not connected


def _connects(facts: Facts) -> bool | None:
    target = hops_egress.dialled(facts)
    return findings.reaches(facts, facts.controller, *target) if target is not None else None


def _no_agent_reaches(facts: Facts) -> bool:
    """Whether not even the agent beside metrics-server connects to it, while machines do."""
    pod = findings.pod_target(facts)
    if pod is None:
        return False
    agents = [findings.agent_reaches(facts, name, *pod[:2]) for name in facts.workers]
    return len(agents) > 0 and all(each is False for each in agents)


def _remedy(facts: Facts) -> str:
    policies = findings.isolating_policies(facts) or ()
    pod = findings.pod_target(facts)
    port = pod[1] if pod is not None else METRICS_SERVER_PORT
    if policies:
        names = ", ".join(each.name for each in policies)
        namespace = facts.led.namespace
        sources = places.controller_address(facts)
        return (
            f"let NetworkPolicy {names} in {namespace} admit TCP {port} from whoever dials: "
            f"ingress from ipBlock {sources or 'the controller'}/32 while konnectivity is off, "
            "from podSelector k8s-app=konnectivity-agent while it is on\n"
            f"or remove it: kubectl -n {namespace} delete networkpolicy {policies[0].name}"
        )
    target = hops_egress.dialled(facts)
    place = with_port(*target) if target is not None else "metrics-server"
    route = (
        facts.to(routing.PROBE).get((facts.controller, target[0])) if target is not None else None
    )
    via = f" through {route.gateway}" if route is not None and route.gateway else ""
    return (
        f"something drops or refuses TCP from {facts.controller or 'the controller'} to {place}"
        f"{via}: on that machine and on the pod's node allow it in the firewall "
        f"(forwarded TCP to {place} and to port {port} of the pods)\n"
        "see what stands there with: nft list ruleset; iptables-save"
    )


def _side_facts(facts: Facts) -> tuple[str, ...]:
    policies = findings.isolating_policies(facts) or ()
    namespace = facts.led.namespace
    return tuple(f"NetworkPolicy {namespace}/{each.name} isolates it" for each in policies)


KIND = CauseKind(
    Cause.WAY_TO_SERVICE_BLOCKED,
    "something stands between the dialling side and metrics-server",
    _shown,
    (HopId.EGRESS, HopId.ROUTE, HopId.DIAL, HopId.ALIVE),
    rivals=(*SANE_NODES, Cause.CROSS_NODE_TRAFFIC_CUT),
    explains=(Cause.CROSS_NODE_TRAFFIC_CUT,),
    passes=True,
    remedy=_remedy,
    link="https://docs.k0sproject.io/stable/networking/",
    side_facts=_side_facts,
)
