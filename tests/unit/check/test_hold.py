"""Reach within the bound, then hold: the judgement over a series of observations."""

import pytest

from harness.check.hold import LONGEST_GAP_SECONDS, Course
from harness.check.model import Verdict, Window
from harness.expectations.sample import Match, Sample

WINDOW = Window(opened=100.0, earliest=100.0, within=120.0, hold=45.0)


def series(*runs: tuple[Match, float, float], every: float = 3.0) -> list[Sample]:
    """Samples every three seconds: (match, from, to) for each run of equal ones."""
    samples = []
    for match, begin, end in runs:
        at = begin
        while at < end:
            samples.append(Sample(at, match, f"{match} at {at:.0f}", match))
            at += every
    return samples


def judge(samples, window, now):
    course = Course(window)
    for sample in samples:
        course.add(sample)
    return course.judgement(now)


def test_a_state_that_is_reached_and_holds_is_met():
    judged = judge(series((Match.MISMATCH, 100, 130), (Match.MATCH, 130, 180)), WINDOW, now=180)
    assert judged.verdict is Verdict.MET
    assert judged.explanation == "reached after 30s and held for 45s (16 looks)"


def test_a_state_that_still_holds_is_open_until_the_hold_is_over():
    judged = judge(series((Match.MATCH, 100, 144)), WINDOW, now=144)
    assert judged.verdict is None
    assert judged.held_since == 100


def test_a_state_that_is_lost_during_its_hold_is_flapping_and_not_met():
    samples = series((Match.MATCH, 100, 120), (Match.MISMATCH, 120, 123), (Match.MATCH, 123, 200))
    judged = judge(samples, WINDOW, now=200)
    assert judged.verdict is Verdict.NOT_MET
    assert judged.explanation.startswith("flapping: held for 18s of 45s, then: mismatch at 120")


def test_a_state_that_never_comes_is_not_met_at_its_bound():
    samples = series((Match.MISMATCH, 100, 224))
    assert judge(samples, WINDOW, now=219).verdict is None
    judged = judge(samples, WINDOW, now=221)
    assert judged.verdict is Verdict.NOT_MET
    assert "not reached within 120s" in judged.explanation


def test_a_state_that_comes_after_its_bound_is_not_met():
    samples = series((Match.MISMATCH, 100, 222), (Match.MATCH, 222, 300))
    assert judge(samples, WINDOW, now=300).verdict is Verdict.NOT_MET


def test_failed_readings_are_gaps_that_a_hold_may_contain_while_they_are_short():
    samples = series((Match.MATCH, 100, 110), (Match.GAP, 110, 119), (Match.MATCH, 119, 150))
    assert judge(samples, WINDOW, now=150).verdict is Verdict.MET


@pytest.mark.parametrize("seen_again", [True, False])
def test_a_gap_longer_than_fifteen_seconds_in_a_hold_is_inconclusive(seen_again):
    samples = series((Match.MATCH, 100, 110), (Match.GAP, 110, 130))
    if seen_again:
        samples += series((Match.MATCH, 130, 180))
    judged = judge(samples, WINDOW, now=180)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "nothing could be read" in judged.explanation


def test_a_state_that_could_not_be_read_before_its_bound_is_inconclusive_and_not_unmet():
    samples = series((Match.MISMATCH, 100, 190), (Match.GAP, 190, 230))
    assert judge(samples, WINDOW, now=230).verdict is Verdict.INCONCLUSIVE
    assert judge([], WINDOW, now=230).verdict is Verdict.INCONCLUSIVE


def test_what_was_seen_before_a_cluster_settled_counts_for_nothing():
    window = Window(opened=100.0, earliest=140.0, within=120.0, hold=0.0)
    samples = series((Match.MATCH, 100, 140))
    assert judge(samples, window, now=139).verdict is None
    judged = judge(samples + series((Match.MATCH, 141, 142)), window, now=142)
    assert judged.verdict is Verdict.MET
    assert judged.decided_at == 141


def test_a_bound_shorter_than_the_settling_leaves_time_for_a_look_after_it():
    window = Window(opened=100.0, earliest=140.0, within=10.0, hold=0.0)
    assert judge([], window, now=140 + LONGEST_GAP_SECONDS - 1).verdict is None
    assert judge(series((Match.MATCH, 143, 144)), window, now=144).verdict is Verdict.MET
