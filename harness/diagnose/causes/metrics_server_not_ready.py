"""metrics-server is there and not Ready."""

from __future__ import annotations

from harness.diagnose import settling
from harness.diagnose.causes.kind import CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, does_hold
from harness.probe import workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether metrics-server is there and not Ready, and has had its time."""
    pods = settling.none_ready(facts)
    if pods is None:
        return None
    if settling.starting(facts):
        return False
    if pods:
        again = settling.scraping_again(facts)
        return None if again is None else not again
    # A Deployment without pods is neither missing nor ready.
    return facts.one(workloads.PODS) == () and does_hold(hops, HopId.API_SERVER)


def _remedy(_: Facts) -> str:
    return (
        "look at the metrics-server pod: kubectl -n kube-system describe pod "
        "-l k8s-app=metrics-server"
    )


KIND = CauseKind(
    Cause.METRICS_SERVER_NOT_READY,
    "metrics-server is there and not Ready",
    _shown,
    (HopId.BACKEND, HopId.SERVICE),
    rivals=(
        Cause.NODE_NOT_READY,
        Cause.METRICS_SERVER_MISSING,
        Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
        Cause.KUBELET_UNREACHABLE_FROM_PODS,
    ),
    passes=True,
    backend_down=True,
    remedy=_remedy,
)
