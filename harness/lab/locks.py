"""Locks between runs on one host. They go with their process, also when it is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

from harness.errors import InfrastructureError
from harness.wait import Clock
from harness.wait import wait_until

# How often a waiting run looks whether the lock is free: a creation takes about 20 s.
LOOK_EVERY = 0.5


class FileLock:
    """An exclusive `flock` on a file; the holder's words are in the file, for those who wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_acquire(self, holder: str) -> bool:
        """Take the lock if nobody has it and write `holder` into the file; return whether."""
        try:
            descriptor = _open(self.path)
        except OSError as problem:
            raise InfrastructureError(
                f"Opening the lock {self.path}",
                problem.strerror or str(problem),
                remedy=f"remove {self.path} if no other user's run is alive",
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder.encode(), 0)
        return True

    def holder(self) -> str:
        """Return what the present or last holder wrote."""
        try:
            return self.path.read_text(errors="replace")
        except OSError:
            return ""

    def release(self) -> None:
        """Let go; twice is as good as once."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(path: Path) -> bool:
    """Return whether a living process holds the lock `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared, so that two who look at once do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_path(name: str) -> Path:
    """Return the file of a lock that all users of this host share; the same for each of them."""
    folder = Path("/run/lock")
    world_writable = folder.is_dir() and folder.stat().st_mode & stat.S_IWOTH
    return (folder if world_writable else Path(tempfile.gettempdir())) / f"k0s-harness-{name}.lock"


@contextlib.contextmanager
def host_lock(
    name: str, *, holder: str, bound: float, clock: Clock, narrate: Callable[[str], None]
) -> Iterator[None]:
    """Hold the lock `name` of this host, all its users included.

    While another run has it, `narrate` gets its holder's words. Raises `WaitTimeoutError` after
    `bound` seconds.
    """
    lock = FileLock(lock_path(name))

    def look() -> str | None:
        return None if lock.try_acquire(holder) else lock.holder() or "another run"

    def tell(waiting_for: str | None) -> None:
        if waiting_for is not None:
            narrate(f"waiting for {waiting_for}")

    try:
        wait_until(
            f"the lock {lock.path}",
            look,
            lambda other: other is None,
            bound=bound,
            every=LOOK_EVERY,
            clock=clock,
            on_change=tell,
        )
        yield
    finally:
        lock.release()


def _open(path: Path) -> int:
    # Without O_CREAT where the file is there: the kernel refuses O_CREAT on another user's file in
    # a sticky folder (fs.protected_regular).
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        # The lock is for all users, whatever the umask of the first.
        os.fchmod(descriptor, 0o666)
        return descriptor
