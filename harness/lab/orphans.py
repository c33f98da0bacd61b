"""Ending what a killed run started and left running."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from harness.base.errors import InfrastructureError
from harness.base.wait import Clock, WaitTimeoutError, wait_until
from harness.providers.vagrant import mark

# Orphans of a killed run get this long to end after each signal.
ORPHAN_SECONDS = 5.0
ORPHAN_EVERY = 0.1
PROCESSES = Path("/proc")


def end_orphans(folder: Path, clock: Clock) -> None:
    """End what a killed run started and left running, such as `vagrant up` in the middle.

    They are known by the mark in their environment, which no other process has, and only those of
    this very user are ended: root reads the environment of all, and anyone may copy a mark.
    """
    marker = "=".join(*mark(folder).items()).encode(errors="surrogateescape")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if not _signal_marked(marker, number):
            return
        with contextlib.suppress(WaitTimeoutError):
            wait_until(
                "the run's processes to end",
                lambda: _signal_marked(marker, None),
                lambda left: not left,
                bound=ORPHAN_SECONDS,
                every=ORPHAN_EVERY,
                clock=clock,
            )
    left = _signal_marked(marker, None)
    if left:
        raise InfrastructureError("Ending the run's processes", f"still there: {left}")


def _signal_marked(marker: bytes, number: signal.Signals | None) -> tuple[int, ...]:
    """Send a signal to this user's processes that carry the mark, and return which they are."""
    if sys.platform != "linux":
        # Nothing else shows the environment of a process, and pins its number, in this way.
        return ()
    found = []
    for folder in PROCESSES.glob("[0-9]*"):
        pid = int(folder.name)
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            # Held on to before it is looked at: its number may be another's at any time.
            process = os.pidfd_open(pid)
            try:
                if _real_user(folder) != os.getuid():
                    continue
                if marker not in (folder / "environ").read_bytes().split(b"\0"):
                    continue
                found.append(pid)
                if number is not None:
                    signal.pidfd_send_signal(process, number)
            finally:
                os.close(process)
    return tuple(found)


def _real_user(process: Path) -> int | None:
    """Return the number of the user who started a process (`Uid:` in proc(5))."""
    for line in (process / "status").read_bytes().splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return None
