"""What turning a component on and off have in common: their body is one word."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import ConfigDict, RootModel

from harness.changes.kind import DeploymentChange, Undo
from harness.vocabulary.fields import Word
from harness.vocabulary.words import Component


class ComponentChange(
    DeploymentChange, RootModel[Annotated[Component, Word(Component, "component")]]
):
    """A change whose body is one word: the component."""

    model_config = ConfigDict(frozen=True, strict=True)

    undo: ClassVar[Undo] = "none"
    body: ClassVar[str] = "NAME"

    @property
    def component(self) -> Component:
        """The component that is turned on or off."""
        return self.root
