"""metrics-server is there and not Ready."""

from __future__ import annotations

from harness.diagnose import findings, last_words, places, settling, turned_away
from harness.diagnose.causes import pod_not_started
from harness.diagnose.causes.kind import SCRAPES, CauseKind
from harness.diagnose.causes.pods_not_admitted import waits_for_tunnel
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, does_hold
from harness.probe import objects, workloads
from harness.probe.workloads import Pod
from harness.vocabulary.words import Cause

_KILLED_FOR_MEMORY = "OOMKilled"


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether metrics-server is there and not Ready, and has had its time."""
    pods = settling.none_ready(facts)
    if pods is None:
        return None
    if settling.starting(facts) or (pods and turned_away.metrics_server_too(facts)):
        return False
    if not pods and facts.one(workloads.PODS) != ():
        return False
    if all(not pod.scheduled for pod in pods) and not _seen_to_work(facts):
        return None
    if pods:
        again = settling.scraping_again(facts)
        return None if again is None else not again
    # A Deployment without pods is neither missing nor ready; one whose pods wait for the tunnel is
    # what that leads to.
    return does_hold(hops, HopId.API_SERVER) and not waits_for_tunnel(facts, hops)


def _seen_to_work(facts: Facts) -> bool:
    """Whether it was seen what makes pods and what places them."""
    return facts.one(objects.DEPLOYMENT) is not None and findings.renewed(facts) is not None


def _remedy(facts: Facts) -> str:
    pod, deployment = findings.metrics_pod(facts), facts.one(objects.DEPLOYMENT)
    namespace = facts.led.namespace
    steps = []
    if pod is not None and pod.ended == _KILLED_FOR_MEMORY:
        steps.append("it was killed for memory: raise its container's memory limit")
    if deployment is not None and deployment.by_k0s and deployment.edited:
        steps.append(
            f"if it is for what was changed in its Deployment ({', '.join(deployment.edited)}): "
            f"kubectl -n {namespace} delete deployment {deployment.name}, then "
            f"{places.applied_again(facts)}"
        )
    if pod is None:
        name = (deployment.name if deployment is not None else "") or facts.led.name
        steps.append(
            "see why its Deployment makes no pod: kubectl -n "
            f"{namespace} describe deployment,replicaset {name}"
        )
    else:
        which = "-l k8s-app=metrics-server" if facts.led.own else pod.name
        steps.append(f"look at the metrics-server pod: kubectl -n {namespace} describe pod {which}")
    return "\n".join(steps)


def _side_facts(facts: Facts) -> tuple[str, ...]:
    pod = findings.metrics_pod(facts)
    said = last_words.crash(facts)
    found = [_ended(pod)] if pod is not None and pod.exit_code is not None else []
    return (*found, *((f"its last words: {said}",) if said is not None else ()))


def _ended(pod: Pod) -> str:
    images = ", ".join(pod.images)
    return f"its container ({images}) ended with {pod.ended or 'no reason'}, {pod.exit_code}"


def _not_seen(facts: Facts) -> tuple[str, ...]:
    """Return that why a kubelet starts none of its containers was not asked."""
    pod = findings.metrics_pod(facts)
    if pod is None or not pod.unstarted or pod_not_started.told(facts) is not None:
        return ()
    return (f"what the kubelet of {pod.node} says of its pod (Events)",)


KIND = CauseKind(
    Cause.METRICS_SERVER_NOT_READY,
    "metrics-server is there and not Ready",
    _shown,
    (HopId.BACKEND, HopId.SERVICE),
    rivals=(
        Cause.NODE_NOT_READY,
        Cause.METRICS_SERVER_MISSING,
        Cause.PODS_NOT_ADMITTED,
        Cause.CONTROLLERS_STOPPED,
        Cause.METRICS_SERVER_FORBIDDEN,
        Cause.APISERVER_UNREACHABLE_FROM_PODS,
        Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
        *SCRAPES,
        Cause.KUBELET_UNREACHABLE_FROM_PODS,
    ),
    passes=True,
    backend_down=True,
    remedy=_remedy,
    side_facts=_side_facts,
    not_seen=_not_seen,
)
