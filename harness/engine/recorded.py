"""A recorded run in place of a cluster: a clock, a prober and threads that play it back.

What was read is never altered, nor dated anew: a look gets the reading that was taken then, and
where none was, a gap. So what judges it sees the same gaps that were there, and new ones where it
asks for more than was recorded.
"""

from __future__ import annotations

import contextlib
import math
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeAlias, TypeVar

from harness.base.errors import UsageError
from harness.base.untrusted import MIB
from harness.check.hold import LONGEST_GAP_SECONDS, LOOK_EVERY_SECONDS
from harness.cluster.prober import Prober
from harness.evidence.reading import Reading
from harness.probe import told
from harness.probe.core import DIAL, Probe

P = ParamSpec("P")
T = TypeVar("T")

# Two looks at one thing are at least a second apart and usually three; a replay drifts by
# milliseconds, and is put right by every look.
SAME_LOOK_SECONDS = LOOK_EVERY_SECONDS / 2
# An hour of looks every 3 s is 1200 of them; a walk up the ladder every 10 s, in three looks of 110
# questions on six machines, 1080 more with 40,000 answers.
MOST_LOOKS = 5000
MOST_ANSWERS = 100_000
# Of each look every expectation of the phase makes a sample; five are many.
MOST_SAMPLES = 15_000
# Bytes in memory. An hour on six machines has 25 MB, each of which is judged once.
MOST_TEXT = 32 * MIB

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


@dataclass
class _Allowance:
    """What may still be asked of a recording; a stranger's scenario could ask for ever."""

    looks: int = MOST_LOOKS
    samples: int = MOST_SAMPLES
    answers: int = MOST_ANSWERS
    text: int = MOST_TEXT

    def take(self, found: Sequence[Reading], samples: int) -> None:
        """Take off one look with its answers; raises `UsageError` where that was too many."""
        self.looks -= 1
        self.samples -= samples
        self.answers -= len(found)
        self.text -= sum(sys.getsizeof(each.stdout) + sys.getsizeof(each.stderr) for each in found)
        if min(self.looks, self.samples, self.answers, self.text) < 0:
            raise UsageError(
                "Judging the recording again",
                "it takes more looks than any run has: its phases last too long, or too much is "
                "expected of them",
                remedy="name a bundle as a run wrote it",
            )


class RecordedProber(Prober):
    """Answers each probe with what was read of it then, and takes as long as that took."""

    def __init__(self, clock: RecordedClock, readings: Iterable[Reading]) -> None:
        super().__init__(None, {}, clock, 0.0)
        self._now = clock
        self._since, self._until = float("-inf"), float("inf")
        self._samples = 1
        self._allowance = _Allowance()
        self._asked: dict[_Key, list[Reading]] = {}
        for each in sorted(readings, key=_elapsed):
            self._asked.setdefault(_key(each.probe, each), []).append(each)

    def show(self, since: float, until: float, samples: int = 1) -> None:
        """Answer from now on only with what was read between these times: one phase's readings.

        `samples` is how many expectations make one of each look.
        """
        self._since, self._until = since, until
        self._samples = samples

    def take(self, probes: Iterable[Probe[Any]]) -> tuple[Reading, ...]:
        """Return one reading a probe, in their order.

        Raises `UsageError` once more was asked than any run asks.
        """
        began = self._now.monotonic()
        found = self._together(tuple(probes), began)
        self._allowance.take(found, self._samples)
        for each in found:
            # What is older than the look was taken by another, and costs this one no time.
            if each.elapsed >= began - SAME_LOOK_SECONDS:
                self._now.advance(each.elapsed + each.duration)
        return found

    def read(self, probe: Probe[Any]) -> Reading:
        """Return one reading of `probe`."""
        return self.take([probe])[0]

    def wait_for(self, probe: Probe[Any]) -> None:
        """Go on to the look that was made when this had ended."""
        now = self._now.monotonic()
        looks = self._counted(self._asked.get((probe.where, told.look_after(probe), ()), ()))
        following = looks.following(now)
        if looks.nearest(now) is None and following and following.elapsed <= now + probe.deadline:
            self._now.advance(following.elapsed)

    def _together(self, probes: Sequence[Probe[Any]], began: float) -> tuple[Reading, ...]:
        """Return the readings of the look that `began`.

        On a busy host some of a look's readings were begun seconds after its first ones: they are
        taken for its own until one of those was read again.
        """
        answers = [self._answers(each) for each in probes]
        near = [each.nearest(began) for each in answers]
        until = min(
            (each.after(at) for each, at in zip(answers, near, strict=True) if at is not None),
            default=began,
        )
        until = min(until, began + LONGEST_GAP_SECONDS)
        return tuple(
            at or each.between(began, until) or each.lately(began) or self._gap(probe, began)
            for probe, each, at in zip(probes, answers, near, strict=True)
        )

    def _answers(self, probe: Probe[Any]) -> _Answers:
        return self._counted(self._asked.get(_key(probe.name, probe), ()))

    def _counted(self, asked: Sequence[Reading]) -> _Answers:
        """Return those of the readings that were taken in the phase that is shown."""
        return _Answers(
            asked,
            bisect_left(asked, self._since, key=_elapsed),
            bisect_left(asked, self._until, key=_elapsed),
        )

    def _gap(self, probe: Probe[Any], now: float) -> Reading:
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


@dataclass(frozen=True)
class _Answers:
    """The readings of one question in order of time, of which those from `first` to `end` count.

    Each look finds its own by halves: a recording has thousands.
    """

    readings: Sequence[Reading]
    first: int
    end: int

    def nearest(self, now: float) -> Reading | None:
        """Return the reading nearest to `now`, if it is of the same look."""
        at = self._place(bisect_left, now)
        if at > self.first:
            # Of several at one time the first.
            at_or_before = self._place(bisect_left, self.readings[at - 1].elapsed)
            around = self.readings[at_or_before : at_or_before + 1]
        else:
            around = ()
        around = (*around, *self.readings[at : min(at + 1, self.end)])
        near = min(around, key=lambda each: abs(each.elapsed - now), default=None)
        return near if near is not None and abs(near.elapsed - now) <= SAME_LOOK_SECONDS else None

    def after(self, at: Reading) -> float:
        """Return when the look after `at` was taken; never, where it was the last."""
        found = self.following(at.elapsed)
        return found.elapsed if found is not None else math.inf

    def between(self, now: float, until: float) -> Reading | None:
        """Return the first reading after `now` and before `until`."""
        found = self.following(now)
        return found if found is not None and found.elapsed < until else None

    def following(self, now: float) -> Reading | None:
        """Return the first reading after `now`."""
        place = self._place(bisect_right, now)
        return self.readings[place] if place < self.end else None

    def lately(self, now: float) -> Reading | None:
        """Return the last reading before `now`, if it is not too old to tell of it."""
        place = self._place(bisect_right, now)
        found = self.readings[place - 1] if place > self.first else None
        return found if found is not None and now - found.elapsed <= LONGEST_GAP_SECONDS else None

    def _place(self, bisect: Callable[..., int], at: float) -> int:
        return bisect(self.readings, at, self.first, max(self.first, self.end), key=_elapsed)


def _elapsed(reading: Reading) -> float:
    return reading.elapsed


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
