"""What a run's timeline says of its phases: when each began, and when what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.engine.events import StepId

# Where a line of `timeline.jsonl` says how many seconds after the run began its event was.
RUN_SECONDS = "run_seconds"
# Nothing of a run lies a hundred days away from its beginning.
_FURTHEST = 1e7


@dataclass
class Segment:
    """What the timeline says of one phase, all times in seconds since the run began.

    `entered` is when the phase was, `waited` when each wait for preconditions began, `applied` when
    the last `k0sctl apply` ended and `ended_badly` what it said, if it did. `verdicts` go by the
    expectations' ids.
    """

    entered: float
    waited: list[float] = field(default_factory=list)
    applied: float | None = None
    ended_badly: str | None = None
    verdicts: dict[str, str] = field(default_factory=dict)

    @property
    def observed_from(self) -> float:
        """When what the phase changed had been made: at its last wait for preconditions."""
        return self.waited[-1] if self.waited else self.applied or self.entered


def segments_of(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Segment]:
    """Return what the events say of each phase; empty where they have no times."""
    found: dict[str, Segment] = {}
    current: Segment | None = None
    for event in events:
        at = seconds_of(event.get(RUN_SECONDS))
        if at is None:
            continue
        match event:
            case {"event": "phase-entered", "name": str(name)}:
                current = found[name] = Segment(at)
            case {"event": "step-started", "step": StepId.EVIDENCE}:
                # What comes after belongs to no phase.
                current = None
            case _ if current is not None:
                _note(current, event, at)
    return found


def end_of(segment: Segment, segments: Iterable[Segment]) -> float:
    """Return when the next phase was entered: what was read then tells nothing of this one."""
    later = (each.entered for each in segments if each.entered > segment.entered)
    return min(later, default=float("inf"))


def seconds_of(value: object) -> float | None:
    """Return a time that a JSON value is, None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < _FURTHEST else None


def _note(segment: Segment, event: Mapping[str, Any], at: float) -> None:
    match event:
        case {"event": "step-started", "step": StepId.PRECONDITIONS}:
            segment.waited.append(at)
        case {"event": "step-ended", "step": StepId.APPLY, "ok": ok}:
            segment.applied = at
            segment.ended_badly = None if ok else str(event.get("reason", ""))
        case {"event": "verdict-reached", "id": str(name), "verdict": str(verdict)}:
            segment.verdicts[name] = verdict
