"""Some nodes have no figures while others do."""

from __future__ import annotations

from harness.diagnose import findings, scrapes
from harness.diagnose.causes import kubelet_unreachable_from_pods
from harness.diagnose.causes.kind import METRICS_SERVER_ISSUES, SANE_NODES, SCRAPES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.failures import FailedOf
from harness.diagnose.model import HopId, Hops
from harness.probe import metrics_data, top_nodes, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether some nodes have no figures while others do."""
    top = facts.one(top_nodes.PROBE)
    metrics = facts.one(metrics_data.PROBE)
    failing = scrapes.failing_scrapes(facts)
    missing = scrapes.missing_figures(facts)
    names = {node.name for node in facts.one(workloads.NODES) or ()}
    if failing and set(failing) < names:
        return True if names - set(failing) <= scrapes.scraped(facts) else None
    served = metrics is not None and metrics.answered
    served = served or (top is not None and bool(top.nodes))
    partial = bool(missing) and set(missing or ()) < names and served
    if partial and failing is None:
        return not _lately(facts)
    return None if failing is None and missing is None else False


def _lately(facts: Facts) -> bool:
    """Whether metrics-server or a node began so lately that figures may still be missing."""
    pod = findings.metrics_pod(facts)
    since = [pod.running_since] if pod is not None else []
    since += [node.created for node in facts.one(workloads.NODES) or ()]
    return any(findings.is_young(facts, each) for each in since)


def _remedy(facts: Facts) -> str:
    """Return the way past a firewall only where it was not seen that the kubelets answer."""
    failing = scrapes.failing_scrapes(facts) or {}
    names = set(failing) or set(scrapes.missing_figures(facts) or ())
    asked = scrapes.kubelets(facts)
    lost = scrapes.failing_of(facts, FailedOf.NETWORK)
    if lost or not all(name in asked and asked[name].answered for name in names):
        return kubelet_unreachable_from_pods.remedy(facts)
    return "\n".join(
        f"{name}'s kubelet answers, so no firewall: see what figures it has with kubectl get --raw "
        f"/api/v1/nodes/{name}/proxy/metrics/resource, and why there with journalctl -u k0sworker"
        for name in sorted(names)
    )


KIND = CauseKind(
    Cause.NODE_NOT_SCRAPED,
    "some nodes have no figures while others do",
    _shown,
    (HopId.SCRAPING, HopId.DATA),
    rivals=(
        *SANE_NODES,
        *SCRAPES,
        Cause.CROSS_NODE_TRAFFIC_CUT,
        Cause.LARGE_PACKETS_LOST,
        Cause.KUBELET_UNREACHABLE_FROM_PODS,
    ),
    passes=True,
    by_the_log=True,
    remedy=_remedy,
    link=METRICS_SERVER_ISSUES,
)
