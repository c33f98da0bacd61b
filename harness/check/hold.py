"""Reach the state within its bound, then hold it: the judgement over a series of observations.

A first `Available=True` proves little: the aggregator tries five times at once and one success
wins. So a state that was reached and lost again is flapping, which is not met, also when the
lapse lay between two looks and only the condition's own time tells of it; and what nobody looked at
for too long is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from harness.check.model import Judgement, Verdict, Window
from harness.expectations.sample import Match, Sample

# How often a state is looked at while it has to hold.
LOOK_EVERY_SECONDS = 3.0
# The aggregator's requeue backs off to 30 s and its probe takes up to 6 s: a lapse shorter than
# this can hide between two looks, a longer blind spot could hide a whole probe that failed.
LONGEST_GAP_SECONDS = 15.0


class Course:
    """The judgement over samples as they come, in order of time.

    Those that ended by `after` are not looked at. Each costs the same however many came before.
    """

    def __init__(self, window: Window, *, after: float = -math.inf) -> None:
        self._window = window
        self._after = after
        self._deadline = max(window.opened + window.within, window.earliest + LONGEST_GAP_SECONDS)
        self._last = "nothing was seen"
        self._value_at: float | None = None
        self._streak: list[Sample] = []
        self._decided: Judgement | None = None

    def add(self, sample: Sample) -> None:
        """Take in the next sample; once the judgement is made no further one changes it."""
        if sample.at <= self._after or self._decided is not None:
            return
        self._last = sample.text
        if sample.match is Match.GAP or sample.at < self._window.earliest:
            return
        self._value_at = sample.at
        self._decided = self._follow(sample)

    def judgement(self, now: float) -> Judgement:
        """Return the judgement as it stands at `now`."""
        if self._decided is not None:
            return self._decided
        if self._streak:
            return _holding(self._streak, now, self._last)
        return _unreached(self._value_at, self._window, self._deadline, now, self._last)

    def _follow(self, sample: Sample) -> Judgement | None:
        """Return what a value decides, None while nothing is."""
        streak = self._streak
        if streak and sample.at - streak[-1].at > LONGEST_GAP_SECONDS:
            return _blind(streak[-1].at, sample.at, self._last)
        if streak and sample.match is Match.MATCH and sample.since != streak[-1].since:
            lapsed = replace(sample, text=f"it had lapsed until {sample.since}")
            return _lost(streak, lapsed, self._window)
        if sample.match is Match.MATCH and (streak or sample.at <= self._deadline):
            streak.append(sample)
            if sample.at - streak[0].at >= self._window.hold:
                return _met(streak, self._window)
        elif streak:
            return _lost(streak, sample, self._window)
        return None


def _holding(streak: Sequence[Sample], now: float, last: str) -> Judgement:
    if now - streak[-1].at > LONGEST_GAP_SECONDS:
        return _blind(streak[-1].at, now, last)
    return Judgement(None, "holding", streak[-1].text, held_since=streak[0].at)


def _unreached(
    value_at: float | None, window: Window, deadline: float, now: float, last: str
) -> Judgement:
    if now <= deadline:
        return Judgement(None, "not reached yet", last)
    last_seen = value_at if value_at is not None else window.opened
    if deadline - last_seen > LONGEST_GAP_SECONDS:
        return _blind(last_seen, deadline, last)
    text = f"not reached within {window.within:.0f}s; last seen: {last}"
    return Judgement(Verdict.NOT_MET, text, last, decided_at=deadline)


def _met(streak: Sequence[Sample], window: Window) -> Judgement:
    reached = f"reached after {streak[0].at - window.opened:.0f}s"
    held = f" and held for {window.hold:.0f}s ({len(streak)} looks)" if window.hold else ""
    return Judgement(
        Verdict.MET,
        reached + held,
        streak[-1].text,
        held_since=streak[0].at,
        decided_at=streak[-1].at,
    )


def _lost(streak: Sequence[Sample], lost: Sample, window: Window) -> Judgement:
    return Judgement(
        Verdict.NOT_MET,
        f"flapping: held for {streak[-1].at - streak[0].at:.0f}s of {window.hold:.0f}s, "
        f"then: {lost.text}",
        lost.text,
        decided_at=lost.at,
    )


def _blind(since: float, until: float, last: str) -> Judgement:
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"nothing could be read for {until - since:.0f}s; last: {last}",
        last,
        decided_at=until,
    )
