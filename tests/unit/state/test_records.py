from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network

import pytest

from harness.base.completed import Completed
from harness.base.context import Context, silent
from harness.base.errors import HostLacksError, InfrastructureError
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.lab import leftovers, listing
from harness.providers.registry import connections
from harness.state import records
from harness.state.entries import LabState
from harness.state.owner import machine_name

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


HOLD_A_LOCK = """
import sys
from pathlib import Path
from harness.base.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_acquire("a test")
print("held", flush=True)
sys.stdin.read()
"""


class NoEngine:
    """A host without docker, nft or ssh."""

    def run(self, argv, *, doing, **_):
        raise HostLacksError(doing, f"there is no program {argv[0]}")


class Engine:
    """Docker with what it printed on a host with one lab of another state folder."""

    line = (
        '["7e0c66a78fcf6d4d3c156be65df20b5d9a16be37068685efa39dc1618ba4e731","k5-dvoful-worker0",'
        '"k5-dvoful","root","/root/.local/state/k0s-harness/labs"]\n'
    )

    def run(self, argv, **_):
        return Completed(tuple(argv), 0, self.line if argv[1] == "ps" else "", "", 0.1)


def record_in(labs_dir, run_id="k5-abc123"):
    return records.make_record(
        run_id=RunId(run_id),
        scenario="konnectivity-off",
        provider="docker",
        labs_dir=labs_dir,
        machines=("controller0", "worker0"),
        private=IPv4Network("192.168.56.0/24"),
        nat=IPv4Network("172.30.64.0/24"),
        created=NOW,
    )


def states(labs_dir, runner=None, now=NOW):
    found = listing.list_labs(labs_dir, runner or NoEngine(), now=now)
    return {entry.run_id: entry.state for entry in found}


def test_run_ids_make_names_that_every_tool_takes():
    run_id = RunId.new()
    assert re.fullmatch(r"k5-[0-9a-z]{6}", run_id)
    assert RunId.new() != run_id


def test_interface_names_fit_the_kernels_fifteen_characters(tmp_path):
    networks = record_in(tmp_path).networks
    assert len(networks.nat.bridge) <= 15
    assert len(networks.private.bridge) <= 15
    assert networks.nat.bridge != networks.private.bridge


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    record = record_in(tmp_path)
    lock = records.claim(record)
    assert records.read(record.folder, connections()) == record
    assert record.folder.stat().st_mode & 0o777 == 0o700
    assert [machine_name(record.run_id, each) for each in record.machines] == [
        "k5-abc123-controller0",
        "k5-abc123-worker0",
    ]
    lock.release()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 99}', "null", '"x"']
)
def test_a_damaged_record_is_a_sentence_and_not_a_traceback(tmp_path, text):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(InfrastructureError, match="not the record of a lab"):
        records.read(tmp_path, connections())


def test_a_lab_is_live_as_long_as_its_process_holds_the_lock(tmp_path):
    record = record_in(tmp_path)
    lock = records.claim(record)
    assert states(tmp_path) == {"k5-abc123": LabState.LIVE}
    lock.release()
    assert states(tmp_path) == {"k5-abc123": LabState.DEAD}


def test_a_killed_process_lets_its_lock_go(tmp_path):
    record = record_in(tmp_path)
    records.claim(record).release()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD_A_LOCK,
            str(record.lock_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    assert states(tmp_path) == {"k5-abc123": LabState.LIVE}
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert states(tmp_path) == {"k5-abc123": LabState.DEAD}


def test_a_kept_lab_is_dead_after_its_time(tmp_path):
    record = record_in(tmp_path)
    lock = records.claim(record)
    records.keep(record, NOW + timedelta(hours=1))
    lock.release()
    assert states(tmp_path) == {"k5-abc123": LabState.KEPT}
    assert states(tmp_path, now=NOW + timedelta(hours=2)) == {"k5-abc123": LabState.DEAD}


def test_containers_of_another_state_folder_are_foreign(tmp_path):
    (entry,) = listing.list_labs(tmp_path, Engine(), now=NOW)
    assert (entry.run_id, entry.state) == ("k5-dvoful", LabState.FOREIGN)
    assert "/root/.local/state/k0s-harness/labs" in entry.text


def test_a_state_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "labs").write_text("a file")
    with pytest.raises(InfrastructureError, match="Making the run's state folder"):
        records.claim(record_in(tmp_path / "labs"))


