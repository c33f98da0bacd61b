"""A node is not Ready."""

from __future__ import annotations

from harness.diagnose import findings, places
from harness.diagnose.causes.kind import BACKEND, NETWORK, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import workloads
from harness.vocabulary.words import Cause

# What a kubelet says while no network plugin has put its configuration on the node.
_NO_NETWORK = "NetworkPluginNotReady"


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether a node is not Ready that has had its time."""
    nodes = facts.one(workloads.NODES)
    if nodes is None:
        return None
    down = [node for node in nodes if not node.ready]
    return any(not findings.is_young(facts, node.created) for node in down)


def _remedy(facts: Facts) -> str:
    down = [node for node in facts.one(workloads.NODES) or () if not node.ready]
    no_network = [node.name for node in down if _NO_NETWORK in node.trouble]
    lines = [
        f"see why the network provider has not set {name} up: {places.network_pods(name)}, "
        "and kubectl describe and the log of its pod there"
        for name in no_network
    ]
    others = ", ".join(node.name for node in down if node.name not in no_network)
    if others:
        lines.append(f"on {others}: systemctl status k0sworker; journalctl -u k0sworker -n 50")
    return "\n".join(lines)


KIND = CauseKind(
    Cause.NODE_NOT_READY,
    "a node is not Ready",
    _shown,
    (HopId.NODES,),
    rivals=(Cause.CLOCK_SKEW,),
    explains=(*NETWORK, *BACKEND),
    passes=True,
    backend_down=True,
    remedy=_remedy,
)
