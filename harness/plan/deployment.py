"""What k0sctl is told in each phase: the cluster of the file, and the changes that are its own."""

from __future__ import annotations

from collections.abc import Iterator

from harness.changes.deployment import Deployment
from harness.changes.kind import DeploymentChange
from harness.changes.undo import UndoPhase
from harness.scenario.model import Scenario


def deployments(scenario: Scenario) -> Iterator[Deployment]:
    """Yield, for each phase in order, the state of k0sctl.yaml once the phase is entered."""
    cluster = scenario.cluster
    first = Deployment(
        disabled_components=frozenset(cluster.disable_components), fragment=cluster.k0s or {}
    )
    # Each with the phase that made it.
    made: list[tuple[str, DeploymentChange]] = []
    for phase in scenario.phases:
        for change in phase.change:
            if isinstance(change, UndoPhase):
                # What is left is made again from the start, so nothing of the phase remains.
                made = [each for each in made if each[0] != change.phase]
            elif isinstance(change, DeploymentChange):
                made.append((phase.name, change))
        deployment = first
        for _, change in made:
            deployment = change.deployed(deployment, cluster.worker_names)
        yield deployment
