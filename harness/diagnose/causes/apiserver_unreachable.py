"""The API server does not answer."""

from __future__ import annotations

from harness.diagnose import hops_backend, node_state
from harness.diagnose.causes.kind import CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import CAUSES, Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether the API server does not answer."""
    answered = hops_backend.answers(facts)
    return None if answered is None else not answered


def _remedy(_: Facts) -> str:
    return (
        "see whether it runs: on the controller, k0s status and journalctl -u k0scontroller -n 50"
    )


def _not_seen(facts: Facts) -> tuple[str, ...]:
    """Return that who asked may have had no time, where no machine shows that it had."""
    alone = hops_backend.says_nothing(facts) and not facts.controller
    return ("whether what asked the API server had the time for it",) if alone else ()


KIND = CauseKind(
    Cause.APISERVER_UNREACHABLE,
    "the API server does not answer",
    _shown,
    (HopId.API_SERVER,),
    explains=CAUSES,
    remedy=_remedy,
    side_facts=node_state.full_disks,
    not_seen=_not_seen,
)
