"""Narration of runs in several processes: each line says whose it is."""

from __future__ import annotations

import io
from collections.abc import Callable

from harness.base.printing import stderr


class Labelled(io.TextIOBase):
    """Standard error of one of several processes, with the name of what it runs before each line.

    It is no terminal to who writes to it: no line of one process is overwritten by another's.
    """

    def __init__(self, whose: Callable[[], str]) -> None:
        self._whose = whose

    @property
    def encoding(self) -> str:  # type: ignore[override]  # io's own classes have it as a property
        """The encoding of standard error."""
        return stderr().encoding or "utf-8"

    def write(self, text: str) -> int:
        """Write the lines of `text`, in one piece."""
        lines = text.splitlines(keepends=True)
        return stderr().write("".join(f"{self._whose()} | {line}" for line in lines))

    def flush(self) -> None:
        """Write all that is still to be written."""
        stderr().flush()
