"""No node takes metrics-server's pod."""

from __future__ import annotations

from harness.diagnose import findings, places, settling
from harness.diagnose.causes.kind import BACKEND, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import objects, workloads
from harness.vocabulary.words import Cause

_WELL_KNOWN = "node.kubernetes.io/"
_CORDON = f"{_WELL_KNOWN}unschedulable"
_PRESSURE = {
    f"{_WELL_KNOWN}disk-pressure": "free room on the disk",
    f"{_WELL_KNOWN}memory-pressure": "free memory",
    f"{_WELL_KNOWN}pid-pressure": "end processes",
}
_CLOUD = "node.cloudprovider.kubernetes.io/uninitialized"


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether the scheduler says why it does not place the pod, and no node has just joined."""
    pods = settling.none_ready(facts)
    if pods is None:
        return None
    pod = findings.metrics_pod(facts)
    return pod is not None and not pod.ready and bool(pod.unscheduled)


def _taints(facts: Facts, said: str) -> dict[str, list[str]]:
    """Return, by taint, the nodes that have it, of the taints that the scheduler speaks of."""
    found: dict[str, list[str]] = {}
    for node in facts.one(workloads.NODES) or ():
        for key in dict.fromkeys(node.taints):
            found.setdefault(key, []).append(node.name)
    named = {key: nodes for key, nodes in found.items() if key in said}
    if _CORDON in found and "unschedulable" in said:
        named[_CORDON] = found[_CORDON]
    return named or (found if "taint" in said else {})


def _remedy(facts: Facts) -> str:
    pod = findings.metrics_pod(facts)
    said = pod.unscheduled if pod is not None else ""
    steps = [_untaint(key, nodes) for key, nodes in _taints(facts, said).items()]
    if "no nodes available" in said:
        steps.append("no worker has joined: kubectl get nodes is empty")
    if "Insufficient" in said or "Too many pods" in said:
        steps.append("make room: kubectl describe nodes shows what is taken, or add a worker")
    if "affinity" in said or "selector" in said:
        steps.append(_selected(facts))
    return "\n".join(steps) or "do what the scheduler's sentence names"


def _untaint(key: str, nodes: list[str]) -> str:
    names = " ".join(nodes)
    if key == _CORDON:
        return f"kubectl uncordon {names}"
    if key in _PRESSURE:
        return (
            f"{_PRESSURE[key]} of {', '.join(nodes)}, or lower evictionHard in the workerProfile; "
            "the kubelet takes the taint away by itself (after 5 minutes)"
        )
    if key == _CLOUD:
        return (
            f"{', '.join(nodes)} wait for a cloud-controller-manager: run one, or take "
            "--enable-cloud-provider away from the workers' installFlags"
        )
    if key.startswith(_WELL_KNOWN):
        return f"see why {', '.join(nodes)} have the taint {key}: kubectl describe node {nodes[0]}"
    return (
        f"kubectl taint node {names} {key}-\nor, where the taint is meant to stay, add a worker "
        "without it"
    )


def _selected(facts: Facts) -> str:
    deployment = facts.one(objects.DEPLOYMENT)
    namespace = facts.led.namespace
    if deployment is not None and deployment.by_k0s and deployment.edited:
        return (
            f"kubectl -n {namespace} delete deployment {deployment.name}\n"
            f"then {places.applied_again(facts)}"
        )
    return "label a node as the pod's nodeSelector or affinity wants it, or change that"


def _side_facts(facts: Facts) -> tuple[str, ...]:
    pod = findings.metrics_pod(facts)
    said = pod.unscheduled if pod is not None else ""
    return tuple(f"{key} is on {', '.join(nodes)}" for key, nodes in _taints(facts, said).items())


KIND = CauseKind(
    Cause.POD_NOT_SCHEDULED,
    "no node takes metrics-server's pod",
    _shown,
    (HopId.BACKEND,),
    rivals=(Cause.NODE_NOT_READY,),
    explains=BACKEND,
    passes=True,
    backend_down=True,
    remedy=_remedy,
    side_facts=_side_facts,
    link="https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/",
)
