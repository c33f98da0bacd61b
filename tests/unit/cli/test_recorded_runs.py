"""The verbs `report` and `compare`: which run is meant, what is printed, where the page lies."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from harness import cli
from harness.cli import ending
from harness.cli.report import opener
from harness.engine.outcome import Outcome
from tests.unit.paths import DEMO, RECORDINGS

RECORDED = RECORDINGS / "run-konnectivity-off"
FIRST, LAST = "20261123-132715-73bf", "20261123-164805-3219"


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run a command beside a `runs` folder with two runs; returns exit code, stdout and stderr."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "K0S_HARNESS_RUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for run_id in (FIRST, LAST):
        shutil.copytree(RECORDED, tmp_path / "runs" / run_id / "konnectivity-off")

    def command(*arguments):
        code = cli.main([str(each) for each in arguments])
        out, err = capsys.readouterr()
        assert err.rstrip("\n").splitlines()[-1].startswith(f"k0s-harness: exit {code}: ")
        assert "Traceback" not in err
        return code, out, err

    return command


def change(folder, **values):
    path = folder / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def another(tmp_path, run_id, name):
    """Add a run of another scenario to a command's runs."""
    folder = tmp_path / "runs" / run_id / name
    shutil.copytree(RECORDED, folder)
    change(folder, scenario=name, started="2026-11-23T16:40:00+00:00")
    return folder


@pytest.mark.parametrize("named", [[], [LAST], [f"runs/{LAST}"], [f"{LAST}/konnectivity-off"]])
def test_a_run_is_named_by_its_id_its_folder_or_as_the_last_one(run, tmp_path, named):
    code, out, err = run("report", *named)
    page = tmp_path / "runs" / LAST / "konnectivity-off/report.html"
    assert (code, out) == (0, f"{page}\n")
    assert "<title>konnectivity-off: met</title>" in page.read_text()
    assert "there is no display here" in err


def test_a_page_that_is_there_is_opened_and_made_again_only_when_that_is_asked(run, tmp_path):
    page = tmp_path / "runs" / LAST / "konnectivity-off/report.html"
    page.write_text("as it was")
    assert run("report", "--no-open")[0] == 0
    assert page.read_text() == "as it was"
    assert run("report", "--again", "--no-open")[0] == 0
    assert "<title>konnectivity-off: met</title>" in page.read_text()


def test_several_runs_of_a_command_have_one_page_with_a_link_to_each(run, tmp_path):
    another(tmp_path, LAST, "other")
    code, out, _ = run("report", LAST, "--no-open")
    assert (code, out) == (0, f"{tmp_path}/runs/{LAST}/index.html\n")
    page = (tmp_path / "runs" / LAST / "index.html").read_text()
    assert page.index("./other/report.html") < page.index("./konnectivity-off/report.html")


def test_the_page_of_a_bundle_lies_beside_it_and_nothing_is_unpacked(run, tmp_path):
    folder = tmp_path / "sent"
    folder.mkdir()
    shutil.copy(DEMO, folder / "sent.tar.gz")
    code, out, _ = run("report", folder / "sent.tar.gz")
    assert (code, out) == (0, f"{folder}/sent.report.html\n")
    assert {path.name for path in folder.iterdir()} == {"sent.report.html", "sent.tar.gz"}
    assert "First broken hop" in (folder / "sent.report.html").read_text()


def test_what_is_no_run_is_refused_with_those_there_are(run, tmp_path):
    code, out, err = run("report", "gone")
    assert (code, out) == (2, "")
    assert f"a run in {tmp_path}/runs: {LAST}, {FIRST}" in err
    (tmp_path / "empty").mkdir()
    assert "there is no report.json in empty" in run("report", "empty")[2]
    assert run("report", "--runs", tmp_path / "empty")[0] == 2
    os.mkfifo(tmp_path / "pipe")
    for strange in ("pipe", "x" * 5000, "a\0b", "", "runs/gone/report.json", "/dev/null"):
        code, out, _ = run("report", strange)
        assert (code, out) == (2, ""), strange


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"phases": 1}', "[" * 100_000, "\x00", '{"pace": 1e9}'],
)
def test_a_report_that_is_none_is_a_sentence(run, tmp_path, content):
    (tmp_path / "runs" / LAST / "konnectivity-off/report.json").write_text(content)
    code, out, err = run("report", LAST)
    assert (code, out) == (2, "")
    assert "report.json: " in err


