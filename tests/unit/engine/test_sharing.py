"""Who shares a lab: scenarios that begin alike, as long as everything was given back."""

from __future__ import annotations

import dataclasses
import types
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError
from harness.base.settings import Settings
from harness.changes.footprint import Footprint
from harness.engine import session as sessions
from harness.engine.events import StepEnded
from harness.engine.outcome import Outcome
from harness.engine.results import PhaseResult, ScenarioResult
from harness.engine.session import RunSession, Which
from harness.engine.shared_lab import SharedLab, start_state
from harness.providers.base import ProviderChoice

EXACT = "{route: {machine: controller0, to: service-network, via: worker0}}"
LEAVES = "{disable_component: konnectivity-server}"
PODS = "{pods: {selector: a=b, ready: 1}}"


class Lab:
    """Machines that write down that they were removed, or could not be."""

    def __init__(self, number, error=None, *, elsewhere=False):
        self.number = number
        self.removed = False
        self.record = types.SimpleNamespace(elsewhere=elsewhere)
        self._error = error

    def destroy(self):
        self.removed = True
        if self._error is not None:
            raise self._error


class Run:
    """A run of one phase, on a lab of its own unless it is given one; gives back what it may."""

    def __init__(self, host, request, shared_lab):
        self._host = host
        self.request = request
        self.given = shared_lab
        self.lab = shared_lab.lab if shared_lab is not None else host.new_lab()
        self.shared_lab = None
        self.saved = host.saved

    def enter(self, phase):
        self._host.log.append((self.request.plan.scenario.name, self.lab.number))
        return PhaseResult(phase)

    def finish(self, interrupted_by=None, *, hand_on=False):
        name = self.request.plan.scenario.name
        if hand_on:
            self._host.asked.append(name)
        ends = Outcome.INTERRUPTED if interrupted_by is not None else Outcome.MET
        if hand_on and ends is Outcome.MET and name not in self._host.stuck:
            start = start_state(self.request.plan)
            self.shared_lab = SharedLab(
                name,
                start,
                self.request.choice,
                self.lab,
                {},
                None,
                self._host.footprint,
                self.saved,
            )
        else:
            self.lab.destroy()
        return ScenarioResult(
            run_id="r",
            scenario=name,
            title="T",
            outcome=ends,
            started="2026-11-23T05:37:05+00:00",
            ended="2026-11-23T05:43:31+00:00",
            folder=self._host.folder / name,
        )


class FakeHost:
    """Makes labs, and writes down which scenario was on which."""

    def __init__(self, folder):
        self.folder = folder
        self.log = []
        self.labs = []
        self.asked = []
        self.stuck = set()
        self.error = None
        self.footprint = None
        self.saved = ""
        self.elsewhere = False

    def new_lab(self):
        self.labs.append(Lab(len(self.labs), self.error, elsewhere=self.elsewhere))
        return self.labs[-1]


@pytest.fixture
def host(tmp_path, monkeypatch):
    fake = FakeHost(tmp_path)
    choice = ProviderChoice("docker", "a test")
    monkeypatch.setattr(sessions, "wait_for_capacity", lambda *_, **__: choice)
    monkeypatch.setattr(
        sessions,
        "ScenarioRun",
        lambda request, *, shared_lab, **_: Run(fake, request, shared_lab),
    )
    return fake


@pytest.fixture
def session(host, tmp_path):
    """A session, whose `events` were told."""

    def make(**settings):
        told = []
        made = RunSession(
            Settings.from_environment({"HOME": str(tmp_path)}, settings), emit=told.append
        )
        return types.SimpleNamespace(runs=made, events=told)

    return make


