"""Reach the state within its bound, then hold it: the judgement over a series of observations.

A first `Available=True` proves little: the aggregator tries five times at once and one success
wins. So a state that was reached and lost again is flapping, which is not met, also when the
lapse lay between two looks and only the condition's own time tells of it; and what nobody looked at
for too long is inconclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.check.model import Judgement
from harness.check.model import Match
from harness.check.model import Sample
from harness.check.model import Verdict
from harness.check.model import Window

# How often a state is looked at while it has to hold.
LOOK_EVERY_SECONDS = 3.0
# The aggregator's requeue backs off to 30 s and its probe takes up to 6 s: a lapse shorter than
# this can hide between two looks, a longer blind spot could hide a whole probe that failed.
LONGEST_GAP_SECONDS = 15.0


def judge(samples: Sequence[Sample], window: Window, now: float) -> Judgement:
    """Return the judgement over `samples` (in order of time) as it stands at `now`."""
    deadline = max(window.opened + window.within, window.earliest + LONGEST_GAP_SECONDS)
    last = samples[-1].text if samples else "nothing was seen"
    values = [
        sample
        for sample in samples
        if sample.match is not Match.GAP and sample.at >= window.earliest
    ]
    streak: list[Sample] = []
    for sample in values:
        if streak and sample.at - streak[-1].at > LONGEST_GAP_SECONDS:
            return _blind(streak[-1].at, sample.at, last)
        if streak and sample.match is Match.MATCH and sample.since != streak[-1].since:
            return _lost(
                streak, replace(sample, text=f"it had lapsed until {sample.since}"), window
            )
        if sample.match is Match.MATCH and (streak or sample.at <= deadline):
            streak.append(sample)
            if sample.at - streak[0].at >= window.hold:
                return _met(streak, window)
        elif streak:
            return _lost(streak, sample, window)
    if streak:
        return _holding(streak, now, last)
    return _unreached(values, window, deadline, now, last)


def _holding(streak: Sequence[Sample], now: float, last: str) -> Judgement:
    if now - streak[-1].at > LONGEST_GAP_SECONDS:
        return _blind(streak[-1].at, now, last)
    return Judgement(None, "holding", streak[-1].text, held_since=streak[0].at)


def _unreached(
    values: Sequence[Sample], window: Window, deadline: float, now: float, last: str
) -> Judgement:
    if now <= deadline:
        return Judgement(None, "not reached yet", last)
    last_seen = values[-1].at if values else window.opened
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
