"""The one place through which everything that is printed goes.

Data goes to stdout, narration to stderr; all of it is made printable here, because names, messages
and output that others wrote are in it. A character that the stream's encoding lacks is written as
an escape. Whoever reads a stream may stop at any time: then nothing more is written to it, and
what is going on (a lab that is being removed) goes on.

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
from enum import StrEnum
from types import TracebackType
from typing import Any, TextIO

from harness.base.errors import InfrastructureError
from harness.base.printable import printable


class Code(StrEnum):
    """What is written to a terminal as it stands: the only orders that reach it, and all ours."""

    ERASE_LINE = "\r\x1b[2K"
    RED = "\x1b[31m"
    GREEN = "\x1b[32m"
    YELLOW = "\x1b[33m"
    PLAIN = "\x1b[0m"


def say(text: str) -> None:
    """Say `text` on stderr, at once."""
    put(sys.stderr, text, "\n")


def show(text: str) -> None:
    """Print `text`, the data that a command was asked for, on stdout."""
    put(sys.stdout, text, "\n")


def show_json(value: Any) -> None:  # noqa: ANN401  # any JSON value
    """Print `value` as JSON on stdout: in ASCII, so that making it printable changes nothing."""
    show(json.dumps(value, indent=2))


def ask(question: str) -> bool:
    """Return whether the person at the keyboard answers `question` with yes."""
    put(sys.stderr, question, " [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def stderr() -> TextIO:
    """Return stderr as it is at this moment: pytest puts its own in the way and takes it away."""
    return sys.stderr


def put(stream: TextIO | None, *parts: str) -> None:
    """Write `parts` to `stream`, at once; all but a `Code` is made printable.

    `stream` is None where the user closed it. Raises `InfrastructureError` where data cannot be
    written; narration that cannot be ends nothing.
    """
    text = "".join(part if isinstance(part, Code) else printable(part) for part in parts)
    if stream is None:
        return
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
