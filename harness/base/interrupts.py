"""Ctrl-C and SIGTERM, held back where a program is started or ended, let through once between.

Python calls a signal's handler between any two instructions of the main thread. What that raises
may come after a program was started and before the `try` that would end it, or a second time in the
midst of ending it, and then the program is left running. Blocking the signals does not help:
another thread receives them, and the handler is still called in the main one. So the handlers
themselves are stood in for while a program runs.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self, TypeAlias

_Handler: TypeAlias = Callable[[int, FrameType | None], Any]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class HeldInterrupts:
    """While it is entered, what the handlers of SIGINT and SIGTERM raise is held until it is left.

    `let_one_through` lets one of them be raised where it comes; those after it are held again.
    `count` says how many came. Outside the main thread, where Python calls no handler, nothing is
    done.
    """

    def __init__(self) -> None:
        self.count = 0
        self._previous: dict[int, _Handler] = {}
        self._held: BaseException | None = None
        # How many may still be raised where they come: until this is entered, and after, all.
        self._let_through: float = math.inf

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                previous = signal.getsignal(number)
                # Neither the system's own ways nor "ignored" raise anything.
                if callable(previous):
                    self._previous[number] = previous
                    signal.signal(number, self._handle)
        self._let_through = 0
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        # First of all: what comes from here on is raised as ever, by a handler left standing, too.
        self._let_through = math.inf
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        if self._held is not None and not isinstance(error, type(self._held)):
            raise self._held

    def let_one_through(self) -> None:
        """Raise what is held, or let the next one be raised where it comes."""
        self._let_through = 1
        self._raise_held()

    def hold(self) -> None:
        """Hold what comes from now on."""
        self._let_through = 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # What comes while this one is handled is held: raised in here, it would be taken for it.
        let_through, self._let_through = self._let_through, 0
        try:
            self._previous[number](number, frame)
        except BaseException as interrupt:
            self.count += 1
            if not let_through:
                self._held = interrupt
                return
            self._let_through = let_through - 1
            raise
        self._let_through = let_through
        if let_through:
            self._raise_held()

    def _raise_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._let_through -= 1
            raise held
