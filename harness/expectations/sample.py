"""One observation as an expectation sees it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Match(StrEnum):
    """How one observation stands to the expectation; a failed reading is a gap, not a value."""

    MATCH = "match"
    MISMATCH = "mismatch"
    GAP = "gap"


@dataclass(frozen=True)
class Sample:
    """One observation as the expectation sees it; `at` in seconds since the run began.

    `state` is the short form whose change is a transition: a condition's message varies from poll
    to poll while its status and reason stay. `since` is when the cluster itself says that the
    state began, where it says so.
    """

    at: float
    match: Match
    text: str
    state: str
    since: str = ""
