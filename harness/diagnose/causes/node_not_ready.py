"""A node is not Ready."""

from __future__ import annotations

from harness.diagnose import findings
from harness.diagnose.causes.kind import BACKEND, NETWORK, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether a node is not Ready that has had its time."""
    nodes = facts.one(workloads.NODES)
    if nodes is None:
        return None
    down = [node for node in nodes if not node.ready]
    return any(not findings.is_young(facts, node.created) for node in down)


def _remedy(facts: Facts) -> str:
    return (
        "on "
        + ", ".join(node.name for node in facts.one(workloads.NODES) or () if not node.ready)
        + ": systemctl status k0sworker; journalctl -u k0sworker -n 50"
    )


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
