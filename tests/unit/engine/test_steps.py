"""Steps of a run: told as they begin and end, and timed."""

import pytest

from harness.base.errors import InfrastructureError
from harness.engine.events import StepEnded, StepId, StepProgress, StepStarted
from harness.engine.steps import Steps
from harness.testing import FakeClock


@pytest.fixture
def told():
    return []


@pytest.fixture
def clock():
    return FakeClock(100.0)


@pytest.fixture
def steps(clock, told):
    return Steps(clock, told.append)


def test_a_step_is_told_with_its_bound_its_progress_and_its_time(steps, clock, told):
    with steps.step(StepId.TEARDOWN, 60.0) as tell:
        clock.at += 12.34
        tell("waiting for worker1")
    assert told == [
        StepStarted(StepId.TEARDOWN, "Teardown", 60.0),
        StepProgress("waiting for worker1"),
        StepEnded(StepId.TEARDOWN, "Teardown", 12.3, ok=True),
    ]
    assert steps.timings == {"Teardown": 12.3}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            InfrastructureError("Doing this", "that happened"),
            ("Doing this: that happened", "that happened"),
        ),
        (KeyboardInterrupt(), ("KeyboardInterrupt", "")),
        (ZeroDivisionError("secret"), ("ZeroDivisionError", "")),
    ],
)
def test_a_step_that_fails_says_so_and_keeps_its_error(steps, clock, told, error, said):
    def fail():
        with steps.step(StepId.TEARDOWN):
            clock.at += 1
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    ended = StepEnded(StepId.TEARDOWN, "Teardown", 1.0, False, *said)
    assert told[-1] == ended
    assert steps.timings == {"Teardown": 1.0}


def test_steps_of_one_name_are_added_up(steps, clock):
    for seconds in (10, 5):
        with steps.step(StepId.APPLY):
            clock.at += seconds
    assert steps.timings == {"k0sctl apply": 15.0}
