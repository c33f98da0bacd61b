"""Nodes that have figures while none of their pods has: `kubectl top pods` is empty of them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.diagnose import findings, scrapes
from harness.diagnose.facts import Facts, once
from harness.probe import kubelets, metrics_data, workloads

# A kubelet finds its containers within some seconds, and figures want two scrapes after that.
_STARTED_SECONDS = 120


@once
def lacking(facts: Facts) -> Mapping[str, tuple[str, ...]] | None:
    """Return, by node with figures, its pods where they have run long enough and none has any.

    None where one of the two lists was seen and not the other: older walks have neither.
    """
    figures = facts.one(metrics_data.PODS)
    pods = facts.one(workloads.NODE_PODS)
    if (figures is not None and not figures.answered) or scrapes.missing_figures(facts):
        return {}
    if figures is None or pods is None:
        return None if figures is not None or pods is not None else {}
    old: dict[str, list[str]] = {}
    for pod in pods:
        if pod.ready and pod.node and not findings.is_young(facts, pod.running_since):
            old.setdefault(pod.node, []).append(pod.name)
    return {
        node: tuple(names) for node, names in sorted(old.items()) if not figures.pods & set(names)
    }


def counted_lately(facts: Facts) -> bool | None:
    """Whether who counts pods' figures began lately; None where a kubelet's start was not seen."""
    pod = findings.metrics_pod(facts)
    if pod is not None and findings.is_young(facts, pod.running_since):
        return True
    started = facts.on(kubelets.PROBE)
    found = [started.get(facts.machine_of(node) or "") for node in lacking(facts) or ()]
    if any(each is not None and each < _STARTED_SECONDS for each in found):
        return True
    return None if None in found else False
