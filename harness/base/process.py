"""The one place that starts programs.

Programs get an argument list, never a shell string, and a process group of their own, so that a
deadline or an interrupt reaches all of what they started. Output goes to the caller, to a log file
and line by line to a listener, at the same time; `harness.base.output` says how much of it.
"""

from __future__ import annotations

import contextlib
import io
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Protocol, Self

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import HostLacksError
from harness.base.interrupts import HeldInterrupts
from harness.base.output import Log, Output

# A program that ignores its first signal gets the next one after this many seconds; Vagrant needs
# about ten to leave a docker machine in a state that `destroy` understands.
GRACE_SECONDS = 15.0
# A program that ended and left its pipes to what runs on in the background is noticed so soon.
NOTICE_SECONDS = 1.0
# A program that closed its pipes ends most often a fraction of this later.
END_SECONDS = 0.002
# An interrupt while a program is ended is noticed so soon.
AGAIN_SECONDS = 0.1
# What is read or written at once: as much as a pipe holds on Linux and macOS.
CHUNK_BYTES = 65536
# What may still be in the two pipes of a program that ended: each holds at most 1 MiB, where the
# program enlarged it (/proc/sys/fs/pipe-max-size). More is of what it left running.
PIPES_BYTES = 2 * 1024 * 1024


class Runner(Protocol):
    """What starts programs on this host; tests pass a recorded one."""

    def run(
        self,
        argv: Sequence[str],
        *,
        doing: str,
        deadline: float,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str | None = None,
        log: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run `argv` to its end; see `LocalRunner.run`."""


class LocalRunner:
    """Starts programs on this host."""

    def run(
        self,
        argv: Sequence[str],
        *,
        doing: str,
        deadline: float,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str | None = None,
        log: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run `argv` and return what it printed, as far as it is kept.

        `doing` is the beginning of the error's sentence, `deadline` the seconds it may take. `env`
        is laid over this process's environment. With `check`, a status other than 0 raises
        `CommandFailedError`; a passed deadline always does. A program that is not there or cannot
        be started raises `HostLacksError`, a log that cannot be written `InfrastructureError`. When
        this call is interrupted the whole process group is ended first.
        """
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(Log(log, doing)) if log is not None else None
            interrupts = stack.enter_context(HeldInterrupts())
            out, err = Output(sink, on_line), Output(sink, on_line)
            program = stack.enter_context(_Program((out, err), interrupts))
            program.start(argv, doing=doing, stdin=stdin, env=env, cwd=cwd)
            timed_out = not program.serve(started + deadline)
        completed = Completed(
            tuple(argv),
            program.returncode,
            out.kept.text,
            err.kept.text,
            time.monotonic() - started,
            out.kept.left_out + err.kept.left_out,
        )
        if timed_out or (check and not completed.ok):
            raise CommandFailedError(doing, completed, timed_out=timed_out, log=log)
        return completed


def leave_running(argv: Sequence[str]) -> bool:
    """Start a program that outlives this one, and return whether it is under way.

    It has neither this process's streams nor its terminal. It is not where it cannot be started, or
    fails at once.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    try:
        return child.wait(NOTICE_SECONDS) == 0
    except subprocess.TimeoutExpired:
        # Nobody waits for it any more.
        child.returncode = 0
        return True


def interrupt_on_sigterm() -> None:
    """Let SIGTERM, with which CI stops a run, take the same way out as Ctrl-C.

    A shell's background job is started with SIGINT ignored, and what it starts inherits that: ssh
    then outlived its deadline by the grace for the next signal, 15 s (seen 2026-11-23). A handler
    that does nothing ignores it here, too, and is not inherited.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda _number, _frame: None)


