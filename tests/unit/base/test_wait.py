"""Waiting: every look is kept, the bound is kept, and a slow look hides nothing."""

from datetime import UTC

import pytest

from harness.base.errors import ExitCode
from harness.base.wait import Attempt, SystemClock, WaitTimeoutError, wait_until
from harness.testing import FakeClock


def looks(values, clock, taking=0.0):
    """A look that returns the values in turn, each after `taking` seconds."""
    rest = iter(values)

    def look():
        clock.at += taking
        return next(rest)

    return look


def wait(clock, look, **kwargs):
    given = {"bound": 10.0, "every": 2.0, "accept": lambda value: value == "ready"}
    return wait_until("the thing", look, clock=clock, **{**given, **kwargs})


def test_all_looks_are_returned_the_accepted_one_last():
    clock = FakeClock()
    history = wait(clock, looks(["no", "almost", "ready", "never seen"], clock))
    assert history == (Attempt(0.0, "no"), Attempt(2.0, "almost"), Attempt(4.0, "ready"))


def test_what_is_there_at_once_costs_no_sleep():
    clock = FakeClock()
    assert wait(clock, looks(["ready"], clock), bound=0.0) == (Attempt(0.0, "ready"),)
    assert clock.naps == []


def test_past_the_bound_the_error_has_every_look_and_says_what_was_seen_last():
    clock = FakeClock()
    with pytest.raises(WaitTimeoutError) as caught:
        wait(clock, looks(["a", "b", "c", "d", "e", "f"], clock))
    assert [attempt.value for attempt in caught.value.history] == list("abcdef")
    assert caught.value.text() == "Waiting for the thing: not within 10s; last seen: f"
    assert caught.value.exit_code is ExitCode.INFRASTRUCTURE


def test_the_last_sleep_ends_at_the_bound_and_a_look_follows_it():
    clock = FakeClock()
    history = wait(clock, looks(["no", "no", "no", "ready"], clock), bound=5.0)
    assert [attempt.at for attempt in history] == [0.0, 2.0, 4.0, 5.0]
    assert clock.naps == [2.0, 2.0, 1.0]


@pytest.mark.parametrize(("told_after", "nap"), [(0.0, 2.0), (0.5, 1.5), (5.0, -3.0)])
def test_what_is_told_between_two_looks_counts_for_the_time_between_them(told_after, nap):
    clock = FakeClock()

    def until_told(_):
        clock.at += told_after

    history = wait(clock, looks(["no", "ready"], clock), until_told=until_told)
    assert clock.naps == [nap]
    assert history[-1].at == max(told_after, 2.0)


def test_a_look_that_ends_after_the_bound_still_counts_as_a_success():
    clock = FakeClock()
    history = wait(clock, looks(["no", "ready"], clock, taking=7.0))
    assert history[-1] == Attempt(16.0, "ready")


def test_a_look_that_outlasts_the_bound_in_vain_is_the_last_one():
    clock = FakeClock()
    with pytest.raises(WaitTimeoutError) as caught:
        wait(clock, looks(["no", "unasked"], clock, taking=11.0))
    assert len(caught.value.history) == 1


def test_only_changes_are_told():
    clock = FakeClock()
    told = []
    wait(clock, looks(["a", "a", "b", "a", "ready"], clock), on_change=told.append)
    assert told == ["a", "b", "a", "ready"]


def test_an_error_of_a_look_is_not_swallowed():
    def look():
        raise LookupError

    with pytest.raises(LookupError):
        wait(FakeClock(), look)


def test_this_hosts_clock_goes_forward_and_does_not_sleep_backwards():
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(-1.0)
    clock.sleep(0.001)
    assert clock.monotonic() - before >= 0.001
    assert clock.now().tzinfo is UTC
