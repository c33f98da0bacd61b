"""The one place that starts programs.

Programs get an argument list, never a shell string, and a process group of their own, so that a
deadline or an interrupt reaches all of what they started. Output goes to the caller, to a log file
and line by line to a listener, at the same time.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO
from typing import Protocol
from typing import Self

from harness.errors import HostLacksError
from harness.errors import InfrastructureError

# A program that ignores its first signal gets the next one after this many seconds; Vagrant needs
# about ten to leave a docker machine in a state that `destroy` understands.
GRACE_SECONDS = 15.0
# A Ctrl-C that arrives just before a wait begins does not end that wait, it is noticed after it.
NOTICE_SECONDS = 1.0
# What of a failed program's output is quoted in the error; the log has the rest.
TAIL_LINES = 15


@dataclass(frozen=True)
class Completed:
    """A program that ended: what was run, its exit status, both streams and the seconds it took."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    duration: float

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.returncode == 0


class CommandFailedError(InfrastructureError):
    """A program ended with a status other than 0, or was ended at its deadline."""

    def __init__(
        self, doing: str, completed: Completed, *, timed_out: bool = False, log: Path | None = None
    ) -> None:
        self.completed = completed
        self.timed_out = timed_out
        command = shlex.join(completed.argv)
        how = (
            f"no end after {completed.duration:.0f}s, so it was stopped"
            if timed_out
            else f"exit status {completed.returncode}"
        )
        output = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
        super().__init__(
            doing, f"{how}: {command}", details="\n".join(output[-TAIL_LINES:]), where=log
        )


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
        """Run `argv` and return what it printed.

        `doing` is the beginning of the error's sentence, `deadline` the seconds it may take. `env`
        is laid over this process's environment. With `check`, a status other than 0 raises
        `CommandFailedError`; a passed deadline always does. A program that is not there or cannot
        be started raises `HostLacksError`, a log that cannot be written `InfrastructureError`. When
        this call is interrupted the whole process group is ended first.
        """
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(_Log(log, doing)) if log is not None else None
            child = _start(argv, doing=doing, stdin=stdin, env=env, cwd=cwd)
            timed_out = False
            try:
                stdout, stderr = _drain(child, stdin, started + deadline, sink, on_line)
            except TimeoutError as late:
                timed_out = True
                end_process_group(child)
                stdout, stderr = late.args
            except BaseException:
                end_process_group(child)
                raise
        completed = Completed(tuple(argv), child.wait(), stdout, stderr, time.monotonic() - started)
        if timed_out or (check and not completed.ok):
            raise CommandFailedError(doing, completed, timed_out=timed_out, log=log)
        return completed


def _start(
    argv: Sequence[str],
    *,
    doing: str,
    stdin: str | None,
    env: Mapping[str, str] | None,
    cwd: Path | None,
) -> subprocess.Popen[bytes]:
    """Return the program, started in a process group of its own."""
    try:
        return subprocess.Popen(
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
        raise HostLacksError(doing, what, remedy="make doctor says how to get it") from None


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


def end_process_group(child: subprocess.Popen[bytes]) -> None:
    """End `child` and all it started: SIGINT, then SIGTERM, then SIGKILL, each after a grace.

    SIGINT comes first because Vagrant finishes its current action on it and leaves a state that
    `vagrant destroy` can still read; a second one would make it stop without cleaning up. A user
    who interrupts again meanwhile gets the next signal sent at once.
    """
    interrupt = None
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        try:
            child.wait(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt as again:
            interrupt = again
            continue
        break
    # Grandchildren that ignored the signals of their parent's group are ended with it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    if interrupt is not None:
        raise interrupt


class _Log:
    """The file that has all a program says; one that cannot be written is an error of ours."""

    def __init__(self, path: Path, doing: str) -> None:
        self._path = path
        self._doing = doing
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: people follow it while the program runs.
            self._file = path.open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        with self._told():
            self._file.write(chunk)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InfrastructureError(
                self._doing,
                f"its log {self._path} cannot be written: {error.strerror}",
                remedy="make room there, or name another folder in K0S_HARNESS_RUNS",
            ) from error


class _Stream:
    """One stream of a child: all of it, and its lines as they become whole."""

    def __init__(self, pipe: IO[bytes], on_line: Callable[[str], None] | None) -> None:
        self.pipe = pipe
        self._chunks: list[bytes] = []
        self._pending = b""
        self._on_line = on_line

    @property
    def text(self) -> str:
        return b"".join(self._chunks).decode(errors="replace")

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        self._tell(lines)

    def end(self) -> None:
        self._tell([self._pending])
        self._pending = b""

    def _tell(self, lines: Sequence[bytes]) -> None:
        if self._on_line is None:
            return
        for line in lines:
            if line:
                self._on_line(line.decode(errors="replace").rstrip("\r"))


def _drain(
    child: subprocess.Popen[bytes],
    stdin: str | None,
    until: float,
    sink: _Log | None,
    on_line: Callable[[str], None] | None,
) -> tuple[str, str]:
    """Read both streams until they close; raise `TimeoutError(stdout, stderr)` at `until`."""
    assert child.stdout is not None
    assert child.stderr is not None
    if stdin is not None and child.stdin is not None:
        # What the harness hands over (a manifest, a key) fits a pipe's buffer: this cannot block.
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(stdin.encode())
    with child.stdout, child.stderr, selectors.DefaultSelector() as selector:
        streams = (_Stream(child.stdout, on_line), _Stream(child.stderr, on_line))
        for stream in streams:
            selector.register(stream.pipe, selectors.EVENT_READ, stream)
        while selector.get_map():
            left = max(0.0, until - time.monotonic())
            ready = selector.select(timeout=min(left, NOTICE_SECONDS))
            if not ready and child.poll() is not None:
                # It ended, and something it left running in the background holds its pipes.
                break
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                    key.data.end()
                    continue
                key.data.add(chunk)
                if sink is not None:
                    sink.write(chunk)
            if time.monotonic() >= until and selector.get_map():
                raise TimeoutError(*(stream.text for stream in streams))
        texts = (streams[0].text, streams[1].text)
        try:
            child.wait(timeout=max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimeoutError(*texts) from None
        return texts
