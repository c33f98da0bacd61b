"""A Ctrl-C at any instruction of a program's start, course and end leaves none of it running."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.base import interrupts, output, process
from harness.base.completed import CommandFailedError
from harness.base.process import LocalRunner

# What was sent SIGKILL is gone after milliseconds on a quiet machine.
PATIENCE_SECONDS = 5.0
OURS = {module.__file__ for module in (process, output, interrupts)}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    # Longer than a program takes to die of a signal on a busy machine, so that each gets its first.
    monkeypatch.setattr(process, "GRACE_SECONDS", 2.0)


@pytest.fixture(autouse=True)
def _handlers():
    """Ctrl-C and SIGTERM as `k0s-harness` has them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process.interrupt_on_sigterm()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def started(monkeypatch):
    """The programs that were begun."""
    programs = []

    class Noted(subprocess.Popen):
        def _execute_child(self, *args):
            super()._execute_child(*args)
            programs.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return programs


def is_gone(group):
    """Whether nothing of the group runs; what is dead and not collected by its parent does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return all(words[0] in "ZX" for words in _stats() if words[2] == str(group))


def _stats():
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            yield file.read_text().rpartition(")")[2].split()


def leaves_nothing(started):
    """Whether every process group is gone soon; else it is ended, so that a failure leaves none."""
    until = time.monotonic() + PATIENCE_SECONDS
    while left := [each.pid for each in started if each.poll() is None or not is_gone(each.pid)]:
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    for group in left:
        os.killpg(group, signal.SIGKILL)
    started.clear()
    return not left


class Steps:
    """Calls `act` before the steps `at` of our own code; a step is a line, or an instruction."""

    def __init__(self, at, act, *, instructions=False):
        self.seen = 0
        self._at = set(at)
        self._act = act
        self._kind = "opcode" if instructions else "line"

    def __enter__(self):
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def _enter(self, frame, _event, _argument):
        if frame.f_code.co_filename not in OURS:
            return None
        frame.f_trace_opcodes = self._kind == "opcode"
        return self._step

    def _step(self, _frame, event, _argument):
        if event == self._kind:
            self.seen += 1
            if self.seen in self._at:
                self._act()
        return self._step


def interrupt():
    raise KeyboardInterrupt


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def stop():
    signal.raise_signal(signal.SIGTERM)


def run_late():
    """Run what is late at once, so that one run goes through starting, hearing and ending it."""
    with contextlib.suppress(CommandFailedError):
        LocalRunner().run(["sleep", "60"], doing="Trying", deadline=0.0)


def interrupted_at(at, act, *, instructions=False):
    """Run it with `act` before its steps `at`; return None if it has fewer, else whether it told.

    How many there are depends on how often it is waited for.
    """
    told = False
    with Steps(at, act, instructions=instructions) as steps:
        try:
            run_late()
        except KeyboardInterrupt:
            told = True
    return told if steps.seen >= min(at) else None


def test_an_exception_at_any_line_leaves_no_program(started):
    for line in itertools.count(1):
        told = interrupted_at({line}, interrupt)
        for number in (signal.SIGINT, signal.SIGTERM):
            # Raised while handlers are put back, it leaves one of ours standing, which hands on.
            signal.signal(number, signal.default_int_handler)
        assert leaves_nothing(started), f"at line {line}"
        if told is None:
            break
        assert told
    assert line > 60


def test_a_signal_at_any_line_leaves_no_program_and_is_not_lost(started):
    for line in itertools.count(1):
        told = interrupted_at({line}, stop if line % 2 else press_ctrl_c)
        assert leaves_nothing(started), f"at line {line}"
        if told is None:
            break
        assert told, f"at line {line}"
    assert line > 60


def test_a_signal_at_any_instruction_leaves_no_program_and_is_not_lost(started):
    # Of some 900 instructions every 23rd: all of them take 20 s, and were tried.
    for instruction in itertools.count(1, 23):
        told = interrupted_at({instruction}, press_ctrl_c, instructions=True)
        assert leaves_nothing(started), f"at instruction {instruction}"
        if told is None:
            break
        assert told, f"at instruction {instruction}"
    assert instruction > 500


def test_signals_one_upon_the_other_leave_no_program(started):
    for first in itertools.count(1, 5):
        together = 2 + first % 29
        told = interrupted_at({*range(first, first + together)}, press_ctrl_c)
        assert leaves_nothing(started), f"{together} at line {first}"
        if told is None:
            break
        assert told, f"{together} at line {first}"
    assert first > 60


def test_an_interrupt_raised_by_the_call_that_ends_a_program_leaves_none(started, monkeypatch):
    kill = os.killpg

    def interrupted(group, sign):
        if sign == signal.SIGINT:
            press_ctrl_c()
            raise KeyboardInterrupt
        kill(group, sign)

    monkeypatch.setattr(os, "killpg", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_late()
    monkeypatch.setattr(os, "killpg", kill)
    assert leaves_nothing(started)


# In a process of its own: signals at any moment hit whatever runs, and pytest is not made for them.
STORM = """
import contextlib, itertools, os, signal, subprocess, threading
from harness.base import process

