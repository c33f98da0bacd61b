"""A run's folder: redacted, piece by piece, nothing written is ever lost."""

from __future__ import annotations

import contextlib
import errno
import json
import resource
import secrets
import signal
import stat
import threading

import pytest

from harness.base.errors import InfrastructureError, UsageError
from harness.base.untrusted import RefusedError
from harness.evidence import recorder as module
from harness.evidence.lines import READINGS, whole_lines
from harness.evidence.reading import Reading
from harness.evidence.recorder import TIMELINE, Recorder
from tests.unit.fuzz import some
from tests.unit.paths import RECORDINGS
from tests.unit.recorded import readings, redacted


def reading(stdout="", *, argv=("true",), number=0) -> Reading:
    return Reading(
        probe="apiservice",
        where="api",
        argv=tuple(argv),
        at="2026-11-23T05:00:00Z",
        elapsed=float(number),
        duration=0.1,
        returncode=0,
        stdout=stdout,
    )


@contextlib.contextmanager
def full_disk():
    """Let files grow no further than 4 kB, as a disk without room would.

    Linux answers EFBIG then and not ENOSPC, and takes what still fits first, as a full disk does.
    Not a fixture: pytest writes its own progress while one is set up, to a file perhaps.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def load_readings(folder):
    return tuple(whole_lines((folder / READINGS.file).read_bytes(), READINGS))


def test_readings_come_back_as_they_were_made(tmp_path):
    recorder = Recorder(tmp_path / "run" / "scenario")
    made = [reading(f"line {number}\n\u2028\x85 next", number=number) for number in range(5)]
    for each in made:
        recorder.reading(each)
    assert load_readings(tmp_path / "run" / "scenario") == tuple(made)


def test_secrets_are_gone_before_they_reach_the_file(tmp_path):
    secret = "p7" + secrets.token_hex(12)
    recorder = Recorder(tmp_path)
    recorder.reading(reading(f'{{"token": "{secret}"}}', argv=["k0s", "--token", secret, "x"]))
    recorder.event({"event": "step-progress", "text": f"password={secret}", "password": secret})
    recorder.write_piece("nodes/controller0/env.txt", f"K0S_TOKEN={secret}\n")
    recorder.write_json("kube/x.json", {"auth": {"password": secret, "user": "x"}})
    recorder.missing("kube/y.json", f"GET https://user:{secret}@host failed")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 5
    for path in files:
        assert secret not in path.read_text()
        assert "redacted" in path.read_text()
    assert load_readings(tmp_path)[0].argv == ("k0s", "--token", "[redacted: token]", "x")


def test_the_names_of_a_readings_own_fields_are_never_taken_for_secrets(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.reading(reading("plain", argv=["kubectl", "get", "--raw", "/readyz"]))
    assert load_readings(tmp_path) == (
        reading("plain", argv=["kubectl", "get", "--raw", "/readyz"]),
    )


@pytest.mark.fuzz
@pytest.mark.parametrize(
    "path",
    sorted(path for path in RECORDINGS.rglob("*.jsonl") if path.name != TIMELINE),
    ids=lambda path: path.stem,
)
def test_what_real_clusters_said_is_not_changed_by_redaction(path):
    # Recorded from real clusters; the README beside them says from which.
    assert readings(path)
    for each in some(readings(path), 3, len(path.stem)):
        assert redacted(each) == each


def test_what_a_real_run_told_of_itself_is_not_changed_by_redaction():
    lines = (RECORDINGS / "run-konnectivity-off" / TIMELINE).read_text().splitlines()
    assert lines
    for event in map(json.loads, lines):
        assert module.redacted_value(event) == event


def test_a_piece_that_cannot_be_written_costs_itself_only_and_is_named(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.write_piece("nodes", "a file where a folder would be")
    assert recorder.write_piece("nodes/worker0/routes.txt", "x") is False
    assert recorder.write_piece("kube/events.txt", "y") is True
    assert (tmp_path / "kube/events.txt").read_text() == "y"
    missing = json.loads((tmp_path / "missing.json").read_text())
    assert missing == {"nodes/worker0/routes.txt": "a part of its path is a file, not a folder"}
    assert recorder.missing_pieces == missing


@pytest.mark.parametrize("path", ["../outside.txt", "nodes/../../outside.txt", "/outside.txt"])
def test_a_name_never_leads_out_of_the_folder(tmp_path, path):
    folder = tmp_path / "run"
    recorder = Recorder(folder)
    assert recorder.write_piece(path, "x") is False
    assert path in recorder.missing_pieces
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_a_piece_that_is_too_long_keeps_both_ends_and_says_what_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIECE_LIMIT", 1000)
    Recorder(tmp_path).write_piece("journal.txt", "first" + "x " * 2000 + "last")
    text = (tmp_path / "journal.txt").read_text()
    assert text.startswith("first")
    assert text.endswith("last")
    assert "[3009 characters left out here: too long]" in text
    assert len(text) < 1100


def test_files_are_readable_by_all_and_no_partial_file_stays(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.write_piece("a.txt", "x")
    recorder.reading(reading())
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.txt",
        "observations.jsonl",
        "timeline.jsonl",
    ]


def test_many_threads_write_whole_lines(tmp_path):
    recorder = Recorder(tmp_path)

    def write(worker: int) -> None:
        for number in range(15):
            recorder.reading(reading("x" * 3000, number=worker * 100 + number))
            recorder.missing(f"{worker}/{number}", "why")

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load_readings(tmp_path)) == 90
    assert len(json.loads((tmp_path / "missing.json").read_text())) == 90


def test_when_the_disk_is_full_what_was_written_stays_and_can_be_read(tmp_path):
    recorder = Recorder(tmp_path)
    with full_disk():
        recorder.reading(reading("x" * 1500, number=1))
        recorder.reading(reading("x" * 1500, number=2))
        with pytest.raises(InfrastructureError) as caught:
            recorder.reading(reading("x" * 1500, number=3))
        recorder.reading(reading("short", number=4))
        assert recorder.write_piece("long.txt", "x" * 9000) is False
    assert "observations.jsonl" in caught.value.text()
    assert [each.elapsed for each in load_readings(tmp_path)] == [1.0, 2.0, 4.0]
    assert not (tmp_path / "long.txt").exists()
    assert "long.txt" in recorder.missing_pieces


def test_a_full_disk_is_said_in_plain_words():
    error = OSError(errno.ENOSPC, "No space left on device")
    assert module.reason_of(error) == "there is no space left on the disk"


def test_a_folder_that_cannot_be_made_is_a_usage_error_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as caught:
        Recorder(tmp_path / "file" / "run")
    assert "K0S_HARNESS_RUNS" in caught.value.text()


def test_a_last_line_that_is_cut_off_is_left_out(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.reading(reading("a", number=1))
    recorder.reading(reading("b", number=2))
    path = tmp_path / "observations.jsonl"
    path.write_text(path.read_text()[:-20])
    assert load_readings(tmp_path) == (reading("a", number=1),)


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"probe": "x"}', "", '{"argv": 3}'])
def test_any_other_line_that_is_no_reading_is_an_error_with_its_number(tmp_path, line):
    recorder = Recorder(tmp_path)
    recorder.reading(reading("a"))
    path = tmp_path / "observations.jsonl"
    path.write_text(f"{path.read_text()}{line}\n{path.read_text()}")
    with pytest.raises(RefusedError, match=r"line 2 of observations\.jsonl"):
        load_readings(tmp_path)


def test_a_run_that_made_no_reading_replays_as_none(tmp_path):
    Recorder(tmp_path)
    assert load_readings(tmp_path) == ()
