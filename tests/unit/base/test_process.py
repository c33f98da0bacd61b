"""Starting programs: deadlines, whole process groups, output that is never lost."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from harness.base import process
from harness.base.completed import CommandFailedError
from harness.base.errors import ExitCode, HostLacksError, InfrastructureError
from harness.base.process import LocalRunner

RUN = LocalRunner().run
# A deadline that a shell on a busy machine meets with its first line, and nothing else does.
OUTPUT_FIRST_SECONDS = 0.4
# A program's ending is waited for this long at most; it takes milliseconds on a quiet machine.
PATIENCE_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(process, "NOTICE_SECONDS", 0.1)


def python(code, **kwargs):
    return RUN([sys.executable, "-c", code], doing="Trying", **{"deadline": 10.0, **kwargs})


def shell(code, **kwargs):
    return RUN(["sh", "-c", code], doing="Trying", **{"deadline": 10.0, **kwargs})


def is_alive(pid):
    """Whether the process runs; one that is dead and not collected yet does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def ends_soon(pid):
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if not is_alive(pid):
            return True
        time.sleep(0.01)
    return False


def test_both_streams_the_status_and_the_time_are_returned():
    done = shell("echo out; echo err >&2; exit 3", check=False)
    assert (done.stdout, done.stderr, done.returncode, done.ok) == ("out\n", "err\n", 3, False)
    assert done.argv == ("sh", "-c", "echo out; echo err >&2; exit 3")
    assert 0 < done.duration < PATIENCE_SECONDS


def test_a_failed_program_is_an_error_with_its_command_status_and_last_words(tmp_path):
    log = tmp_path / "deep" / "it.log"
    with pytest.raises(CommandFailedError) as caught:
        shell("seq 1 40 >&2; exit 7", log=log)
    text = caught.value.text()
    assert text.startswith("Trying: exit status 7: sh -c 'seq 1 40 >&2; exit 7'")
    lines = [line.strip() for line in text.splitlines()]
    assert "40" in lines
    assert "26" in lines
    assert "25" not in lines, "only the tail is quoted"
    assert str(log) in lines[-1]
    assert caught.value.exit_code is ExitCode.INFRASTRUCTURE
    assert not caught.value.timed_out


def test_a_failed_program_that_wrote_no_errors_is_quoted_from_its_output():
    with pytest.raises(CommandFailedError, match="exit status 1") as caught:
        shell("echo the reason; exit 1")
    assert "the reason" in caught.value.text()


def test_the_deadline_ends_the_program_and_keeps_what_it_said(tmp_path):
    log = tmp_path / "it.log"
    with pytest.raises(CommandFailedError) as caught:
        shell("echo first; echo second >&2; sleep 60", deadline=OUTPUT_FIRST_SECONDS, log=log)
    assert caught.value.timed_out
    assert caught.value.completed.stdout == "first\n"
    assert caught.value.completed.stderr == "second\n"
    assert "so it was stopped" in caught.value.text()
    assert sorted(log.read_text().split()) == ["first", "second"]


def test_the_deadline_ends_grandchildren_as_well_even_those_that_ignore_signals():
    grandchild = "trap '' INT TERM; while true; do sleep 0.05; done"
    with pytest.raises(CommandFailedError) as caught:
        shell(f'sh -c "{grandchild}" & echo $!; wait', deadline=OUTPUT_FIRST_SECONDS)
    pid = int(caught.value.completed.stdout)
    assert ends_soon(pid)


def test_a_program_that_ended_is_not_waited_for_because_of_what_it_left_running():
    began = time.monotonic()
    completed = shell("sleep 60 & echo $!; exit 3", deadline=PATIENCE_SECONDS, check=False)
    assert completed.returncode == 3
    assert time.monotonic() - began < PATIENCE_SECONDS
    os.kill(int(completed.stdout), signal.SIGKILL)


