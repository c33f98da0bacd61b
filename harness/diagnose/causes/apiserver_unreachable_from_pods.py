"""metrics-server's pod does not reach the API server."""

from __future__ import annotations

from harness.diagnose import findings, last_words, places, settling
from harness.diagnose.causes.kind import BACKEND, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.k0s import API_PORT
from harness.probe import controlplane, objects
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether no pod is Ready, and the one that counts says that it does not get there."""
    pods = settling.none_ready(facts)
    if pods is None:
        return None
    if not pods:
        return False
    return None if last_words.unread(facts) else last_words.unreached(facts) is not None


def _remedy(facts: Facts) -> str:
    place, _ = last_words.unreached(facts) or ("the API server", "")
    pod = findings.metrics_pod(facts)
    node = pod.node if pod is not None and pod.node else "the pod's node"
    pods = facts.of_controller(controlplane.CLUSTER_CIDR) or "the pods' network"
    there = ", ".join(facts.one(objects.ADVERTISED) or ()) or places.controller_address(facts)
    return (
        f"on {node}: let pods ({pods}) reach {place}, and {there or 'the controllers'} TCP "
        f"{API_PORT} behind it: firewall (forwarded packets), and on the controllers from "
        f"{node}'s address\n"
        f"kube-proxy makes {place} lead there: kubectl -n kube-system get pods -o wide -l "
        "k8s-app=kube-proxy; its rules on the node: iptables-save | grep default/kubernetes"
    )


def _side_facts(facts: Facts) -> tuple[str, ...]:
    found = last_words.unreached(facts)
    return (f"its last words of {found[0]}: {found[1]}",) if found is not None else ()


KIND = CauseKind(
    Cause.APISERVER_UNREACHABLE_FROM_PODS,
    "metrics-server's pod does not reach the API server",
    _shown,
    (HopId.BACKEND,),
    rivals=SANE_NODES,
    explains=(*BACKEND, Cause.LARGE_PACKETS_LOST, Cause.WAY_TO_SERVICE_BLOCKED),
    passes=True,
    backend_down=True,
    remedy=_remedy,
    side_facts=_side_facts,
    link="https://docs.k0sproject.io/stable/networking/",
)
