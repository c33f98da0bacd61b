"""Deadlines and limits hold whatever a program does with its streams; what is left out is said."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.base import output, process
from harness.base.completed import CommandFailedError, Completed
from harness.base.output import Kept, Log, Output
from harness.base.process import LocalRunner
from harness.base.wait import SystemClock
from harness.cluster.prober import Prober
from harness.engine.collect import _kept
from harness.engine.evidence_commands import Wanted
from harness.probe.core import Probe, require_success

MIB = 1024 * 1024
# Far above what any of these takes, also on a busy machine; far below the minute of their programs.
PATIENCE_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(process, "NOTICE_SECONDS", 0.1)


@pytest.fixture
def small(monkeypatch):
    """Limits that are reached in a moment."""
    monkeypatch.setattr(output, "_HEAD_BYTES", 100)
    monkeypatch.setattr(output, "_TAIL_BYTES", 300)
    monkeypatch.setattr(output, "_BLOCK_BYTES", 50)
    monkeypatch.setattr(output, "LINE_BYTES", 10)
    monkeypatch.setattr(output, "LOG_BYTES", 20)


def shell(code, **kwargs):
    return LocalRunner().run(["sh", "-c", code], doing="Trying", **{"deadline": 30.0, **kwargs})


def is_alive(pid):
    """Whether the process runs; one that is dead and not collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("cat; sleep 60", id="one that hands it all back"),
        pytest.param("sleep 60", id="one that reads nothing"),
        pytest.param("head -c 70000 >/dev/null; sleep 60", id="one that reads some of it"),
        pytest.param("exec >&- 2>&-; sleep 60", id="one that closes its streams"),
        pytest.param("exec <&- >&- 2>&-; sleep 60", id="one that closes all of them"),
        pytest.param("yes", id="one that writes without end"),
        pytest.param("yes >&2 & yes", id="one that writes on both without end"),
        pytest.param("trap '' INT TERM; yes", id="one that heeds no signal"),
        pytest.param("trap '' PIPE INT; while :; do echo x; done", id="one that shouts"),
    ],
)
def test_the_deadline_holds_whatever_is_done_with_the_streams(program):
    given = "x" * 300_000
    began = time.monotonic()
    with pytest.raises(CommandFailedError) as caught:
        shell(program, stdin=given, deadline=0.3)
    assert caught.value.timed_out
    assert caught.value.completed.returncode != 0
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_what_is_given_arrives_whole_while_as_much_comes_back():
    given = "".join(f"{number}\n" for number in range(400_000))
    assert shell("cat", stdin=given).stdout == given


def test_what_is_given_may_be_nothing_at_all():
    assert shell("cat; echo end", stdin="").stdout == "end\n"


def test_a_program_that_ended_is_over_though_what_it_started_writes_on():
    began = time.monotonic()
    done = shell("yes & echo $! >&2; exit 3", check=False)
    assert done.returncode == 3
    assert time.monotonic() - began < PATIENCE_SECONDS
    # Its pipe is closed, and that ends it: `yes` wants to be heard.
    pid = int(done.stderr.split()[0])
    while is_alive(pid):
        assert time.monotonic() - began < PATIENCE_SECONDS
        time.sleep(0.01)


def test_all_of_a_program_that_ended_is_read_however_slowly():
    # It is over long before its last word is taken.
    done = shell("seq 1 4000", on_line=lambda _line: time.sleep(0.00005))
    assert done.stdout.endswith("\n4000\n")


def test_what_a_program_says_while_it_is_ended_is_heard(tmp_path):
    log = tmp_path / "it.log"
    # More than a pipe holds: one that nobody heard would not come to its end.
    code = "trap 'yes bye | head -c 200000; exit 0' INT; echo hello; while :; do sleep 0.01; done"
    with pytest.raises(CommandFailedError) as caught:
        shell(code, deadline=0.3, log=log)
    assert caught.value.completed.returncode == 0
    assert caught.value.completed.stdout.count("bye") == 50_000
    assert log.read_text() == caught.value.completed.stdout


@pytest.mark.parametrize("length", [0, 1, 99, 100, 101, 399, 400, 449])
def test_what_is_below_the_limit_is_kept_whole(small, length):
    kept = Kept()
    text = "".join(chr(ord("a") + number % 26) for number in range(length))
    for at in range(0, length, 7):
        kept.add(text[at : at + 7].encode())
    assert (kept.text, kept.left_out) == (text, 0)


@pytest.mark.parametrize("size", [1, 2, 49, 50, 51, 1000])
def test_of_more_both_ends_are_kept_and_every_byte_is_accounted_for(small, size):
    kept = Kept()
    said = "".join(f"{number}\n" for number in range(1000)).encode()
    for at in range(0, len(said), size):
        kept.add(said[at : at + size])
    head, note, tail = kept.text.partition(f"\n[k0s-harness left out {kept.left_out} bytes here")
    assert note
    tail = tail.partition("]\n")[2]
    assert said.startswith(head.encode())
    assert said.endswith(tail.encode())
    assert len(head) == 100
    assert len(tail) >= 300
    assert len(head) + kept.left_out + len(tail) == len(said)


