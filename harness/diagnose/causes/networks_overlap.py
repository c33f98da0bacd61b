"""The cluster's networks overlap each other or the machines'."""

from __future__ import annotations

from harness.diagnose import node_findings
from harness.diagnose.causes.kind import BACKEND, NETWORK, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether the cluster's networks overlap each other or the machines'."""
    found = node_findings.overlaps(facts)
    return None if found is None else bool(found)


def _remedy(facts: Facts) -> str:
    found = "; ".join(node_findings.overlaps(facts) or ())
    return (
        f"choose spec.network.podCIDR and serviceCIDR apart from the machines' networks ({found}); "
        "they cannot be changed later: it takes a new cluster"
    )


KIND = CauseKind(
    Cause.NETWORKS_OVERLAP,
    "the cluster's networks overlap each other or the machines'",
    _shown,
    (HopId.API_SERVER, HopId.NODES),
    rivals=(Cause.NODE_ADDRESSES_WRONG,),
    explains=(*NETWORK, *BACKEND, Cause.NODE_NOT_READY),
    backend_down=True,
    remedy=_remedy,
    link="https://docs.k0sproject.io/stable/configuration/#specnetwork",
)
