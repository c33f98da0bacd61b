"""Steps of a run: told as they begin and end, timed, and bounded where they have a bound."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Iterator

from harness.engine.events import Event
from harness.engine.events import StepEnded
from harness.engine.events import StepProgress
from harness.engine.events import StepStarted
from harness.errors import HarnessError
from harness.wait import Clock


class Steps:
    """Tells `emit` of every step; `timings` has the seconds of each that ended, by title."""

    def __init__(self, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._clock = clock
        self._emit = emit
        self.timings: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, title: str, bound: float | None = None) -> Iterator[Callable[[str], None]]:
        """Run the body as a step; yields what tells its progress, a line at a time."""
        began = self._clock.monotonic()
        self._emit(StepStarted(title, bound))
        try:
            yield lambda text: self._emit(StepProgress(text))
        except BaseException as error:
            text = str(error) if isinstance(error, HarnessError) else type(error).__name__
            self._end(title, began, ok=False, text=text)
            raise
        self._end(title, began, ok=True)

    def _end(self, title: str, began: float, *, ok: bool, text: str = "") -> None:
        seconds = round(self._clock.monotonic() - began, 1)
        self.timings[title] = round(self.timings.get(title, 0.0) + seconds, 1)
        self._emit(StepEnded(title, seconds, ok, text))
