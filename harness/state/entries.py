"""A lab on this host as it is listed, and what it is to the one who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.base.run_id import RunId
from harness.state.records import LabRecord

WITHOUT_RECORD = "without a record"


class LabState(StrEnum):
    """What a lab on this host is to the one who asks."""

    LIVE = "live"
    """Its run is alive: never removed."""
    KEPT = "kept"
    """Left standing on purpose: removed when named, with all, or after its expiry."""
    DEAD = "dead"
    """Its run was killed, or its time is over: removed by `clean`."""
    DOUBTFUL = "doubtful"
    """Its folder is this user's, and its record is not to be believed: removed when named."""
    FOREIGN = "foreign"
    """Another user's, of another state folder, or not what it says: shown only."""


@dataclass(frozen=True)
class LabEntry:
    """A lab on this host; `record` is None where only its machines or its folder are seen.

    `provider` is None where a damaged folder does not tell. What is no lab, or none that it says to
    be, has no `run_id` but is `called` something, in somebody's own words.
    """

    run_id: RunId | None
    state: LabState
    text: str
    record: LabRecord | None = None
    folder: Path | None = None
    provider: str | None = None
    called: str = ""

    @property
    def title(self) -> str:
        """What it is listed by: the lab's id, or what it is called."""
        return self.run_id or self.called


def stranger(called: str, why: str) -> LabEntry:
    """Return the entry of what is no lab of ours, by what it is called, and why it is none."""
    return LabEntry(None, LabState.FOREIGN, f"not ours: {why}", called=called)
