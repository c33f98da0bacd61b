"""metrics-server is not installed, or scaled to nothing."""

from __future__ import annotations

from harness.diagnose.causes.kind import BACKEND, K0S_ISSUES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import objects, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether metrics-server is not installed, or scaled to nothing."""
    deployment = facts.one(objects.DEPLOYMENT)
    pods = facts.one(workloads.PODS)
    if deployment is not None:
        return not deployment.exists or deployment.replicas == 0
    # A Deployment that makes no pods (its controller is off, or may not) would look the same.
    return False if pods else None


def _remedy(facts: Facts) -> str:
    deployment = facts.one(objects.DEPLOYMENT)
    if deployment is not None and deployment.exists:
        return "kubectl -n kube-system scale deployment metrics-server --replicas=1"
    return (
        "metrics-server is not installed: remove metrics-server from --disable-components in the "
        "controller's installFlags and run k0sctl apply"
    )


KIND = CauseKind(
    Cause.METRICS_SERVER_MISSING,
    "metrics-server is not installed, or scaled to nothing",
    _shown,
    (HopId.BACKEND,),
    explains=BACKEND,
    passes=True,
    backend_down=True,
    remedy=_remedy,
    link=f"{K0S_ISSUES}1192",
)