def test_a_program_that_closes_its_streams_still_has_its_deadline():
    began = time.monotonic()
    with pytest.raises(CommandFailedError) as caught:
        shell("exec >&- 2>&-; exec sleep 60", deadline=OUTPUT_FIRST_SECONDS)
    assert caught.value.timed_out
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_a_program_that_ignores_polite_signals_is_killed():
    with pytest.raises(CommandFailedError) as caught:
        shell(
            "trap '' INT TERM; echo $$; while true; do sleep 0.05; done",
            deadline=OUTPUT_FIRST_SECONDS,
        )
    assert not is_alive(int(caught.value.completed.stdout))


def test_the_first_signal_is_the_one_a_terminal_sends():
    code = "trap 'echo interrupted > {}; exit 0' INT; echo ready; while true; do sleep 0.02; done"
    read, write = os.pipe()
    with contextlib.closing(os.fdopen(read)) as pipe:
        with pytest.raises(CommandFailedError):
            shell(code.format(f"/proc/{os.getpid()}/fd/{write}"), deadline=OUTPUT_FIRST_SECONDS)
        os.close(write)
        assert pipe.read() == "interrupted\n"


def test_every_line_is_told_once_it_is_whole_also_the_last_one_without_an_end():
    lines = []
    shell("printf 'one\\ntwo\\r\\n\\nthr'; sleep 0.05; printf 'ee'", on_line=lines.append)
    assert lines == ["one", "two", "three"]


def test_the_lines_of_both_streams_are_told():
    lines = []
    shell("echo out; echo err >&2", on_line=lines.append)
    assert sorted(lines) == ["err", "out"]


def test_text_that_is_no_utf8_is_replaced_and_a_sign_cut_in_two_is_not():
    done = python(
        "import sys,time; w=sys.stdout.buffer; w.write(b'\\xff \\xc3'); w.flush(); "
        "time.sleep(0.05); w.write(b'\\xa4')"
    )
    assert done.stdout == "\ufffd ä"


def test_the_log_has_both_streams_and_is_appended_to(tmp_path):
    log = tmp_path / "it.log"
    shell("echo one", log=log)
    shell("echo two >&2", log=log)
    assert log.read_text() == "one\ntwo\n"


def test_a_listener_that_fails_ends_the_program_and_its_error_is_kept():
    pids = []

    def fail(line):
        pids.append(int(line))
        raise LookupError(line)

    with pytest.raises(LookupError):
        shell("echo $$; sleep 60", on_line=fail)
    assert not is_alive(pids[0])


def test_a_program_that_is_not_there_is_what_this_host_lacks():
    with pytest.raises(HostLacksError, match="there is no program k0s-no-such-program") as caught:
        RUN(["k0s-no-such-program"], doing="Trying", deadline=1)
    assert caught.value.exit_code is ExitCode.HOST_LACKS


@pytest.mark.parametrize(("mode", "content"), [(0o644, "#!/bin/sh\n"), (0o755, "\x00not for us")])
def test_a_file_that_cannot_be_run_here_is_a_sentence_and_not_a_traceback(tmp_path, mode, content):
    file = tmp_path / "k0sctl"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(HostLacksError, match=str(file)):
        RUN([str(file)], doing="Trying", deadline=1)


def test_a_folder_that_is_not_there_is_not_taken_for_a_missing_program(tmp_path):
    with pytest.raises(Exception, match="no-such-folder"):
        shell("true", cwd=tmp_path / "no-such-folder")


def test_a_log_that_cannot_be_written_is_a_sentence_and_leaves_no_program(tmp_path):
    (tmp_path / "file").write_text("")
    began = time.monotonic()
    with pytest.raises(InfrastructureError, match=r"it\.log"):
        shell("sleep 60", log=tmp_path / "file" / "it.log")
    assert time.monotonic() - began < PATIENCE_SECONDS


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_disk_that_fills_up_ends_the_program_with_a_sentence(tmp_path):
    log = tmp_path / "it.log"
    log.symlink_to("/dev/full")
    with pytest.raises(InfrastructureError, match="No space left") as caught:
        shell("echo $$; sleep 60", log=log)
    assert str(log) in caught.value.text()


