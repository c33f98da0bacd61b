"""The one place through which everything that is printed goes.

Data goes to stdout, narration to stderr; all of it is made printable here, because names, messages
and output that others wrote are in it. A character that the stream's encoding lacks is written as
an escape. Whoever reads a stream may stop at any time: then nothing more is written to it, and
what is going on (a lab that is being removed) goes on. Lines that are replaced in place stay the
last ones of their terminal, whatever is printed meanwhile.

Started before there is a virtual environment: only the standard library is imported.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from harness.base.errors import InfrastructureError, UsageError
from harness.base.printable import printable


class Code(StrEnum):
    """What is written to a terminal as it stands: the only orders that reach it, and all ours."""

    ERASE_LINE = "\r\x1b[2K"
    LINE_UP = "\x1b[A"
    BOLD = "\x1b[1m"
    RED = "\x1b[31m"
    GREEN = "\x1b[32m"
    YELLOW = "\x1b[33m"
    PLAIN = "\x1b[0m"


# This process's own, whatever its standard streams are.
_TERMINAL = Path("/dev/tty")


def say(text: str) -> None:
    """Say `text` on stderr, at once."""
    put(sys.stderr, text, "\n")


def show(text: str) -> None:
    """Print `text`, the data that a command was asked for, on stdout."""
    put(sys.stdout, text, "\n")


def show_lines(lines: Iterable[Sequence[str]]) -> None:
    """Print lines of parts on stdout; the colours among them are for a terminal that wants them."""
    coloured = is_coloured(sys.stdout)
    for line in lines:
        put(sys.stdout, *(part for part in line if coloured or not isinstance(part, Code)), "\n")


def show_json(value: Any) -> None:  # noqa: ANN401  # any JSON value
    """Print `value` as JSON on stdout: in ASCII, so that making it printable changes nothing."""
    show(json.dumps(value, indent=2))


def ask(question: str) -> bool:
    """Return whether the person at the keyboard answers `question` with yes."""
    put(sys.stderr, question, " [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def require_terminal(asked_by: str, *, alone: bool = True) -> None:
    """Raise `UsageError` where nobody can press Enter, or, not `alone`, could tell what for."""
    try:
        with _TERMINAL.open("rb"):
            why = None if alone else "several labs are there at once"
    except OSError:
        why = "there is no terminal to wait on"
    if why is not None:
        raise UsageError(f"Reading {asked_by}", why, remedy="KEEP=failure keeps the machines")


def wait_for_enter(text: str) -> None:
    """Show `text` on the terminal itself, and return once somebody has pressed Enter there.

    pytest may have taken the standard streams. Raises `OSError` where there is no terminal.
    """
    with _TERMINAL.open("r+b", buffering=0) as terminal:
        terminal.write(f"{printable(text)}\n".encode())
        while terminal.read(1) not in {b"\n", b""}:
            pass


def stderr() -> TextIO:
    """Return stderr as it is at this moment: pytest puts its own in the way and takes it away."""
    return sys.stderr


def stdout() -> TextIO:
    """Return stdout as it is at this moment."""
    return sys.stdout


def is_terminal(stream: TextIO | None) -> bool:
    """Whether `stream` is a terminal that can move its cursor, and can show more than ASCII."""
    if stream is None or not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    return "utf" in (stream.encoding or "utf-8").lower()


def is_coloured(stream: TextIO | None) -> bool:
    """Whether `stream` is a terminal whose user wants colours; see https://no-color.org."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def put(stream: TextIO | None, *parts: str) -> None:
    """Write `parts` to `stream`, at once; all but a `Code` is made printable.

    `stream` is None where the user closed it. Raises `InfrastructureError` where data cannot be
    written; narration that cannot be ends nothing.
    """
    if stream is None:
        return
    with _LIVE.lock:
        aside, terminal = _LIVE.lines, _LIVE.stream
        if not aside or not stream.isatty():
            _write(stream, *parts)
            return
        put_live(terminal, ())
        _write(stream, *parts)
        put_live(terminal, aside)


def put_live(stream: TextIO | None, lines: Sequence[Sequence[str]]) -> None:
    """Replace the lines at the end of a terminal that are replaced in place; nothing removes them.

    Each is narrower than the terminal: of one that is wrapped a part would be left standing.
    """
    with _LIVE.lock:
        parts: list[str] = []
        for index in range(len(_LIVE.lines)):
            parts += [Code.LINE_UP, Code.ERASE_LINE] if index else [Code.ERASE_LINE]
        for index, line in enumerate(lines):
            parts += ["\n", *line] if index else line
        _LIVE.stream, _LIVE.lines = stream, list(lines)
        if stream is not None and parts:
            _write(stream, *parts)


class _Live:
    """The lines that are replaced in place: one process has one terminal."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stream: TextIO | None = None
        self.lines: list[Sequence[str]] = []


_LIVE = _Live()


def _write(stream: TextIO, *parts: str) -> None:
    text = "".join(part if isinstance(part, Code) else printable(part) for part in parts)
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        _write_no_more(stream)
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            raise InfrastructureError(
                "Printing on stdout", error.strerror or str(error), remedy="make room there"
            ) from error


def show_tracebacks() -> None:
    """Let the traceback of a fault of ours, in any thread, be printed as all else is."""

    def tell(
        kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
    ) -> None:
        put(sys.stderr, *traceback.format_exception(kind, error, trace))

    sys.excepthook = tell
    threading.excepthook = lambda args: tell(args.exc_type, args.exc_value, args.exc_traceback)


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser, whose help and complaints quote what was typed or matched by a `*`."""

    def _print_message(self, message: str, file: object = None) -> None:
        is_help = file is sys.stdout
        put(sys.stdout if is_help else sys.stderr, message)


def _write_no_more(stream: TextIO) -> None:
    """Let what is still to be written to `stream` go nowhere, at Python's exit as well."""
    try:
        number = stream.fileno()
    except io.UnsupportedOperation:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
