"""Where the seconds of recorded runs went."""

from __future__ import annotations

import html
import itertools
import json
from dataclasses import replace

import pytest

from harness.cli import main
from harness.cli.recorded import read_run
from harness.engine.timings import timings_of
from harness.evidence.bundle import read_bundle
from harness.report import summary
from harness.report import timings as report
from harness.report.html import page
from tests.unit.paths import DEMO, RECORDINGS

RECORDED = RECORDINGS / "run-konnectivity-off"


@pytest.fixture(scope="module")
def recorded():
    lines = (RECORDED / "timeline.jsonl").read_text().splitlines()
    return timings_of(json.loads(line) for line in lines)


@pytest.fixture(scope="module")
def demo():
    return timings_of(read_bundle(DEMO).events)


def test_every_step_has_its_seconds_and_its_phase(recorded):
    steps = [(step.phase, step.title, round(step.seconds, 1)) for step in recorded.steps]
    assert steps == [
        ("", "Artifacts", 0.5),
        ("", "3 machines through Vagrant (docker)", 12.7),
        ("broken", "k0sctl apply", 56.2),
        ("broken", "Preconditions", 19.6),
        ("broken", "Observe broken", 90.2),
        ("repaired", "k0sctl apply", 17.8),
        ("repaired", "Preconditions", 1.4),
        ("repaired", "Observe repaired", 78.4),
        ("repaired", "Evidence", 4.5),
        ("repaired", "Teardown", 5.6),
    ]


def test_parts_of_a_step_add_up_to_it(recorded, demo):
    for step in (*recorded.steps, *demo.steps):
        if step.parts:
            assert sum(part.seconds for part in step.parts) == pytest.approx(step.seconds)


def test_an_apply_is_told_by_k0sctls_phases(recorded):
    apply = {part.text: round(part.seconds, 1) for part in recorded.steps[2].parts}
    assert apply["Stage k0s binaries on hosts"] == 8.5
    assert apply["Initialize the k0s cluster"] == 12.0
    assert apply["Install workers"] == 30.7


def test_machines_that_are_made_side_by_side_are_told_apart(recorded):
    (made,) = (part for part in recorded.steps[1].parts if part.machines)
    ready = {name: round(did[-1].ended, 1) for name, did in made.machines.items()}
    assert ready == {"controller0": 11.3, "worker0": 11.2, "worker1": 10.9}
    assert [each.text for each in made.machines["worker1"]][2] == "Creating the container"


def test_a_wait_for_another_lab_is_told_apart_from_the_machines(demo):
    waits = [part for part in demo.steps[1].parts if "waiting for run" in part.text]
    assert [round(part.seconds, 1) for part in waits] == [9.4]
    assert not waits[0].machines


def test_a_verdict_is_what_was_waited_for_since_the_one_before(recorded):
    waited = [
        (part.text.split(":")[0], round(part.seconds))
        for part in recorded.steps[4].parts
        if part.text
    ]
    assert waited == [("pods", 0), ("top_nodes", 42), ("diagnosis", 9), ("apiservice", 39)]


def test_the_way_to_the_first_verdict_has_no_gap_and_goes_by_the_last_machine(recorded, demo):
    for timings in (recorded, demo):
        way = timings.critical_path()
        assert way[0].began == 0
        assert way[-1].ended == pytest.approx(timings.first_verdict.began)
        for before, after in itertools.pairwise(way):
            assert after.began == pytest.approx(before.ended)
        assert {name for name in ("controller0", "worker0", "worker1") if name in str(way)} == {
            "controller0"
        }


def test_a_run_that_was_cut_off_is_told_as_far_as_it_went(recorded):
    lines = (RECORDED / "timeline.jsonl").read_text().splitlines()[:45]
    events = [json.loads(line) for line in lines]
    cut = timings_of(events)
    assert cut.steps[0] == recorded.steps[0]
    assert cut.steps[-1].ended == cut.seconds
    assert cut.first_verdict is None
    assert cut.critical_path() == ()
    assert "first verdict none" in report.profile("cut", events)


def test_a_timeline_without_times_says_nothing():
    assert report.profile("old", [{"event": "step-started", "title": "A"}]) == ""


def test_the_page_and_the_summary_of_a_run_show_what_the_command_does(capsys):
    result = read_run(RECORDED)
    assert main(["timings", str(RECORDED)]) == 0
    told = [line.strip() for line in capsys.readouterr().out.splitlines()[1:] if line]
    for shown in (page.render(result), summary.render(result)):
        text = html.unescape(shown)
        assert all(line in text for line in told)


def test_a_run_without_its_timeline_shows_the_sums_of_its_steps(tmp_path):
    result = replace(read_run(RECORDED), folder=tmp_path)
    assert "way to the first verdict" not in page.render(result) + summary.render(result)
    assert "k0sctl apply" in page.render(result)


def test_folders_ids_and_bundles_are_told_by_the_command(capsys, monkeypatch, tmp_path):
    (tmp_path / "20261123-054703-3db6").mkdir()
    (tmp_path / "20261123-054703-3db6/konnectivity-off").symlink_to(RECORDED)
    monkeypatch.setenv("K0S_HARNESS_RUNS", str(tmp_path))
    assert main(["timings", "20261123-054703-3db6", str(RECORDED), str(DEMO)]) == 0
    out = capsys.readouterr().out
    assert "konnectivity-off: 4m47s, first verdict after 89s (pods: reached after 0s)" in out
    assert out.count("the way to the first verdict") == 3
    assert "31s    34%  k0sctl apply: Install workers" in out


@pytest.mark.parametrize(("named", "said"), [("nothing", "no file or folder"), (".", "timeline")])
def test_what_is_no_run_is_refused(capsys, monkeypatch, tmp_path, named, said):
    monkeypatch.chdir(tmp_path)
    assert main(["timings", named]) == 2
    assert said in capsys.readouterr().err