def test_a_program_that_outlives_this_one_is_in_no_group_of_its_and_has_none_of_its_streams(
    tmp_path, capfd
):
    code = f"echo said; echo $$ > {tmp_path}/pid; exec sleep 60"
    assert process.leave_running(["sh", "-c", code])
    pid = int((tmp_path / "pid").read_text())
    try:
        assert is_alive(pid)
        assert os.getsid(pid) == pid
        assert capfd.readouterr() == ("", "")
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_program_that_is_not_there_or_fails_at_once_is_not_under_way():
    assert not process.leave_running(["no-such-program"])
    assert not process.leave_running(["sh", "-c", "exit 3"])
    assert process.leave_running(["true"])


def test_much_output_on_both_streams_does_not_block_either():
    size = 2_000_000
    done = python(
        f"import sys; sys.stderr.write('e' * {size}); sys.stdout.write('o' * {size}); "
        f"sys.stderr.write('e' * {size})"
    )
    assert (len(done.stdout), len(done.stderr)) == (size, 2 * size)


def test_a_program_gets_what_is_given_to_it_and_else_the_end_of_a_file():
    assert shell("cat", stdin="grüße\n").stdout == "grüße\n"
    assert shell("cat; echo end").stdout == "end\n"


def test_a_program_that_reads_nothing_of_what_it_is_given_is_no_error():
    assert shell("exec <&-; echo done", stdin="x" * 4096).stdout == "done\n"


def test_the_environment_given_is_laid_over_this_one(monkeypatch):
    monkeypatch.setenv("K0S_TEST_KEPT", "kept")
    monkeypatch.setenv("K0S_TEST_CHANGED", "old")
    done = shell("echo $K0S_TEST_KEPT $K0S_TEST_CHANGED", env={"K0S_TEST_CHANGED": "new"})
    assert done.stdout == "kept new\n"


def interrupt_when(ready, times=1):
    """Send this process SIGINT as soon as `ready` is set, as a terminal does; returns a thread."""

    def send():
        ready.wait(PATIENCE_SECONDS)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_ends_all_the_program_started_before_it_goes_on(times, monkeypatch):
    if times > 1:
        # Without the second one, however late it is sent, the program goes on.
        monkeypatch.setattr(process, "GRACE_SECONDS", PATIENCE_SECONDS)
    ready = threading.Event()
    pids = []

    def listen(line):
        pids.extend(int(word) for word in line.split())
        ready.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = interrupt_when(ready, times)
    try:
        with pytest.raises(KeyboardInterrupt):
            shell(
                "trap '' INT; (trap '' INT; sleep 60) & echo $$ $!; sleep 60",
                deadline=60,
                on_line=listen,
            )
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert len(pids) == 2
    assert all(ends_soon(pid) for pid in pids)


def test_an_interrupt_while_a_program_is_ended_at_its_deadline_is_not_lost(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    kill = os.killpg

    def kill_and_interrupt(pid, sign):
        kill(pid, sign)
        if sign == signal.SIGINT:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "killpg", kill_and_interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            shell("trap '' INT; sleep 60", deadline=OUTPUT_FIRST_SECONDS)
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_a_background_job_starts_heeds_sigint_all_the_same():
    code = (
        "import subprocess; from harness.base.process import interrupt_on_sigterm;"
        "interrupt_on_sigterm();"
        "print(subprocess.run(['sh', '-c', 'kill -INT $$; sleep 5']).returncode)"
    )
    # A shell starts `command &` with SIGINT ignored.
    background = "trap '' INT; exec \"$@\""
    ended = subprocess.run(
        ["sh", "-c", background, "sh", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "-2\n"
