"""Controllers are configured unequally."""

from __future__ import annotations

from harness.diagnose import mesh
from harness.diagnose.causes.kind import CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether they are, in what has to be the same."""
    return mesh.unequal(facts)


def _remedy(facts: Facts) -> str:
    return (
        f"give {', '.join(facts.controllers)} one configuration: the same spec.k0s.config, and in "
        "each host's installFlags the same --disable-components; run k0sctl apply, then systemctl "
        "restart k0scontroller on each of them, one after the other"
    )


KIND = CauseKind(
    Cause.CONTROLLERS_DIFFER,
    "controllers are configured unequally",
    _shown,
    (HopId.MESH,),
    remedy=_remedy,
    link="https://docs.k0sproject.io/stable/high-availability/",
    side_facts=lambda facts: tuple(mesh.differences(facts)),
)
