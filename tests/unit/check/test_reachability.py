"""Whether the way is whole: new connections, none of which may fail."""

from dataclasses import replace

import pytest

from harness.check.model import Judgement, Verdict
from harness.check.reachability import CONNECTIONS, combine, expected, judge
from harness.probe import controlplane, dials


@pytest.fixture
def rounds(recording):
    """The recorded rounds of connections from both workers to the pod and the ClusterIP."""
    return [
        dials.parse(each)
        for each in recording("konnectivity-off/watched-repaired")
        if each.probe.startswith("dial:") and each.where.startswith("worker")
    ]


@pytest.fixture
def tunnel(recording):
    """The recorded figures of the konnectivity server."""
    return next(
        controlplane.parse_tunnel(each)
        for each in recording("konnectivity-off/watched-repaired")
        if each.probe == "tunnel"
    )


@pytest.fixture
def lost(recording):
    """The recorded dial of the ClusterIP that got no answer, from the controller."""
    return next(
        dials.parse(each)
        for each in recording("konnectivity-off/watched-broken")
        if each.probe == "dial:10.109.145.162:443"
    )


def test_all_connections_of_every_path_are_met_and_counted(rounds, tunnel):
    assert len(rounds) == 4
    judged = judge(rounds, tunnel, tunnel)
    assert judged.verdict is Verdict.MET
    assert judged.explanation.count("20 of 20 connections") == 4


def test_one_lost_connection_is_partial_and_not_met(rounds, tunnel):
    torn = replace(rounds[1], connected=19, failures=(("timed-out", 1),))
    judged = judge([rounds[0], torn, *rounds[2:]], tunnel, tunnel)
    assert judged.verdict is Verdict.NOT_MET
    assert judged.explanation.startswith("partial: 19 of 20 connections")
    assert "(1 timed-out)" in judged.explanation
    assert "20 of 20" not in judged.explanation


def test_a_path_that_never_connects_is_not_met(lost):
    judged = judge([lost], None, None)
    assert judged.verdict is Verdict.NOT_MET
    assert "(1 timed-out)" in judged.explanation


def test_failed_dials_that_the_server_counted_meanwhile_are_partial(rounds, tunnel):
    later = replace(tunnel, dial_failures=tunnel.dial_failures + 3)
    judged = judge(rounds, tunnel, later)
    assert judged.verdict is Verdict.NOT_MET
    assert judged.explanation == (
        "partial: the konnectivity server counted 3 failed dials meanwhile"
    )


def test_failed_dials_from_before_are_none_of_this_round(rounds, tunnel):
    assert tunnel.dial_failures > 0
    assert judge(rounds, tunnel, tunnel).verdict is Verdict.MET


def test_too_few_connections_on_one_path_are_inconclusive_however_many_the_others_had(
    rounds, tunnel
):
    few = replace(rounds[0], tried=CONNECTIONS - 1, connected=CONNECTIONS - 1)
    judged = judge([few, *rounds[1:]], tunnel, tunnel)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.explanation.startswith("fewer than 20 connections were tried: 19 of 19")


def test_no_connection_at_all_is_inconclusive():
    assert judge([], None, None).verdict is Verdict.INCONCLUSIVE


def test_a_path_that_could_not_be_tried_is_inconclusive_however_well_the_others_went(
    rounds, tunnel
):
    judged = judge(rounds[:2], tunnel, tunnel, unread=("no SSH to worker1",))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "no SSH to worker1" in judged.explanation


def test_a_failure_that_was_seen_goes_before_what_was_not(lost):
    judged = judge([lost], None, None, unread=("no SSH to worker1",))
    assert judged.verdict is Verdict.NOT_MET


HELD = Judgement(Verdict.MET, "reached after 27s", "True Passed", held_since=338.8, decided_at=384)


def test_a_hold_that_is_over_stays_open_while_connections_are_made():
    combined = combine(HELD, None)
    assert combined.verdict is None
    assert combined.held_since == 338.8


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_hold_counts_for_as_much_as_its_connections(verdict):
    combined = combine(HELD, Judgement(verdict, "the connections", "the connections"))
    assert combined.verdict is verdict
    assert combined.explanation == "reached after 27s; the connections"
    assert combined.observed == "True Passed"


WHOLE = Judgement(Verdict.MET, "20 of 20", "20 of 20")
LOST = Judgement(Verdict.NOT_MET, "partial: 10 of 20", "partial: 10 of 20")
UNREAD = Judgement(Verdict.INCONCLUSIVE, "not every connection could be tried", "no SSH")


@pytest.mark.parametrize(
    ("found", "whole", "partial", "verdict"),
    [
        (WHOLE, True, False, Verdict.MET),
        (LOST, True, True, Verdict.NOT_MET),
        (WHOLE, False, False, Verdict.NOT_MET),
        (LOST, False, True, Verdict.MET),
        # Closed altogether is another failure than some of it.
        (LOST, False, False, Verdict.NOT_MET),
        (UNREAD, True, False, Verdict.INCONCLUSIVE),
        (UNREAD, False, True, Verdict.INCONCLUSIVE),
    ],
)
def test_a_round_is_compared_with_what_is_expected_of_it(found, whole, partial, verdict):
    judged = expected(found, whole=whole, partial=partial)
    assert judged.verdict is verdict
    assert (judged.explanation, judged.observed) == (found.explanation, found.observed)


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_expected_of_a_round_that_lasts_is_open(whole):
    assert expected(None, whole=whole, partial=False).verdict is None