@pytest.fixture
def scenario(tmp_path):
    """Write a scenario with one phase; returns which it is."""

    def write(name, change="", cluster="{}"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(
            f"format: k0s-harness/1\nname: {name}\ntitle: T\ncluster: {cluster}\nphases:\n"
            f"- name: only\n  change: [{change}]\n  expect: [{PODS}]\n"
        )
        return Which(path)

    return write


def play(session, scenarios):
    """Run scenarios in the order the session wants, each told which one follows."""
    order = session.in_order(scenarios)
    for which, following in zip(order, [*order[1:], None], strict=True):
        session.enter(which, "only")
        session.finish(which, following=following)
    session.finish_all()


def test_scenarios_that_begin_alike_share_one_lab(host, session, scenario):
    play(session().runs, [scenario("a", EXACT), scenario("b"), scenario("c", EXACT)])
    assert host.log == [("a", 0), ("b", 0), ("c", 0)]
    assert [lab.removed for lab in host.labs] == [True]


@pytest.mark.parametrize(
    "cluster",
    [
        "{workers: 1}",
        "{controller_role: controller+worker}",
        "{version: v1.33.1+k0s.0}",
        "{disable_components: [konnectivity-server]}",
        "{same_nat_address: true}",
        "{k0s: {spec: {api: {extraArgs: {v: '4'}}}}}",
    ],
)
def test_a_scenario_that_begins_otherwise_has_a_lab_of_its_own(host, session, scenario, cluster):
    play(session().runs, [scenario("a"), scenario("b", cluster=cluster), scenario("c")])
    # Those that begin alike are brought together.
    assert host.log == [("a", 0), ("c", 0), ("b", 1)]
    assert all(lab.removed for lab in host.labs)
    # To give a lab back takes its time, so nobody is asked to whose lab nobody wants.
    assert host.asked == ["a"]


def test_an_environment_is_part_of_the_start_since_an_installed_k0s_gets_none(
    host, session, scenario
):
    proxied = scenario("b", "{environment: {machine: controller0, variables: {A: '1'}}}")
    play(session().runs, [scenario("a"), proxied])
    assert host.log == [("a", 0), ("b", 1)]


def test_a_scenario_that_leaves_something_comes_last_and_its_lab_is_used_by_nobody(
    host, session, scenario
):
    leaving = [scenario("a", LEAVES), scenario("b", LEAVES)]
    play(session().runs, [*leaving, scenario("c", EXACT)])
    assert host.log == [("c", 0), ("a", 0), ("b", 1)]
    assert [lab.removed for lab in host.labs] == [True, True]


def test_fresh_machines_for_each_are_had_for_the_asking_in_the_order_given(host, session, scenario):
    given = [scenario("a", LEAVES), scenario("b"), scenario("c")]
    play(session(fresh="1").runs, given)
    assert host.log == [("a", 0), ("b", 1), ("c", 2)]
    assert all(lab.removed for lab in host.labs)


def test_a_lab_that_was_not_given_back_as_it_was_is_not_used_again(host, session, scenario):
    host.stuck.add("a")
    play(session().runs, [scenario("a"), scenario("b")])
    assert host.log == [("a", 0), ("b", 1)]


def test_the_last_scenario_hands_nothing_on(host, session, scenario):
    runs = session().runs
    which = scenario("a")
    runs.enter(which, "only")
    runs.finish(which, following=None)
    assert host.labs[0].removed
    assert not runs.alive


def test_a_lab_that_stands_is_removed_when_the_session_is_interrupted(host, session, scenario):
    runs = session().runs
    one, other = scenario("a"), scenario("b")
    runs.enter(one, "only")
    runs.finish(one, following=other)
    assert runs.alive
    assert not host.labs[0].removed
    runs.finish_all(KeyboardInterrupt())
    assert host.labs[0].removed
    assert not runs.alive


def test_an_interrupted_scenario_hands_nothing_on(host, session, scenario):
    runs = session().runs
    one, other = scenario("a"), scenario("b")
    runs.enter(one, "only")
    runs.finish(one, KeyboardInterrupt(), following=other)
    assert host.labs[0].removed
    assert not runs.alive


def test_a_lab_whose_next_scenario_never_began_is_not_given_to_one_that_begins_otherwise(
    host, session, scenario
):
    runs = session().runs
    one, skipped, other = scenario("a"), scenario("b"), scenario("c", cluster="{workers: 1}")
    runs.enter(one, "only")
    runs.finish(one, following=skipped)
    runs.finish(skipped, following=other)
    runs.enter(other, "only")
    assert host.log == [("a", 0), ("c", 1)]
    assert host.labs[0].removed


def test_a_standing_lab_that_cannot_be_removed_is_told_and_no_success(host, session, scenario):
    host.error = InfrastructureError("Removing the lab", "network k0s-1 is in use")
    made = session()
    one, other = scenario("a"), scenario("b")
    made.runs.enter(one, "only")
    made.runs.finish(one, following=other)
    made.runs.finish_all()
    (ended,) = [each for each in made.events if isinstance(each, StepEnded) and not each.ok]
    assert "network k0s-1 is in use" in ended.text
    (result,) = made.runs.results
    assert result.outcome is Outcome.INFRASTRUCTURE
    assert "network k0s-1 is in use" in result.error


def test_addresses_do_not_tell_two_beginnings_apart(session, scenario):
    runs = session().runs
    states = [start_state(runs._plan(scenario(name))) for name in "ab"]
    assert states[0] == states[1]
    other = dataclasses.replace(states[0], same_nat_address=True)
    assert other != states[0]


def test_a_scenario_named_twice_is_run_once(session, scenario):
    which = scenario("a")
    assert session().runs.in_order([which, which, Which(Path(which.path))]) == (which,)


@pytest.fixture
def left(host, monkeypatch):
    """What commands left standing on this host; a run that is to be reused leaves its lab."""
    labs = []
    host.footprint = Footprint({})

    def leave(shared_lab, plan, _context):
        assert shared_lab.start == start_state(plan)
        labs.append(shared_lab)
        return "it stays"

    def find(plan, _context, _tell):
        alike = [each for each in labs if each.start == start_state(plan)]
        return labs.pop(labs.index(alike[0])) if alike else None

    monkeypatch.setattr(sessions.warm, "leave", leave)
    monkeypatch.setattr(sessions.warm, "find", find)
    return labs


def run_one(session, which):
    session.runs.enter(which, "only")
    session.runs.finish(which)
    session.runs.finish_all()


def test_a_lab_is_left_to_the_next_command_that_begins_alike(host, session, scenario, left):
    run_one(session(reuse="1"), scenario("a", EXACT))
    assert [each.lab.removed for each in left] == [False]
    run_one(session(reuse="1"), scenario("b", EXACT))
    assert host.log == [("a", 0), ("b", 0)]
    assert len(left) == 1


def test_a_command_that_begins_otherwise_gets_no_lab_that_was_left(host, session, scenario, left):
    run_one(session(reuse="1"), scenario("a", EXACT))
    run_one(session(reuse="1"), scenario("b", EXACT, "{workers: 1}"))
    assert host.log == [("a", 0), ("b", 1)]


@pytest.mark.parametrize("settings", [{}, {"reuse": "1", "fresh": "1"}])
def test_no_lab_is_left_or_taken_unless_asked_for(host, session, scenario, left, settings):
    run_one(session(reuse="1"), scenario("a", EXACT))
    run_one(session(**settings), scenario("b", EXACT))
    assert host.log == [("a", 0), ("b", 1)]
    assert [each.lab.number for each in left] == [0]
    assert host.labs[1].removed


@pytest.mark.parametrize(
    "why", ["leaves something", "not as before", "no footprint", "on another host"]
)
def test_a_lab_that_nobody_could_take_as_it_began_is_not_left(host, session, scenario, left, why):
    if why == "not as before":
        host.stuck.add("a")
    if why == "no footprint":
        host.footprint = None
    host.elsewhere = why == "on another host"
    run_one(session(reuse="1"), scenario("a", LEAVES if why == "leaves something" else EXACT))
    assert left == []
    assert host.labs[0].removed


def test_machines_that_were_saved_are_shared_and_left_whatever_a_scenario_leaves(
    host, session, scenario, left
):
    host.saved, host.footprint = "2026-11-28T20:00:00+00:00", None
    play(session(reuse="1").runs, [scenario("a", LEAVES), scenario("b", LEAVES)])
    assert host.log == [("a", 0), ("b", 0)]
    assert [each.saved for each in left] == [host.saved]


def test_an_interrupted_command_leaves_no_lab(host, session, scenario, left):
    made = session(reuse="1")
    made.runs.enter(scenario("a", EXACT), "only")
    made.runs.finish_all(KeyboardInterrupt())
    assert left == []
    assert host.labs[0].removed
