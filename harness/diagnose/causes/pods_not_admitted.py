"""No pod of metrics-server may be made."""

from __future__ import annotations

import re

from harness.diagnose import places
from harness.diagnose.causes.kind import BACKEND, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.messages import classify
from harness.diagnose.model import HopId, Hops, HopState, state_of
from harness.probe import objects, workloads
from harness.vocabulary.words import Cause, MessageClass

_QUOTA = re.compile(r"exceeded quota: ([^\s,]{1,253})")
_LEVEL = re.compile(r'violates PodSecurity "([^":]{1,63})')
_WEBHOOK = re.compile(r'(?:failed calling|admission) webhook "([^"]{1,253})"')
_LIMIT = re.compile(r"(?:maximum|minimum) [\w.-]+ usage per")


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether there is no pod, and the Deployment says why none may be made."""
    pods, deployment = facts.one(workloads.PODS), facts.one(objects.DEPLOYMENT)
    if pods:
        return False
    if pods is None or deployment is None:
        return None
    waits = waits_for_tunnel(facts, hops)
    return None if waits is None else bool(deployment.failure) and not waits


def waits_for_tunnel(facts: Facts, hops: Hops) -> bool | None:
    """Whether no pod may be made since the API server reaches a webhook through no agent.

    What is said of it outlives the tunnel's outage: it is tried again later and later.
    """
    if not _was_without_agents(facts):
        return False
    tunnel = state_of(hops, HopId.TUNNEL)
    return None if tunnel is HopState.NOT_SEEN else tunnel is HopState.BROKEN


def _was_without_agents(facts: Facts) -> bool:
    deployment = facts.one(objects.DEPLOYMENT)
    return deployment is not None and classify(deployment.failure) is MessageClass.NO_AGENT


def _not_seen(facts: Facts) -> tuple[str, ...]:
    """Return that the webhook may be reached again, where no agent led to it."""
    return ("whether the webhook is reached now",) if _was_without_agents(facts) else ()


def _remedy(facts: Facts) -> str:
    deployment = facts.one(objects.DEPLOYMENT)
    said = deployment.failure if deployment is not None else ""
    namespace = facts.led.namespace
    what = _why(said, namespace)
    if what is None and "service account" in said:
        what = f"its ServiceAccount is gone: {places.applied_again(facts)}"
    if what is None:
        what = "the API server refuses the pod: change what its sentence names"
    name = (deployment.name if deployment is not None else "") or facts.led.name
    return (
        f"{what}\nit is tried again by itself, later and later; at once with kubectl -n "
        f"{namespace} rollout restart deployment/{name}"
    )


def _why(said: str, namespace: str) -> str | None:
    """Return which admission refuses the pod, and how it is let in."""
    if (found := _QUOTA.search(said)) is not None:
        return (
            f"ResourceQuota {found[1]} of {namespace} has no room for it: raise it (kubectl -n "
            f"{namespace} edit quota {found[1]}), or delete it"
        )
    if (found := _LEVEL.search(said)) is not None:
        return (
            f"PodSecurity {found[1]} of namespace {namespace} refuses it: kubectl label namespace "
            f"{namespace} pod-security.kubernetes.io/enforce=privileged --overwrite"
        )
    if (found := _WEBHOOK.search(said)) is not None:
        return (
            f"webhook {found[1]} stands in the way: bring back what answers it, or exempt "
            f"{namespace} by its namespaceSelector, or delete its configuration (kubectl get "
            "validatingwebhookconfigurations,mutatingwebhookconfigurations -o yaml names it)"
        )
    if _LIMIT.search(said) is not None:
        return f"a LimitRange of {namespace} refuses it: kubectl -n {namespace} get limitrange"
    return None


KIND = CauseKind(
    Cause.PODS_NOT_ADMITTED,
    "no pod of metrics-server may be made",
    _shown,
    (HopId.BACKEND,),
    explains=BACKEND,
    passes=True,
    backend_down=True,
    remedy=_remedy,
    not_seen=_not_seen,
    link="https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/",
)
