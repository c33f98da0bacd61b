"""metrics-server's pod has a node, and the kubelet there cannot start it."""

from __future__ import annotations

import re

from harness.diagnose import findings, places, settling
from harness.diagnose.causes.kind import BACKEND, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import objects, pod_events
from harness.probe.core import API
from harness.probe.pod_events import Warned
from harness.vocabulary.words import Cause

_MOST_SAID = 500
_NO_ADDRESS = re.compile(
    r"no IP addresses available|failed to allocate for range|no (?:more|free|available) IPs?\b"
    r"|address(?:es)? (?:pool )?(?:is |are )?exhausted|Unable to allocate",
    re.IGNORECASE,
)
_NETWORK = re.compile(r"failed to setup network for sandbox|network plugin|\bcni\b", re.IGNORECASE)
_SANDBOX_IMAGE = re.compile(r'failed to (?:get|pull) (?:and unpack )?(?:sandbox )?image "([^"]+)"')
_MISSING = re.compile(r'(configmap|secret|persistentvolumeclaim) "([^"]{1,253})" not found')


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether no pod is Ready, and a kubelet has failed for a while to start the one that counts.

    Kubelets try again by themselves, and the first tries on a new node may well fail.
    """
    pods = settling.none_ready(facts)
    if pods is None:
        return None
    pod = findings.metrics_pod(facts)
    if not pods or pod is None or not pod.unstarted or settling.starting(facts):
        return False
    warned = told(facts)
    return None if warned is None else bool(warned)


def told(facts: Facts) -> tuple[Warned, ...] | None:
    """Return what was warned of the pod that counts."""
    pod = findings.metrics_pod(facts)
    return facts.to(pod_events.PROBE).get((API, pod.uid)) if pod is not None else None


def _remedy(facts: Facts) -> str:
    pod, warned = findings.metrics_pod(facts), told(facts)
    node = pod.node if pod is not None else "the node"
    said = warned[-1].text if warned else ""
    if _NO_ADDRESS.search(said):
        return (
            f"{node} has no address left for pods: compare on it what is taken, ls "
            "/var/lib/cni/networks/*, with the addresses of its pods, kubectl get pods -A -o wide "
            f"--field-selector spec.nodeName={node}; a file there of an address that no pod has "
            "is left over and may be removed\n"
            "where all are in use: fewer pods there (maxPods of the workerProfile), or another "
            "worker"
        )
    if (found := _MISSING.search(said)) is not None:
        return _missing(facts, found[1], found[2])
    if (found := _SANDBOX_IMAGE.search(said)) is not None:
        return (
            f"get {found[1]} onto {node}: let it be pulled, or put it into an image bundle in "
            f"{places.data_dir(facts)}/images/ there and restart k0sworker"
        )
    if _NETWORK.search(said):
        return (
            f"see why the network provider on {node} gives the pod no network: "
            f"{places.network_pods(node)}, and the log of its pod there\n"
            "the kubelet tries again by itself, every few seconds"
        )
    return f"do what the kubelet's sentence names; more on {node}: journalctl -u k0sworker -n 100"


def _missing(facts: Facts, kind: str, name: str) -> str:
    deployment, namespace = facts.one(objects.DEPLOYMENT), facts.led.namespace
    if deployment is not None and deployment.by_k0s and deployment.edited:
        return (
            f"k0s's own pod wants no {kind} {name}: kubectl -n {namespace} delete deployment "
            f"{deployment.name}\nthen {places.applied_again(facts)}"
        )
    return f"make {kind} {name} in {namespace}, or take it out of the Deployment"


def _side_facts(facts: Facts) -> tuple[str, ...]:
    pod, warned = findings.metrics_pod(facts), told(facts)
    if pod is None or not warned:
        return ()
    return (f"the kubelet of {pod.node} says {warned[-1].reason}: {warned[-1].text[:_MOST_SAID]}",)


KIND = CauseKind(
    Cause.POD_NOT_STARTED,
    "a kubelet cannot start metrics-server's pod",
    _shown,
    (HopId.BACKEND,),
    rivals=(Cause.NODE_NOT_READY,),
    explains=BACKEND,
    passes=True,
    backend_down=True,
    remedy=_remedy,
    side_facts=_side_facts,
    link="https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/",
)
