"""A mistake in a scenario file: its place and what to write instead; all of them as one error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.base.errors import UsageError
from harness.base.printable import printable_line

# More than anyone reads at once; a file with as many is no scenario.
MOST_SHOWN = 100


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake: the file as it was named, line and column (both from 1), the sentence."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        # Names in it are the file's own: a line of ours stays one, whatever they hold.
        return printable_line(f"{self.file}:{self.line}:{self.column}: {self.message}")

    @property
    def as_warning(self) -> str:
        """The line for what is no mistake, but is likely not to be meant."""
        return printable_line(f"{self.file}:{self.line}:{self.column}: warning: {self.message}")


class ScenarioError(UsageError):
    """Scenario files are wrong; `mistakes` has every mistake, by file and position."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        files = sorted({mistake.file for mistake in self.mistakes})
        count = len(self.mistakes)
        super().__init__(
            f"Reading {', '.join(files)}",
            f"{count} mistake{'' if count == 1 else 's'}; nothing was started",
            remedy="docs/writing-scenarios.md has every key and its values",
        )

    def text(self) -> str:
        """Return a line for each mistake, as editors and terminals link them, then the summary."""
        lines = [str(mistake) for mistake in self.mistakes[:MOST_SHOWN]]
        if len(self.mistakes) > MOST_SHOWN:
            lines.append(f"… and {len(self.mistakes) - MOST_SHOWN} more")
        return "\n".join([*lines, super().text()])
