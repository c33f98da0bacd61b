"""What stands last on a terminal: twelve lines at most, and what to do among them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.base.errors import HostLacksError, InfrastructureError
from harness.engine.outcome import Outcome
from harness.engine.replay import replay
from harness.evidence.bundle import read_bundle
from harness.report import closing
from harness.report.closing import plain
from tests.unit.paths import DEMO, RECORDINGS
from tests.unit.recorded import diagnosed, id_of
from tests.unit.report.test_formats import RESULT

WIDTHS = (80, 100, 200)
LOG = Path("runs/20261123-050000-1a2b/konnectivity-off/vagrant.log")
PAGE = Path("runs/20261123-050000-1a2b/konnectivity-off/report.html")
REMEDY = "free the address 192.168.56.1: sudo ip link delete a-bridge-of-somebody-else " * 3
DIAGNOSED = sorted(RECORDINGS.glob("diagnosis/*/*.jsonl"))


def pasted(line):
    """What a person gets who copies a line from the screen: blanks are blanks."""
    return " ".join(line.split())


def rows_on_screen(lines, width):
    return sum(max(-(-len(line.rstrip()) // width), 1) for line in lines)


@pytest.fixture(scope="module")
def demo():
    return replay(read_bundle(DEMO), folder=DEMO, emit=lambda _: None).result


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("recording", DIAGNOSED, ids=id_of)
def test_every_recorded_diagnosis_fits_and_its_first_remedy_is_whole(recording, width):
    found = diagnosed(recording)
    lines = plain(closing.of_diagnosis(found, width))
    # Two more say what to do next.
    assert rows_on_screen(lines, width) <= closing.MOST_LINES - 2
    assert found.cause in lines[0]
    for remedy in found.remedies[:1]:
        assert any(remedy in pasted(line) for line in lines)
    if found.broken is not None:
        assert any(line.startswith("broken ") for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_recorded_run_ends_with_cause_remedy_report_and_what_is_next(demo, width):
    lines = plain(closing.of_run(demo, width, page=PAGE))
    assert rows_on_screen(lines, width) <= closing.MOST_LINES
    assert lines[0].startswith("✓ konnectivity-off: met, in 5m26s on ")
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == ["✓", "cause", "remedy", "phases", "report", "again"]
    assert f"report     {PAGE}" in lines
    assert "again      k0s-harness run konnectivity-off" in lines


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("outcome", Outcome)
def test_of_every_outcome_the_last_lines_fit_and_say_how_to_go_on(outcome, width):
    result = dataclasses.replace(RESULT, outcome=outcome)
    lines = plain(closing.of_run(result, width, page=PAGE))
    assert rows_on_screen(lines, width) <= closing.MOST_LINES
    assert str(outcome).replace("-", " ") in lines[0]
    assert lines[-1].startswith("again " if outcome is Outcome.MET else "next ")


@pytest.mark.parametrize("kind", [HostLacksError, InfrastructureError])
def test_what_ended_a_run_is_said_with_the_whole_of_what_to_do(kind):
    error = kind("Making machines", "no answer " * 40, remedy=REMEDY.strip(), where=LOG)
    outcome = Outcome.INFRASTRUCTURE
    result = dataclasses.replace(RESULT, outcome=outcome, error=error.text(), phases=())
    lines = plain(closing.of_run(result, 80, page=PAGE))
    assert rows_on_screen(lines, 80) <= closing.MOST_LINES
    assert any(line.startswith("because    Making machines: no answer") for line in lines)
    assert any(pasted(line) == f"do {pasted(REMEDY)}" for line in lines)
    assert f"log        {LOG}" in lines


def test_what_is_not_met_stands_first_with_what_was_expected_and_why():
    lines = plain(closing.of_run(RESULT, 120, page=None))
    assert lines[0].startswith("✗ konnectivity-off: not met, in 4m41s on three containers")
    assert lines[1].startswith("not met    repaired: complete: worker0, worker1; not within")
    assert not any(line.startswith("report ") for line in lines)


def test_a_kept_lab_is_said_with_the_commands_that_enter_and_remove_it():
    kept = (
        "lab k5-qgnubf is kept until 2026-11-29T00:09+00:00: ssh -F "
        "/root/.local/state/k0s-harness/labs/k5-qgnubf/ssh_config controller0; "
        "k0s-harness labs --clean k5-qgnubf"
    )
    lines = plain(closing.of_run(dataclasses.replace(RESULT, leftovers=(kept,)), 80, page=PAGE))
    assert f"left {kept}" in map(pasted, lines)
    assert "next       k0s-harness diagnose (of the machines that are kept)" in lines
    assert rows_on_screen(lines, 80) <= closing.MOST_LINES


def test_of_many_runs_the_last_lines_name_those_that_did_not_meet_everything():
    runs = [(f"s{number}", Outcome.NOT_MET) for number in range(30)] + [("good", Outcome.MET)]
    lines = plain(closing.of_runs(runs, Path("runs/1"), 80))
    assert len(lines) <= closing.MOST_LINES
    assert lines[0] == "✗ 1 of 31 scenarios met everything"
    assert lines[1] == "not met    s0"
    assert lines[-2:] == ["           and 22 more", "reports    runs/1"]


def test_where_a_terminal_breaks_a_remedy_a_word_begins():
    error = InfrastructureError(
        "Making machines", "no answer", remedy=f"{REMEDY}\n     or {REMEDY}"
    )
    result = dataclasses.replace(RESULT, outcome=Outcome.INFRASTRUCTURE, error=error.text())
    lines = plain(closing.of_run(result, 80, page=PAGE))
    (first,) = [line for line in lines if line.startswith("do ")]
    rows = [first[at : at + 80] for at in range(0, len(first), 80)]
    assert len(rows) == 4
    assert all(row.startswith(" " * 11) and row[11] != " " for row in rows[1:])
    assert {word for row in rows for word in row.split()} == {"do", *REMEDY.split()}
    assert pasted(lines[lines.index(first) + 1]) == f"or {pasted(REMEDY)}"


def test_what_is_no_terminal_gets_whole_lines():
    lines = plain(closing.of_run(RESULT, closing.WHOLE, page=PAGE))
    assert not any("…" in line for line in lines)
    assert max(map(len, lines)) < 1000
