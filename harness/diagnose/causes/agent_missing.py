"""Some konnectivity agents are connected and others are not."""

from __future__ import annotations

from harness.diagnose import agent_findings, findings, mesh, settling
from harness.diagnose.causes import agents_cannot_connect
from harness.diagnose.causes.agents_reach_too_few_servers import unseen_may_pass
from harness.diagnose.causes.kind import K0S_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, is_broken
from harness.probe import objects, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether some agents are connected and others are not, or cannot be again."""
    on = findings.konnectivity(facts)
    if not on or findings.listens(facts) is False:
        return on and False
    if facts.controller in mesh.lacking(facts):
        # One that another controller's server has is there.
        return False
    if unseen_may_pass(facts):
        return None
    if _half_open(facts):
        return not (mesh.young_server(facts) or settling.restarted(facts))
    return _some_missing(facts, hops)


def _half_open(facts: Facts) -> tuple[str, ...]:
    """Return the workers whose agent is half open, and could connect again."""
    lost = agent_findings.lost(facts)
    return tuple(name for name in mesh.half_open(facts) if name not in lost)


def _some_missing(facts: Facts, hops: Hops) -> bool | None:
    agent_pods = facts.one(objects.AGENT_PODS)
    agents = findings.connected_agents(facts)
    lost = agent_findings.lost(facts)
    again = settling.reconnecting(facts)
    begins = settling.agents_started(facts) and not lost
    if agents == 0 or again or begins:
        return agent_pods == {} and not again
    if lost:
        return lost != set(findings.server_dials(facts))
    expected = findings.expected_agents(facts) or 0
    without = agent_pods is not None and len(agent_pods) < expected
    if agent_findings.some_connected(facts):
        return without or (None if again is None or agent_pods is None else True)
    if agents is not None:
        # A tunnel that is broken in another way is none of this.
        known = findings.expected_agents(facts) is not None
        return False if known and not is_broken(hops, HopId.TUNNEL) else None
    return without or (again is False and bool(findings.unconnected(facts))) or None


def _side_facts(facts: Facts) -> tuple[str, ...]:
    """Return where agents look for their server, and which are connected on one side only."""
    told = agents_cannot_connect.side_facts(facts)
    half_open = ", ".join(_half_open(facts))
    text = f"the agent on {half_open} was cut off on the server's side only, and does not notice"
    return (*told, text) if half_open else told


def _remedy(facts: Facts) -> str:
    half_open = _half_open(facts)
    if half_open:
        return "\n".join(agent_findings.delete_pod(facts, name) for name in half_open)
    agents = facts.one(objects.AGENT_PODS)
    without = [
        n.name
        for n in facts.one(workloads.NODES) or ()
        if agents is not None and n.name not in agents
    ]
    if without:
        return (
            f"no agent runs on {', '.join(without)}: "
            "kubectl -n kube-system describe daemonset konnectivity-agent"
        )
    lost = sorted(agent_findings.lost(facts)) or list(findings.unconnected(facts))
    if not lost:
        return (
            "see which worker's agent is not connected: on each worker "
            "tail /var/log/pods/kube-system_konnectivity-agent-*/*/*.log"
        )
    return f"only {', '.join(lost)} cannot: {agents_cannot_connect.remedy(facts, tuple(lost))}"


def _not_seen(facts: Facts) -> tuple[str, ...]:
    """Return that nobody tried whether agents could connect, where that was not seen."""
    return () if findings.server_dials(facts) else ("whether workers reach the server",)


KIND = CauseKind(
    Cause.AGENT_MISSING,
    "some konnectivity agents are connected and others are not",
    _shown,
    (HopId.EGRESS, HopId.TUNNEL),
    rivals=(*SANE_NODES, Cause.AGENTS_CANNOT_CONNECT),
    passes=True,
    remedy=_remedy,
    link=f"{K0S_ISSUES}1113",
    side_facts=_side_facts,
    not_seen=_not_seen,
)
