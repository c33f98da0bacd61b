"""A machine's clock differs from the others'."""

from __future__ import annotations

from harness.diagnose import node_findings
from harness.diagnose.causes.kind import BACKEND, NETWORK, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether a machine's clock differs from the others'."""
    found = node_findings.skewed(facts)
    return None if found is None else bool(found)


def _remedy(facts: Facts) -> str:
    skewed = node_findings.skewed(facts) or {}
    return (
        f"set the time of {', '.join(skewed)} and keep it set (chrony or systemd-timesyncd: "
        "timedatectl set-ntp true), then restart k0s there"
    )


KIND = CauseKind(
    Cause.CLOCK_SKEW,
    "a machine's clock differs from the others'",
    _shown,
    (HopId.NODES,),
    explains=(
        *NETWORK,
        *BACKEND,
        Cause.NODE_NOT_READY,
        Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
    ),
    remedy=_remedy,
)
