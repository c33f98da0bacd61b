"""metrics-server may not read what it needs of the API server."""

from __future__ import annotations

from harness.diagnose import findings, last_words, places, scrapes
from harness.diagnose.causes.kind import BACKEND, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import workloads
from harness.vocabulary.words import Cause

# What lets it read them, in k0s's manifests and in the project's own.
_BINDINGS = {
    "configmaps": "RoleBinding kube-system/metrics-server-auth-reader",
    "subjectaccessreviews": "ClusterRoleBinding metrics-server:system:auth-delegator",
    "tokenreviews": "ClusterRoleBinding metrics-server:system:auth-delegator",
}
_READS = "ClusterRole system:metrics-server and the ClusterRoleBinding of that name"


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether metrics-server says what it may not do, and does not serve for it."""
    pods = facts.one(workloads.PODS)
    if pods is None:
        return None
    if any(pod.ready for pod in pods) and not scrapes.suffers(facts):
        return False
    return None if last_words.unread(facts) else last_words.forbidden(facts) is not None


def _binding(facts: Facts) -> str:
    found = last_words.forbidden(facts)
    return _BINDINGS.get(found.resource, _READS) if found is not None else _READS


def _remedy(facts: Facts) -> str:
    kind, _, name = _binding(facts).partition(" ")
    pod = findings.metrics_pod(facts)
    account = f"{facts.led.namespace}/{pod.account or 'metrics-server' if pod else ''}"
    if not facts.led.own:
        return (
            f"{kind} {name} has to name the ServiceAccount {account}: apply again the chart or the "
            "manifests that it came from"
        )
    return (
        f"see whether {kind} {name} is there and names the ServiceAccount {account}\n"
        f"where it is gone: {places.applied_again(facts)}; where it was edited, delete it first\n"
        "and then kubectl -n kube-system delete pod -l k8s-app=metrics-server"
    )


def _side_facts(facts: Facts) -> tuple[str, ...]:
    found = last_words.forbidden(facts)
    return (f"its last words: {found.text}", f"{_binding(facts)} lets it") if found else ()


KIND = CauseKind(
    Cause.METRICS_SERVER_FORBIDDEN,
    "metrics-server may not read what it needs of the API server",
    _shown,
    (HopId.BACKEND,),
    rivals=(Cause.NODE_NOT_READY,),
    explains=(*BACKEND, Cause.WAY_TO_SERVICE_BLOCKED, Cause.LARGE_PACKETS_LOST),
    passes=True,
    backend_down=True,
    remedy=_remedy,
    side_facts=_side_facts,
    link="https://kubernetes.io/docs/reference/access-authn-authz/rbac/",
)
