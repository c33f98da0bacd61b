"""Folders and files that are this user's own, told from what somebody else put in their place.

A path says nothing of whose it is: another user may have made it first, or a link that leads
elsewhere. Only the kernel's word counts, of what lies there and not of what a link leads to.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from harness.base.errors import InfrastructureError

_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


def folder_problem(path: Path, *, parent: int | None = None) -> str | None:
    """Return why `path` is no folder of this user's own, None where it is one.

    A link is none, whatever it leads to. With `parent` (a descriptor) the path is in that folder.
    Raises `OSError` where nothing is there.
    """
    status = os.stat(path, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISDIR(status.st_mode):
        return "it is no folder"
    if status.st_uid != os.geteuid():
        return f"it belongs to the user with the number {status.st_uid}"
    return None


def make_private(folder: Path) -> None:
    """Make `folder` and the one it is in, closed to others (0700); close one that was open.

    The folder it is in stays as it is where it is there already. Raises `InfrastructureError` where
    `folder` is another user's or a link, `OSError` where it cannot be made.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    close_to_others(folder)


def close_to_others(folder: Path) -> None:
    """Close `folder` to others (0700); raises as `make_private`."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise _not_own(folder, "it is a symbolic link or no folder") from None
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise _not_own(folder, f"it belongs to the user with the number {status.st_uid}")
        if status.st_mode & _OTHERS_MAY:
            os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def write_own(path: Path, text: str) -> None:
    """Write the file `path` (0600) in a folder of this user's own, whole or not at all.

    On the disk before it has its name: after a power cut there is the old text or the new one.
    """
    temporary = path.with_suffix(".new")
    # What a killed run left, or a link that somebody laid: it goes, and never what it leads to.
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _not_own(folder: Path, why: str) -> InfrastructureError:
    return InfrastructureError(
        f"Using the folder {folder}",
        why,
        remedy="run as the user whose it is, or set K0S_HARNESS_STATE to a folder of your own",
    )