def test_the_limit_is_the_one_that_the_sentence_names():
    kept = Kept()
    for _ in range(40):
        kept.add(bytes(MIB))
    assert "the first 4 MiB and the last 12 MiB" in kept.text
    assert kept.left_out == 24 * MIB
    assert output.KEPT_BYTES == 16 * MIB


def test_json_that_was_cut_is_no_json_and_a_reading_that_was_cut_has_no_value(small):
    completed = shell("seq -s, 1 50000 | sed 's/^/[/; s/$/]/'")
    assert completed.left_out > 0
    with pytest.raises(json.JSONDecodeError):
        json.loads(completed.stdout)
    clock = SystemClock()
    probe = Probe("pods", "api", ("kubectl", "get", "pods"), require_success)
    api = SimpleNamespace(run=lambda _args, **_: completed)
    reading = Prober(api, {}, clock, clock.monotonic()).read(probe)
    assert reading.failed
    assert reading.stdout == ""
    assert f"{completed.left_out} bytes" in reading.error


def test_a_piece_of_evidence_says_that_what_it_is_from_was_cut():
    completed = Completed(("kubectl",), 0, "egress 1\nother 2\n", "", 0.1, left_out=5781)
    wanted = Wanted(("get", "--raw", "/metrics"), keep=lambda text: text.splitlines()[0])
    assert "left out 5781 bytes" in _kept(wanted, "Collecting", completed)


def test_lines_are_told_as_they_are_cut_however_they_come(small):
    text = b"one\n\ntwo\r\n0123456789\n0123456789ABC\n" + b"x" * 500 + b"\nlast"
    told = ["one", "two", "0123456789", "0123456789 [and 3 bytes more]"]
    told += ["x" * 10 + " [and 490 bytes more]", "last"]
    for size in (1, 2, 3, 7, 1000):
        lines = []
        heard = Output(None, lines.append)
        for at in range(0, len(text), size):
            heard.add(text[at : at + size])
        heard.end_line()
        assert lines == told


def test_a_log_has_an_end_and_says_so(small, tmp_path):
    path = tmp_path / "it.log"
    with Log(path, "Trying") as log:
        for _ in range(5):
            log.write(b"1234567\n")
    said = "\n[k0s-harness: this log ends here, after 20 bytes]\n"
    assert path.read_text() == "1234567\n1234567\n1234" + said


def test_the_words_that_an_error_quotes_are_few_however_long_the_lines_are():
    failed = CommandFailedError("Trying", Completed(("it",), 1, "", "x" * 3_000_000, 0.1))
    assert len(failed.text()) < 9000
    assert "…xxx" in failed.text()


MEASURED = r"""
import re, sys, time
from pathlib import Path
from harness.base.completed import CommandFailedError
from harness.base.process import LocalRunner
lines = []
try:
    LocalRunner().run(["sh", "-c", sys.argv[1]], doing="Trying", deadline=float(sys.argv[2]),
                      on_line=lambda line: lines.append(len(line)) if len(lines) < 9 else None)
except CommandFailedError as error:
    str(error), error.text()
# Not getrusage's: that begins with what the process that forked had.
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]
# Of this process alone, so that a busy machine does not count.
print(time.process_time(), int(peak) // 1024)
"""


@pytest.mark.parametrize(
    ("program", "deadline"),
    [
        # 26 s and 1.4 GB before there were limits.
        pytest.param("head -c 40000000 /dev/zero | tr '\\0' x", 60.0, id="40 MB without a newline"),
        pytest.param("yes $(seq -s- 1 2000)", 1.0, id="long lines without end"),
    ],
)
def test_much_output_takes_little_time_and_room(program, deadline):
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, program, str(deadline)],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, mebibytes = map(float, done.stdout.split())
    assert seconds < 5.0
    assert mebibytes < 200


def test_no_signal_is_sent_to_a_number_that_may_be_another_programs(monkeypatch):
    kill = os.killpg
    there = []

    def noted(group, sign):
        there.append(Path(f"/proc/{group}").exists())
        kill(group, sign)

    def fail(_line):
        # By now the program has ended.
        time.sleep(0.2)
        raise LookupError

    monkeypatch.setattr(os, "killpg", noted)
    with pytest.raises(LookupError):
        shell("echo last; exit 0", on_line=fail)
    with pytest.raises(CommandFailedError):
        shell("sleep 60", deadline=0.0)
    assert len(there) >= 4
    assert all(there)


def test_programs_are_not_waited_for_that_no_signal_reaches(monkeypatch):
    """A program in the kernel's hands (a dead NFS server) outlives even SIGKILL for a while."""
    programs = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            programs.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(os, "killpg", lambda _group, _sign: None)
    began = time.monotonic()
    with pytest.raises(CommandFailedError) as caught:
        shell("exec sleep 60", deadline=0.0)
    programs[0].kill()
    programs[0].wait()
    assert caught.value.completed.returncode == -signal.SIGKILL
    assert time.monotonic() - began < PATIENCE_SECONDS
