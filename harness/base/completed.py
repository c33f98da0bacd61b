"""What a program came to: its words and its status, or the error that they are."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import InfrastructureError
from harness.base.sayings import told_by
from harness.base.telling import telling_lines


@dataclass(frozen=True)
class Completed:
    """A program that ended: what was run, its exit status, both streams and the seconds it took.

    Of streams that are longer than is kept, `left_out` says how many bytes together are not in
    them; where they were, a line of the text says so.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    duration: float
    left_out: int = 0

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.returncode == 0


class CommandFailedError(InfrastructureError):
    """A program ended with a status other than 0, or was ended at its deadline.

    Where its words are of a known kind the sentence says what was wrong, with the remedy; else it
    has the status, and the program's most telling words follow.
    """

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
        said = completed.stderr.strip() or completed.stdout.strip()
        ended = f"{how}: {command}"
        told = told_by(completed.argv, completed.returncode, said)
        happened = ended
        if told is not None:
            happened = f"{ended}; {told.happened}" if timed_out else told.happened
        details = telling_lines(said)
        super().__init__(
            doing,
            happened,
            remedy=told.remedy if told is not None else None,
            details=details if happened.startswith(ended) else f"{ended}\n{details}",
            where=log,
        )
