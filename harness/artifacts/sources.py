"""Where release files are looked for: a mirror (folder or URL) and the upstream releases."""

from __future__ import annotations

import shutil
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from harness.artifacts.checksums import ChecksumFileError, parse_checksums
from harness.artifacts.download import Downloader, shown
from harness.artifacts.model import ArtifactRef, OnProgress, Progress
from harness.artifacts.pins import Pins
from harness.artifacts.problems import DiskFullError, SourceUnavailableError, is_no_room
from harness.base.errors import UsageError
from harness.base.untrusted import MIB, Limits, RefusedError, read_text

# Beside the checksum file of an exported folder: the files in it that nobody released.
OWN_BUILDS_FILE = "own-builds.txt"
# The release's own have a few kilobytes.
CHECKSUM_FILE = Limits("a checksum file", most_bytes=MIB)


@dataclass(frozen=True)
class Place:
    """A folder of one source that may hold one file; `folder` is a path or a URL."""

    folder: str
    file_name: str
    checksum_name: str

    def of(self, name: str) -> str:
        """Return the path or URL of a file in this folder."""
        return f"{self.folder}/{name}"


class Source(Protocol):
    """Something that may hold release files; a mirror is filled by somebody, upstream is not."""

    is_mirror: ClassVar[bool]

    def places(self, ref: ArtifactRef) -> Sequence[Place]:
        """Return where this source would hold `ref`, the usual place first."""

    def text(self, location: str) -> str:
        """Return a small file; raises `SourceUnavailableError`."""

    def copy(
        self, location: str, partial: Path, on_progress: OnProgress | None, *, most_bytes: int
    ) -> None:
        """Copy a file into `partial`; raises `SourceUnavailableError` or `DiskFullError`."""

    def shown(self, location: str) -> str:
        """Return the location fit for messages: without a password."""


def listed_sums(source: Source, place: Place, name: str) -> dict[str, str]:
    """Return what the checksum file `name` of that place lists, file name to sha256.

    Raises `SourceUnavailableError` when it is not there or is no checksum file.
    """
    location = place.of(name)
    text = source.text(location)
    try:
        return dict(parse_checksums(text, name))
    except ChecksumFileError as error:
        raise SourceUnavailableError(source.shown(location), str(error)) from None


class MirrorFolder:
    """A folder on this host, with `k0s/<tag>/…`, `k0sctl/<tag>/…` and `kubectl/<tag>/…`."""

    is_mirror: ClassVar[bool] = True

    def __init__(self, root: Path, pins: Pins) -> None:
        self._root = root
        self._pins = pins

    def places(self, ref: ArtifactRef) -> Sequence[Place]:
        """Return where the folder would hold `ref`, the usual place first."""
        return [
            Place(str(self._root / folder), ref.file_name, self._pins.checksum_name(ref))
            for folder in self._pins.mirror_folders(ref)
        ]

    def text(self, location: str) -> str:
        """Return a small file of the folder."""
        try:
            return read_text(Path(location), CHECKSUM_FILE)
        except RefusedError as error:
            raise SourceUnavailableError(location, str(error)) from None
        except OSError as error:
            raise _unavailable(location, error) from None

    def copy(
        self, location: str, partial: Path, on_progress: OnProgress | None, *, most_bytes: int
    ) -> None:
        """Copy a file of the folder into `partial`."""
        copy_file(Path(location), partial, on_progress, most_bytes=most_bytes)

    def shown(self, location: str) -> str:
        """Return the path."""
        return location


class HttpMirror:
    """A mirror behind a URL, laid out like a folder."""

    is_mirror: ClassVar[bool] = True

    def __init__(self, root: str, pins: Pins, downloader: Downloader) -> None:
        self._root = root.rstrip("/")
        self._pins = pins
        self._downloader = downloader

    def places(self, ref: ArtifactRef) -> Sequence[Place]:
        """Return where the mirror would hold `ref`, the usual place first."""
        return [
            Place(f"{self._root}/{_quoted(folder)}", ref.file_name, self._pins.checksum_name(ref))
            for folder in self._pins.mirror_folders(ref)
        ]

    def text(self, location: str) -> str:
        """Return a small file of the mirror."""
        return self._downloader.text(_quoted_name(location))

    def copy(
        self, location: str, partial: Path, on_progress: OnProgress | None, *, most_bytes: int
    ) -> None:
        """Download a file of the mirror into `partial`."""
        url = _quoted_name(location)
        self._downloader.file(url, partial, on_progress, most_bytes=most_bytes)

    def shown(self, location: str) -> str:
        """Return the URL without a password."""
        return shown(location)


