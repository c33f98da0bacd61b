"""What can go wrong, as sentences for the person at the keyboard.

Every error a user can cause is a `HarnessError`: it says what was being done, what happened, what
to do next and where the rest is, and it knows the exit code of the command that ends with it.
Anything else that reaches the top is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import ClassVar

# What a remedy begins with in an error's text; whoever shortens such a text keeps it.
REMEDY = "  -> "
# What the place of the rest begins with.
REST = "  The rest is in "


class ExitCode(IntEnum):
    """The exit codes of `k0s-harness`, as the reference promises them."""

    OK = 0
    NOT_MET = 1
    USAGE = 2
    HOST_LACKS = 3
    INFRASTRUCTURE = 4
    INTERRUPTED = 130


class HarnessError(Exception):
    """Base of all errors that are shown as sentences and not as tracebacks.

    `doing` and `happened` make the first line; `remedy` is what to do next, `details` a tail of
    raw output, `where` the file with the rest.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INFRASTRUCTURE
    # What to do where nobody knows better.
    otherwise: ClassVar[str | None] = None

    def __init__(
        self,
        doing: str,
        happened: str,
        *,
        remedy: str | None = None,
        details: str | None = None,
        where: Path | None = None,
    ) -> None:
        self.doing = doing
        self.happened = happened
        self.remedy = remedy
        self.details = details
        self.where = where
        super().__init__(f"{doing}: {happened}")

    def text(self) -> str:
        """Return the whole message, several lines, without a trailing newline."""
        lines = [f"{self.doing}: {self.happened}"]
        if self.details:
            lines += [f"    {line}" for line in self.details.rstrip().splitlines()]
        remedy = self.remedy or self.otherwise
        if remedy:
            lines.append(f"{REMEDY}{remedy}")
        if self.where is not None:
            lines.append(f"{REST}{self.where}")
        return "\n".join(lines)


class InfrastructureError(HarnessError):
    """A machine, SSH, Vagrant or k0sctl failed; no verdict on the cluster follows from it."""


class InconclusiveError(HarnessError):
    """Not enough was seen to judge: neither a pass nor a plain failure."""


class UsageError(HarnessError):
    """A command line, a setting or a scenario file is wrong; nothing was started."""

    exit_code = ExitCode.USAGE


class HostLacksError(HarnessError):
    """This host lacks something; `remedy` holds the command that gets it."""

    exit_code = ExitCode.HOST_LACKS
    otherwise = "k0s-harness doctor says what this host lacks, and the command that gets it"


class InterruptedRunError(HarnessError):
    """The user or the system asked the run to stop; it is raised after cleaning up."""

    exit_code = ExitCode.INTERRUPTED
