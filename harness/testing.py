"""Stand-ins for tests: time, programs, machines, and readings of a real cluster.

Whoever writes a probe, an expectation or a cause of their own tests it with these, and so does the
harness. Nothing in the harness itself imports this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from harness.base.completed import CommandFailedError, Completed
from harness.engine.recorded import RecordedClock, RecordedProber
from harness.evidence.reading import Reading
from harness.ssh.remote import Dial, DialResult

# What a program answers: what it prints, its exit status, both, an error that is raised instead,
# or any of these made of the arguments.
Answer: TypeAlias = (
    "str | int | Completed | Exception | Callable[[tuple[str, ...]], str | int | Completed]"
)


class FakeClock:
    """Time that passes only when somebody sleeps; `naps` has every sleep, `at` may be set.

    `now` is the wall clock at the beginning.
    """

    def __init__(
        self, at: float = 1000.0, *, now: datetime = datetime(2026, 11, 23, 5, 40, tzinfo=UTC)
    ) -> None:
        self.at = at
        self.naps: list[float] = []
        self._zero = now - timedelta(seconds=at)

    def monotonic(self) -> float:
        """Return the seconds so far."""
        return self.at

    def now(self) -> datetime:
        """Return the wall clock, which goes with the seconds."""
        return self._zero + timedelta(seconds=self.at)

    def sleep(self, seconds: float) -> None:
        """Let `seconds` go by at once."""
        self.naps.append(seconds)
        self.at += max(seconds, 0.0)


class FakeRunner:
    """Programs that answer as they are told; `commands` has every argument list, in order.

    `answers` is by the first words of a command line; of several that fit the longest counts, and
    the empty one fits all. A command that none fits fails the test.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        self.commands: list[tuple[str, ...]] = []

    def run(
        self, argv: Sequence[str], *, doing: str = "Running", check: bool = True, **_how: object
    ) -> Completed:
        """Return the answer to `argv`.

        Raises the error that is the answer, and with `check` `CommandFailedError` for an exit
        status other than 0.
        """
        command = tuple(argv)
        self.commands.append(command)
        answer = self._answer_to(command)
        if callable(answer):
            answer = answer(command)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            answer = Completed(command, 0, answer, "", 0.0)
        elif isinstance(answer, int):
            answer = Completed(command, answer, "", "", 0.0)
        if check and not answer.ok:
            raise CommandFailedError(doing, answer)
        return answer

    def _answer_to(self, command: tuple[str, ...]) -> Answer:
        line = " ".join(command)
        fitting = [words for words in self.answers if f"{line} ".startswith(f"{words} ".lstrip())]
        if not fitting:
            raise AssertionError(f"nobody said what this answers: {line}")
        return self.answers[max(fitting, key=len)]


class FakeRemote(FakeRunner):
    """A machine that answers as it is told.

    `dials` is by `host:port`, and a place that is not in it is dialled in vain; `files` has what
    was written, and what can be copied.
    """

    def __init__(
        self,
        name: str = "controller0",
        answers: Mapping[str, Answer] | None = None,
        *,
        dials: Mapping[str, Dial] | None = None,
    ) -> None:
        super().__init__(answers)
        self.name = name
        self.dials = dict(dials or {})
        self.dialled: list[str] = []
        self.files: dict[str, str] = {}

    def dial(self, host: str, port: int, *, deadline: float) -> DialResult:
        """Return how a connection to `host:port` ends; in vain after `deadline`."""
        place = f"{host}:{port}"
        self.dialled.append(place)
        outcome = self.dials.get(place, Dial.TIMED_OUT)
        return DialResult(outcome, deadline if outcome is Dial.TIMED_OUT else 0.0, outcome)

    def put(self, text: str, path: str, *, mode: int = 0o644, sudo: bool = True) -> None:  # noqa: ARG002  # as a machine takes it
        """Keep `text` as the machine's file `path`."""
        self.files[path] = text

    def get(self, path: str, local: Path) -> None:
        """Copy the machine's file `path` to `local`; raises `KeyError` where it is not there."""
        local.write_text(self.files[path], encoding="utf-8")

    def close(self) -> None:
        """Do nothing: there is no connection."""


def readings(path: Path) -> tuple[Reading, ...]:
    """Return the readings in `path`, as a run's `observations.jsonl` has them: JSON, one a line.

    Raises `ValueError` or `KeyError` where a line is none.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(Reading.from_dict(json.loads(line)) for line in lines)


def replayed(found: Iterable[Reading], *, at: float | None = None) -> RecordedProber:
    """Return a prober that answers with recorded readings, as they were at a second of their run.

    That is the last reading's unless `at` says otherwise. A look that was not taken then is a gap.
    """
    recorded = tuple(found)
    last = max((each.elapsed for each in recorded), default=0.0)
    return RecordedProber(RecordedClock(last if at is None else at), recorded)
