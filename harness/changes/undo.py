"""Taking back what an earlier phase changed; the rules on it are between phases."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict, RootModel

from harness.changes.kind import Change
from harness.vocabulary.fields import Name


class UndoPhase(Change, RootModel[Name]):
    """Take back what an earlier phase changed, and compare with what was before it."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: ClassVar[str] = "undo"
    body: ClassVar[str] = "PHASE"
    does: ClassVar[str] = (
        "takes back what an earlier phase changed, and compares with what was before it"
    )

    @property
    def phase(self) -> str:
        """The phase whose changes are taken back."""
        return self.root

    def describe(self) -> str:
        return f"take back what phase {self.phase} changed"
