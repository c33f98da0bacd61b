"""A recorded run in place of a cluster: a clock, a prober and threads that play it back.

What was read is never altered, nor dated anew: a look gets the reading that was taken then, and
where none was, a gap. So what judges it sees the same gaps that were there, and new ones where it
asks for more than was recorded.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import Executor
from concurrent.futures import Future
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import ParamSpec
from typing import TypeAlias
from typing import TypeVar

from harness.check.hold import LONGEST_GAP_SECONDS
from harness.check.hold import LOOK_EVERY_SECONDS
from harness.evidence.reading import Reading
from harness.probe.core import DIAL
from harness.probe.core import Probe
from harness.probe.prober import Prober

P = ParamSpec("P")
T = TypeVar("T")

# Two looks at one thing are at least a second apart and usually three; a replay drifts by
# milliseconds, and is put right by every look.
SAME_LOOK_SECONDS = LOOK_EVERY_SECONDS / 2


_EPOCH = datetime.fromtimestamp(0, UTC)


class RecordedClock:
    """Time that only sleeps and recorded looks move; seconds since the run began."""

    def __init__(self, at: float = 0.0, began: datetime = _EPOCH) -> None:
        self.at = at
        self._began = began

    def monotonic(self) -> float:
        """Return the seconds since the recorded run began."""
        return self.at

    def now(self) -> datetime:
        """Return when that was, by the wall clock of the recorded run."""
        return datetime.fromtimestamp(self._began.timestamp() + self.at, UTC)

    def sleep(self, seconds: float) -> None:
        """Let `seconds` go by at once."""
        self.at += max(seconds, 0.0)

    def advance(self, until: float) -> None:
        """Go forward to `until`, never back."""
        self.at = max(self.at, until)

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        """Let the body have a time of its own, as a thread has."""
        began = self.at
        try:
            yield
        finally:
            self.at = began


_Key: TypeAlias = tuple[str, str, tuple[str, ...]]


def _key(name: str, asked: Reading | Probe[Any]) -> _Key:
    """Return what tells one question from another, in whatever words it was asked.

    A command may have been another one when the recording was made; rounds of dials to one address
    differ in how many they are.
    """
    return asked.where, name, asked.argv if asked.argv[0] == DIAL else ()


class RecordedProber(Prober):
    """Answers each probe with what was read of it then, and takes as long as that took."""

    def __init__(self, clock: RecordedClock, readings: Iterable[Reading]) -> None:
        super().__init__(None, {}, clock, 0.0)
        self._now = clock
        self._since, self._until = float("-inf"), float("inf")
        self._asked: dict[_Key, list[Reading]] = {}
        for each in sorted(readings, key=lambda each: each.elapsed):
            self._asked.setdefault(_key(each.probe, each), []).append(each)

    def show(self, since: float, until: float) -> None:
        """Answer from now on only with what was read between these times: one phase's readings."""
        self._since, self._until = since, until

    def take(self, probes: Iterable[Probe[Any]]) -> tuple[Reading, ...]:
        """Return one reading a probe, in their order."""
        began = self._now.monotonic()
        found = self._together(tuple(probes), began)
        for each in found:
            # What is older than the look was taken by another, and costs this one no time.
            if each.elapsed >= began - SAME_LOOK_SECONDS:
                self._now.advance(each.elapsed + each.duration)
        return found

    def read(self, probe: Probe[Any]) -> Reading:
        """Return one reading of `probe`."""
        return self.take([probe])[0]

    def _together(self, probes: Sequence[Probe[Any]], began: float) -> tuple[Reading, ...]:
        """Return the readings of the look that `began`.

        On a busy host some of a look's readings were begun seconds after its first ones: they are
        taken for its own until one of those was read again.
        """
        answers = [self._answers(each) for each in probes]
        near = [_nearest(each, began) for each in answers]
        until = min(
            (_next(each, at) for each, at in zip(answers, near, strict=True) if at is not None),
            default=began,
        )
        until = min(until, began + LONGEST_GAP_SECONDS)
        return tuple(
            at or self._found(probe, each, began, until)
            for probe, each, at in zip(probes, answers, near, strict=True)
        )

    def _answers(self, probe: Probe[Any]) -> Sequence[Reading]:
        return [
            each
            for each in self._asked.get(_key(probe.name, probe), ())
            if self._since <= each.elapsed < self._until
        ]

    def _found(
        self, probe: Probe[Any], answers: Sequence[Reading], now: float, until: float
    ) -> Reading:
        """Return the first answer after `now` and before `until`, else the last one before it."""
        late = next((each for each in answers if now < each.elapsed < until), None)
        if late is not None:
            return late
        before = [each for each in answers if each.elapsed <= now]
        if before and now - before[-1].elapsed <= LONGEST_GAP_SECONDS:
            return before[-1]
        return Reading(
            probe=probe.name,
            where=probe.where,
            argv=probe.argv,
            at=self._now.now().isoformat(timespec="milliseconds"),
            elapsed=round(now, 3),
            duration=0.0,
            returncode=None,
            error=f"the recording has no look at {probe.name} on {probe.where} at {now:.0f}s",
        )


def _nearest(answers: Sequence[Reading], now: float) -> Reading | None:
    near = min(answers, key=lambda each: abs(each.elapsed - now), default=None)
    return near if near is not None and abs(near.elapsed - now) <= SAME_LOOK_SECONDS else None


def _next(answers: Sequence[Reading], at: Reading) -> float:
    """Return when the look after `at` was taken; never, where it was the last."""
    return min((each.elapsed for each in answers if each.elapsed > at.elapsed), default=math.inf)


class BesideExecutor(Executor):
    """Does work at once, on a time of its own; it is done when that time has come."""

    def __init__(self, clock: RecordedClock) -> None:
        self._clock = clock

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do the work, and return what it comes to later."""
        later: _Later[T] = _Later(self._clock)
        with self._clock.beside():
            later.set_result(fn(*args, **kwargs))
            later.ready = self._clock.monotonic()
        return later


class _Later(Future[T]):
    """A result that is there once the clock has come to `ready`."""

    def __init__(self, clock: RecordedClock) -> None:
        super().__init__()
        self._clock = clock
        self.ready = clock.monotonic()

    def done(self) -> bool:
        return self._clock.monotonic() >= self.ready
