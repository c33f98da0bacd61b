"""Turning a component on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from harness.changes.component import ComponentChange
from harness.changes.deployment import Deployment
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found


class EnableComponent(ComponentChange):
    """Turn a disabled k0s component on: the controller is reinstalled without its flag."""

    kind: ClassVar[str] = "enable_component"
    does: ClassVar[str] = (
        "turns a disabled component on: the controller is reinstalled without the flag"
    )

    def describe(self) -> str:
        return f"turn {self.component} on"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return (self._is_off(around),)

    def _is_off(self, around: Surroundings) -> Found:
        if around.disabled is not None and self.component not in around.disabled:
            yield (), f"{quoted(self.component)} is not disabled here"

    def deployed(self, deployment: Deployment, workers: Sequence[str]) -> Deployment:
        disabled = deployment.disabled_components - {self.component}
        return replace(deployment, disabled_components=disabled)
