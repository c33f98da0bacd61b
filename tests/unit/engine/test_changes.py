"""The changes of a run: the last is taken back first, and what is left is found by comparing."""

import types

import pytest

from harness.base.errors import InconclusiveError
from harness.changes.action import Action, Check
from harness.changes.footprint import Footprint
from harness.engine.changes import RESTORED_SECONDS, Changes
from harness.engine.recorded import RecordedClock


class Machine:
    """A changer of one machine, whose state is the names of the changes in force.

    `lags` is how many seconds what is taken back needs to be gone; `unread` how many footprints
    cannot be read.
    """

    def __init__(self, clock, *, lags=0.0, unread=0):
        self.clock = clock
        self.in_force = {}
        self.log = []
        self._gone_at = {}
        self._lags = lags
        self._unread = unread

    def footprint(self):
        if self._unread and self._gone_at:
            self._unread -= 1
            raise InconclusiveError("Comparing", "the API server does not answer")
        there = {name for name in self.in_force if self._gone_at.get(name, 1e9) > self.clock.at}
        return Footprint({("worker0", "route", name): "there" for name in there})

    def make(self, name):
        self.in_force[name] = True
        self._gone_at.pop(name, None)
        self.log.append(f"do {name}")
        seen = Check(f"{name} is there", probe=None, wrong=None)
        perhaps = Check(f"{name} is felt", probe=None, wrong=None, required=False)
        return Action(text=name, do=(), undo=(), check=(seen, perhaps))

    def undo(self, made):
        self.log.append(f"undo {made.text}")
        self._gone_at[made.text] = self.clock.at + self._lags

    def confirm(self, made):
        self.log.append(f"look {made.text}")
        if made.text not in self.in_force:
            raise InconclusiveError("Looking", f"{made.text} is gone")
        return (f"{made.text} counted",)


@pytest.fixture
def made():
    """Two phases with three changes on a machine that lags as given."""

    def make(**how):
        clock = RecordedClock()
        machine = Machine(clock, **how)
        changes = Changes(machine, clock)
        changes.remember("one")
        changes.make("one", "a")
        changes.make("one", "b")
        changes.remember("two")
        changes.make("two", "c")
        machine.log.clear()
        return types.SimpleNamespace(changes=changes, machine=machine, clock=clock)

    return make


def test_what_a_change_shows_is_what_it_must_and_not_what_it_may(made):
    assert made().changes.make("two", "d") == "d is there"


def test_the_last_change_of_the_last_phase_is_taken_back_first(made):
    run = made()
    names = run.changes.outstanding()
    assert names == ("two", "one")
    told = []
    run.changes.take_back(names, told.append)
    assert run.machine.log == ["undo c", "undo b", "undo a"]
    assert told == ["c", "b", "a"]
    assert run.changes.differences(names) == ()
    assert run.changes.outstanding() == ()


def test_one_phase_is_compared_with_what_was_before_it_alone(made):
    run = made()
    run.changes.take_back(["two"], [].append)
    assert run.machine.log == ["undo c"]
    # What phase one changed is still there, and was there before phase two.
    assert run.changes.differences(["two"]) == ()
    assert run.changes.outstanding() == ("one",)


def test_what_is_taken_back_is_taken_back_once(made):
    run = made()
    run.changes.take_back(["two"], [].append)
    run.changes.take_back(["two"], [].append)
    assert run.machine.log == ["undo c"]


def test_what_takes_its_time_to_come_back_is_looked_at_again(made):
    run = made(lags=20.0)
    run.changes.take_back(["two", "one"], [].append)
    assert run.changes.differences(["two", "one"]) == ()
    assert 20.0 <= run.clock.at < RESTORED_SECONDS


def test_a_look_that_failed_while_the_api_server_restarts_is_made_again(made):
    run = made(unread=3)
    run.changes.take_back(["two", "one"], [].append)
    assert run.changes.differences(["two", "one"]) == ()
    assert run.clock.at > 0


def test_what_does_not_come_back_is_named_once_its_time_is_over(made):
    run = made(lags=1e6)
    run.changes.take_back(["two", "one"], [].append)
    assert run.changes.differences(["two", "one"]) == tuple(
        f"worker0: route {name} was not there before" for name in "abc"
    )
    assert run.clock.at >= RESTORED_SECONDS


def test_slow_machines_have_longer_for_it(made):
    run = made(lags=2 * RESTORED_SECONDS)
    run.changes.pace = 3.0
    run.changes.take_back(["two", "one"], [].append)
    assert run.changes.differences(["two", "one"]) == ()


def test_a_phases_own_changes_are_looked_at_again_for_they_may_hide_earlier_ones(made):
    run = made()
    assert run.changes.confirm("two") == ("c counted",)
    assert run.machine.log == ["look c"]


def test_a_phase_without_changes_rests_on_all_that_are_in_force(made):
    run = made()
    run.changes.confirm("three")
    assert run.machine.log == ["look a", "look b", "look c"]
    run.changes.take_back(["two"], [].append)
    run.machine.log.clear()
    run.changes.confirm("three")
    assert run.machine.log == ["look a", "look b"]


def test_a_change_that_is_gone_meanwhile_proves_nothing(made):
    run = made()
    del run.machine.in_force["b"]
    with pytest.raises(InconclusiveError, match="b is gone"):
        run.changes.confirm("one")
