"""Nodes have figures, and their pods have none."""

from __future__ import annotations

from harness.diagnose import pod_figures
from harness.diagnose.causes.kind import METRICS_SERVER_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether all nodes have figures, and the pods of one have none and should have."""
    lacking = pod_figures.lacking(facts)
    if not lacking:
        return None if lacking is None else False
    lately = pod_figures.counted_lately(facts)
    return None if lately is None else not lately


def _remedy(facts: Facts) -> str:
    nodes = list(pod_figures.lacking(facts) or ())
    where = ", ".join(nodes)
    return (
        f"see what the kubelet of {where} says of pods: kubectl get --raw "
        f"/api/v1/nodes/{next(iter(nodes), 'NODE')}/proxy/metrics/resource | grep ^container_ (a "
        "pod has figures where each of its containers has both, cpu_usage and "
        "memory_working_set)\n"
        f"what is missing there the container runtime does not count: see on {where} whether "
        "containers' cgroups are there and nothing is mounted over them (mount | grep kubepods), "
        "whether the kernel accounts for memory (grep memory /proc/cgroups ends with 1), and, "
        "where it is not k0s's own containerd, whether that runtime gives statistics"
    )


def _side_facts(facts: Facts) -> tuple[str, ...]:
    where = ", ".join(pod_figures.lacking(facts) or ())
    return (f"the network is not it: metrics-server has {where}'s own figures by the same request",)


KIND = CauseKind(
    Cause.PODS_WITHOUT_FIGURES,
    "nodes have figures, and their pods have none",
    _shown,
    (HopId.SCRAPING, HopId.DATA),
    rivals=SANE_NODES,
    passes=True,
    remedy=_remedy,
    link=METRICS_SERVER_ISSUES,
    side_facts=_side_facts,
)
