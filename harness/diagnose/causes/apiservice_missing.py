"""The APIService does not exist."""

from __future__ import annotations

from harness.diagnose import places
from harness.diagnose.causes.kind import K0S_ISSUES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import apiservice
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether the APIService does not exist."""
    state = facts.one(apiservice.PROBE)
    return None if state is None else not state.exists


def _remedy(facts: Facts) -> str:
    # k0s applies a manifest again when its file changes, and not when its object is gone (seen on
    # v1.32.3+k0s.0: not within 60 s, and 4 s after the touch).
    manifests = f"{places.data_dir(facts)}/manifests/metricserver"
    return (
        f"metrics-server's APIService is gone: on {facts.controller or 'the controller'}: touch "
        f"{manifests}/*, after which k0s applies it again; without "
        "that folder remove metrics-server from --disable-components and run k0sctl apply"
    )


KIND = CauseKind(
    Cause.APISERVICE_MISSING,
    "the APIService does not exist",
    _shown,
    (HopId.CONDITION,),
    rivals=(Cause.METRICS_SERVER_MISSING,),
    passes=True,
    backend_down=True,
    remedy=_remedy,
    link=f"{K0S_ISSUES}1192",
)
