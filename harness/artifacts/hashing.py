"""The sha256 of files, computed once in a process.

Nothing is remembered from one run to the next: hashing the k0s binary and the image bundle takes
0.6 s of one core with the processor's own SHA instructions and about 2 s without, of a run of 100,
and a checksum that was computed now needs no further argument.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


class Hashes:
    """Computes checksums and remembers them while this object lives and the file stays the same."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], str]] = {}

    def sha256(self, path: Path) -> str:
        """Return the sha256 of the file's content, as 64 hex digits; raises `OSError`."""
        state = _state(path)
        known = self._known.get(path)
        if known is not None and known[0] == state:
            return known[1]
        digest = sha256_of(path)
        self._known[path] = (state, digest)
        return digest


def sha256_of(path: Path) -> str:
    """Return the sha256 of the file's content, as 64 hex digits; raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(path: Path) -> tuple[int, ...]:
    # The time of the last change of status is among them: no program can set it back.
    status = path.stat()
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
