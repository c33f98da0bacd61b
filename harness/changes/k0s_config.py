"""Another configuration of k0s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, RootModel

from harness.changes.deployment import Deployment
from harness.changes.kind import DeploymentChange
from harness.vocabulary.cluster_config import ABSENT, PROVIDER, at, collisions, leaves, merged
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.part import Found


class K0sConfig(DeploymentChange, RootModel[Annotated[dict[str, Any], Field(min_length=1)]]):
    """Merge a fragment of a ClusterConfig over the running one, and restart the controller."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: ClassVar[str] = "k0s_config"
    verbatim: ClassVar[bool] = True
    body: ClassVar[str] = "{spec: …}"
    does: ClassVar[str] = "merges a fragment over the ClusterConfig, and restarts the controller"

    @property
    def fragment(self) -> dict[str, Any]:
        """The fragment, in k0s's words."""
        return self.root

    def describe(self) -> str:
        given = (f"{leaf.dotted}={leaf.value}" for leaf in leaves(self.fragment))
        return f"configure k0s with {', '.join(given)}"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return collisions(self.fragment, around.cluster.break_), self._provider()

    def _provider(self) -> Found:
        if at(self.fragment, PROVIDER) is not ABSENT:
            why = "k0s cannot change the network provider of a running cluster"
            yield PROVIDER, f"{why}; set it under `cluster.k0s`"

    def deployed(self, deployment: Deployment, workers: Sequence[str]) -> Deployment:
        return replace(deployment, fragment=merged(deployment.fragment, self.fragment))
