"""Taking a bundle apart in memory: what a stranger sent is never written to a disk.

Everything is bounded before it is believed: the file, what comes out of it, the ratio of the two,
the number of members, each member's size. Only plain files with plain relative names are members.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

from harness.base.untrusted import MIB, Limits, RefusedError, read_bytes
from harness.evidence.manifest import LONGEST_PATH, is_piece_path
from harness.evidence.ustar import NotUstarError, members

# A run on three machines has 0.3 MB, packed, and 3.2 MB, unpacked, of which 1.6 MB are logs; an
# hour of one on six machines 25 MB of readings more. A hundred machines that are only looked at
# have 40 MB, most of it logs.
MOST_UNPACKED = 128 * MIB
# Text packs at 1:10; what hardly packs is none.
_PACKED = Limits("a bundle", most_bytes=32 * MIB)
# Readings that hardly change pack at 1:30, one and the same line over and over at 1:200, and
# nothing but zeros, as bombs are, at 1:1000. Below some size even a bomb is harmless.
MOST_RATIO = 400
_HARMLESS = 16 * MIB
# A dozen pieces a machine and one a kind of object; a hundred machines are 2000.
MOST_MEMBERS = 5000

_CHUNK = 1024 * 1024
# gzip's own frame around deflate.
_GZIP = 16 + zlib.MAX_WBITS


class NotABundleError(Exception):
    """The file is no bundle that may be opened; the message is the end of a sentence."""


def unpack(path: Path) -> Mapping[str, memoryview]:
    """Return the members of the archive `path`, by name, in its order.

    Raises `NotABundleError` for everything that is not a plain archive of plain files within the
    limits, and `OSError` where the file cannot be read.
    """
    try:
        packed = read_bytes(path, _PACKED)
    except RefusedError as error:
        raise NotABundleError(str(error)) from error
    return _members(_inflated(packed))


def _inflated(packed: bytes) -> bytearray:
    inflater = zlib.decompressobj(_GZIP)
    # Grown in place: chunks that are joined at the end would be there twice.
    whole = bytearray()
    rest = packed
    try:
        while not inflater.eof:
            chunk = inflater.decompress(rest, _CHUNK)
            rest = inflater.unconsumed_tail
            whole += chunk
            if len(whole) > MOST_UNPACKED:
                raise NotABundleError(f"there are more than {MOST_UNPACKED} bytes in it")
            if len(whole) > _HARMLESS and len(whole) > MOST_RATIO * len(packed):
                raise NotABundleError(f"it packs more than {MOST_RATIO} bytes into one")
            if not chunk and not rest and not inflater.eof:
                raise NotABundleError("it is cut off")
    except zlib.error as error:
        raise NotABundleError("it is damaged" if whole else "it is not packed with gzip") from error
    if inflater.unused_data:
        raise NotABundleError("something follows the archive in it")
    return whole


def _members(data: bytearray) -> Mapping[str, memoryview]:
    found: dict[str, memoryview] = {}
    try:
        for name, content in members(memoryview(data).toreadonly()):
            if len(name) > LONGEST_PATH or not is_piece_path(name):
                raise NotABundleError(
                    f"its member {name!r:.80} has a name that leads elsewhere or is none"
                )
            if name in found:
                raise NotABundleError(f"it has two members called {name}")
            if len(found) >= MOST_MEMBERS:
                raise NotABundleError(f"it has more than {MOST_MEMBERS} members")
            found[name] = content
    except NotUstarError as error:
        raise NotABundleError(str(error)) from error
    return found
