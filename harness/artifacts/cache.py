"""The cache of release files: by content, with an index that says what each one is.

    sha256/<hex>/<name>      the files, read-only; programs are executable
    index/<key>.json         which file is k0s v1.32.3+k0s.0 for amd64, where it came from, when
    partial/<hex>            a download on its way, kept to be resumed
    partial/import-<key>     an import on its way
    lock                     held by whoever is filling the cache

Every file stands under its own checksum, so a download and an import of the same release never
overwrite each other, and a file in use by a run never changes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from harness.artifacts.model import ArtifactKind
from harness.artifacts.model import ArtifactRef
from harness.artifacts.model import Origin
from harness.artifacts.problems import DiskFullError
from harness.artifacts.problems import is_no_room
from harness.errors import HostLacksError
from harness.wait import Clock

_ELSEWHERE = "set K0S_HARNESS_CACHE to a folder you may write to"


@dataclass(frozen=True)
class Entry:
    """What the index says of one release file; `at` is when it was stored, ISO 8601 in UTC."""

    ref: ArtifactRef
    sha256: str
    origin: Origin
    source: str
    at: str
    path: Path


class Cache:
    """The release files kept on this host, in `folder`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock

    def _prepare(self) -> None:
        try:
            for name in ("sha256", "index", "partial"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostLacksError(
                f"Preparing the cache {self.folder}",
                error.strerror or str(error),
                remedy=_ELSEWHERE,
            ) from None

    @contextlib.contextmanager
    def filling(self, say: Callable[[str], None]) -> Iterator[None]:
        """Hold the cache's lock: one process at a time fills it, the others wait and say so.

        Raises `HostLacksError` where the cache's folder cannot be made or written to.
        """
        self._prepare()
        lock = filelock.FileLock(self.folder / "lock")
        try:
            try:
                lock.acquire(blocking=False)
            except filelock.Timeout:
                say("waiting: another k0s-harness is filling the same cache")
                lock.acquire()
            for left in (self.folder / "partial").glob("import-*"):
                # Whoever holds the lock is alone: this is of an import that was killed.
                left.unlink()
            yield
        except OSError as error:
            why = error.strerror or str(error)
            if is_no_room(error):
                raise DiskFullError("a release file", self.folder, why) from None
            raise HostLacksError(
                f"Writing to the cache {self.folder}", why, remedy=_ELSEWHERE
            ) from None
        finally:
            lock.release()

    def entry(self, ref: ArtifactRef) -> Entry | None:
        """Return what the index says of `ref`, None where it says nothing that can be read."""
        return self._load(self._index_file(ref))

    def entries(self) -> tuple[Entry, ...]:
        """Return the whole index, in the order of kind, version and architecture."""
        found = [self._load(file) for file in (self.folder / "index").glob("*.json")]
        return tuple(sorted((entry for entry in found if entry), key=lambda entry: entry.ref))

    def partial(self, sha256: str) -> Path:
        """Return where a file that will have this checksum is gathered."""
        return self.folder / "partial" / sha256

    def store(self, ref: ArtifactRef, staged: Path, sha256: str) -> Path:
        """Move a verified file to its place by content and return the place.

        `staged` must be in the cache's `partial` folder; the index is not touched.
        """
        path = self.folder / "sha256" / sha256 / ref.stored_name
        path.parent.mkdir(exist_ok=True)
        with staged.open("rb") as file:
            # After a power cut the file is whole or not there, never whole by name only.
            os.fsync(file.fileno())
        staged.replace(path)
        # Read-only, so that nothing but the cache itself changes it by accident.
        path.chmod(0o555 if ref.kind.is_program else 0o444)
        return path

    def record(
        self, ref: ArtifactRef, path: Path, sha256: str, origin: Origin, source: str
    ) -> Entry:
        """Let the index say that `ref` is the stored file `path`; returns the entry."""
        at = self._clock.now().isoformat(timespec="seconds")
        entry = Entry(ref, sha256, origin, source, at, path)
        data = {
            "kind": ref.kind.value,
            "version": ref.version,
            "arch": ref.arch,
            "file_name": ref.file_name,
            "sha256": sha256,
            "origin": origin.value,
            "source": source,
            "at": at,
            "path": str(path.relative_to(self.folder)),
        }
        _write_atomically(self._index_file(ref), json.dumps(data, indent=2) + "\n")
        return entry

    def remove_file(self, entry: Entry) -> None:
        """Remove a file that is not what its place says."""
        entry.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            entry.path.parent.rmdir()

    def _index_file(self, ref: ArtifactRef) -> Path:
        return self.folder / "index" / f"{ref.key}.json"

    def _load(self, file: Path) -> Entry | None:
        try:
            data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            ref = ArtifactRef(
                ArtifactKind(data["kind"]), data["version"], data["arch"], data["file_name"]
            )
            return Entry(
                ref,
                data["sha256"],
                Origin(data["origin"]),
                data["source"],
                data["at"],
                self.folder / data["path"],
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            # A half-written index would be a bug; one somebody edited is treated as not there,
            # and the file is verified anew when it is fetched or imported again.
            return None


def _write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old one or the new one, never a half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
