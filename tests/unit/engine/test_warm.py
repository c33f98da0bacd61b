"""Labs that one command leaves to the next: known by what they are made of, compared before use."""

from __future__ import annotations

import dataclasses
import json
import types
from pathlib import Path

import pytest

from harness.artifacts.model import Artifact, Origin
from harness.base.context import Context
from harness.base.errors import InconclusiveError
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.changes import footprint
from harness.engine import warm
from harness.engine.session import plan_of
from harness.engine.shared_lab import SharedLab, start_state
from harness.engine.steps import Steps
from harness.evidence.reading import Reading
from harness.providers.base import ProviderChoice
from harness.scenario.load import load
from harness.state.entries import LabEntry, LabState
from harness.state.records import WARM
from harness.testing import FakeClock, FakeRunner
from tests.unit.paths import RECORDINGS, SCENARIOS

MACHINES = ("controller0", "worker0", "worker1")
DOCKER = ProviderChoice("docker", "a test")
LIBVIRT = ProviderChoice("libvirt", "a test")
SAVED_AT = "2026-11-28T20:00:00+00:00"


def recorded(name):
    lines = (RECORDINGS / f"changes/{name}.jsonl").read_text().splitlines()
    readings = [Reading.from_dict(json.loads(line)) for line in lines]
    return footprint.from_readings(MACHINES, readings)


def artifacts_of(plan, **sums):
    return {
        ref.kind: Artifact(ref, Path("/x"), sums.get(ref.kind.value, "0" * 64), Origin.OFFICIAL, "")
        for ref in plan.artifacts
    }