@pytest.mark.parametrize("number", [1e300, -1e300, "9" * 400, "1e400", "nan", "-inf"])
def test_a_number_that_no_run_has_is_refused(run, tmp_path, number):
    folder = tmp_path / "runs" / LAST / "konnectivity-off"
    change(folder, timings={"k0sctl apply": number})
    code, _, err = run("report", LAST)
    assert code == 2
    assert "a number that no run has" in err


def test_a_secret_in_a_report_is_on_no_page(run, tmp_path):
    folder = tmp_path / "runs" / LAST / "konnectivity-off"
    change(folder, error="Applying: password=hunter2hunter2", outcome="infrastructure")
    run("report", "--no-open")
    _, out, _ = run("compare", FIRST, LAST, "--html", "c.html")
    pages = (folder / "report.html").read_text() + Path("c.html").read_text() + out
    assert "hunter2" not in pages
    assert "infrastructure" in pages


def test_the_same_is_exit_0_and_a_page_is_written_where_it_is_wanted(run, tmp_path):
    code, out, err = run("compare", FIRST, DEMO, "--html", "sub/compared.html")
    assert code == 0
    assert out.startswith("konnectivity-off: the same verdicts and causes\n")
    assert f"the page is {tmp_path}/sub/compared.html" in err
    assert "the same verdicts and causes" in (tmp_path / "sub/compared.html").read_text()


def test_what_differs_is_exit_1_and_stands_in_the_json(run, tmp_path):
    change(
        tmp_path / "runs" / LAST / "konnectivity-off", outcome="interrupted", error="interrupted"
    )
    code, out, _ = run("compare", FIRST, LAST, "--output", "json")
    assert code == 1
    said = json.loads(out)
    assert said["comparisons"][0]["results"] == [
        {"what": "outcome", "a": "met", "b": "interrupted"}
    ]
    assert (said["exit_code"], said["comparisons"][0]["same"]) == (1, False)


def test_different_scenarios_are_exit_2_and_never_compared(run, tmp_path):
    folder = another(tmp_path, LAST, "other")
    change(folder, scenario_sha256="0" * 64)
    code, out, err = run("compare", f"{FIRST}/konnectivity-off", folder)
    assert (code, out) == (2, "")
    assert "different scenarios: A of konnectivity-off, B of other" in err


def test_a_page_that_cannot_be_written_is_a_sentence(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run("compare", FIRST, LAST, "--html", "file/compared.html")
    assert code == 2
    assert "name another file" in err


@pytest.mark.parametrize(
    ("platform", "environment", "program"),
    [
        ("linux", {}, None),
        ("linux", {"DISPLAY": ":0"}, "xdg-open"),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, "xdg-open"),
        ("linux", {"DISPLAY": ""}, None),
        ("darwin", {}, "open"),
        ("darwin", {"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, None),
    ],
)
def test_a_page_is_opened_where_there_is_a_display(platform, environment, program):
    assert opener(platform, environment) == program


def test_what_several_runs_came_to_ends_with_the_page_of_all_where_there_is_one(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(ending, "is_short", lambda **_: True)
    runs = [("one", Outcome.MET), ("other", Outcome.MET)]
    ending.show_total(runs, tmp_path, verbose=False)
    assert str(tmp_path) in capsys.readouterr().out.splitlines()[-1]
    (tmp_path / "index.html").write_text("")
    ending.show_total(runs, tmp_path, verbose=False)
    assert capsys.readouterr().out.splitlines()[-1].endswith("/index.html")


@pytest.mark.parametrize(("status", "said"), [(0, ""), (3, "xdg-open did not open it")])
def test_the_desktops_own_program_gets_the_page(run, tmp_path, monkeypatch, status, said):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/xdg-open"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/opened\nexit {status}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":0")
    code, out, err = run("report")
    assert code == 0
    assert (tmp_path / "opened").read_text() == out
    assert said in err