class _Program:
    """A program and all that it started, from before its start until none of it is left running.

    It is left alone only after it ended by itself. An exception at any instruction ends it: what
    `serve` is interrupted by asks it to end, and what comes even then has it killed on leaving.
    """

    def __init__(self, streams: tuple[Output, Output], interrupts: HeldInterrupts) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._streams = streams
        self._interrupts = interrupts
        self._selector = selectors.DefaultSelector()
        self._given = memoryview(b"")
        self._read_after_end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        child = self._child
        if child is not None:
            if error is not None or not self._has_ended():
                self._signal(signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_SECONDS)
            for pipe in filter(None, (child.stdin, child.stdout, child.stderr)):
                pipe.close()
        self._selector.close()

    @property
    def returncode(self) -> int:
        """The exit status; of a program that not even SIGKILL has ended yet, that signal's."""
        assert self._child is not None
        status = self._child.poll()
        return status if status is not None else -signal.SIGKILL

    def start(
        self,
        argv: Sequence[str],
        *,
        doing: str,
        stdin: str | None,
        env: Mapping[str, str] | None,
        cwd: Path | None,
    ) -> None:
        """Start it, in a process group of its own."""
        try:
            self._child = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            # Popen names the folder here where that is what is missing.
            missing = isinstance(error, FileNotFoundError) and error.filename == argv[0]
            what = (
                f"there is no program {argv[0]}"
                if missing
                else f"{error.filename or argv[0]} cannot be used: {error.strerror}"
            )
            raise HostLacksError(
                doing, what, remedy="k0s-harness doctor says how to get it"
            ) from None
        pipes = (self._child.stdout, self._child.stderr)
        for pipe, stream in zip(pipes, self._streams, strict=True):
            assert pipe is not None
            self._selector.register(pipe, selectors.EVENT_READ, stream)
        if self._child.stdin is not None:
            # A program need not read what it is given, and its deadline holds all the same.
            os.set_blocking(self._child.stdin.fileno(), False)
            self._given = memoryview((stdin or "").encode())
            self._selector.register(self._child.stdin, selectors.EVENT_WRITE)

    def serve(self, until: float) -> bool:
        """Exchange with it until it ended; return whether that was before `until`.

        Ends it at `until`, and at whatever is raised meanwhile.
        """
        try:
            try:
                self._interrupts.let_one_through()
                in_time = self._exchange(until)
            finally:
                self._interrupts.hold()
            if in_time:
                for stream in self._streams:
                    stream.end_line()
            else:
                self._end()
        except BaseException:
            self._end()
            raise
        return in_time

    def _end(self) -> None:
        """End it and all it started: SIGINT, then SIGTERM, then SIGKILL, each after a grace.

        SIGINT comes first because Vagrant finishes its current action on it and leaves a state that
        `vagrant destroy` can still read; a second one would make it stop without cleaning up. A
        user who interrupts again meanwhile gets the next signal sent at once.
        """
        for stream in self._streams:
            stream.tell_no_more()
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            self._signal(sign)
            if self._ends_within_grace(patient=sign == signal.SIGKILL):
                break
        # Grandchildren that ignored the signals of their parent's group are ended with it.
        self._signal(signal.SIGKILL)

    def _ends_within_grace(self, *, patient: bool) -> bool:
        """Hear it out while it ends; unless `patient`, no longer than until the next interrupt."""
        until = time.monotonic() + GRACE_SECONDS
        seen = self._interrupts.count
        while (now := time.monotonic()) < until and (patient or self._interrupts.count == seen):
            if self._exchange(min(until, now + AGAIN_SECONDS)):
                return True
        return False

    def _signal(self, sign: signal.Signals) -> None:
        assert self._child is not None
        # Not permitted: all of the group have become another user's, as sudo's do.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, sign)

    def _exchange(self, until: float) -> bool:
        """Hand over and take until it ended and said all; return False when `until` came first."""
        while (left := until - time.monotonic()) > 0:
            pipes = bool(self._selector.get_map())
            if not pipes and self._has_ended():
                return True
            ready = self._selector.select(min(left, NOTICE_SECONDS if pipes else END_SECONDS))
            ended = self._has_ended()
            if ended and not ready:
                # Something that it left running in the background holds its pipes.
                return True
            for key, _ in ready:
                if key.data is None:
                    self._give(key)
                else:
                    self._take(key, ended=ended)
        return self._has_ended()

    def _has_ended(self) -> bool:
        """Whether it ended; as it is not collected, its number cannot become another program's."""
        assert self._child is not None
        if self._child.returncode is not None or not hasattr(os, "waitid"):
            # Python below 3.13 has it on Linux only.
            return self._child.poll() is not None
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._child.pid, how) is not None

    def _give(self, key: selectors.SelectorKey) -> None:
        try:
            sent = os.write(key.fd, self._given[:CHUNK_BYTES])
        except BlockingIOError:
            return
        except BrokenPipeError:
            # It reads no more, which is its own affair.
            sent = len(self._given)
        self._given = self._given[sent:]
        if not self._given:
            self._close(key)

    def _take(self, key: selectors.SelectorKey, *, ended: bool) -> None:
        chunk = os.read(key.fd, CHUNK_BYTES)
        self._read_after_end += len(chunk) if ended else 0
        if chunk:
            key.data.add(chunk)
        if not chunk or self._read_after_end > PIPES_BYTES:
            key.data.end_line()
            self._close(key)

    def _close(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        assert isinstance(key.fileobj, io.IOBase)
        key.fileobj.close()