def test_a_lab_whose_engine_is_away_keeps_its_record_for_the_next_clean(tmp_path):
    settings = Settings(state_dir=tmp_path, cache_dir=tmp_path, runs_dir=tmp_path)
    record = record_in(settings.labs_dir)
    records.claim(record).release()
    told = []
    (removal,) = leftovers.clean(
        Context(NoEngine(), SystemClock(), settings), lambda step, _detail: told.append(step)
    )
    assert removal.run_id == record.run_id
    # Each step is tried, whatever became of the one before.
    assert [problem.split(":")[0] for problem in removal.problems] == [
        "containers",
        "networks",
        "volumes",
    ]
    assert "packet filter" in told
    assert states(settings.labs_dir) == {record.run_id: LabState.DEAD}


def test_the_record_names_all_that_is_going_to_be_made(tmp_path):
    record = record_in(tmp_path)
    records.claim(record).release()
    data = json.loads((record.folder / "record.json").read_text())
    assert data["networks"]["private"]["bridge"] == "k5-abc123p"
    assert data["nft_table"] == "k0s_harness_k5_abc123"
    assert data["pid"] == os.getpid()
    assert data["machines"] == ["controller0", "worker0"]


def believed(record, **changes):
    """Change what the file of a record says, and return what is said of that."""
    path = record.folder / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    try:
        return records.read(record.folder, connections())
    except InfrastructureError as refused:
        return refused.happened


@pytest.fixture
def record(tmp_path):
    made = record_in(tmp_path)
    records.claim(made).release()
    return made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run_id", "k5-abc124"),
        ("run_id", "/any/dir"),
        ("run_id", ["k5-abc123"]),
        ("user", "somebody"),
        ("folder", "/elsewhere/k5-abc123"),
        ("nft_table", "filter"),
        ("socket_dir", "/any/dir"),
        ("machines", ["../../any"]),
        ("machines", ["worker0", "worker0"]),
        ("machines", "worker0"),
        ("machines", ["w"] * 500),
        ("pid", "1"),
        ("pid", True),
        ("pid", -1),
        ("pid", 1.5),
        ("pid_started", "x"),
        ("provider", "podman"),
        ("created", "yesterday"),
        ("created", "2026-11-28T06:00:00"),
        ("kept_until", "2026-11-28"),
        ("kept_until", 5),
        ("libvirt_uri", "qemu+ssh://-oProxyCommand=x/system"),
        ("libvirt_uri", "qemu:///system"),
        ("networks", []),
        ("networks", {"nat": {}, "private": {}}),
        ("format", True),
        ("more", 1),
        ("scenario", "x" * 5000),
        ("scenario", None),
    ],
)
def test_a_record_that_says_what_does_not_follow_from_its_place_is_not_believed(
    record, tmp_path, name, value
):
    said = believed(record, **{name: value})
    assert isinstance(said, str)
    assert name in said
    (entry,) = listing.list_labs(tmp_path, NoEngine(), now=NOW)
    assert (entry.state, entry.record) == (LabState.DOUBTFUL, None)
    # The person is told why, and what can be done.
    assert name in entry.text
    assert "k0s-harness labs --clean k5-abc123 removes it" in entry.text


@pytest.mark.parametrize(
    ("which", "name", "value"),
    [
        ("nat", "name", "default"),
        ("nat", "bridge", "docker0"),
        ("private", "bridge", "eth0"),
        ("private", "subnet", "0.0.0.0/0"),
        ("private", "subnet", "192.168.56.1/24"),
        ("nat", "subnet", "8.8.8.0/24"),
        ("nat", "subnet", "::/24"),
        ("nat", "more", 1),
    ],
)
def test_names_of_networks_follow_from_the_run_and_subnets_are_labs(record, which, name, value):
    networks = json.loads((record.folder / "record.json").read_text())["networks"]
    networks[which][name] = value
    assert "networks" in believed(record, networks=networks)


def test_what_only_the_file_can_tell_is_believed_of_ones_own(record):
    said = believed(record, scenario="other", pid=7, machines=["worker7"])
    assert (said.scenario, said.pid, said.machines) == ("other", 7, ("worker7",))


