"""What is judged, and what a judgement is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What an expectation came to."""

    MET = "met"
    NOT_MET = "not-met"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Window:
    """When an expectation is judged, in seconds since the run began.

    `opened` is when the phase's preconditions held, `earliest` the first moment an observation
    may count; `within` and `hold` are lengths in seconds.
    """

    opened: float
    earliest: float
    within: float
    hold: float


@dataclass(frozen=True)
class Judgement:
    """`verdict` is None while it is open; `held_since` is set while the state holds."""

    verdict: Verdict | None
    explanation: str
    observed: str
    held_since: float | None = None
    decided_at: float | None = None
