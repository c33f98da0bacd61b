"""metrics-server is not installed, or scaled to nothing."""

from __future__ import annotations

from harness.diagnose.causes.kind import BACKEND, K0S_ISSUES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import apiservice, objects, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether metrics-server is not installed, or scaled to nothing."""
    deployment = facts.one(objects.DEPLOYMENT)
    pods = facts.one(workloads.PODS)
    if facts.one(apiservice.PROBE) is None:
        # It may be another one that counts.
        return False if pods else None
    if deployment is not None:
        return not deployment.exists or deployment.replicas == 0
    # A Deployment that makes no pods (its controller is off, or may not) would look the same.
    return False if pods else None


def _remedy(facts: Facts) -> str:
    deployment = facts.one(objects.DEPLOYMENT)
    if deployment is not None and deployment.exists:
        name = deployment.name or "metrics-server"
        return f"kubectl -n {facts.led.namespace} scale deployment {name} --replicas=1"
    service = facts.one(workloads.SERVICE)
    if service is not None and service.exists and not service.by_k0s:
        labels = ",".join(f"{key}={value}" for key, value in service.selector)
        return (
            f"no Deployment of {facts.led.namespace} makes pods with {labels}, which Service "
            f"{facts.led.name} picks: install metrics-server there again, as it was, or correct "
            "the selector\n"
            "or let k0s's own serve it: delete that Service and APIService "
            f"{apiservice.METRICS_API}, and remove metrics-server from --disable-components"
        )
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