@pytest.mark.parametrize("kind", ["a link", "a pipe", "another user's", "too large", "too deep"])
def test_a_record_that_is_not_this_users_own_file_is_not_believed(record, kind, monkeypatch):
    path = record.folder / "record.json"
    if kind == "a link":
        path.rename(record.folder / "theirs")
        path.symlink_to(record.folder / "theirs")
    elif kind == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif kind == "too large":
        path.write_text(path.read_text() + " " * 100_000)
    elif kind == "too deep":
        path.write_text("[" * 50_000)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(InfrastructureError, match="not the record of a lab"):
        records.read(record.folder, connections())


def test_one_bad_record_does_not_hide_the_others(record, tmp_path):
    for number, text in enumerate(["", "[" * 90_000, '{"format": 1}', "\xff"]):
        folder = tmp_path / f"k5-bad00{number}"
        folder.mkdir(mode=0o700)
        (folder / "record.json").write_text(text)
    found = states(tmp_path)
    assert found.pop(record.run_id) is LabState.DEAD
    assert set(found.values()) == {LabState.DOUBTFUL}
    assert len(found) == 4


def test_a_claim_that_was_killed_before_its_record_is_dead(tmp_path):
    (tmp_path / "k5-abc123").mkdir(mode=0o700)
    (tmp_path / "k5-abc123" / "lock").write_text("")
    assert states(tmp_path) == {"k5-abc123": LabState.DEAD}
    (tmp_path / "k5-abc123" / "thesis").write_text("")
    assert states(tmp_path) == {"k5-abc123": LabState.DOUBTFUL}


def clean(tmp_path, named=()):
    settings = Settings(state_dir=tmp_path, cache_dir=tmp_path, runs_dir=tmp_path)
    return leftovers.clean(Context(NoEngine(), SystemClock(), settings), silent, named=named)


def test_a_lab_of_doubt_goes_only_when_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers.shutil, "which", lambda _program: None)
    folder = tmp_path / "labs" / "k5-abc123"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    assert clean(tmp_path) == ()
    assert folder.is_dir()
    (removal,) = clean(tmp_path, named=(RunId("k5-abc123"),))
    assert removal.problems == ()
    assert not folder.exists()


@pytest.mark.parametrize("there", [False, True])
def test_the_folder_of_labs_is_closed_to_others(tmp_path, there):
    labs = tmp_path / "state" / "labs"
    if there:
        labs.mkdir(parents=True)
        labs.chmod(0o777)
    records.claim(record_in(labs)).release()
    assert labs.stat().st_mode & 0o777 == 0o700
    assert there or labs.parent.stat().st_mode & 0o777 == 0o700


def test_labs_are_not_made_through_a_link_or_in_another_users_folder(tmp_path, monkeypatch):
    (tmp_path / "else").mkdir()
    (tmp_path / "labs").symlink_to(tmp_path / "else")
    with pytest.raises(InfrastructureError, match="symbolic link"):
        records.claim(record_in(tmp_path / "labs"))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(InfrastructureError, match="belongs to the user with the number"):
        records.claim(record_in(tmp_path / "else"))
    assert list((tmp_path / "else").iterdir()) == []


def test_a_record_is_written_where_a_link_was_laid_and_not_through_it(record, tmp_path):
    (tmp_path / "theirs").write_text("precious")
    (record.folder / "record.new").symlink_to(tmp_path / "theirs")
    records.write(record)
    assert (tmp_path / "theirs").read_text() == "precious"
    assert records.read(record.folder, connections()) == record


def test_a_users_name_is_the_kernels_word(tmp_path, monkeypatch):
    before = record_in(tmp_path).user
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "somebody")
    assert record_in(tmp_path).user == before


def test_a_run_that_began_after_the_folders_were_looked_at_is_not_removed(tmp_path, monkeypatch):
    """Its network is seen, and its folder is not: as between the two looks of one list."""
    settings = Settings(state_dir=tmp_path, cache_dir=tmp_path, runs_dir=tmp_path)
    live = record_in(settings.labs_dir)
    lock = records.claim(live)
    seen = listing.LabEntry(live.run_id, LabState.DEAD, "without a record")
    monkeypatch.setattr(leftovers, "list_labs", lambda *_, **__: (seen,))
    assert clean(tmp_path) == ()
    assert live.folder.is_dir()
    lock.release()
