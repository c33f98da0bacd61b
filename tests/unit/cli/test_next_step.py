"""The demo, and what a reader is told to do next: commands that work where they are typed."""

import re

import pytest

from harness.cli import main, next_step
from harness.diagnose.causes import KINDS
from harness.scenario.load import load_all
from harness.vocabulary.words import Cause
from tests.unit.paths import DEMO, PROJECT, SCENARIOS

TARGETS = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)


def suggested(text):
    """Return the commands under the lines that begin with `next:`."""
    return re.findall(r"^next: .*:\n    (\S.*)$", text, re.MULTILINE)


def test_the_demo_says_what_it_shows_and_ends_with_its_page_and_the_next_steps(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr("sys.argv", [str(PROJECT / ".venv/bin/k0s-harness")])
    assert main(["demo", "--output", str(tmp_path / "demo")]) == 0
    told = capsys.readouterr().err
    assert told.startswith("You are about to see a recorded run")
    (page,) = re.findall(r"^the page of this run.*: (/.*)$", told, re.MULTILINE)
    assert page == str(tmp_path / "demo/report.html")
    assert "<title>" in (tmp_path / "demo/report.html").read_text()
    diagnose, run = suggested(told)
    assert diagnose == ".venv/bin/k0s-harness diagnose --k0sctl k0sctl.yaml"
    assert run == "make test-konnectivity-off"


def test_the_demo_writes_among_the_runs_where_no_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("K0S_HARNESS_RUNS", raising=False)
    assert main(["demo"]) == 0
    assert (tmp_path / "runs/demo/report.html").is_file()


@pytest.mark.parametrize(
    ("phase", "what"), [("broken", "the same failure"), ("repaired", "a real cluster broken")]
)
def test_a_diagnosis_ends_with_the_scenario_to_run_next(phase, what, monkeypatch, capsys):
    monkeypatch.chdir(PROJECT)
    main(["diagnose", "--bundle", str(DEMO), "--phase", phase])
    told = capsys.readouterr().err
    assert f"next: {what}" in told
    assert suggested(told) == ["make test-konnectivity-off"]


def test_a_diagnosis_as_json_ends_with_nothing_to_read(capsys):
    main(["diagnose", "--bundle", str(DEMO), "--output", "json"])
    assert "next:" not in capsys.readouterr().err


def test_a_checkouts_own_command_is_named_by_its_path(monkeypatch):
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr("sys.argv", [str(PROJECT / ".venv/bin/k0s-harness")])
    assert next_step.this_command() == ".venv/bin/k0s-harness"
    monkeypatch.setattr("sys.argv", ["/home/reader/.local/bin/k0s-harness"])
    assert next_step.this_command() == "k0s-harness"
    monkeypatch.setattr("sys.argv", [str(PROJECT / ".local/bin/k0s-harness")])
    monkeypatch.setattr(next_step, "CHECKOUT", None)
    assert next_step.this_command() == "k0s-harness"


def test_elsewhere_than_in_the_checkout_no_make_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["/home/reader/.local/bin/k0s-harness"])
    assert next_step.run_command("konnectivity-off") == "k0s-harness run konnectivity-off"


def test_the_scenario_named_for_a_cause_comes_to_it_and_make_runs_it(monkeypatch):
    monkeypatch.chdir(PROJECT)
    named = {str(kind.cause): next_step.scenario_with(kind.cause) for kind in KINDS}
    assert named[Cause.NO_ROUTE_TO_SERVICE_NETWORK] == next_step.FIRST
    found = {cause: name for cause, name in named.items() if name is not None}
    assert len(found) > 20
    for cause, name in found.items():
        (loaded, *_) = load_all(SCENARIOS / f"{name}.yaml")
        expected = [each for phase in loaded.scenario.phases for each in phase.expect]
        assert cause in {getattr(each, "cause", None) for each in expected}
        assert next_step.run_command(name).split()[1] in TARGETS


@pytest.mark.parametrize("words", [["catalogue"], ["box", "lock"]])
def test_what_changes_the_project_needs_a_checkout_and_says_so(words, monkeypatch, capsys):
    monkeypatch.setattr(next_step, "CHECKOUT", None)
    assert main(words) == 2
    assert "installed without a checkout" in capsys.readouterr().err
