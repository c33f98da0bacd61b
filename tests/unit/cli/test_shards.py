"""Scenarios shared by several hosts: which are whose, and their runs as one report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.base.errors import UsageError
from harness.base.settings import Settings
from harness.cli import main
from harness.cli.shards import own_part
from harness.engine.session import plan_of
from harness.engine.shards import Shard
from harness.engine.shared_lab import start_state
from harness.scenario.load import files_in, load_all
from tests.unit.paths import RECORDINGS, SCENARIOS

RECORDED = RECORDINGS / "run-konnectivity-off"
GROUPS = {"a": 50.0, "b": 40.0, "c": 30.0, "d": 20.0, "e": 10.0}


def test_every_group_is_exactly_one_hosts_and_the_longest_are_parted_first():
    parts = [Shard(number, 2).takes(GROUPS) for number in (1, 2)]
    assert parts == [{"a", "d", "e"}, {"b", "c"}]
    assert Shard(1, 1).takes(GROUPS) == set(GROUPS)
    assert Shard(7, 7).takes(GROUPS) == set()


@pytest.mark.parametrize("text", ["", "2", "0/5", "6/5", "-1/5", "1/5/5", "a/b", "1/0"])
def test_what_is_no_part_of_several_is_refused(text):
    with pytest.raises(UsageError, match="no part of several"):
        Shard.parse(text, "--shard")


def test_the_catalogue_is_shared_out_whole_and_what_may_share_a_lab_stays_together():
    settings = Settings.from_environment({"HOME": "/home/somebody"})
    paths = files_in(SCENARIOS, for_vms=False)
    parts = [own_part(paths, settings, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(path for part in parts for path in part) == sorted(paths)

    def starts(part):
        return {start_state(plan_of(load_all(path)[0], settings)).key for path in part}

    first, second, third = map(starts, parts)
    assert not first & second
    assert not first & third
    assert not second & third


def test_a_host_too_many_hears_how_many_there_can_be():
    settings = Settings.from_environment({"HOME": "/home/somebody"})
    path = SCENARIOS / "konnectivity-on.yaml"
    with pytest.raises(UsageError, match="there are 1 groups"):
        own_part([path], settings, "2/2")


@pytest.fixture
def hosts(tmp_path):
    """The runs of two hosts: konnectivity-off, and the same by another name."""
    folders = []
    for name in ("konnectivity-off", "konnectivity-else"):
        folder = tmp_path / f"host-{name}" / name
        shutil.copytree(RECORDED, folder)
        report = folder / "report.json"
        text = report.read_text().replace('"scenario": "konnectivity-off"', f'"scenario": "{name}"')
        report.write_text(text)
        folders.append(str(folder.parent))
    return folders


def test_the_runs_of_several_hosts_become_one_report(hosts, tmp_path, capsys):
    output = tmp_path / "all"
    assert main(["merge", *hosts, "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert "konnectivity-off" in out
    assert "konnectivity-else" in out
    assert {"summary.md", "junit.xml", "index.html"} < {path.name for path in output.iterdir()}
    assert (output / "konnectivity-else/timeline.jsonl").is_file()


def test_runs_are_joined_only_once_each_and_into_a_new_folder(hosts, tmp_path, capsys):
    output = tmp_path / "all"
    assert main(["merge", hosts[0], hosts[0], "--output", str(output)]) == 2
    assert "more than one has run konnectivity-off" in capsys.readouterr().err
    output.mkdir()
    assert main(["merge", *hosts, "--output", str(output)]) == 2
    assert not list(Path(output).iterdir())