process.GRACE_SECONDS = 2.0
signal.signal(signal.SIGINT, signal.default_int_handler)
process.interrupt_on_sigterm()
groups = []
begun, stopped = threading.Event(), threading.Event()

class Noted(subprocess.Popen):
    def _execute_child(self, *args):
        super()._execute_child(*args)
        groups.append(self.pid)

subprocess.Popen = Noted

def send():
    # Not before there is somebody who insists: on a busy host a thread is started slowly.
    begun.wait()
    # Times of no common measure with what they meet.
    for after in itertools.cycle((0.0031, 0.0173, 0.0007, 0.0119, 0.0059)):
        if stopped.wait(after):
            break
        os.kill(os.getpid(), signal.SIGTERM if after > 0.01 else signal.SIGINT)

def insist(act):
    while True:
        try:
            return act()
        except KeyboardInterrupt:
            continue

def run_thirty():
    begun.set()
    while len(groups) < 30:
        with contextlib.suppress(process.CommandFailedError):
            program = ["sh", "-c", "cat; exec sleep 60"]
            runner = process.LocalRunner()
            runner.run(program, doing="Trying", deadline=0.02, stdin="x" * 100_000)

def hear_nothing():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)

sender = threading.Thread(target=send, daemon=True)
sender.start()
insist(run_thirty)
insist(hear_nothing)
stopped.set()
sender.join()
print(*groups)
"""


def test_signals_from_outside_at_any_moment_leave_no_program():
    done = subprocess.run(
        [sys.executable, "-c", STORM], capture_output=True, text=True, check=True, timeout=120
    )
    groups = [int(word) for word in done.stdout.split()]
    assert len(groups) >= 30
    until = time.monotonic() + PATIENCE_SECONDS
    while left := [group for group in groups if not is_gone(group)]:
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    for group in left:
        os.killpg(group, signal.SIGKILL)
    assert left == []


def test_the_handlers_are_what_they_were_after_a_program(started):
    mine = signal.getsignal(signal.SIGTERM)
    LocalRunner().run(["true"], doing="Trying", deadline=10)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is mine


def test_a_handler_that_raises_nothing_does_not_end_a_program(started):
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    # `sh` sends it to the harness.
    done = LocalRunner().run(
        ["sh", "-c", f"kill -TERM {os.getpid()}; echo done"], doing="Trying", deadline=10
    )
    assert (done.stdout, heard) == ("done\n", [1])


def test_other_threads_start_programs_and_leave_the_handlers_alone(started):
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def run():
        LocalRunner().run(
            ["echo"],
            doing="Trying",
            deadline=10,
            on_line=seen.append,
        )
        seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_another_interrupt_sends_the_next_signal_at_once(started, monkeypatch, tmp_path):
    monkeypatch.setattr(process, "GRACE_SECONDS", 20.0)
    ready = Path(tmp_path, "ready")
    program = f"trap '' INT; touch {ready}; while :; do sleep 0.05; done"

    def send():
        while not ready.exists():
            time.sleep(0.01)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    thread = threading.Thread(target=send)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            LocalRunner().run(["sh", "-c", program], doing="Trying", deadline=30.0)
    finally:
        thread.join()
    assert time.monotonic() - began < 10.0
    assert leaves_nothing(started)
