"""One run of one scenario: phases once and in file order, and an end that leaves nothing behind."""

from __future__ import annotations

import types
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from harness.artifacts.pins import load_pins
from harness.base.errors import InconclusiveError, InfrastructureError
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.check.model import Verdict
from harness.engine import run as engine_run
from harness.engine.outcome import Outcome
from harness.engine.results import ExpectationResult, PhaseResult, Precondition, PreconditionId
from harness.engine.run import RunRequest, ScenarioRun
from harness.engine.settling import PreconditionsUnmetError
from harness.engine.shared_lab import SharedLab, start_state
from harness.plan.build import build
from harness.providers.base import ProviderChoice
from harness.providers.registry import provider
from harness.scenario.load import load
from tests.unit.paths import SCENARIOS

SCENARIO = SCENARIOS / "konnectivity-off.yaml"


class FakePhases:
    """Enters phases as it is told: each gives its verdict, or raises its error."""

    def __init__(self, endings):
        self._endings = endings
        self.entered = []
        self.settling = types.SimpleNamespace(endpoint_ready=12.5)
        self.not_as_before = ()

    def enter(self, phase):
        self.entered.append(phase.name)
        ending = self._endings.get(phase.name, Verdict.MET)
        if isinstance(ending, BaseException):
            raise ending
        result = ExpectationResult("a", "pods", "expected", "observed", ending, "why")
        return PhaseResult(phase.name, verdicts=(result,))

    def give_back(self, _tell):
        self.entered.append("given back")
        if isinstance(self.not_as_before, BaseException):
            raise self.not_as_before
        return self.not_as_before


