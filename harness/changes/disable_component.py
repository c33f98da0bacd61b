"""Turning a component off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from harness.changes.component import ComponentChange
from harness.changes.deployment import Deployment
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found


class DisableComponent(ComponentChange):
    """Turn a k0s component off. What it had already installed stays behind in the cluster."""

    kind: ClassVar[str] = "disable_component"
    does: ClassVar[str] = "turns a component off; what it had installed stays in the cluster"

    def describe(self) -> str:
        return f"turn {self.component} off"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return (self._is_on(around),)

    def _is_on(self, around: Surroundings) -> Found:
        if around.disabled is not None and self.component in around.disabled:
            yield (), f"{quoted(self.component)} is already disabled here"

    def deployed(self, deployment: Deployment, workers: Sequence[str]) -> Deployment:
        disabled = deployment.disabled_components | {self.component}
        return replace(deployment, disabled_components=disabled)
