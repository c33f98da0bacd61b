"""Locks between runs on one host. They go with their process, also when it is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from harness.base.context import Say
from harness.base.errors import InfrastructureError
from harness.base.wait import Clock, wait_until

# What all users of a host share, one at a time: names and subnets; the making of an image, where
# 160 MB of packages are the longest thing a first run does; the making of machines, the heaviest
# quarter minute of a run: two at once on a small host overrun the bound of a boot.
NAMES_LOCK = "names"
IMAGE_LOCK = "image"
MACHINES_LOCK = "machines"
# Another run creates three machines in about 20 s; behind several of them this is long enough.
LOCK_SECONDS = 600.0
# How often a waiting run looks whether the lock is free: a creation takes about 20 s.
LOOK_EVERY = 0.5
# What a holder says is a line: its run, its scenario, its process.
HOLDER_BYTES = 4096
_CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Nothing that can be run is a lock.
_NEVER_OF_A_LOCK = 0o7111


class _NoLockError(Exception):
    """What has the name of a lock is none."""


class CannotLockError(InfrastructureError):
    """The file of a lock cannot be opened, or is none."""


class FileLock:
    """An exclusive `flock` on a file; the holder's words are in the file, for those who wait."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_acquire(self, holder: str) -> bool:
        """Take the lock if nobody has it and write `holder` into the file; return whether."""
        try:
            descriptor = _open(self.path)
        except (OSError, _NoLockError) as problem:
            raise CannotLockError(
                f"Opening the lock {self.path}",
                getattr(problem, "strerror", None) or str(problem),
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
            os.pwrite(descriptor, holder.encode(errors="replace")[:HOLDER_BYTES], 0)
        return True

    def holder(self) -> str:
        """Return what the present or last holder wrote; any user may have written anything."""
        try:
            descriptor = _open_lock(self.path, os.O_RDONLY)
        except (OSError, _NoLockError):
            return ""
        try:
            return os.read(descriptor, HOLDER_BYTES).decode(errors="replace")
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Let go; twice is as good as once."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(path: Path) -> bool:
    """Return whether a living process holds the lock `path`."""
    try:
        descriptor = _open_lock(path, os.O_RDONLY)
    except (OSError, _NoLockError):
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


def host_lock(
    name: str, *, holder: str, bound: float, clock: Clock, narrate: Say
) -> AbstractContextManager[None]:
    """Hold the lock `name` of this host, all its users included; otherwise as `holding`."""
    return holding(lock_path(name), holder=holder, bound=bound, clock=clock, narrate=narrate)


@contextlib.contextmanager
def holding(path: Path, *, holder: str, bound: float, clock: Clock, narrate: Say) -> Iterator[None]:
    """Hold the lock `path`.

    While another run has it, `narrate` gets its holder's words. Raises `WaitTimeoutError` after
    `bound` seconds.
    """
    lock = FileLock(path)

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
    with contextlib.suppress(FileNotFoundError):
        return _open_lock(path, os.O_RDWR)
    try:
        # Of nobody else's making, so that nothing is opened to all that was there before.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _CAREFULLY, 0o666)
    except FileExistsError:
        return _open_lock(path, os.O_RDWR)
    # The lock is for all users, whatever the umask of the first.
    os.fchmod(descriptor, 0o666)
    return descriptor


def _open_lock(path: Path, access: int) -> int:
    """Open what is a lock of ours; raises `_NoLockError` for what only has the name of one.

    In a folder that all may write in anyone may have laid something there first: a link to another
    file, by either kind of link, a pipe. What takes a lock empties the file.
    """
    descriptor = os.open(path, access | _CAREFULLY)
    status = os.fstat(descriptor)
    is_lock = (
        stat.S_ISREG(status.st_mode)
        and status.st_nlink == 1
        and not status.st_mode & _NEVER_OF_A_LOCK
        and status.st_size <= HOLDER_BYTES
    )
    if not is_lock:
        os.close(descriptor)
        raise _NoLockError("it is no lock of k0s-harness")
    return descriptor
