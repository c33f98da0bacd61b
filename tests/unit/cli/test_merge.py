"""The verb `merge`: the runs of several hosts in one folder, and what they came to together."""

from __future__ import annotations

import json
import shutil
from xml.etree import ElementTree as ET

import pytest

from harness import cli
from tests.unit.paths import RECORDINGS

RECORDED = RECORDINGS / "run-konnectivity-off"
ONE, OTHER = "20261123-132715-73bf", "20261123-164805-3219"


@pytest.fixture
def merge(capsys, monkeypatch, tmp_path):
    """Merge beside the downloads of two parts; returns exit code, stdout and stderr."""
    monkeypatch.delenv("K0S_HARNESS_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    add(tmp_path / "part-1" / ONE, "konnectivity-off", ONE)
    add(tmp_path / "part-2" / OTHER, "other", OTHER)

    def command(*arguments):
        code = cli.main(["merge", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert err.rstrip("\n").splitlines()[-1].startswith(f"k0s-harness: exit {code}: ")
        assert "Traceback" not in err
        return code, out, err

    return command


def add(command_folder, name, run_id, **values):
    folder = command_folder / name
    shutil.copytree(RECORDED, folder)
    path = folder / "report.json"
    started = f"2026-11-23T{run_id[9:11]}:00:00+00:00"
    known = {"scenario": name, "run_id": run_id, "started": started}
    path.write_text(json.dumps({**json.loads(path.read_text()), **known, **values}))
    return folder


def junit(merged):
    text = (merged / "junit.xml").read_text()
    return ET.fromstring(text)  # noqa: S314  # what the harness itself just wrote


def plan(folder, *names, **not_started):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "planned.json").write_text(
        json.dumps({"scenarios": names, "not_started": not_started})
    )


LACKS = {"kind": "HostLacksError", "doing": "Choosing", "happened": "no docker", "remedy": "get it"}


@pytest.mark.parametrize(
    "named",
    [
        ["part-1", "part-2"],
        ["."],
        [f"part-1/{ONE}", f"part-2/{OTHER}"],
        [f"part-1/{ONE}/konnectivity-off", f"part-2/{OTHER}/other"],
        ["part-1", f"part-1/{ONE}", "part-2", "."],
    ],
)
def test_runs_are_found_as_a_ci_lays_them_and_make_one_folder(merge, tmp_path, named):
    plan(tmp_path / "part-1" / ONE, "konnectivity-off", "other")
    code, out, err = merge(*named)
    merged = tmp_path / "runs" / f"{OTHER}-merged"
    assert code == 0, err
    assert str(merged) in err
    assert out.index("| konnectivity-off |") < out.index("| other |")
    assert (merged / "summary.md").read_text() == out
    page = (merged / "index.html").read_text()
    assert "2 of 2 scenarios met" in page
    for name in ("konnectivity-off", "other"):
        assert f"./{name}/report.html" in page
        assert (merged / name / "timeline.jsonl").is_file()
    suites = junit(merged)
    assert [each.get("name") for each in suites] == ["konnectivity-off", "other"]
    assert (suites.get("failures"), suites.get("errors")) == ("0", "0")


def test_the_worst_ending_is_that_of_all(merge, tmp_path):
    add(tmp_path / "part-3/x", "third", ONE, outcome="not-met")
    assert merge(".", "--output", "a")[0] == 1
    add(tmp_path / "part-4/x", "fourth", ONE, outcome="inconclusive")
    code, _, err = merge("part-1", "part-2", "part-3", "part-4", "--output", "b")
    assert code == 4
    assert f"{tmp_path}/b" in err


def test_what_was_planned_and_has_no_run_is_no_success(merge, tmp_path):
    plan(tmp_path / "part-1" / ONE, "konnectivity-off", "other", "lost")
    code, out, err = merge("part-1", "part-2", "--summary", "job.md")
    assert code == 4
    assert "no part has a run of lost" in err
    assert "| lost | **no verdict**" in out
    assert (tmp_path / "job.md").read_text() == out
    merged = tmp_path / "runs" / f"{OTHER}-merged"
    assert "2 of 3 scenarios met" in (merged / "index.html").read_text()
    assert junit(merged).get("errors") == "1"


def test_what_a_host_refused_counts_as_it_did_there_also_when_merged_again(merge, tmp_path):
    plan(tmp_path / "part-3" / "x", "konnectivity-off", "other", "lost", lost=LACKS)
    code, _, err = merge("part-1", "part-2", "part-3", "--output", "all")
    assert code == 3
    assert "Choosing: no docker" in err
    assert merge("all", "--output", "again")[0] == 3
    # Run there after all.
    add(tmp_path / "part-4/y", "lost", ONE)
    assert merge("all", "part-4", "--output", "whole")[0] == 0


def test_the_same_scenario_twice_is_refused_with_both_places(merge, tmp_path):
    folder = add(tmp_path / "part-3/x", "other", "20261123-180000-aaaa")
    code, out, err = merge(".")
    assert (code, out) == (2, "")
    assert f"two runs of other: {tmp_path}/part-2/{OTHER}/other and {folder}" in err
    assert not (tmp_path / "runs").exists()


def test_what_cannot_be_read_is_named_and_the_rest_is_merged(merge, tmp_path):
    cut_off = add(tmp_path / "part-3/x", "cut-off", ONE)
    (cut_off / "report.json").unlink()
    broken = add(tmp_path / "part-3/x", "broken", ONE)
    (broken / "report.json").write_text("{")
    plan(tmp_path / "part-3/y")
    (tmp_path / "part-3/y/planned.json").write_text('{"scenarios": 1}')
    code, out, err = merge(".")
    assert code == 4
    for path in (cut_off / "report.json", broken / "report.json", "part-3/y/planned.json"):
        assert f"Reading {tmp_path / path}: " in err
    assert "| cut-off | **no verdict**" in out
    assert "| other | **met**" in out


@pytest.mark.parametrize("named", ["gone", "a\0b", "", "x" * 5000, "file"])
def test_what_is_no_folder_is_a_sentence(merge, tmp_path, named):
    (tmp_path / "file").write_text("")
    code, _, err = merge("part-1", named or "empty")
    assert code == 2
    assert "is no folder" in err


def test_nothing_is_merged_into_what_is_there(merge, tmp_path):
    code, _, err = merge("part-1", "--output", "part-2")
    assert code == 2
    assert "is there already" in err
    (tmp_path / "file").write_text("")
    assert merge("part-1", "--output", "file/merged")[0] == 2
    (tmp_path / "empty").mkdir()
    code, _, err = merge("empty")
    assert code == 2
    assert "there is no run in empty" in err


def test_what_another_host_wrote_becomes_no_other_markup_and_no_order_to_a_terminal(
    merge, tmp_path
):
    strange = "a\0b\x1b[31m|<script>\ud800"
    plan(tmp_path / "part-1" / ONE, strange)
    add(tmp_path / "part-3/x", "third", ONE, scenario=f"{strange}2", started="\0")
    code, out, err = merge(".", "--output", "all")
    assert code == 4
    assert "\x1b" not in out + err
    assert len(junit(tmp_path / "all")) == 4
    assert "<script>" not in (tmp_path / "all/index.html").read_text() + out
