"""The members of a tar archive, read as strictly as bundles are written.

A bundle is USTAR with plain files and nothing else. Its readers need no more: every other kind of
header (pax, GNU's long names, sparse files, links) is refused at its first block, and none of the
standard library's parsers of those is reached (CVE-2024-6232 made one of them take minutes for
1 kB). The format is POSIX.1-1988's; the offsets are those of `struct posix_header` in GNU tar's
`tar.h`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

BLOCK = 512
_MAGIC = b"ustar\x0000"
_PLAIN_FILE = (b"0", b"\0")
# USTAR's other kinds of member. All further letters are headers of pax and GNU.
_OTHERS = b"01234567"
# What an archive is filled up to (GNU tar's default of 20 blocks).
_RECORD = 20 * BLOCK
_NAME, _PREFIX = 100, 155
# As the standard library and GNU tar write them; numbers in base 256 are no bundle's.
_SIZE = re.compile(rb"[0-7]{11}[\0 ]")
_CHECKSUM = re.compile(rb"[0-7]{6}\0 ")
# Where the checksum stands, which counts as blanks in itself.
_SUMMED = slice(148, 156)


class NotUstarError(ValueError):
    """The archive is none that a bundle is written as; the message is the end of a sentence."""


def members(archive: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Yield name and content of each file of `archive`, in its order, without a copy.

    Raises `NotUstarError` for anything but plain files one after another and an end of zeros.
    """
    at = 0
    while True:
        header = bytes(archive[at : at + BLOCK])
        if len(header) < BLOCK:
            raise NotUstarError("it is no tar archive: it is cut off")
        at += BLOCK
        if not any(header):
            break
        name, size = _described(header)
        end = at + size
        padded = end + -size % BLOCK
        if padded > len(archive):
            raise NotUstarError(f"it is no tar archive: its member {name} is cut off")
        if any(archive[end:padded]):
            raise NotUstarError(f"something is hidden behind its member {name}")
        yield name, archive[at:end]
        at = padded
    rest = archive[at:]
    if not BLOCK <= len(rest) <= _RECORD or any(rest):
        raise NotUstarError("it is no tar archive: it does not end with zeros")


def is_name(path: str) -> bool:
    """Whether a header has room for `path`: 100 bytes, and 155 before one of its slashes."""
    name = path.encode()
    # The longest prefix leaves the shortest name.
    cut = name.rfind(b"/", 0, _PREFIX + 1)
    return len(name) <= _NAME or (cut > 0 and len(name) - cut - 1 <= _NAME)


def _described(header: bytes) -> tuple[str, int]:
    """Return name and size of the file that a header block is of."""
    if header[257:265] != _MAGIC:
        raise NotUstarError("it is no tar archive, or not of the kind that bundles are (ustar)")
    checksum = header[_SUMMED]
    if not _CHECKSUM.fullmatch(checksum) or int(checksum[:6], 8) != _sum(header):
        raise NotUstarError("it is no tar archive: a header's checksum is wrong")
    name = _name(header)
    kind = header[156:157]
    if kind not in _PLAIN_FILE or header[157:257].strip(b"\0"):
        what = "link, a device or a folder" if kind in _OTHERS else "header that no bundle has"
        raise NotUstarError(f"its member {name!r:.80} is a {what}, and no file")
    size = header[124:136]
    if not _SIZE.fullmatch(size):
        raise NotUstarError(f"its member {name!r:.80} has no size")
    return name, int(size[:11], 8)


def _sum(header: bytes) -> int:
    return sum(header) - sum(header[_SUMMED]) + 8 * ord(" ")


def _name(header: bytes) -> str:
    """Return the path: up to 100 bytes of a name, with up to 155 of a prefix before it."""
    parts = [part for part in (_text(header[345:500]), _text(header[:100])) if part]
    return "/".join(parts)


def _text(field: bytes) -> str:
    """Return what stands before the first NUL; what stands behind it must be nothing."""
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise NotUstarError("a name in it has something behind its end")
    # What is not ASCII is no bundle's, and is refused by name.
    return text.decode("ascii", errors="backslashreplace")
