"""How `k0sctl apply` ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from harness.expectations.kind import Expectation
from harness.vocabulary.fields import Word
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.part import Found
from harness.vocabulary.words import ApplyOutcome


class Apply(Expectation):
    """How `k0sctl apply` of the phase's configuration ends."""

    kind: ClassVar[str] = "apply"
    notes: ClassVar[Mapping[str, str]] = {
        "outcome": ", ".join(f"`{each}`" for each in ApplyOutcome)
    }
    lacks: ClassVar[Mapping[str, str]] = {
        "hold": "`apply` is one event: it has no `hold`",
        "within": "`apply` is one event with the deadline of k0sctl: it has no `within`",
    }

    outcome: Annotated[ApplyOutcome, Word(ApplyOutcome, "outcome")]
    """`refused`: k0s or k0sctl must reject the configuration; `failed`: k0sctl must give up on
    carrying it out; `applied`: it must do so."""

    message_contains: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Text that k0sctl's reason must contain; needed with `failed`."""

    def describe(self) -> str:
        text = f" with {self.message_contains!r}" if self.message_contains else ""
        return f"k0sctl apply: {self.outcome}{text}"

    def describe_times(self) -> str:
        return "within the deadline of k0sctl apply"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return self._no_message(), self._needs_message()

    def _no_message(self) -> Found:
        if self.outcome is ApplyOutcome.APPLIED and self.message_contains is not None:
            why = "only a bad end has a message: write `outcome: refused` or `failed`"
            yield ("message_contains",), f"{why}, or leave this out"

    def _needs_message(self) -> Found:
        if self.outcome is ApplyOutcome.FAILED and self.message_contains is None:
            why = "many things make an apply fail: say in `message_contains` which one is expected"
            yield ("outcome",), why

    def met_by(self, outcome: ApplyOutcome, said: str) -> bool:
        """Whether an apply that ended so, with k0sctl's reason, is what is expected."""
        return outcome is self.outcome and (self.message_contains or "") in said
