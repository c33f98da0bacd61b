"""Every sentence may be reworded: programs go by ids, and no verdict, cause or drawing by words.

Recorded runs are judged and drawn once as they are and once with every name and title replaced.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.diagnose import model as diagnosis_model
from harness.diagnose.judge import diagnose
from harness.diagnose.model import Diagnosis, HopId
from harness.engine import events as engine_events
from harness.engine import results
from harness.engine.replay import replay
from harness.evidence.bundle import Bundle, read_bundle
from harness.evidence.old_format import report_with_ids
from harness.report.html.compare import last_readings
from harness.report.html.run_folder import read
from harness.report.html.way import way_of
from tests.unit.paths import PROJECT
from tests.unit.recorded import readings

RECORDINGS = PROJECT / "tests/recordings"
RUN = RECORDINGS / "run-konnectivity-off"
WALKS = sorted(RECORDINGS.glob("diagnosis/*/*.jsonl"))


@pytest.fixture
def reworded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name of a hop, a step and a precondition is another one."""
    tables = (
        diagnosis_model.HOP_NAMES,
        results.PRECONDITION_NAMES,
        engine_events._STEP_TITLES,
    )
    for table in tables:
        for index, key in enumerate(table):
            monkeypatch.setitem(table, key, f"Satz {index}")


def _known(diagnosis: Diagnosis) -> tuple[Any, ...]:
    """What a diagnosis says, but for its words."""
    hops = [(hop.id, hop.state, hop.device, hop.gateway) for hop in diagnosis.hops]
    return diagnosis.cause, diagnosis.confidence, hops, diagnosis.also, len(diagnosis.remedies)


def _walks() -> Iterator[tuple[Any, ...]]:
    for path in WALKS:
        yield _known(diagnose(readings(path)))


@pytest.fixture(scope="module")
def as_it_was() -> tuple[list[tuple[Any, ...]], Bundle]:
    return list(_walks()), read_bundle(PROJECT / "demo/konnectivity-off.tar.gz")


def test_no_cause_goes_by_the_name_of_a_hop(
    as_it_was: tuple[list[tuple[Any, ...]], Bundle], reworded: None
) -> None:
    walks, _ = as_it_was
    assert list(_walks()) == walks
    assert len(walks) > 30


def test_no_replay_goes_by_the_titles_of_its_timeline(
    as_it_was: tuple[list[tuple[Any, ...]], Bundle], reworded: None
) -> None:
    _, bundle = as_it_was
    told = [
        {**event, "title": "Satz", "text": "Satz"} if "step" in event else event
        for event in bundle.events
    ]
    assert sum(event["text"] == "Satz" for event in told if "step" in event) > 10
    found = replay(dataclasses.replace(bundle, events=told), folder=Path())
    assert found.differences == ()
    assert found.notes == ()
    assert [phase.name for phase in found.result.phases] == ["broken", "repaired"]


def test_no_drawing_goes_by_the_names_of_hops_and_preconditions() -> None:
    report = report_with_ids(json.loads((RUN / "report.json").read_text()))
    renamed = copy.deepcopy(dict(report))
    for phase in renamed["phases"]:
        for each in (*phase["diagnosis"]["hops"], *phase["preconditions"]):
            each["name"] = "Satz"
            each["text"] = "Satz"
        for verdict in phase["verdicts"]:
            verdict["observed_text"] = "Satz"
    for phase, other, last in zip(
        report["phases"], renamed["phases"], last_readings(report, read(RUN)), strict=True
    ):
        way, same = way_of(phase, last.values()), way_of(other, last.values())
        assert same.states == way.states
        assert (same.tunnel, same.broken_at) == (way.tunnel, way.broken_at)
        assert (same.device, same.gateway) == (way.device, way.gateway)


def test_every_hop_of_a_recording_of_the_old_format_gets_its_id() -> None:
    report = report_with_ids(json.loads((RUN / "report.json").read_text()))
    ids = {hop["id"] for phase in report["phases"] for hop in phase["diagnosis"]["hops"]}
    assert ids <= set(HopId)
    assert len(ids) > 10
