"""Taking a bundle apart in memory: what a stranger sent is never written to a disk.

Everything is bounded before it is believed: the file, what comes out of it, the ratio of the two,
the number of members, each member's size. Only plain files with plain relative names are members.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from harness.evidence.manifest import LONGEST_PATH
from harness.evidence.manifest import is_piece_path

# A run of one scenario has 0.2 MB, packed, and 3 MB, unpacked; the longest hold of a run on a
# cluster of emulated machines ten times that.
MOST_PACKED = 64 * 1024 * 1024
MOST_UNPACKED = 256 * 1024 * 1024
# Readings that hardly change pack at 1:30, one and the same line over and over at 1:200, and
# nothing but zeros, as bombs are, at 1:1000. Below some size even a bomb is harmless.
MOST_RATIO = 400
_HARMLESS = 16 * 1024 * 1024
# A dozen pieces a machine and one a kind of object; a hundred machines are 2000.
MOST_MEMBERS = 5000

_CHUNK = 1024 * 1024
# gzip's own frame around deflate.
_GZIP = 16 + zlib.MAX_WBITS
# What the standard library raises on a damaged archive, besides its own error: numbers that are
# none, text that is none, headers that refer to further headers without end.
_DAMAGED = (tarfile.TarError, EOFError, OSError, ValueError, RecursionError, OverflowError)


class NotABundleError(Exception):
    """The file is no bundle that may be opened; the message is the end of a sentence."""


def unpack(path: Path) -> Mapping[str, bytes]:
    """Return the members of the archive `path`, by name, in its order.

    Raises `NotABundleError` for everything that is not a plain archive of plain files within the
    limits, and `OSError` where the file cannot be read.
    """
    return _members(_inflated(_packed(path)))


def _packed(path: Path) -> bytes:
    # Not blocking, since a pipe of that name would wait for its writer for ever.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotABundleError("it is not a file")
        data = file.read(MOST_PACKED + 1)
    if len(data) > MOST_PACKED:
        raise NotABundleError(f"it has more than {MOST_PACKED} bytes")
    return data


def _inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    chunks: list[bytes] = []
    size = 0
    rest = packed
    try:
        while not inflater.eof:
            chunk = inflater.decompress(rest, _CHUNK)
            rest = inflater.unconsumed_tail
            size += len(chunk)
            chunks.append(chunk)
            if size > MOST_UNPACKED:
                raise NotABundleError(f"there are more than {MOST_UNPACKED} bytes in it")
            if size > _HARMLESS and size > MOST_RATIO * len(packed):
                raise NotABundleError(f"it packs more than {MOST_RATIO} bytes into one")
            if not chunk and not rest and not inflater.eof:
                raise NotABundleError("it is cut off")
    except zlib.error as error:
        raise NotABundleError(
            "it is damaged" if chunks else "it is not packed with gzip"
        ) from error
    if inflater.unused_data:
        raise NotABundleError("something follows the archive in it")
    return b"".join(chunks)


def _members(data: bytes) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                name = member.name
                _check(member, found)
                if len(found) >= MOST_MEMBERS:
                    raise NotABundleError(f"it has more than {MOST_MEMBERS} members")
                file = archive.extractfile(member)
                content = file.read() if file is not None else b""
                if len(content) != member.size:
                    raise NotABundleError(f"its member {name} is cut off")
                found[name] = content
    except _DAMAGED as error:
        raise NotABundleError(f"it is no tar archive: {error!s:.200}") from error
    return found


def _check(member: tarfile.TarInfo, found: Mapping[str, bytes]) -> None:
    name = member.name
    if len(name) > LONGEST_PATH or not is_piece_path(name):
        raise NotABundleError(f"its member {name!r:.80} has a name that leads elsewhere or is none")
    if not member.isreg() or member.issparse():
        raise NotABundleError(f"its member {name} is a link, a device or a folder, and no file")
    if name in found:
        raise NotABundleError(f"it has two members called {name}")
