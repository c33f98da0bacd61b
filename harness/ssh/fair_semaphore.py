"""A semaphore that is handed on in the order of asking.

`threading.Semaphore` is not: who gives it back and asks again at once has it before a waiting
thread wakes up. On an emulated machine nine threads kept an SSH connection's sessions among
themselves, and seven others waited for more than a minute (seen 2026-11-23).
"""

from __future__ import annotations

import threading
from collections import deque


class FairSemaphore:
    """Lets `value` threads in at once, and the others one by one as they came."""

    def __init__(self, value: int) -> None:
        self._lock = threading.Lock()
        self._free = value
        self._queue: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    def acquire(self, timeout: float) -> bool:
        """Return whether the turn came within `timeout` seconds."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = threading.Event()
            self._queue.append(turn)
        turn.wait(timeout)
        with self._lock:
            # Asked under the lock: a turn may come at the last moment, and would be lost.
            if not turn.is_set():
                self._queue.remove(turn)
            return turn.is_set()

    def release(self) -> None:
        """Hand the turn to whoever has waited longest."""
        with self._lock:
            if self._queue:
                self._queue.popleft().set()
            else:
                self._free += 1
