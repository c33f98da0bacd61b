"""What a diagnosis is: hops that hold or not, and the cause that follows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.scenario.words import Cause


class HopState(StrEnum):
    """Whether one link of the way from the API server to the metrics holds."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_SEEN = "not-seen"


class Confidence(StrEnum):
    """How much of what the cause rests on was seen."""

    HIGH = "high"
    """Everything the cause rests on was seen, and it is what the cause predicts."""
    LOW = "low"
    """Something the cause rests on was not seen; the diagnosis says which."""


@dataclass(frozen=True)
class Hop:
    """One link of the way from the API server to the metrics, with the command that shows it."""

    name: str
    state: HopState
    text: str
    command: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The cause, found from evidence alone: hops in order, first broken one, facts, remedy.

    `facts` are the sentences that prove it, `not_seen` what would have been needed and is missing.
    """

    cause: Cause
    confidence: Confidence
    hops: tuple[Hop, ...]
    facts: tuple[str, ...]
    remedy: str | None = None
    not_seen: tuple[str, ...] = ()

    @property
    def first_broken_hop(self) -> str | None:
        """The name of the first hop that is broken, None where none is."""
        return next((hop.name for hop in self.hops if hop.state is HopState.BROKEN), None)
