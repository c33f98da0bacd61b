from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from ipaddress import IPv4Network

import pytest

from harness.errors import HostLacksError
from harness.errors import InfrastructureError
from harness.lab import leftovers
from harness.lab import listing
from harness.lab import records
from harness.lab.listing import LabState
from harness.lab.run_id import RunId
from harness.process import Completed
from harness.settings import ProviderName
from harness.settings import Settings
from harness.wait import SystemClock

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


HOLD_A_LOCK = """
import sys
from pathlib import Path
from harness.lab.locks import FileLock
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
        provider=ProviderName.DOCKER,
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
    assert records.read(record.folder) == record
    assert record.folder.stat().st_mode & 0o777 == 0o700
    assert record.containers == ("k5-abc123-controller0", "k5-abc123-worker0")
    lock.release()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 99}', "null", '"x"']
)
def test_a_damaged_record_is_a_sentence_and_not_a_traceback(tmp_path, text):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(InfrastructureError, match="not the record of a lab"):
        records.read(tmp_path)


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
        runner=NoEngine(),
        clock=SystemClock(),
        settings=settings,
        narrate=lambda step, _detail: told.append(step),
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


def test_only_the_process_is_named_that_began_then():
    mine = records.process_started(os.getpid())
    assert mine is not None
    assert int(mine) > 0
    assert records.process_started(2**22 + 1) is None


def test_the_record_names_all_that_is_going_to_be_made(tmp_path):
    record = record_in(tmp_path)
    records.claim(record).release()
    data = json.loads((record.folder / "record.json").read_text())
    assert data["networks"]["private"]["bridge"] == "k5-abc123p"
    assert data["nft_table"] == "k0s_harness_k5_abc123"
    assert data["pid"] == os.getpid()
    assert data["machines"] == ["controller0", "worker0"]
