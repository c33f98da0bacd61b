"""An entry of the cache's index: which file is k0s v1.32.3+k0s.0 for amd64, and whence it came.

It is JSON in a folder that only this user and root may write to. Nothing in it names a path: where
a file stands follows from its checksum, and whether it is that file is computed when it is used.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.artifacts.model import ArtifactKind, ArtifactRef, Origin
from harness.base.untrusted import Limits, RefusedError, json_value, read_text

_LIMITS = Limits("an entry of the cache's index", most_bytes=64 * 1024, most_levels=2)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
# What may be part of a file's name: no slash, no dot at the beginning, nothing a terminal obeys.
_WORD = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,199}", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """What the index says of one release file; `at` is when it was stored, ISO 8601 in UTC.

    `path` is where the cache keeps a file of that checksum.
    """

    ref: ArtifactRef
    sha256: str
    origin: Origin
    source: str
    at: str
    path: Path


def place(folder: Path, ref: ArtifactRef, sha256: str) -> Path:
    """Return where the cache `folder` keeps the release file that hashes to `sha256`."""
    return folder / "sha256" / sha256 / ref.stored_name


def read_entry(file: Path, folder: Path) -> Entry:
    """Return the entry in `file`, of the cache `folder`.

    Raises `FileNotFoundError` where there is none, and `RefusedError` for what the harness never
    writes: what cannot be read, values of other kinds, another file's entry under this name.
    """
    if file.is_symlink():
        raise RefusedError("it is a link")
    try:
        data = json_value(read_text(file, _LIMITS), _LIMITS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RefusedError(error.strerror or "it cannot be read") from None
    if not isinstance(data, dict):
        raise RefusedError("it is no JSON object")
    try:
        kind, origin = ArtifactKind(_text(data, "kind")), Origin(_text(data, "origin"))
    except RefusedError:
        raise
    except ValueError:
        raise RefusedError("its `kind` or `origin` is not a word that is known") from None
    ref = ArtifactRef(kind, _word(data, "version"), _word(data, "arch"), _word(data, "file_name"))
    if file.name != file_name(ref):
        raise RefusedError(f"it speaks of {ref}")
    sha256 = _text(data, "sha256")
    if not SHA256.fullmatch(sha256):
        raise RefusedError("its `sha256` is none")
    source, at = _text(data, "source"), _text(data, "at")
    return Entry(ref, sha256, origin, source, at, place(folder, ref, sha256))


def write_entry(file: Path, entry: Entry) -> None:
    """Write the entry; raises `OSError`."""
    data = {
        "kind": entry.ref.kind.value,
        "version": entry.ref.version,
        "arch": entry.ref.arch,
        "file_name": entry.ref.file_name,
        "sha256": entry.sha256,
        "origin": entry.origin.value,
        "source": entry.source,
        "at": entry.at,
    }
    write_atomically(file, json.dumps(data, indent=2) + "\n")


def file_name(ref: ArtifactRef) -> str:
    """Return the name of the file that holds the entry of `ref`."""
    return f"{ref.key}.json"


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old one or the new one, never a half.

    A link that stands there is replaced, not followed. Raises `OSError`.
    """
    descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise RefusedError(f"its `{key}` is no text")
    return value


def _word(data: dict[str, Any], key: str) -> str:
    text = _text(data, key)
    if not _WORD.fullmatch(text):
        raise RefusedError(f"its `{key}` is no part of a file name")
    return text
