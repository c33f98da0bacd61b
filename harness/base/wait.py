"""The one place that waits.

Time comes from a `Clock` that is passed in, so that everything that waits is tested with a clock
that does not. Nothing else in the harness calls `time.sleep`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from harness.base.errors import InfrastructureError

T = TypeVar("T")


class Clock(Protocol):
    """Source of time: `monotonic` for bounds, `now` for what people read."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def now(self) -> datetime:
        """Return the wall clock in UTC."""

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


class SystemClock:
    """The clock of this host."""

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the wall clock in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`; a negative value returns at once."""
        if seconds > 0:
            time.sleep(seconds)


@dataclass(frozen=True)
class Attempt(Generic[T]):
    """One look while waiting: seconds since the wait began, and what was seen."""

    at: float
    value: T


class WaitTimeoutError(InfrastructureError, Generic[T]):
    """A bound passed before what was waited for came; `history` has every look."""

    def __init__(self, what: str, bound: float, history: tuple[Attempt[T], ...]) -> None:
        self.history = history
        last = f"last seen: {history[-1].value}" if history else "nothing was seen"
        super().__init__(f"Waiting for {what}", f"not within {bound:.0f}s; {last}")


def wait_until(
    what: str,
    look: Callable[[], T],
    accept: Callable[[T], bool],
    *,
    bound: float,
    every: float,
    clock: Clock,
    on_change: Callable[[T], None] | None = None,
    until_told: Callable[[T], object] = lambda _: None,
) -> tuple[Attempt[T], ...]:
    """Look every `every` seconds until `accept` likes what was seen.

    Returns all attempts, the accepted one last. `on_change` is called with each value that differs
    from the one before. `until_told` is given what was seen and may take its time, until something
    tells that it has changed; that counts for the time between two looks. Raises
    `WaitTimeoutError` with the history when `bound` seconds have passed; there is always one look
    after the last sleep, so a slow look never hides a success.
    """
    started = clock.monotonic()
    history: list[Attempt[T]] = []
    while True:
        value = look()
        elapsed = clock.monotonic() - started
        if on_change is not None and (not history or history[-1].value != value):
            on_change(value)
        history.append(Attempt(elapsed, value))
        if accept(value):
            return tuple(history)
        if elapsed >= bound:
            raise WaitTimeoutError(what, bound, tuple(history))
        told = clock.monotonic()
        until_told(value)
        waited = clock.monotonic() - told
        clock.sleep(min(every, max(bound - elapsed, 0.0)) - waited)
