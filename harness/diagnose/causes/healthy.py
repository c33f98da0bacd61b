"""Every hop holds, and the figures are there."""

from __future__ import annotations

from harness.diagnose import scrapes
from harness.diagnose.causes.agents_reach_too_few_servers import unseen_may_pass
from harness.diagnose.causes.kind import CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, HopState, does_hold, state_of
from harness.probe import apiservice, https, workloads
from harness.vocabulary.words import Cause

_REQUESTS = {each.name for each in (https.PAYLOAD, https.AGENT_PAYLOAD, https.KUBELET)}


def _shown(facts: Facts, hops: Hops) -> bool | None:
    nodes = facts.one(workloads.NODES)
    if facts.one(apiservice.PROBE) is None or nodes is None:
        return None
    if any(hop.state is HopState.BROKEN for hop in hops.values()):
        return False
    if unseen_may_pass(facts):
        return None
    # A machine that had no time for a request does not show that the way is there.
    if any(
        https.timed_out(facts.readings[look])
        for look in facts.unseen_at
        if look[0].partition(":")[0] in _REQUESTS
    ):
        return None
    # Figures outlive a kubelet's port by half a minute; only a request tells.
    asked = set(scrapes.kubelets(facts))
    if state_of(hops, HopId.DATA) is HopState.NOT_SEEN or (
        asked and not asked >= {node.name for node in nodes if node.ready}
    ):
        return None
    return does_hold(hops, HopId.CONDITION)


KIND = CauseKind(
    Cause.HEALTHY,
    "every hop holds, and the figures are there",
    _shown,
    (
        HopId.API_SERVER,
        HopId.NODES,
        HopId.BACKEND,
        HopId.ALIVE,
        HopId.SCRAPING,
        HopId.SERVICE,
        HopId.EGRESS,
        HopId.TUNNEL,
        HopId.MESH,
        HopId.DIAL,
        HopId.PATH,
        HopId.LARGE,
        HopId.CONDITION,
        HopId.DATA,
    ),
    rivals=(
        Cause.CLOCK_SKEW,
        Cause.AGENTS_REACH_TOO_FEW_SERVERS,
        Cause.PODS_WITHOUT_FIGURES,
    ),
)