class Upstream(HttpMirror):
    """The projects' own release hosts."""

    is_mirror: ClassVar[bool] = False

    def __init__(self, pins: Pins, downloader: Downloader) -> None:
        super().__init__("", pins, downloader)

    def places(self, ref: ArtifactRef) -> Sequence[Place]:
        """Return the folder of the release."""
        scheme, _, rest = self._pins.upstream_folder(ref).partition("://")
        folder = f"{scheme}://{_quoted(rest)}"
        return [Place(folder, ref.file_name, self._pins.checksum_name(ref))]


def mirror_source(setting: str, pins: Pins, downloader: Downloader) -> Source:
    """Return the source K0S_HARNESS_MIRROR names: a folder, or an http, https or file URL.

    Raises `UsageError` for another scheme, and for a folder that is not there: a mirror somebody
    named and that is not mounted is never passed over in silence.
    """
    doing = "Reading K0S_HARNESS_MIRROR"
    scheme, colon, _ = setting.partition("://")
    if colon and scheme.lower() in {"http", "https"}:
        try:
            parts = urllib.parse.urlsplit(setting)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(doing, f"it is no URL: {error}") from None
        if not host:
            raise UsageError(doing, f"{shown(setting)!r} names no host")
        return HttpMirror(setting, pins, downloader)
    if colon and scheme.lower() != "file":
        raise UsageError(
            doing,
            f"{scheme!r} is not a scheme it can be reached by",
            remedy="set it to a folder or to a URL that begins with http://, https:// or file://",
        )
    text = urllib.request.url2pathname(urllib.parse.urlsplit(setting).path) if colon else setting
    folder = Path(text).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(
            doing,
            f"there is no folder {folder}",
            remedy="mount it, or unset K0S_HARNESS_MIRROR to go on without a mirror",
        )
    return MirrorFolder(folder, pins)


def copy_file(
    path: Path, target: Path, on_progress: OnProgress | None = None, *, most_bytes: int
) -> None:
    """Copy a file of this host into `target`, a new file in a folder of ours.

    Raises `SourceUnavailableError` when it is not there, cannot be read or has more than
    `most_bytes`, and `DiskFullError` when there is no room; `target` is removed then.
    """
    try:
        if not path.is_file():
            raise SourceUnavailableError(str(path), "is not there")
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise _unavailable(str(path), error) from None
    if size > shutil.disk_usage(target.parent).free:
        raise DiskFullError(
            path.name,
            target.parent,
            f"it has {size} bytes, and less is free on the disk of {target.parent}",
        )
    if size > most_bytes:
        raise SourceUnavailableError(
            str(path), f"it has {size} bytes, and such a file never has more than {most_bytes}"
        )
    try:
        target.unlink(missing_ok=True)
        # A new file, so that a link that stands there is not followed.
        with path.open("rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy, MIB)
    except OSError as error:
        target.unlink(missing_ok=True)
        if is_no_room(error):
            why = error.strerror or "no room"
            raise DiskFullError(path.name, target.parent, why) from None
        raise _unavailable(str(path), error) from None
    if on_progress is not None:
        on_progress(Progress(path.name, size, size))


def _unavailable(location: str, error: OSError) -> SourceUnavailableError:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return SourceUnavailableError(
        location, "is not there" if missing else f"cannot be read: {error.strerror}"
    )


def _quoted(path: str) -> str:
    # A plus is quoted too: some object stores take a bare one in a path for a space.
    return urllib.parse.quote(path, safe="/")


def _quoted_name(url: str) -> str:
    folder, slash, name = url.rpartition("/")
    return folder + slash + _quoted(name)
