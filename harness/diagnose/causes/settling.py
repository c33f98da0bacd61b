"""What is broken ends by itself."""

from __future__ import annotations

from harness.diagnose import (
    agent_findings,
    findings,
    hops_egress,
    node_findings,
    settling,
    turned_away,
)
from harness.diagnose.causes.agents_reach_too_few_servers import passing
from harness.diagnose.causes.kind import SCRAPES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, HopState
from harness.probe import apiservice, controlplane, konnectivity, objects
from harness.vocabulary.words import Cause

_AFTER_THE_WAY = frozenset({HopId.CONDITION, HopId.DATA})


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether what is broken ends by itself: something begins, or was not looked at again yet."""
    broken = {each for each, hop in hops.items() if hop.state is HopState.BROKEN}
    begun = settling.starting(facts) or settling.ready_again(facts)
    if broken and (begun or settling.scraping_again(facts) or settling.pod_changed(facts)):
        return True
    # While the konnectivity server starts, its agents have nowhere to connect to.
    again = settling.reconnecting(facts) or settling.restarted(facts) or _agents_begin(facts)
    tunnel = broken & {HopId.TUNNEL, HopId.MESH}
    if tunnel and (again or (HopId.MESH in tunnel and passing(facts))):
        broken -= tunnel
        if not broken - _AFTER_THE_WAY:
            return True
    if not broken or broken - _AFTER_THE_WAY:
        return False
    # The way is whole: the aggregator looks again within 30 s, figures want two scrapes. But only
    # where all of it was seen.
    seen = (
        facts.of_controller(controlplane.FLAGS) is not None
        and facts.one(apiservice.PROBE) is not None
    )
    seen = seen and not node_findings.uncovered(facts) and hops_egress.proxied(facts) is not None
    seen = seen and _is_k0ss_server(facts)
    unseen = [hop for hop in hops.values() if hop.state is HopState.NOT_SEEN]
    return True if seen and {hop.id for hop in unseen} <= {HopId.OTHERS} else None


def _agents_begin(facts: Facts) -> bool:
    """Whether agents that have just begun are seen to have a server to connect to."""
    if facts.one(objects.AGENTS) is None or not agent_findings.all_reach(facts):
        return False
    refused = turned_away.why(facts) is not None or turned_away.strangers(facts)
    return settling.agents_started(facts) and not refused


def _is_k0ss_server(facts: Facts) -> bool:
    """Whether agents are k0s's own server's: another one on its ports has agents as well."""
    server = facts.of_controller(konnectivity.PROCESSES)
    return server is not None or not findings.konnectivity(facts) or settling.known(facts)


def _remedy(_: Facts) -> str:
    return "look again then; if it says the same, it is none of the causes that are known here"


def _not_seen(facts: Facts) -> tuple[str, ...]:
    changed = settling.pod_changed(facts)
    return (f"the way to a pod that stays: {changed}",) if changed else ()


KIND = CauseKind(
    Cause.SETTLING,
    "what is broken ends by itself",
    _shown,
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
        Cause.CONTROLLERS_STOPPED,
        Cause.IMAGE_MISSING,
        Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
        Cause.KUBELET_UNREACHABLE_FROM_PODS,
        Cause.CERTIFICATE_NOT_TRUSTED,
        *SCRAPES,
        Cause.PODS_WITHOUT_FIGURES,
    ),
    remedy=_remedy,
    not_seen=_not_seen,
)
