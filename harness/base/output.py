"""What is kept of a program's output: both ends of it in memory, a log of it, its lines one by one.

A program may print without end, or without a line's end. So everything here takes time in
proportion to what is printed and room up to a limit, and what was left out is said in its place.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from harness.base.errors import InfrastructureError

_MIB = 1024 * 1024

# Of one stream. The longest reading that is looked for is the API server's own metrics: 2 MB on a
# cluster of three machines, several times that on a large one; journals and manifests are asked for
# up to 4 MB. More would make nine readings at a time (the SSH sessions of a machine) fill a runner.
KEPT_BYTES = 16 * _MIB
# As of a piece of evidence: the beginning says what it is, and the end what happened last.
_HEAD_BYTES = KEPT_BYTES // 4
_TAIL_BYTES = KEPT_BYTES - _HEAD_BYTES
# What is dropped at once from the beginning of the kept end.
_BLOCK_BYTES = 64 * 1024
# A line that is told; people and patterns read its beginning.
LINE_BYTES = 64 * 1024
# Of one program. Vagrant's log of a whole night is below 20 MB, also with its debug words.
LOG_BYTES = 256 * _MIB
# What of a failed program's output is quoted in the error; the log has the rest.
TAIL_LINES = 15
# Of those lines together: words that people read.
TAIL_CHARACTERS = 8000


def last_words(text: str) -> str:
    """Return the last lines of `text`, the first of them without its beginning if it is long."""
    lines = text[-TAIL_CHARACTERS:].splitlines()
    if len(text) > TAIL_CHARACTERS and len(lines) <= TAIL_LINES:
        lines[0] = f"…{lines[0]}"
    return "\n".join(lines[-TAIL_LINES:])


class Kept:
    """A stream's beginning and end; `left_out` is how many bytes between them are gone."""

    def __init__(self) -> None:
        self.left_out = 0
        self._head = bytearray()
        # Blocks and no chunks: a program may write two bytes at a time, and each object costs 33.
        self._tail: deque[bytearray] = deque()
        self._tail_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Take what came next."""
        room = _HEAD_BYTES - len(self._head)
        self._head += chunk[:room]
        rest = chunk[room:]
        if not rest:
            return
        if not self._tail or len(self._tail[-1]) >= _BLOCK_BYTES:
            self._tail.append(bytearray())
        self._tail[-1] += rest
        self._tail_bytes += len(rest)
        while self._tail_bytes - len(self._tail[0]) >= _TAIL_BYTES:
            gone = len(self._tail.popleft())
            self._tail_bytes -= gone
            self.left_out += gone

    @property
    def text(self) -> str:
        """What was kept; where something is left out, a line of its own says how much."""
        tail = b"".join(self._tail)
        if not self.left_out:
            return (self._head + tail).decode(errors="replace")
        said = len(self._head) + self.left_out + len(tail)
        return (
            self._head.decode(errors="replace")
            + f"\n[k0s-harness left out {self.left_out} bytes here, of {said}: of so much output it"
            f" keeps the first {_HEAD_BYTES // _MIB} MiB and the last {_TAIL_BYTES // _MIB} MiB]\n"
            + tail.decode(errors="replace")
        )


class Log:
    """The file that has what a program says; one that cannot be written is an error of ours, once.

    Raises `InfrastructureError`, whose sentence begins with `doing`.
    """

    def __init__(self, path: Path, doing: str) -> None:
        self._path = path
        self._doing = doing
        self._room = LOG_BYTES
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: people follow it while the program runs.
            self._file = path.open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Append what came next; what is longer than a log may be ends it with a sentence."""
        if not self._room:
            return
        written = chunk[: self._room]
        if len(chunk) > len(written):
            written += f"\n[k0s-harness: this log ends here, after {LOG_BYTES} bytes]\n".encode()
        self._room -= len(chunk[: self._room])
        with self._told():
            self._file.write(written)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What the program says while it is ended for this is not to fail again.
            self._room = 0
            raise InfrastructureError(
                self._doing,
                f"its log {self._path} cannot be written: {error.strerror}",
                remedy="make room there, or name another folder in K0S_HARNESS_RUNS",
            ) from error


class Output:
    """One stream of a program: what is kept of it, its log, and its lines as they become whole."""

    def __init__(self, log: Log | None, on_line: Callable[[str], None] | None) -> None:
        self.kept = Kept()
        self._log = log
        self._on_line = on_line
        self._line = bytearray()
        self._line_left_out = 0

    def add(self, chunk: bytes) -> None:
        """Take what came next; raises what the listener raises, and as `Log.write`."""
        self.kept.add(chunk)
        if self._log is not None:
            self._log.write(chunk)
        if self._on_line is not None:
            first, *others = chunk.split(b"\n")
            self._add_to_line(first)
            for part in others:
                self.end_line()
                self._add_to_line(part)

    def end_line(self) -> None:
        """Tell the line that has come so far, if there is one."""
        line = self._line.decode(errors="replace").rstrip("\r")
        if self._line_left_out:
            line += f" [and {self._line_left_out} bytes more]"
        self._line.clear()
        self._line_left_out = 0
        if line and self._on_line is not None:
            self._on_line(line)

    def tell_no_more(self) -> None:
        """Keep and log what comes, and tell nobody: the listener may be what failed."""
        self._on_line = None

    def _add_to_line(self, part: bytes) -> None:
        room = LINE_BYTES - len(self._line)
        self._line += part[:room]
        self._line_left_out += len(part[room:])
