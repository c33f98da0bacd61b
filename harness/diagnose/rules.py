"""Which facts show which cause, in three values: shown, not shown, and not to be told.

In the order of the way: an earlier link that is broken explains the later ones. A rule never rests
on what was not seen; where a missing reading could have shown another cause with the same symptoms
(a rival), no cause is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.diagnose import findings
from harness.diagnose import hops_way
from harness.diagnose import node_findings
from harness.diagnose import passing
from harness.diagnose import rules_inside as inside
from harness.diagnose import rules_way as way
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId
from harness.diagnose.model import Hops
from harness.diagnose.model import HopState
from harness.diagnose.model import does_hold
from harness.diagnose.model import state_of
from harness.scenario.words import Cause

# What a cluster that has just come up shows for a while, and a broken one for ever.
PASSING = frozenset(
    {
        Cause.NODE_NOT_READY,
        Cause.METRICS_SERVER_MISSING,
        Cause.APISERVICE_MISSING,
        Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
        Cause.KUBELET_UNREACHABLE_FROM_PODS,
        Cause.METRICS_SERVER_NOT_READY,
        Cause.AGENT_MISSING,
        Cause.CROSS_NODE_TRAFFIC_CUT,
        Cause.WAY_TO_SERVICE_BLOCKED,
        Cause.NODE_NOT_SCRAPED,
    }
)


_AFTER_THE_WAY = frozenset({HopId.CONDITION, HopId.DATA})


@dataclass(frozen=True)
class Rule:
    """One cause: what shows it, the hops it rests on, its rivals and what it explains besides."""

    cause: Cause
    shown: Callable[[Facts, Hops], bool | None]
    rests_on: tuple[HopId, ...]
    rivals: tuple[Cause, ...] = ()
    explains: tuple[Cause, ...] = ()


def _healthy(facts: Facts, hops: Hops) -> bool | None:
    if facts.apiservice is None or facts.nodes is None:
        return None
    if any(hop.state is HopState.BROKEN for hop in hops.values()):
        return False
    # Figures outlive a kubelet's port by half a minute; only a request tells.
    asked = set(findings.kubelets(facts))
    if state_of(hops, HopId.DATA) is HopState.NOT_SEEN or (
        asked and not asked >= {node.name for node in facts.nodes if node.ready}
    ):
        return None
    return does_hold(hops, HopId.CONDITION)


def _settling(facts: Facts, hops: Hops) -> bool | None:
    """Whether what is broken ends by itself: something begins, or was not looked at again yet."""
    broken = {each for each, hop in hops.items() if hop.state is HopState.BROKEN}
    if broken and (passing.starting(facts) or passing.scraping_again(facts)):
        return True
    # While the konnectivity server starts, its agents have nowhere to connect to.
    if HopId.TUNNEL in broken and (passing.reconnecting(facts) or passing.restarted(facts)):
        broken.remove(HopId.TUNNEL)
        if not broken - _AFTER_THE_WAY:
            return True
    if not broken or broken - _AFTER_THE_WAY:
        return False
    # The way is whole: the aggregator looks again within 30 s, figures want two scrapes. But only
    # where all of it was seen.
    seen = facts.apiserver_flags is not None and facts.apiservice is not None
    seen = seen and not node_findings.uncovered(facts) and hops_way.proxied(facts) is not None
    unseen = [hop for hop in hops.values() if hop.state is HopState.NOT_SEEN]
    return True if seen and {hop.id for hop in unseen} <= {HopId.OTHERS} else None


_NETWORK = (
    Cause.KUBELET_UNREACHABLE_FROM_PODS,
    Cause.AGENTS_CANNOT_CONNECT,
    Cause.AGENT_MISSING,
    Cause.CROSS_NODE_TRAFFIC_CUT,
    Cause.LARGE_PACKETS_LOST,
    Cause.WAY_TO_SERVICE_BLOCKED,
    Cause.NODE_NOT_SCRAPED,
)
_BACKEND = (Cause.METRICS_SERVER_NOT_READY, Cause.APISERVICE_MISSING)
_SANE_NODES = (Cause.NODE_ADDRESSES_WRONG, Cause.CLOCK_SKEW, Cause.NODE_NOT_READY)

RULES: tuple[Rule, ...] = (
    Rule(
        Cause.APISERVER_UNREACHABLE,
        inside.unreachable,
        (HopId.API_SERVER,),
        explains=tuple(Cause),
    ),
    Rule(
        Cause.NODE_ADDRESSES_WRONG,
        inside.addresses_wrong,
        (HopId.NODES,),
        explains=(*_NETWORK, *_BACKEND, Cause.NODE_NOT_READY),
    ),
    Rule(
        Cause.NETWORKS_OVERLAP,
        inside.networks_overlap,
        (HopId.API_SERVER, HopId.NODES),
        rivals=(Cause.NODE_ADDRESSES_WRONG,),
        explains=(*_NETWORK, *_BACKEND, Cause.NODE_NOT_READY),
    ),
    Rule(
        Cause.CLOCK_SKEW,
        inside.clock_skew,
        (HopId.NODES,),
        explains=(
            *_NETWORK,
            *_BACKEND,
            Cause.NODE_NOT_READY,
            Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
        ),
    ),
    Rule(
        Cause.NODE_NOT_READY,
        inside.node_not_ready,
        (HopId.NODES,),
        rivals=(Cause.CLOCK_SKEW,),
        explains=(*_NETWORK, *_BACKEND),
    ),
    Rule(
        Cause.METRICS_SERVER_MISSING,
        inside.metrics_server_missing,
        (HopId.BACKEND,),
        explains=_BACKEND,
    ),
    Rule(
        Cause.APISERVICE_MISSING,
        inside.apiservice_missing,
        (HopId.CONDITION,),
        rivals=(Cause.METRICS_SERVER_MISSING,),
    ),
    Rule(
        Cause.IMAGE_MISSING,
        inside.image_missing,
        (HopId.BACKEND,),
        rivals=(Cause.NODE_NOT_READY,),
        explains=_BACKEND,
    ),
    Rule(
        Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
        inside.certificates,
        (HopId.BACKEND, HopId.SCRAPING),
        explains=(*_BACKEND, Cause.NODE_NOT_SCRAPED, Cause.KUBELET_UNREACHABLE_FROM_PODS),
    ),
    Rule(
        Cause.KUBELET_UNREACHABLE_FROM_PODS,
        inside.kubelets_unreachable,
        (HopId.BACKEND, HopId.SCRAPING),
        rivals=_SANE_NODES,
        explains=(*_BACKEND, Cause.NODE_NOT_SCRAPED),
    ),
    Rule(
        Cause.METRICS_SERVER_NOT_READY,
        inside.not_ready,
        (HopId.BACKEND, HopId.SERVICE),
        rivals=(
            Cause.NODE_NOT_READY,
            Cause.METRICS_SERVER_MISSING,
            Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
            Cause.KUBELET_UNREACHABLE_FROM_PODS,
        ),
    ),
    Rule(
        Cause.PROXY_IN_ENVIRONMENT,
        way.proxied,
        (HopId.EGRESS, HopId.CONDITION),
        rivals=_SANE_NODES,
    ),
    Rule(
        Cause.TUNNEL_DOWN,
        way.server_down,
        (HopId.EGRESS, HopId.TUNNEL),
        rivals=_SANE_NODES,
        explains=(Cause.AGENTS_CANNOT_CONNECT, Cause.AGENT_MISSING),
    ),
    Rule(
        Cause.AGENTS_CANNOT_CONNECT,
        way.agents_cut_off,
        (HopId.EGRESS, HopId.TUNNEL, HopId.BACKEND),
        rivals=_SANE_NODES,
        explains=(Cause.AGENT_MISSING,),
    ),
    Rule(
        Cause.AGENT_MISSING,
        way.agent_missing,
        (HopId.EGRESS, HopId.TUNNEL),
        rivals=(*_SANE_NODES, Cause.AGENTS_CANNOT_CONNECT),
    ),
    Rule(
        Cause.CROSS_NODE_TRAFFIC_CUT,
        way.cross_node,
        (HopId.ALIVE, HopId.PATH),
        rivals=(*_SANE_NODES, Cause.NETWORKS_OVERLAP),
        explains=(Cause.WAY_TO_SERVICE_BLOCKED, Cause.NODE_NOT_SCRAPED, Cause.LARGE_PACKETS_LOST),
    ),
    Rule(
        Cause.LARGE_PACKETS_LOST,
        way.large_lost,
        (HopId.ALIVE, HopId.LARGE),
        rivals=_SANE_NODES,
        explains=(Cause.NODE_NOT_SCRAPED,),
    ),
    Rule(
        Cause.NO_ROUTE_TO_SERVICE_NETWORK,
        way.no_route_to_service,
        (HopId.EGRESS, HopId.ROUTE, HopId.DIAL, HopId.BACKEND),
    ),
    Rule(
        Cause.NO_ROUTE_TO_POD_NETWORK,
        way.no_route_to_pods,
        (HopId.EGRESS, HopId.ROUTE, HopId.DIAL, HopId.BACKEND),
    ),
    Rule(
        Cause.WAY_TO_SERVICE_BLOCKED,
        way.way_blocked,
        (HopId.EGRESS, HopId.ROUTE, HopId.DIAL, HopId.ALIVE),
        rivals=(*_SANE_NODES, Cause.CROSS_NODE_TRAFFIC_CUT),
        explains=(Cause.CROSS_NODE_TRAFFIC_CUT,),
    ),
    Rule(
        Cause.NODE_NOT_SCRAPED,
        way.not_scraped,
        (HopId.SCRAPING, HopId.DATA),
        rivals=(*_SANE_NODES, Cause.CROSS_NODE_TRAFFIC_CUT, Cause.KUBELET_UNREACHABLE_FROM_PODS),
    ),
    Rule(
        Cause.HEALTHY,
        _healthy,
        (
            HopId.API_SERVER,
            HopId.NODES,
            HopId.BACKEND,
            HopId.ALIVE,
            HopId.SCRAPING,
            HopId.SERVICE,
            HopId.EGRESS,
            HopId.TUNNEL,
            HopId.DIAL,
            HopId.PATH,
            HopId.LARGE,
            HopId.CONDITION,
            HopId.DATA,
        ),
        rivals=(Cause.CLOCK_SKEW,),
    ),
    Rule(
        Cause.SETTLING,
        _settling,
        (
            HopId.BACKEND,
            HopId.SERVICE,
            HopId.EGRESS,
            HopId.TUNNEL,
            HopId.DIAL,
            HopId.CONDITION,
        ),
        rivals=(
            Cause.NETWORKS_OVERLAP,
            Cause.NODE_NOT_READY,
            Cause.IMAGE_MISSING,
            Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
            Cause.KUBELET_UNREACHABLE_FROM_PODS,
        ),
    ),
)
