"""Doing things to this host as root, and the record of them.

The record is `host.jsonl` in the state folder: one JSON object a line, appended before the next
thing is done, by set-up and, for Python itself, by bootstrap.sh.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.base.completed import CommandFailedError, Completed
from harness.base.context import Context
from harness.base.errors import HostLacksError
from harness.host.facts import HostFacts

RECORD_NAME = "host.jsonl"
# apt is the slowest: 109 MB and 128 packages on a clean Debian 12 take a minute; a slow mirror ten
# times that.
ROOT_SECONDS = 1200.0


@dataclass(frozen=True)
class SetupRecord:
    """One thing that set-up did: `time` (UTC, ISO 8601), what it did to what, how to undo it."""

    time: str
    did: str
    what: tuple[str, ...]
    undo: str


def append_record(state_dir: Path, record: SetupRecord) -> None:
    """Write `record` down; the folder is made for this user alone."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state_dir / RECORD_NAME).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(record)) + "\n")


def read_records(state_dir: Path) -> tuple[SetupRecord, ...]:
    """Return what set-up did here, oldest first; a line cut short by a full disk is left out."""
    try:
        lines = (state_dir / RECORD_NAME).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        try:
            data = json.loads(line)
            found.append(
                SetupRecord(data["time"], data["did"], tuple(data["what"]), str(data["undo"]))
            )
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found)


@dataclass(frozen=True)
class Admin:
    """What set-up does its work with; `look` reads the host's facts now."""

    context: Context
    look: Callable[[], HostFacts]

    def root(
        self,
        facts: HostFacts,
        argv: Sequence[str],
        *,
        doing: str,
        log: Path | None = None,
        check: bool = True,
    ) -> Completed:
        """Run `argv` as root; with `check` a status other than 0 is the host's lack."""
        # Programs of ours have no terminal: a sudo that asks must fail, not wait.
        prefix = [] if facts.sudo == "root" else ["sudo", "-n"]
        try:
            return self.context.runner.run(
                [*prefix, *argv], doing=doing, deadline=ROOT_SECONDS, log=log, check=check
            )
        except CommandFailedError as error:
            raise HostLacksError(
                error.doing,
                error.happened,
                remedy=error.remedy,
                details=error.details,
                where=error.where,
            ) from None

    def record(self, did: str, what: Sequence[str], undo: str) -> None:
        """Write down one thing that was done."""
        now = self.context.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        append_record(self.context.settings.state_dir, SetupRecord(now, did, tuple(what), undo))

    def took(self, began: float) -> str:
        """Return the end of a step's narration."""
        seconds = self.context.clock.monotonic() - began
        return f"done in {seconds:.0f}s; make doctor lists how to undo it"
