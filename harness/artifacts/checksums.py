"""Checksum files as projects publish them beside their releases."""

from __future__ import annotations

import re
from collections.abc import Mapping

# `sha256sum` writes HASH, two spaces (or a space and *), NAME; with --tag and on BSD it is the
# other form; kubectl's .sha256 holds the bare hash.
_GNU = re.compile(r"\\?([0-9a-fA-F]{64})[ \t]+\*?(\S.*)")
_BSD = re.compile(r"SHA256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})")
_BARE = re.compile(r"[0-9a-fA-F]{64}")


class ChecksumFileError(ValueError):
    """A checksum file holds a line that is none, or two sums for one name."""


def parse_checksums(text: str, name: str) -> Mapping[str, str]:
    """Return the file names (without folders) of a checksum file, each with its sha256.

    `name` is the checksum file's own name: a bare hash in `kubectl.sha256` is that of `kubectl`.
    Raises `ChecksumFileError` naming the line for anything that is not a checksum, such as an
    error page, and for two different sums of one file.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if match := _GNU.fullmatch(stripped):
            digest, file_name = match.groups()
        elif match := _BSD.fullmatch(stripped):
            file_name, digest = match.groups()
        elif _BARE.fullmatch(stripped):
            digest, file_name = stripped, name.removesuffix(".sha256")
        else:
            raise ChecksumFileError(f"{name}:{number}: not a sha256 checksum: {stripped[:60]!r}")
        base = file_name.rpartition("/")[2]
        if sums.setdefault(base, digest.lower()) != digest.lower():
            raise ChecksumFileError(f"{name}:{number}: a second, different sum for {base}")
    if not sums:
        raise ChecksumFileError(f"{name}: it holds no checksum")
    return sums


def render_checksums(sums: Mapping[str, str]) -> str:
    """Return a checksum file as `sha256sum -b` writes it, names in order."""
    return "".join(f"{digest} *{name}\n" for name, digest in sorted(sums.items()))
