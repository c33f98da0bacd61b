"""A run's folder: readings, events and pieces of evidence, redacted before they are written.

Everything is appended or written on its own: one piece that fails costs that piece, is named in
`missing.json` with the reason, and nothing already written is lost. The folder may be published
as it stands, so its files are readable by all; what is secret lives elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from harness.base.errors import InfrastructureError, UsageError
from harness.evidence.lines import EVENTS, READINGS
from harness.evidence.reading import Reading
from harness.evidence.redaction import redact
from harness.evidence.redaction.json_text import redact_value

OBSERVATIONS = READINGS.file
TIMELINE = EVENTS.file
MISSING = "missing.json"

# Characters of one piece. Large enough for any journal of one run, small enough that a component
# gone wild neither fills the disk nor makes a bundle that nobody can attach to an issue.
PIECE_LIMIT = 4_000_000
# Of a piece that is too long the beginning says what it is and the end what happened last.
_HEAD_SHARE = 0.25


class Recorder:
    """Writes one scenario's evidence under `folder`, from any thread.

    Raises `UsageError` where the folder cannot be made or written: nothing has been started then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._missing: dict[str, str] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (OBSERVATIONS, TIMELINE):
                with _open(folder / name, append=True):
                    pass
        except OSError as error:
            raise UsageError(
                f"Preparing the run's folder {folder}",
                reason_of(error),
                remedy="name another folder in K0S_HARNESS_RUNS, or make room there",
            ) from error

    def reading(self, reading: Reading) -> None:
        """Append `reading` to `observations.jsonl`.

        Raises `InfrastructureError` when the disk is full or the file cannot be written: a verdict
        on readings that nobody can look up is none.
        """
        self._append(OBSERVATIONS, redacted_reading(reading).to_dict())

    def event(self, event: Mapping[str, Any]) -> None:
        """Append the JSON form of an event to `timeline.jsonl`; raises as `reading` does."""
        self._append(TIMELINE, redacted_value(event))

    def write_piece(self, path: str, text: str) -> bool:
        """Write `text` to `path` (relative, such as `nodes/controller0/ip-route.txt`).

        Returns whether it was written. What is longer than `PIECE_LIMIT` loses its middle, and says
        so there. A piece that cannot be written is recorded as missing, never raised: the other
        pieces do not depend on it.
        """
        redacted = redact(text)
        try:
            write_whole(self.folder, path, _shortened(redacted))
        except OSError as error:
            self.missing(path, reason_of(error))
            return False
        return True

    def write_json(self, path: str, value: object) -> bool:
        """Write `value` (its JSON form) to `path`, secrets in its strings redacted.

        Returns whether it was written; a file of JSON is never shortened.
        """
        text = json.dumps(redacted_value(value), indent=2, ensure_ascii=False) + "\n"
        try:
            write_whole(self.folder, path, text)
        except OSError as error:
            self.missing(path, reason_of(error))
            return False
        return True

    def missing(self, path: str, why: str) -> None:
        """Record that the piece `path` is not there, and why."""
        with self._lock:
            self._missing[path] = redact(why)
            text = json.dumps(self._missing, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
            # On a full disk the reason is kept in memory only, for the run's report.
            with contextlib.suppress(OSError):
                write_whole(self.folder, MISSING, text)

    @property
    def missing_pieces(self) -> Mapping[str, str]:
        """The pieces that are not there, each with the reason."""
        with self._lock:
            return dict(self._missing)

    def _append(self, name: str, value: Mapping[str, Any]) -> None:
        line = json.dumps(value, ensure_ascii=False) + "\n"
        path = self.folder / name
        try:
            with self._lock, _open(path, append=True) as file:
                _write_or_undo(file, line.encode("utf-8", errors="replace"))
        except OSError as error:
            raise InfrastructureError(
                f"Recording to {path}",
                reason_of(error),
                remedy="make room or give back the right to write there; what is there is kept",
                where=self.folder,
            ) from error


def write_whole(folder: Path, path: str, text: str) -> None:
    """Write `text` to `path` under `folder`: it is either the old file or the new, never a half.

    The text is written as it is; what may hold secrets is redacted by the caller. Raises `OSError`.
    """
    target = _inside(folder, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{threading.get_ident()}.partial")
    try:
        with _open(partial, append=False) as file:
            _write_or_undo(file, text.encode("utf-8", errors="replace"))
        partial.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _inside(folder: Path, path: str) -> Path:
    """Return where `path` lies; names come from clusters and must not lead out of the folder."""
    target = Path(os.path.normpath(folder / path))
    if not target.is_relative_to(os.path.normpath(folder)):
        raise OSError(errno.EINVAL, "the name leads out of the run's folder", path)
    return target


def redacted_reading(reading: Reading) -> Reading:
    """Return `reading` without secrets; its arguments are looked at together (`--token`, `…`)."""
    argv = json.loads(redact(json.dumps(list(reading.argv), ensure_ascii=False)))
    return Reading.from_dict({**redacted_value(reading.to_dict()), "argv": argv})


def redacted_value(value: Any) -> Any:  # noqa: ANN401  # any JSON value, and the same shape back
    """Return the JSON value `value` with secrets in it redacted, by names of members too."""
    return redact_value(value, redact)


def _shortened(text: str) -> str:
    if len(text) <= PIECE_LIMIT:
        return text
    head = int(PIECE_LIMIT * _HEAD_SHARE)
    tail = PIECE_LIMIT - head
    left_out = len(text) - head - tail
    return f"{text[:head]}\n[{left_out} characters left out here: too long]\n{text[-tail:]}"


def _open(path: Path, *, append: bool) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    return os.fdopen(os.open(path, flags, 0o644), "wb", buffering=0)


def _write_or_undo(file: IO[bytes], data: bytes) -> None:
    """Write all of `data`, or leave the file as it was: no half line stands before later ones."""
    before = os.fstat(file.fileno()).st_size
    rest = memoryview(data)
    try:
        while rest:
            # On a full disk a write takes what still fits, and only the next one fails.
            rest = rest[file.write(rest) :]
    except OSError:
        os.ftruncate(file.fileno(), before)
        raise


def reason_of(error: OSError) -> str:
    """Return why a file could not be read or written, in words for what people meet most."""
    words = {
        errno.ENOSPC: "there is no space left on the disk",
        errno.EDQUOT: "the disk quota is used up",
        errno.EROFS: "the file system is read-only",
        errno.EACCES: "this user may not write there",
        errno.ENOENT: "it is not there",
        errno.ENOTDIR: "a part of its path is a file, not a folder",
    }
    return words.get(error.errno or 0, error.strerror or str(error))
