"""What the harness asks of a machine: run, copy, dial. Two clients implement it.

`harness.ssh.client` (paramiko, host keys pinned) serves the lab's own machines; people's own
clusters are reached through OpenSSH, which knows their agents and bastions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from harness.base.completed import Completed


class Dial(StrEnum):
    """How a new TCP connection from a machine ended."""

    CONNECTED = "connected"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed-out"


@dataclass(frozen=True)
class DialResult:
    """One dial: how it ended, the seconds it took, and the words of the machine that dialled."""

    outcome: Dial
    seconds: float
    text: str


# What sshd says of a dial that failed: its own machine's words for errno.
_WORDS = (
    ("Connection refused", Dial.REFUSED),
    ("No route to host", Dial.UNREACHABLE),
    ("Network is unreachable", Dial.UNREACHABLE),
    ("Connection timed out", Dial.TIMED_OUT),
)


def outcome_of_words(words: str) -> Dial | None:
    """Return how a dial ended by the words of sshd, None for words of another failure."""
    return next((outcome for text, outcome in _WORDS if text in words), None)


class RemoteReader(Protocol):
    """One machine that is only looked at. Every call has a deadline.

    Raises `InfrastructureError` when the machine cannot be reached, or past the deadline.
    """

    @property
    def name(self) -> str:
        """Name of the machine in the lab, such as `controller0`."""

    def run(
        self,
        argv: Sequence[str],
        *,
        doing: str,
        deadline: float,
        sudo: bool = False,
        stdin: str | None = None,
        check: bool = True,
    ) -> Completed:
        """Run `argv` on the machine.

        With `check`, a status other than 0 raises `CommandFailedError`.
        """

    def dial(self, host: str, port: int, *, deadline: float) -> DialResult:
        """Open a new TCP connection to `host:port` from the machine, close it, say how it went."""


class Remote(RemoteReader, Protocol):
    """One machine of a lab, which may be written to as well."""

    def put(self, text: str, path: str, *, mode: int = 0o644, sudo: bool = True) -> None:
        """Write `text` to `path` on the machine."""

    def get(self, path: str, local: Path) -> None:
        """Copy the machine's file `path` to `local`."""

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
