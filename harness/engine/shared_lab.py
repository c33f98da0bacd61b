"""A lab with a cluster on it, between two scenarios that begin in the same state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.artifacts.model import Artifact, ArtifactKind
from harness.changes.deployment import Deployment
from harness.changes.footprint import Footprint
from harness.lab.lab import Lab
from harness.plan.model import MachinePlan, Plan
from harness.providers.base import ProviderChoice
from harness.vocabulary.version import K0sVersion


@dataclass(frozen=True)
class StartState:
    """What a scenario's cluster is before the first change: equal ones may share a lab."""

    k0s_version: K0sVersion
    machines: tuple[MachinePlan, ...]
    deployment: Deployment
    same_nat_address: bool

    @property
    def key(self) -> str:
        """What two states have in common only if they are the same, in every process."""
        return canonical(asdict(self))


@dataclass(frozen=True)
class SharedLab:
    """A lab whose last scenario gave it back as it had got it, or that is put back to that.

    `scenario` is the last one's name. `endpoint_ready` is when metrics-server's endpoint became
    ready, on the clock that times the runs; None where it is not. `footprint` is how everything
    was, where the lab may be left to another command. `saved` is when its machines were saved with
    their memory, in ISO 8601, empty where they were not: they are restored before they are used.
    """

    scenario: str
    start: StartState
    choice: ProviderChoice
    lab: Lab
    artifacts: Mapping[ArtifactKind, Artifact]
    endpoint_ready: float | None
    footprint: Footprint | None = None
    saved: str = ""

    @property
    def stood_on(self) -> str:
        """What the verdicts of the next scenario stand on, in words."""
        if self.saved:
            return f"{self.scenario}, restored from their snapshot of {self.saved}"
        return f"{self.scenario}, found to be as before it"


def canonical(value: object) -> str:
    """Return plain data as JSON that is the same whatever order its sets and mappings have."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> Any:  # noqa: ANN401  # any JSON value
    return sorted(map(str, value)) if isinstance(value, frozenset) else str(value)


def start_state(plan: Plan) -> StartState:
    """Return what the plan's cluster is before the first change.

    Two plans have the same addresses as long as neither has a lab.
    """
    return StartState(
        plan.k0s_version, plan.machines, plan.start, plan.scenario.cluster.same_nat_address
    )
