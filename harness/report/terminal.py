"""Narration while a run goes on: one line a step, its bound before, its time after.

In between stands what is waited for, on change only. In a log every change is a line of its own. On
a terminal each run has one line, replaced in place until the step has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from harness.base.printable import printable_line
from harness.base.printing import Code, is_coloured, is_terminal, put, put_live, stderr
from harness.base.wait import Clock, SystemClock
from harness.check.model import Verdict
from harness.engine.events import (
    Event,
    PhaseEntered,
    StepEnded,
    StepProgress,
    StepStarted,
    TransitionSeen,
    VerdictReached,
)
from harness.evidence.redaction import redact
from harness.report.formatting import cut, duration, one_line, terminal_width

# Often enough to be seen moving; each time a line is written.
_REDRAWN_EVERY_SECONDS = 0.2
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_COLOURS = {
    Verdict.MET: Code.GREEN,
    Verdict.NOT_MET: Code.RED,
    Verdict.INCONCLUSIVE: Code.YELLOW,
}
MARKS = {Verdict.MET: "✓", Verdict.NOT_MET: "✗", Verdict.INCONCLUSIVE: "?"}


class Narrator:
    """Turns events into lines; call it with each event, from any thread.

    Without `stream` it is standard error as it is at that moment, so that it also works while
    pytest has put its own in the way. `verbose` has every line of a log on a terminal, too.
    """

    def __init__(
        self, stream: TextIO | None = None, *, verbose: bool = False, clock: Clock | None = None
    ) -> None:
        self._stream = stderr if stream is None else lambda: stream
        self._lock = threading.Lock()
        self._plain = _Lines(self._stream)
        self._live = None if verbose else _Live(self._stream, self._lock, clock or SystemClock())

    def __call__(self, event: Event, whose: str = "") -> None:
        """Tell `event`; `whose` is the run among several that it is of."""
        with self._lock:
            if self._live is not None and is_terminal(self._stream()):
                self._live.tell(event, whose)
            else:
                self._plain.tell(event, whose)


class _Lines:
    """Every event as lines of its own; progress that says the same again is not told."""

    def __init__(self, stream: Callable[[], TextIO]) -> None:
        self._stream = stream
        self._progress: dict[str, str] = {}

    def tell(self, event: Event, whose: str) -> None:
        match event:
            case StepStarted(title=title, bound=bound):
                self._progress[whose] = ""
                self._line(whose, f"==> {title}{f' (at most {duration(bound)})' if bound else ''}")
            case StepProgress(text):
                if text and text != self._progress.get(whose):
                    self._progress[whose] = text
                    self._line(whose, f"    {one_line(text)}")
            case StepEnded(ok=ok):
                self._progress[whose] = ""
                word, colour = ("ok", Code.GREEN) if ok else ("FAILED", Code.RED)
                self._marked(whose, word, colour, _ending(event))
            case PhaseEntered(name, changes, expectations):
                self._line(whose, f"==> Phase {name}")
                for change in changes:
                    self._line(whose, f"    change: {one_line(change)}")
                for expectation in expectations:
                    self._line(whose, f"    expect: {one_line(expectation)}")
            case TransitionSeen(elapsed, where, text):
                self._line(whose, f"    {duration(elapsed):>6}  {where}: {one_line(text)}")
            case VerdictReached(identifier, verdict, text):
                said = f"{identifier}: {one_line(text)}"
                self._marked(whose, verdict, _COLOURS[verdict], said)

    def _line(self, whose: str, text: str) -> None:
        put(self._stream(), _of(whose), _shown(text), "\n")

    def _marked(self, whose: str, word: str, colour: Code, text: str) -> None:
        stream = self._stream()
        mark = (colour, word, Code.PLAIN) if is_coloured(stream) else (word,)
        put(stream, _of(whose), "    ", *mark, f"  {_shown(text)}", "\n")


@dataclass
class _Running:
    """A step that has not ended, and what was last seen in it."""

    title: str
    bound: float | None
    began: float
    seen: str = ""

    def text(self, now: float) -> str:
        bound = f" of at most {duration(self.bound)}" if self.bound else ""
        time = f"{duration(now - self.began, tenths=False)}{bound}"
        return "  ".join(filter(None, (self.title, time, self.seen)))


class _Live:
    """The step of each run in one line, replaced in place; what ended stays above it."""

    def __init__(self, stream: Callable[[], TextIO], lock: threading.Lock, clock: Clock) -> None:
        self._stream = stream
        self._lock = lock
        self._clock = clock
        # A step may have steps: the innermost is shown.
        self._running: dict[str, list[_Running]] = {}
        self._ticker: threading.Thread | None = None

    def tell(self, event: Event, whose: str) -> None:
        steps = self._running.get(whose, [])
        match event:
            case StepStarted(title=title, bound=bound):
                started = _Running(title, bound, self._clock.monotonic())
                self._running.setdefault(whose, []).append(started)
            case StepProgress(text) if steps:
                steps[-1].seen = one_line(text)
            case TransitionSeen(_, where, text) if steps:
                steps[-1].seen = f"{where}: {one_line(text)}"
            case StepEnded(ok=ok):
                self._ended(whose)
                self._marked(Verdict.MET if ok else Verdict.NOT_MET, whose, _ending(event))
            case PhaseEntered(name, changes):
                after = f": {one_line('; '.join(changes))}" if changes else ""
                self._line(Code.BOLD, f"{_of(whose)}Phase {_shown(name)}", _shown(after))
            case VerdictReached(identifier, verdict, text, expected):
                self._marked(verdict, whose, f"{expected or identifier}, {one_line(text)}")
            case _:
                pass
        self._draw()
        if self._running and self._ticker is None:
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()

    def _ended(self, whose: str) -> None:
        steps = self._running.get(whose, [])
        if steps:
            steps.pop()
        if not steps:
            self._running.pop(whose, None)

    def _marked(self, verdict: Verdict, whose: str, text: str) -> None:
        """Print a line that stays; one of what went well may be cut, the report has it whole."""
        text = f"{_of(whose)}{_shown(text)}"
        if verdict is Verdict.MET:
            text = cut(text, terminal_width() - len(" ✓ "))
        self._line(_COLOURS[verdict], f" {MARKS[verdict]} ", text)

    def _line(self, colour: Code, marked: str, text: str) -> None:
        stream = self._stream()
        before, after = (colour, Code.PLAIN) if is_coloured(stream) else ("", "")
        put(stream, before, marked, after, text, "\n")

    def _draw(self) -> None:
        now = self._clock.monotonic()
        turn = _SPINNER[int(now / _REDRAWN_EVERY_SECONDS) % len(_SPINNER)]
        # One column stays free: a full line would wrap, and could not be replaced.
        width = terminal_width() - 1
        shown = [
            [cut(f" {turn} {_of(whose)}{_shown(steps[-1].text(now))}", width)]
            for whose, steps in self._running.items()
        ]
        put_live(self._stream(), shown)

    def _tick(self) -> None:
        while True:
            self._clock.sleep(_REDRAWN_EVERY_SECONDS)
            with self._lock:
                if not self._running:
                    self._ticker = None
                    return
                self._draw()


def _of(whose: str) -> str:
    return f"{_shown(whose)}: " if whose else ""


def _ending(step: StepEnded) -> str:
    said = f": {one_line(step.text)}" if step.text else ""
    return f"{step.title} in {duration(step.seconds)}{said}"


def _shown(text: str) -> str:
    """Return `text` as one line: a step has one, whatever its title or what was seen holds."""
    return printable_line(redact(text))