class Lab:
    """Machines that were left, and what becomes of them."""

    run_id = RunId("k5-000001")
    pace = 1.0
    machines = ()

    def __init__(self, folder):
        self.folder = folder
        self.kept_until = None
        self.destroyed = False
        self.reservation = types.SimpleNamespace(remove=self.destroy)

    def keep(self, until):
        self.kept_until = until

    def destroy(self):
        self.destroyed = True


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A host with one lab that konnectivity-on left as it was recorded."""
    settings = Settings.from_environment({"HOME": str(tmp_path)}, {"reuse": "1"})
    plan = plan_of(load(SCENARIOS / "konnectivity-on.yaml"), settings)
    lab = Lab(tmp_path / Lab.run_id)
    lab.folder.mkdir()
    made_of = artifacts_of(plan)
    made = types.SimpleNamespace(
        plan=plan,
        lab=lab,
        context=Context(FakeRunner({"": ""}), FakeClock(), settings),
        artifacts=made_of,
        now=recorded("footprint-before"),
        state=LabState.KEPT,
        answers=True,
        told=[],
        stopped=[],
        lacks=(),
        asked=[],
        choice=DOCKER,
        shared=SharedLab(
            "konnectivity-on",
            start_state(plan),
            DOCKER,
            lab,
            made_of,
            None,
            recorded("footprint-before"),
        ),
    )
    made.leave = lambda: warm.leave(made.shared, plan, made.context)
    made.find = lambda which=plan: warm.find(which, made.context, made.told.append)

    def entries(*_, **__):
        return (LabEntry(lab.run_id, made.state, "", folder=lab.folder),)

    def taken(*_, off, **__):
        return lab if made.answers or off else None

    monkeypatch.setattr(warm, "in_folder", entries)
    monkeypatch.setattr(warm, "survey", lambda *_, versions: made.asked.append(versions))
    monkeypatch.setattr(warm, "choose_provider", lambda *_: made.choice)
    monkeypatch.setattr(warm, "problems", lambda *_: made.lacks)
    monkeypatch.setattr(warm.saved, "stop", lambda *_: made.stopped.append(lab))
    monkeypatch.setattr(warm.Store, "provide", lambda *_: made.artifacts)
    monkeypatch.setattr(warm.kept, "take_over", taken)
    monkeypatch.setattr(warm.footprint, "from_readings", lambda *_: read(made.now))
    return made


def read(now):
    if isinstance(now, Exception):
        raise now
    return now


def test_a_lab_that_was_left_is_found_and_has_to_settle_again(here):
    assert "REUSE=1" in here.leave()
    found = here.find()
    assert found.lab is here.lab
    assert found.scenario.startswith("konnectivity-on (lab k5-000001, left at ")
    assert (found.endpoint_ready, found.footprint) == (None, recorded("footprint-before"))
    assert not here.lab.destroyed


@pytest.mark.parametrize(
    "now", [recorded("footprint-changed"), InconclusiveError("Reading the rules", "no answer")]
)
def test_a_lab_that_is_not_what_it_was_is_removed_and_not_used(here, now):
    here.leave()
    here.now = now
    assert here.find() is None
    assert here.lab.destroyed
    assert any("not as it was left" in line for line in here.told)


def test_what_is_made_of_something_else_is_not_the_same_lab(here):
    def signature(plan=here.plan, choice=DOCKER, artifacts=here.artifacts, **settings):
        # Whether this host could make a seed is no matter of the test.
        changed = dataclasses.replace(here.context.settings, **{"seed": False, **settings})
        context = dataclasses.replace(here.context, settings=changed)
        return warm.signature(plan, choice, context, artifacts)

    other = plan_of(load(SCENARIOS / "konnectivity-off.yaml"), here.context.settings)
    own_build = artifacts_of(here.plan, k0s="1" * 64)
    found = {
        signature(),
        signature(plan=other),
        signature(choice=ProviderChoice("libvirt", "a test")),
        signature(artifacts=own_build),
        signature(seed=True),
        signature(same_nat_address=True),
        signature(libvirt_uri="qemu:///session"),
    }
    assert len(found) == 7
    assert signature() == signature(runs_dir=Path("/elsewhere"))


def test_another_build_of_the_harness_uses_no_lab_of_this_one(here, monkeypatch):
    here.leave()
    monkeypatch.setattr(warm.harness, "__version__", "another")
    assert here.find() is None
    assert not here.lab.destroyed


@pytest.mark.parametrize("what", ["live", "gone", "no answer", "for a person", "damaged"])
def test_a_lab_that_cannot_be_had_is_left_alone(here, what):
    here.leave()
    if what == "live":
        here.state = LabState.LIVE
    if what == "no answer":
        here.answers = False
    if what in {"gone", "for a person"}:
        (here.lab.folder / WARM).unlink()
    if what == "damaged":
        (here.lab.folder / WARM).write_text('{"footprint": [["a"]]}')
    assert here.find() is None
    assert not here.lab.destroyed


@pytest.fixture
def saved(here):
    """The same lab on libvirt, saved with its memory: nobody knows what was done to it since."""
    here.choice = LIBVIRT
    here.shared = dataclasses.replace(here.shared, choice=LIBVIRT, footprint=None, saved=SAVED_AT)
    here.now = InconclusiveError("Reading the rules", "it is off")
    here.answers = False
    return here


def test_a_lab_that_was_saved_is_left_turned_off_and_found_to_be_restored(saved):
    assert "REUSE=1" in saved.leave()
    assert saved.stopped == [saved.lab]
    found = saved.find()
    assert found.lab is saved.lab
    assert (found.saved, found.endpoint_ready) == (SAVED_AT, None)
    assert found.stood_on.endswith(f"restored from their snapshot of {SAVED_AT}")
    # Whether machines can be started goes by Vagrant's version, too.
    assert saved.asked == [True]
    assert not saved.lab.destroyed


def test_a_lab_that_was_saved_waits_while_this_host_has_no_memory_for_it(saved):
    saved.leave()
    saved.lacks = (types.SimpleNamespace(happened="3 GiB of memory, 8 are needed"),)
    assert saved.find() is None
    assert any("3 GiB of memory" in line for line in saved.told)
    assert not saved.lab.destroyed
    saved.lacks = ()
    assert saved.find().saved == SAVED_AT


def test_a_lab_that_was_taken_is_left_to_nobody_until_it_is_left_again(saved):
    saved.leave()
    assert saved.find().lab is saved.lab
    # As a run ends that keeps its machines for a person.
    assert saved.find() is None


def test_machines_that_cannot_be_restored_go_and_it_says_why(saved, monkeypatch):
    def fail(*_):
        raise InconclusiveError("Restoring k5-000001-worker0", "no snapshot of that name")

    monkeypatch.setattr(warm.saved, "restore", fail)
    (told,) = warm.restore(saved.lab, saved.context, Steps(FakeClock(), saved.told.append))
    assert "no snapshot of that name" in told
    assert saved.lab.destroyed


def test_machines_that_cannot_be_saved_stay_and_it_says_why(saved, monkeypatch):
    def fail(*_):
        raise InconclusiveError("Saving k5-000001-worker0", "no space left on device")

    monkeypatch.setattr(warm.saved, "save", fail)
    at, (told,) = warm.save(saved.lab, saved.context, Steps(FakeClock(), saved.told.append))
    assert (at, saved.lab.destroyed) == ("", False)
    assert "no space left on device" in told


@pytest.mark.parametrize(
    ("provider", "elsewhere", "settings", "saves"),
    [
        ("libvirt", "", {"reuse": True}, True),
        ("docker", "", {"reuse": True}, False),
        ("libvirt", "host.example", {"reuse": True}, False),
        ("libvirt", "", {}, False),
        ("libvirt", "", {"reuse": True, "fresh": True}, False),
    ],
)
def test_machines_are_saved_where_they_can_be_for_a_next_one_that_may_come(
    here, provider, elsewhere, settings, saves
):
    here.lab.record = types.SimpleNamespace(provider=provider, elsewhere=elsewhere)
    wanted = Settings.from_environment({"HOME": "/x"})
    assert warm.saves(here.lab, dataclasses.replace(wanted, **settings)) is saves


def test_labs_that_were_left_make_room_for_others(here, monkeypatch):
    removed = []
    monkeypatch.setattr(warm.leftovers, "clean", lambda *_, named: removed.extend(named))
    assert not warm.make_room(here.context, here.told.append)
    here.leave()
    assert warm.make_room(here.context, here.told.append)
    assert len(removed) == 1


def test_a_lab_that_is_turned_off_takes_no_memory_and_makes_no_room(saved, monkeypatch):
    monkeypatch.setattr(warm.leftovers, "clean", lambda *_, **__: pytest.fail("it was removed"))
    saved.leave()
    assert not warm.make_room(saved.context, saved.told.append)
