"""Steps of a run: told as they begin and end, timed, and bounded where they have a bound."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from harness.base.context import Say
from harness.base.errors import HarnessError
from harness.base.wait import Clock
from harness.engine.events import Event, StepEnded, StepId, StepProgress, StepStarted, title_of


class Steps:
    """Tells `emit` of every step; `timings` has the seconds of each that ended, by title."""

    def __init__(self, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._clock = clock
        self._emit = emit
        self.timings: dict[str, float] = {}

    @contextlib.contextmanager
    def step(
        self, step: StepId, bound: float | None = None, *, of: Sequence[str] = ()
    ) -> Iterator[Say]:
        """Run the body as a step, about `of`; yields what tells its progress, a line at a time."""
        title = title_of(step, *of)
        began = self._clock.monotonic()
        self._emit(StepStarted(step, title, bound))
        ok, text, reason = False, "", ""
        try:
            yield lambda line: self._emit(StepProgress(line))
            ok = True
        except HarnessError as error:
            text, reason = str(error), error.happened
            raise
        except BaseException as error:
            text = type(error).__name__
            raise
        finally:
            seconds = round(self._clock.monotonic() - began, 1)
            self.timings[title] = round(self.timings.get(title, 0.0) + seconds, 1)
            self._emit(StepEnded(step, title, seconds, ok, text, reason))
