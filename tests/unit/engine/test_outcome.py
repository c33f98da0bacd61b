"""From verdicts, or from what ended a run early, to the outcome and the exit code."""

import itertools

import pytest

from harness.base.errors import (
    HarnessError,
    HostLacksError,
    InconclusiveError,
    InfrastructureError,
    InterruptedRunError,
    UsageError,
)
from harness.check.model import Verdict
from harness.engine.outcome import Outcome, outcome_of, worst

MET, NOT_MET, INCONCLUSIVE = Verdict.MET, Verdict.NOT_MET, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "outcome"),
    [
        ((MET, MET), Outcome.MET),
        ((MET, NOT_MET), Outcome.NOT_MET),
        ((MET, INCONCLUSIVE), Outcome.INCONCLUSIVE),
        ((INCONCLUSIVE, NOT_MET, MET), Outcome.NOT_MET),
        ((), Outcome.INCONCLUSIVE),
    ],
)
def test_the_verdicts_together_are_as_good_as_the_worst_of_them(verdicts, outcome):
    assert {outcome_of(order, None) for order in itertools.permutations(verdicts)} == {outcome}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyboardInterrupt(), Outcome.INTERRUPTED),
        (InterruptedRunError("a", "b"), Outcome.INTERRUPTED),
        (InconclusiveError("a", "b"), Outcome.INCONCLUSIVE),
        (UsageError("a", "b"), Outcome.REFUSED),
        (HostLacksError("a", "b"), Outcome.HOST_LACKS),
        (InfrastructureError("a", "b"), Outcome.INFRASTRUCTURE),
        (HarnessError("a", "b"), Outcome.INFRASTRUCTURE),
        (ZeroDivisionError(), Outcome.INFRASTRUCTURE),
    ],
)
@pytest.mark.parametrize("verdicts", [(), (MET,), (NOT_MET,)])
def test_what_ended_a_run_early_goes_before_its_verdicts(verdicts, error, outcome):
    assert outcome_of(verdicts, error) is outcome


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.MET, 0),
        (Outcome.NOT_MET, 1),
        (Outcome.REFUSED, 2),
        (Outcome.HOST_LACKS, 3),
        (Outcome.INFRASTRUCTURE, 4),
        (Outcome.INCONCLUSIVE, 4),
        (Outcome.INTERRUPTED, 130),
    ],
)
def test_every_outcome_has_the_exit_code_that_is_promised(outcome, code):
    assert outcome.exit_code == code


def test_no_outcome_is_left_out():
    assert {each.exit_code.value for each in Outcome} == {0, 1, 2, 3, 4, 130}


WORST_FIRST = [
    Outcome.INTERRUPTED,
    Outcome.REFUSED,
    Outcome.HOST_LACKS,
    Outcome.INFRASTRUCTURE,
    Outcome.INCONCLUSIVE,
    Outcome.NOT_MET,
    Outcome.MET,
]


def test_several_runs_are_as_good_as_the_worst_of_them():
    assert set(WORST_FIRST) == set(Outcome)
    for first, second in itertools.combinations(WORST_FIRST, 2):
        assert worst([first, second]) is first
        assert worst([second, first]) is first


def test_no_run_at_all_is_inconclusive_and_never_a_pass():
    assert worst([]) is Outcome.INCONCLUSIVE
