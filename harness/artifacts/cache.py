"""The cache of release files: by content, with an index that says what each one is.

    sha256/<hex>/<name>      the files, read-only; programs are executable
    index/<key>.json         which file is k0s v1.32.3+k0s.0 for amd64, where it came from, when
    partial/<hex>            a download on its way, kept to be resumed
    partial/import-<key>     an import on its way
    lock                     held by whoever is filling the cache

Every file stands under its own checksum, so a download and an import of the same release never
overwrite each other, and a file in use by a run never changes: one that is there already stays as
it is, its times too, since k0sctl takes another time for another k0s.

What is in here is run, also as root. So the folders belong to this user or to root, and nobody else
may write to them.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from harness.artifacts.hashing import sha256_of
from harness.artifacts.index import SHA256, Entry, file_name, place, read_entry, write_entry
from harness.artifacts.model import ArtifactRef, Origin
from harness.artifacts.problems import DamagedEntryError, DiskFullError, is_no_room
from harness.base.context import Say
from harness.base.errors import HostLacksError
from harness.base.locks import CannotLockError, holding
from harness.base.untrusted import RefusedError
from harness.base.wait import Clock

_ELSEWHERE = "set K0S_HARNESS_CACHE to a folder that you alone may write to"
_FOLDERS = ("sha256", "index", "partial")


class Cache:
    """The release files kept on this host, in `folder`.

    All its methods but `filling` raise `HostLacksError` for a folder that others may write to.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock

    @contextlib.contextmanager
    def filling(self, say: Say) -> Iterator[None]:
        """Hold the cache's lock: one process at a time fills it, the others wait and say so.

        Raises `HostLacksError` where the cache's folder cannot be made or written to, or where
        others may write to it.
        """
        self._prepare()
        held = holding(
            self.folder / "lock",
            holder=f"process {os.getpid()}",
            # As long as a download takes on the other one's line.
            bound=math.inf,
            clock=self._clock,
            narrate=lambda _: say("waiting: another k0s-harness is filling the same cache"),
        )
        try:
            with held:
                for left in (self.folder / "partial").glob("import-*"):
                    # Whoever holds the lock is alone: this is of an import that was killed.
                    left.unlink()
                yield
        except CannotLockError as error:
            raise HostLacksError(
                f"Writing to the cache {self.folder}", error.happened, remedy=_ELSEWHERE
            ) from None
        except OSError as error:
            why = error.strerror or str(error)
            if is_no_room(error):
                raise DiskFullError("a release file", self.folder, why) from None
            raise HostLacksError(
                f"Writing to the cache {self.folder}", why, remedy=_ELSEWHERE
            ) from None

    def entry(self, ref: ArtifactRef) -> Entry | None:
        """Return what the index says of `ref`, None where it says nothing.

        Raises `DamagedEntryError` where it says what the harness never writes.
        """
        self._require_ours()
        return self._read(self._index_file(ref), str(ref))

    def entries(self) -> tuple[Entry, ...]:
        """Return what can be used of the index, in the order of kind, version and architecture."""
        found = (entry for entry, _ in self._scan() if entry is not None)
        return tuple(sorted(found, key=lambda entry: entry.ref))

    def damaged(self) -> tuple[DamagedEntryError, ...]:
        """Return what is wrong with each entry of the index that cannot be used."""
        return tuple(problem for _, problem in self._scan() if problem is not None)

    def _scan(self) -> Iterator[tuple[Entry | None, DamagedEntryError | None]]:
        self._require_ours()
        for file in sorted((self.folder / "index").glob("*.json")):
            try:
                yield self._read(file, file.stem), None
            except DamagedEntryError as problem:
                yield None, problem

    def partial(self, sha256: str) -> Path:
        """Return where a file that will have this checksum is gathered."""
        return self.folder / "partial" / sha256

    def stored(self) -> tuple[Path, ...]:
        """Return the files in the folder of the contents, whether the index names them or not."""
        self._require_ours()
        return tuple(
            path
            for beside in sorted((self.folder / "sha256").glob("*"))
            if SHA256.fullmatch(beside.name) and not beside.is_symlink()
            for path in sorted(beside.glob("*"))
            if why_strange(path) is None
        )

    def has(self, ref: ArtifactRef, sha256: str) -> bool:
        """Whether the file `ref` of that checksum stands in its place, and is whole."""
        path = place(self.folder, ref, sha256)
        try:
            return why_strange(path) is None and sha256_of(path) == sha256
        except OSError:
            return False

    def store(self, ref: ArtifactRef, staged: Path, sha256: str) -> Path:
        """Move a verified file to its place by content and return the place.

        `staged` must be in the cache's `partial` folder; the index is not touched. A file that is
        there already and whole stays what it is, and `staged` goes.
        """
        path = place(self.folder, ref, sha256)
        if self.has(ref, sha256):
            staged.unlink()
            return path
        _make(path.parent)
        with staged.open("rb") as file:
            # After a power cut the file is whole or not there, never whole by name only.
            os.fsync(file.fileno())
        # Read-only, so that nothing but the cache itself changes it by accident.
        staged.chmod(0o555 if ref.kind.is_program else 0o444)
        staged.replace(path)
        return path

    def record(self, ref: ArtifactRef, sha256: str, origin: Origin, source: str) -> Entry:
        """Let the index say that `ref` is the stored file of that checksum; returns the entry.

        An entry that says so already stays as it is, whatever the source is now.
        """
        with contextlib.suppress(DamagedEntryError):
            old = self.entry(ref)
            if old is not None and (old.ref, old.sha256, old.origin) == (ref, sha256, origin):
                return old
        at = self._clock.now().isoformat(timespec="seconds")
        entry = Entry(ref, sha256, origin, source, at, place(self.folder, ref, sha256))
        write_entry(self._index_file(ref), entry)
        return entry

    def remove_file(self, path: Path) -> None:
        """Remove a stored file that is not what its place says."""
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def _index_file(self, ref: ArtifactRef) -> Path:
        return self.folder / "index" / file_name(ref)

    def _read(self, file: Path, what: str) -> Entry | None:
        try:
            return read_entry(file, self.folder)
        except FileNotFoundError:
            return None
        except RefusedError as problem:
            raise DamagedEntryError(file, what, str(problem)) from None

    def _prepare(self) -> None:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.folder, *(self.folder / name for name in _FOLDERS)):
                _make(folder)
        except OSError as error:
            raise HostLacksError(
                f"Preparing the cache {self.folder}",
                error.strerror or str(error),
                remedy=_ELSEWHERE,
            ) from None
        self._require_ours()

    def _require_ours(self) -> None:
        """Raise `HostLacksError` where somebody else could put a file into the cache."""
        for folder in (self.folder, *(self.folder / name for name in _FOLDERS)):
            try:
                # The cache itself may lie elsewhere, behind a link that the user made.
                status = folder.stat() if folder == self.folder else folder.lstat()
            except OSError:
                continue
            why = _why_not_ours(status)
            if why is not None:
                raise HostLacksError(
                    f"Using the cache {self.folder}",
                    f"{folder} {why}, and what is in there is run",
                    remedy=f"{_ELSEWHERE}\n     or, if you trust what is in there: chown -hR "
                    f"{os.geteuid()} {self.folder} && chmod -R go-w {self.folder}",
                )


def why_strange(path: Path) -> str | None:
    """Return why a file in its place by content is not one that the cache put there, or None.

    Raises `OSError` where it is not there.
    """
    beside = path.parent.lstat()
    if not stat.S_ISDIR(beside.st_mode):
        return f"{path.parent} is a link, or no folder"
    if not stat.S_ISREG(path.lstat().st_mode):
        return "it is a link, or no plain file"
    why = _why_not_ours(beside)
    return f"{path.parent} {why}" if why else None


def _why_not_ours(folder: os.stat_result) -> str | None:
    if not stat.S_ISDIR(folder.st_mode):
        return "is a link, or no folder"
    if folder.st_uid not in {os.geteuid(), 0}:
        return f"belongs to the user with the number {folder.st_uid}"
    if folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "may be written to by others"
    return None


def _make(folder: Path) -> None:
    """Make a folder that only this user may write to, whatever the umask; raises `OSError`."""
    try:
        folder.mkdir(mode=0o755)
    except FileExistsError:
        if not folder.is_dir():
            raise
