"""Narration while a run goes on: one line a step, its bound before, its time after.

In between stands what is waited for, on change only. On a terminal that line is overwritten; in a
log every change is a line of its own.
"""

from __future__ import annotations

import os
import shutil
import threading
from typing import TextIO

from harness.base.printable import printable_line
from harness.base.printing import Code, put, stderr
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
from harness.report.formatting import duration, one_line

_COLOURS = {
    Verdict.MET: Code.GREEN,
    Verdict.NOT_MET: Code.RED,
    Verdict.INCONCLUSIVE: Code.YELLOW,
}


class Narrator:
    """Turns events into lines; call it with each event, from any thread.

    Without `stream` it is standard error as it is at that moment, so that it also works while
    pytest has put its own in the way. Colours and overwriting are for terminals only; `NO_COLOR`
    turns the colours off.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._given = stream
        self._lock = threading.Lock()
        self._progress = ""
        self._overwritable = False

    def __call__(self, event: Event) -> None:
        """Tell `event`; progress that says the same again is not told."""
        with self._lock:
            match event:
                case StepStarted(title=title, bound=bound):
                    self._progress = ""
                    self._line(f"==> {title}{f' (at most {duration(bound)})' if bound else ''}")
                case StepProgress(text):
                    self._tell_progress(one_line(text))
                case StepEnded(title=title, seconds=seconds, ok=ok, text=text):
                    self._progress = ""
                    ending = f": {one_line(text)}" if text else ""
                    self._marked(
                        "ok" if ok else "FAILED",
                        Code.GREEN if ok else Code.RED,
                        f"{title} in {duration(seconds)}{ending}",
                    )
                case PhaseEntered(name, changes, expectations):
                    self._line(f"==> Phase {name}")
                    for change in changes:
                        self._line(f"    change: {one_line(change)}")
                    for expectation in expectations:
                        self._line(f"    expect: {one_line(expectation)}")
                case TransitionSeen(elapsed, where, text):
                    self._line(f"    {duration(elapsed):>6}  {where}: {one_line(text)}")
                case VerdictReached(identifier, verdict, text):
                    self._marked(verdict, _COLOURS[verdict], f"{identifier}: {one_line(text)}")

    @property
    def _stream(self) -> TextIO:
        return self._given if self._given is not None else stderr()

    def _tell_progress(self, text: str) -> None:
        if not text or text == self._progress:
            return
        self._progress = text
        if not self._stream.isatty():
            self._line(f"    {text}")
            return
        # One column stays free: a full line would scroll, and could not be overwritten.
        width = shutil.get_terminal_size().columns - 1
        put(self._stream, Code.ERASE_LINE, _shown(f"    {text}")[:width])
        self._overwritable = True

    def _line(self, text: str) -> None:
        self._put(_shown(text))

    def _marked(self, word: str, colour: Code, text: str) -> None:
        plain = not self._stream.isatty() or os.environ.get("NO_COLOR")
        mark = (word,) if plain else (colour, word, Code.PLAIN)
        self._put("    ", *mark, f"  {_shown(text)}")

    def _put(self, *parts: str) -> None:
        erase = (Code.ERASE_LINE,) if self._overwritable else ()
        self._overwritable = False
        put(self._stream, *erase, *parts, "\n")


def _shown(text: str) -> str:
    """Return `text` as one line: a step has one, whatever its title or what was seen holds."""
    return printable_line(redact(text))
