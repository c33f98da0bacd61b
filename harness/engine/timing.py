"""Where the seconds of a phase went."""

from __future__ import annotations

from collections.abc import Sequence

from harness.base.wait import Clock
from harness.engine.results import ExpectationResult, Sums
from harness.plan.model import PhasePlan


class Timing:
    """A phase's stopwatch: what went by since the last lap is added to what the lap names."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = self._last = clock.monotonic()
        self._cold_start = 0.0
        self._changes = 0.0

    def cold_start(self) -> None:
        """Count what went by since the last lap to the cold start."""
        self._cold_start += self._lap()

    def changes(self) -> float:
        """Count what went by since the last lap to the changes; return it."""
        seconds = self._lap()
        self._changes += seconds
        return round(seconds, 1)

    def settled(self) -> None:
        """Count what went by since the last lap to what the cluster was answering."""
        if self._changes:
            self.changes()
        elif self._cold_start:
            self.cold_start()

    def whole(self) -> float:
        """Return the seconds since the phase began."""
        return round(self._clock.monotonic() - self._began, 1)

    def sums(self, phase: PhasePlan, results: Sequence[ExpectationResult]) -> Sums:
        """Return the four sums of a phase that has ended.

        The last verdict came when its state had been reached and had held: reaching it is the
        cluster's answer to the changes, or the end of its cold start.
        """
        holds = max((each.expectation.times[1] for each in phase.expectations), default=0.0)
        judged = max((each.seconds for each in results), default=0.0)
        holds = min(holds, judged)
        reached = judged - holds
        cold_start, changes = self._cold_start, self._changes
        if cold_start and not changes:
            cold_start += reached
        else:
            changes += reached
        own = self.whole() - cold_start - changes - holds
        return Sums(*(round(each, 1) for each in (cold_start, changes, holds, own)))

    def _lap(self) -> float:
        now = self._clock.monotonic()
        seconds, self._last = now - self._last, now
        return seconds