class FakeLab:
    """Machines that write down what becomes of them."""

    substrate = "no machines at all"
    pace = 1.0
    seed = None
    run_id = "r1"
    ssh_config = Path("ssh_config")
    machines = ()
    isolation = types.SimpleNamespace(lines=dict)

    def __init__(self, error=None):
        self._error = error
        self.fate = []

    def destroy(self):
        self.fate.append("destroyed")
        if self._error is not None:
            raise self._error

    def keep(self, _until):
        self.fate.append("kept")


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A run whose phases end as given, on a lab that is only written down."""

    def made(endings=None, *, lab=None, keep="never", shared_lab=None, ready=True, pause=None):
        given = {"keep": keep, "pause_on_failure": None if pause is None else "1"}
        settings = Settings.from_environment({"HOME": str(tmp_path)}, given)
        plan = build(
            load(SCENARIO),
            subnet=IPv4Network("192.168.56.0/24"),
            provider=provider("docker"),
            pins=load_pins(),
            arch="amd64",
        )
        run = ScenarioRun(
            RunRequest("r1", plan, ProviderChoice("docker", "a test")),
            settings=settings,
            runner=LocalRunner(),
            clock=SystemClock(),
            emit=[].append,
            pause=pause or (lambda _: None),
            shared_lab=shared_lab,
        )
        if not ready:
            return run, None, lab
        phases = FakePhases(endings or {})
        lab = lab or FakeLab()

        def stand_up():
            monkeypatch.setattr(run, "_lab", lab)
            monkeypatch.setattr(run, "_live", phases)
            return phases

        monkeypatch.setattr(run, "_stand_up", stand_up)
        monkeypatch.setattr(run, "_collect", lambda _lab: lab.fate.append("collected"))
        return run, phases, lab

    return made


def test_phases_are_entered_once_each_in_file_order_whoever_asks_first(make):
    run, phases, _ = make()
    repaired = run.enter("repaired")
    assert phases.entered == ["broken", "repaired"]
    assert run.enter("repaired") is repaired
    assert run.enter("broken").name == "broken"
    assert phases.entered == ["broken", "repaired"]


def test_a_person_is_told_how_to_get_in_and_the_report_that_somebody_was_there(make):
    told = []
    run, _, lab = make(pause=told.append)
    lab.folder = Path("/labs/r1")
    run.enter("broken")
    run._pause_after("broken")
    assert "ssh -F ssh_config controller0" in told[0]
    assert "kubectl --kubeconfig /labs/r1/kubeconfig" in told[0]
    (left,) = run.finish().leftovers
    assert left == "paused for 0s after phase broken: what was done meanwhile is not known"
    assert lab.fate == ["collected", "destroyed"]


def test_nobody_is_waited_for_unasked(make):
    run, _, _ = make()
    run.enter("broken")
    run._pause_after("broken")
    assert run.finish().leftovers == ()


def test_a_later_phase_waits_until_it_is_asked_for(make):
    run, phases, _ = make()
    run.enter("broken")
    assert phases.entered == ["broken"]


@pytest.mark.parametrize("error", [InfrastructureError("Doing", "failed"), KeyboardInterrupt()])
def test_a_run_that_failed_gives_everybody_the_same_error(make, error):
    run, phases, _ = make({"broken": error})
    for name in ("broken", "repaired", "broken"):
        with pytest.raises(type(error)) as caught:
            run.enter(name)
        assert caught.value is error
    assert phases.entered == ["broken"]


def test_preconditions_that_do_not_hold_stand_in_the_result_and_are_inconclusive(make):
    seen = (
        Precondition(PreconditionId.NODES_READY, "nodes are Ready", holds=False, text="1 of 2"),
    )
    run, _, _ = make({"repaired": PreconditionsUnmetError("repaired", seen)})
    with pytest.raises(PreconditionsUnmetError):
        run.enter("repaired")
    result = run.finish()
    assert result.outcome is Outcome.INCONCLUSIVE
    assert [(each.name, each.preconditions) for each in result.phases] == [
        ("broken", ()),
        ("repaired", seen),
    ]
    assert "1 of 2" in result.error


@pytest.mark.parametrize(
    ("endings", "outcome"),
    [
        ({}, Outcome.MET),
        ({"broken": Verdict.NOT_MET}, Outcome.NOT_MET),
        ({"repaired": Verdict.INCONCLUSIVE}, Outcome.INCONCLUSIVE),
    ],
)
def test_the_outcome_is_that_of_the_verdicts_and_the_machines_go(make, endings, outcome):
    run, _, lab = make(endings)
    run.enter("repaired")
    assert run.finish().outcome is outcome
    assert lab.fate == ["collected", "destroyed"]


def test_an_interrupt_goes_before_verdicts_and_the_machines_go(make):
    run, _, lab = make()
    run.enter("broken")
    result = run.finish(KeyboardInterrupt())
    assert result.outcome is Outcome.INTERRUPTED
    assert result.error == "interrupted"
    assert lab.fate == ["collected", "destroyed"]


def test_evidence_that_cannot_be_collected_keeps_no_machine(make, monkeypatch):
    run, _, lab = make()
    run.enter("broken")

    def fail(_lab):
        raise OSError("no space left on device")

    monkeypatch.setattr(run, "_collect", fail)
    with pytest.raises(OSError, match="no space"):
        run.finish()
    assert lab.fate == ["destroyed"]


def test_machines_that_could_not_be_removed_are_named_and_no_success(make):
    stuck = InfrastructureError("Removing the lab", "network k0s-1 is in use")
    run, _, _ = make(lab=FakeLab(stuck))
    run.enter("repaired")
    result = run.finish()
    assert result.outcome is Outcome.INFRASTRUCTURE
    assert "network k0s-1 is in use" in result.leftovers[0]


@pytest.mark.parametrize(
    ("keep", "endings", "fate"),
    [
        ("always", {}, "kept"),
        ("failure", {}, "destroyed"),
        ("failure", {"repaired": Verdict.NOT_MET}, "kept"),
        ("never", {"repaired": Verdict.NOT_MET}, "destroyed"),
    ],
)
def test_machines_are_kept_only_as_asked_and_then_it_says_how_to_enter(make, keep, endings, fate):
    run, _, lab = make(endings, keep=keep)
    run.enter("repaired")
    result = run.finish()
    assert lab.fate == ["collected", fate]
    if fate == "kept":
        assert "ssh -F ssh_config controller0" in result.leftovers[0]


@pytest.mark.parametrize(
    ("keep", "hand_on", "order"),
    [
        ("never", False, ["collected", "told", "destroyed"]),
        ("never", True, ["collected", "told"]),
        # How to enter them stands in what is told.
        ("always", False, ["collected", "kept", "told"]),
    ],
)
def test_what_a_run_came_to_is_told_before_the_machines_are_given_back_or_go(
    make, monkeypatch, keep, hand_on, order
):
    run, phases, lab = make(keep=keep)
    told = []

    def tell(result):
        lab.fate.append("told")
        told.append((result.outcome, len(result.leftovers), "given back" in phases.entered))

    monkeypatch.setattr(run, "_on_verdict", tell)
    run.enter("repaired")
    run.finish(hand_on=hand_on)
    assert lab.fate == order
    assert told == [(Outcome.MET, order.count("kept"), False)]


def test_machines_go_also_where_nobody_can_be_told(make, monkeypatch):
    run, _, lab = make()

    def closed(_result):
        raise BrokenPipeError

    monkeypatch.setattr(run, "_on_verdict", closed)
    run.enter("repaired")
    with pytest.raises(BrokenPipeError):
        run.finish()
    assert lab.fate == ["collected", "destroyed"]


def test_a_run_that_nobody_entered_has_no_verdict_and_nothing_to_remove(make):
    run, _, lab = make()
    assert run.finish().outcome is Outcome.INCONCLUSIVE
    assert lab.fate == []


def test_machines_that_were_given_back_as_they_were_are_handed_on(make):
    run, phases, lab = make()
    run.enter("repaired")
    result = run.finish(hand_on=True)
    assert phases.entered == ["broken", "repaired", "given back"]
    assert lab.fate == ["collected"]
    assert result.outcome is Outcome.MET
    assert run.shared_lab.lab is lab
    assert run.shared_lab.scenario == "konnectivity-off"
    assert run.shared_lab.start == start_state(run.request.plan)
    assert run.shared_lab.endpoint_ready == 12.5


def test_nothing_is_given_back_where_nobody_takes_it(make):
    run, phases, lab = make()
    run.enter("repaired")
    run.finish()
    assert phases.entered == ["broken", "repaired"]
    assert (lab.fate, run.shared_lab) == (["collected", "destroyed"], None)


@pytest.mark.parametrize(
    "left",
    [("worker0: route 10.96.0.0/12 is gone",), InfrastructureError("Taking back", "no SSH")],
)
def test_machines_that_are_not_what_they_were_are_removed_and_it_says_why(make, left):
    run, phases, lab = make()
    phases.not_as_before = left
    run.enter("repaired")
    result = run.finish(hand_on=True)
    assert lab.fate == ["collected", "destroyed"]
    assert run.shared_lab is None
    # The verdicts were there before.
    assert result.outcome is Outcome.MET
    (told,) = result.leftovers
    assert told.startswith("the machines are not handed on: ")
    assert str(left if isinstance(left, Exception) else left[0]) in told


@pytest.mark.parametrize(
    "error",
    [InfrastructureError("Doing", "failed"), KeyboardInterrupt(), InconclusiveError("a", "b")],
)
def test_a_run_that_failed_hands_nothing_on(make, error):
    run, phases, lab = make({"repaired": error})
    with pytest.raises(type(error)):
        run.enter("repaired")
    run.finish(hand_on=True)
    assert "given back" not in phases.entered
    assert lab.fate == ["collected", "destroyed"]


def test_machines_that_are_kept_are_not_handed_on(make):
    run, phases, lab = make(keep="always")
    run.enter("repaired")
    run.finish(hand_on=True)
    assert "given back" not in phases.entered
    assert (lab.fate, run.shared_lab) == (["collected", "kept"], None)


def test_machines_that_were_taken_over_are_removed_even_if_the_run_never_got_to_use_them(
    make, monkeypatch
):
    lab = FakeLab()
    choice = ProviderChoice("docker", "a test")
    run, _, _ = make(
        shared_lab=SharedLab("before", None, choice, lab, {}, endpoint_ready=None), ready=False
    )

    def full(_folder):
        raise OSError("no space left on device")

    monkeypatch.setattr(engine_run, "Recorder", full)
    with pytest.raises(OSError, match="no space"):
        run.enter("broken")
    result = run.finish()
    assert lab.fate == ["destroyed"]
    assert result.outcome is Outcome.INFRASTRUCTURE
    assert result.shared_lab == "before, found to be as before it"


def test_machines_that_were_saved_are_handed_on_without_taking_anything_back(make):
    run, phases, lab = make()
    phases.not_as_before = ("worker0: route 10.96.0.0/12 is gone",)
    run.saved = "2026-11-28T20:00:00+00:00"
    run.enter("repaired")
    run.finish(hand_on=True)
    assert "given back" not in phases.entered
    assert lab.fate == ["collected"]
    assert (run.shared_lab.saved, run.shared_lab.endpoint_ready) == (run.saved, None)


def restored_by(make, monkeypatch, told):
    """A run on machines that are to be restored; `told` is what went wrong with that."""
    start, choice = types.SimpleNamespace(deployment=None), ProviderChoice("libvirt", "a test")
    shared = SharedLab("before", start, choice, FakeLab(), {}, None, saved="then")
    run, _, _ = make(shared_lab=shared, ready=False)
    monkeypatch.setattr(engine_run.warm, "restore", lambda *_: told)
    made = []

    def make_lab():
        made.append(FakeLab())
        raise InfrastructureError("Making machines", "far enough for this test")

    monkeypatch.setattr(run, "_made", make_lab)
    # Nothing is there to deploy to.
    monkeypatch.setattr(engine_run, "Cluster", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(engine_run, "readdressed", lambda plan, _subnet: plan)
    FakeLab.subnet = None
    with pytest.raises((InfrastructureError, ZeroDivisionError)):
        run.enter("broken")
    return run, made


def test_machines_that_were_saved_are_restored_before_they_are_used(make, monkeypatch):
    run, made = restored_by(make, monkeypatch, ())
    assert made == []
    assert run.finish().shared_lab == "before, restored from their snapshot of then"


def test_machines_are_made_where_those_that_were_saved_cannot_be_restored(make, monkeypatch):
    run, made = restored_by(make, monkeypatch, ("not restored: no snapshot",))
    assert len(made) == 1
    assert (run.saved, run.finish().shared_lab) == ("", None)
    assert run.finish().leftovers == ("not restored: no snapshot",)
