"""A node's table of connections takes no more."""

from __future__ import annotations

from harness.diagnose import node_state
from harness.diagnose.causes.kind import BACKEND, NETWORK, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether a node's table of connections is full."""
    return bool(node_state.full(facts))


def _remedy(facts: Facts) -> str:
    names = ", ".join(node_state.full(facts))
    return (
        f"on {names}: see who has so many: conntrack -L | awk '{{print $5}}' | sort | uniq -c | "
        "sort -n | tail; the kernel's log says: nf_conntrack: table full, dropping packet\n"
        "and if they are needed, raise net.netfilter.nf_conntrack_max (kube-proxy sets it at its "
        "start: spec.network.kubeProxy.extraArgs conntrack-max-per-core, conntrack-min)"
    )


KIND = CauseKind(
    Cause.CONNECTION_TABLE_FULL,
    "a node's table of connections takes no more",
    _shown,
    (HopId.NODES,),
    rivals=(Cause.NODE_ADDRESSES_WRONG, Cause.CLOCK_SKEW),
    explains=(*NETWORK, *BACKEND, Cause.NODE_NOT_READY),
    backend_down=True,
    remedy=_remedy,
)
