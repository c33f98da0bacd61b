"""The pod is reached from its own node and not from another."""

from __future__ import annotations

from harness.cni import CNIS
from harness.diagnose import findings, node_state
from harness.diagnose.causes.kind import SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import https, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether the pod is reached from its own node and from another one is not."""
    pod = findings.pod_target(facts)
    if pod is None:
        return None
    own = facts.machine_of(pod[2])
    reached = {name: _reaches_pod(facts, name, pod[:2]) for name in facts.workers}
    away = [value for name, value in reached.items() if name != own]
    if not any(value is False for value in away):
        return None if any(value is None for value in away) else False
    at_home = reached.get(own or "")
    agents = {name for name, _ in facts.to(https.AGENT_PAYLOAD)}
    if at_home and agents and findings.agent_reaches(facts, own or "", *pod[:2]) is None:
        return None
    if at_home is None and own is not None:
        health = facts.to(https.HEALTH).get((own, pod[0]))
        at_home = health.livez > 0 if health is not None else None
    if at_home is not True:
        return at_home
    isolated = findings.isolated(facts)
    return None if isolated is None else not isolated


def _reaches_pod(facts: Facts, worker: str, pod: tuple[str, int]) -> bool | None:
    """Whether a worker and, where it was asked, its agent connect to metrics-server's pod."""
    ways = (
        findings.reaches(facts, worker, *pod),
        findings.agent_reaches(facts, worker, *pod),
    )
    seen = [each for each in ways if each is not None]
    return all(seen) if seen else None


def _remedy(facts: Facts) -> str:
    networks = [
        f"{node.pod_cidr} via {node.addresses[0]}"
        for node in facts.one(workloads.NODES) or ()
        if node.pod_cidr and node.addresses
    ]
    overlays = ", ".join(f"{each.title}: {each.overlay}" for each in CNIS if each.overlay)
    foreign = (
        "where a cloud drops addresses that it did not give out (packets with pods' addresses), "
        f"turn the source/destination check of the workers' interfaces off, or tunnel: {overlays}"
    )
    if _only_pods_are_cut(facts):
        foreign = f"workers get there and their pods do not: {foreign}"
    wants = [f"{each.title} wants {each.between_nodes}" for each in CNIS[:1]]
    wants += [f"{each.title} {each.between_nodes}" for each in CNIS[1:] if each.between_nodes]
    return (
        "let workers forward pods' traffic to each other: on each, ip route shows the others' pod "
        f"networks ({', '.join(networks)}), and the firewall forwards them\n"
        f"{', '.join(wants)}\n{foreign}"
    )


def _only_pods_are_cut(facts: Facts) -> bool:
    """Whether every worker itself connects to the pod, so that addresses of pods are the matter."""
    pod = findings.pod_target(facts)
    hosts = [findings.reaches(facts, name, *pod[:2]) for name in facts.workers] if pod else []
    return bool(hosts) and all(hosts)


def _side_facts(facts: Facts) -> tuple[str, ...]:
    return tuple(
        f"{name} drops on {', '.join(interfaces)} what it would answer another way (rp_filter is 1)"
        for name, interfaces in node_state.strict(facts).items()
    )


KIND = CauseKind(
    Cause.CROSS_NODE_TRAFFIC_CUT,
    "the pod is reached from its own node and not from another",
    _shown,
    (HopId.ALIVE, HopId.PATH),
    rivals=(*SANE_NODES, Cause.NETWORKS_OVERLAP),
    explains=(Cause.WAY_TO_SERVICE_BLOCKED, Cause.NODE_NOT_SCRAPED, Cause.LARGE_PACKETS_LOST),
    passes=True,
    remedy=_remedy,
    link="https://docs.k0sproject.io/stable/networking/",
    side_facts=_side_facts,
)
