"""Where the seconds of a phase go: cold start, changes, holds, and what is the harness's own."""

import pytest

from harness.changes.deployment import Deployment
from harness.check.model import Verdict
from harness.engine.recorded import RecordedClock
from harness.engine.results import ExpectationResult, Sums
from harness.engine.timing import Timing
from harness.expectations.apiservice import Apiservice
from harness.expectations.diagnosis import Diagnosis
from harness.plan.model import PhasePlan, PlannedExpectation
from harness.vocabulary.words import Cause


def phase_with(*expectations):
    planned = tuple(
        PlannedExpectation(str(number), each, line=1) for number, each in enumerate(expectations)
    )
    return PhasePlan("p", (), planned, (), Deployment(), line=1)


HELD = phase_with(
    Apiservice(name="v1beta1.metrics.k8s.io", available=True, hold="45s"),
    Diagnosis(cause=Cause.HEALTHY),
)


def after(seconds):
    """A verdict so many seconds after the preconditions held."""
    return ExpectationResult("0", "apiservice", "", "", Verdict.MET, "", seconds=seconds)


@pytest.fixture
def clock():
    return RecordedClock()


def test_a_first_phase_is_a_cold_start_up_to_the_state_that_then_holds(clock):
    timing = Timing(clock)
    clock.sleep(100.0)
    timing.cold_start()
    clock.sleep(30.0)
    timing.settled()
    clock.sleep(62.0)
    sums = timing.sums(HELD, [after(5.0), after(60.0)])
    assert sums == Sums(cold_start=100 + 30 + 15, changes=0.0, holds=45.0, own=2.0)


def test_what_follows_a_change_is_the_clusters_answer_to_it(clock):
    timing = Timing(clock)
    clock.sleep(12.0)
    assert timing.changes() == 12.0
    clock.sleep(3.0)
    assert timing.changes() == 3.0
    clock.sleep(6.0)
    timing.settled()
    clock.sleep(56.5)
    sums = timing.sums(HELD, [after(55.0)])
    assert sums == Sums(cold_start=0.0, changes=12 + 3 + 6 + 10, holds=45.0, own=1.5)


def test_a_first_phase_with_changes_has_a_cold_start_before_them(clock):
    timing = Timing(clock)
    clock.sleep(130.0)
    timing.cold_start()
    clock.sleep(2.0)
    timing.changes()
    clock.sleep(4.0)
    timing.settled()
    clock.sleep(50.0)
    sums = timing.sums(HELD, [after(50.0)])
    assert sums == Sums(cold_start=130.0, changes=2 + 4 + 5, holds=45.0, own=0.0)


def test_a_verdict_before_the_hold_was_over_counts_no_hold_that_never_was(clock):
    timing = Timing(clock)
    clock.sleep(10.0)
    timing.changes()
    timing.settled()
    clock.sleep(20.0)
    sums = timing.sums(HELD, [after(20.0)])
    assert sums == Sums(changes=10.0, holds=20.0)


def test_a_phase_that_was_refused_has_waited_for_nothing(clock):
    timing = Timing(clock)
    clock.sleep(7.0)
    timing.cold_start()
    assert timing.sums(HELD, []) == Sums(cold_start=7.0)


def test_looks_without_a_bound_of_their_own_are_the_harnesss(clock):
    timing = Timing(clock)
    clock.sleep(3.0)
    timing.settled()
    assert timing.sums(phase_with(Diagnosis(cause=Cause.HEALTHY)), [after(0.0)]) == Sums(own=3.0)


@pytest.mark.parametrize("laps", [(1.0, 0.0, 47.0), (0.0, 8.0, 90.3), (60.1, 2.2, 51.7)])
def test_the_four_sums_are_the_whole_phase(clock, laps):
    cold, changed, watched = laps
    timing = Timing(clock)
    if cold:
        clock.sleep(cold)
        timing.cold_start()
    if changed:
        clock.sleep(changed)
        timing.changes()
    timing.settled()
    clock.sleep(watched)
    sums = timing.sums(HELD, [after(watched - 1.0)])
    assert sum((sums.cold_start, sums.changes, sums.holds, sums.own)) == pytest.approx(
        timing.whole(), abs=0.11
    )
    assert timing.whole() == pytest.approx(sum(laps), abs=0.05)


def test_sums_of_phases_add_up_by_name():
    assert Sums(1.0, 2.0, 3.0, 4.0) + Sums(cold_start=0.1, own=0.25) == Sums(1.1, 2.0, 3.0, 4.2)
