"""A node does not translate the ClusterIP to the pod behind it."""

from __future__ import annotations

from harness.diagnose import findings, node_state
from harness.diagnose.causes.kind import SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, does_hold
from harness.vocabulary.words import Cause


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether a worker gets to the pod and not to its ClusterIP, and its rules say why."""
    found = node_state.untranslated(facts)
    if not found or not does_hold(hops, HopId.SERVICE):
        return False
    if _wrong(facts):
        return True
    # Rules that are right leave it to something else; rules that were not seen leave it open.
    return None if any(each is None or not each.asked for each in found.values()) else False


def _wrong(facts: Facts) -> dict[str, str]:
    found = node_state.untranslated(facts)
    said = {
        name: node_state.wrong_rules(facts, rules)
        for name, rules in found.items()
        if rules is not None
    }
    return {name: each for name, each in said.items() if each}


def _remedy(facts: Facts) -> str:
    wrong = _wrong(facts)
    service = findings.service_target(facts)
    assert service is not None
    foreign = {
        name: rules.foreign
        for name, rules in node_state.untranslated(facts).items()
        if rules is not None and rules.foreign
    }
    if foreign:
        rules = next(iter(foreign.values()))
        return (
            f"on {', '.join(foreign)} remove the rules for {service[0]} that are not kube-proxy's "
            f"({'; '.join(rules)}), and whoever makes them\n"
            "packets pass the rules of all backends, and each tool shows its own only: "
            "iptables-nft-save, iptables-legacy-save, nft list ruleset"
        )
    return (
        f"make kube-proxy on {', '.join(wrong)} write its rules again: kubectl -n kube-system "
        "delete pod -l k8s-app=kube-proxy --field-selector "
        f"spec.nodeName={next(iter(wrong))}\n"
        "where there is no such pod: kubectl -n kube-system describe daemonset kube-proxy; if it "
        "was disabled (--disable-components=kube-proxy), something else has to do its work"
    )


def _side_facts(facts: Facts) -> tuple[str, ...]:
    return tuple(f"on {name} {each}" for name, each in _wrong(facts).items())


KIND = CauseKind(
    Cause.CLUSTER_IP_NOT_TRANSLATED,
    "a node does not translate the ClusterIP to the pod behind it",
    _shown,
    (HopId.SERVICE, HopId.PATH),
    rivals=SANE_NODES,
    explains=(Cause.WAY_TO_SERVICE_BLOCKED, Cause.LARGE_PACKETS_LOST),
    passes=True,
    remedy=_remedy,
    link="https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/#is-kube-proxy-working",
    side_facts=_side_facts,
)
