"""What a bundle says of itself: its format, what it was made of, its pieces and what is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MANIFEST = "manifest.json"
FORMAT = "k0s-harness-bundle"
VERSION = 1

_FORMAT = re.compile(rf"{FORMAT}/(\d{{1,6}})")
# A piece's path: letters, digits and what names of hosts, images and units have. No part begins
# with a dot or a hyphen, so none is `..`, hidden, or an option of whatever takes it as an argument.
_PART = r"[A-Za-z0-9_@\[][A-Za-z0-9_.,@:+=%\[\]-]*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
# Of USTAR, in which a bundle is written.
LONGEST_PATH = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")

# What a reader of a bundle must know before anything else: these are the words of every report.
ORIGINS = {
    "official": "official release, checksum verified",
    "own-build": "built from source, not the official release",
    "unverified": "of unverified origin",
}


class Kind(StrEnum):
    """What a bundle is of: a run of a scenario, or a cluster that was only looked at."""

    RUN = "run"
    CLUSTER = "cluster"


class ManifestError(ValueError):
    """A manifest that is none; the message says why, as the end of a sentence."""


@dataclass(frozen=True)
class Piece:
    """One file of a bundle: its path, its bytes, their sha256 in hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A bundle's own description.

    `name` is the run id or the cluster's name, `scenario` the run's (None for a cluster). `began`
    and `ended` are ISO 8601 in UTC, `on` says what stood there. Of each artifact there are `kind`,
    `version`, `sha256` and `origin`, which is one of the sentences of `ORIGINS`. `missing` has, by
    path, why a piece is not there.
    """

    kind: Kind
    name: str
    scenario: str | None
    began: str
    ended: str
    on: str
    harness: str
    versions: Mapping[str, str]
    artifacts: Sequence[Mapping[str, str]]
    pieces: Sequence[Piece]
    missing: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, as in `manifest.json`."""
        return {
            "format": f"{FORMAT}/{VERSION}",
            "kind": self.kind.value,
            "name": self.name,
            "scenario": self.scenario,
            "began": self.began,
            "ended": self.ended,
            "on": self.on,
            "harness": self.harness,
            "versions": dict(self.versions),
            "artifacts": [dict(each) for each in self.artifacts],
            "pieces": [
                {"path": each.path, "size": each.size, "sha256": each.sha256}
                for each in self.pieces
            ],
            "missing": dict(self.missing),
        }

    def describe(self) -> str:
        """Return what this is of, when, and on what, as one line."""
        what = (
            f"run {self.name} of {self.scenario}"
            if self.kind is Kind.RUN
            else f"the cluster {self.name}"
        )
        return f"{what}, {self.began}, on {self.on}"


def is_piece_path(path: str) -> bool:
    """Whether `path` may name a piece: relative, of plain parts, of bounded length."""
    return len(path) <= LONGEST_PATH and _PATH.fullmatch(path) is not None


def parse(data: object) -> Manifest:
    """Return the manifest that the JSON value `data` is; raises `ManifestError`."""
    document = _mapping(data, "the manifest")
    said = document.get("format")
    found = _FORMAT.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        raise ManifestError(f"its manifest does not say {FORMAT}/{VERSION}")
    if int(found[1]) > VERSION:
        raise ManifestError(
            f"its format is {found[0]}, and this harness knows {FORMAT}/{VERSION}: "
            "a newer harness made it"
        )
    try:
        kind = Kind(_text(document, "kind"))
    except ValueError:
        raise ManifestError("its manifest does not say of what it is") from None
    scenario = document.get("scenario")
    if scenario is not None and not isinstance(scenario, str):
        raise ManifestError("`scenario` in its manifest is no text")
    return Manifest(
        kind=kind,
        name=_text(document, "name"),
        scenario=scenario,
        began=_text(document, "began"),
        ended=_text(document, "ended"),
        on=_text(document, "on"),
        harness=_text(document, "harness"),
        versions=_texts(document.get("versions"), "versions"),
        artifacts=[_texts(each, "artifacts") for each in _list(document, "artifacts")],
        pieces=_pieces(_list(document, "pieces")),
        missing=_texts(document.get("missing"), "missing"),
    )


def _pieces(entries: Sequence[object]) -> list[Piece]:
    pieces = []
    for entry in entries:
        each = _mapping(entry, "a piece")
        path, size, sha256 = each.get("path"), each.get("size"), each.get("sha256")
        if not isinstance(path, str) or not is_piece_path(path):
            raise ManifestError(f"its manifest names a piece {path!r:.80}, which is no path of one")
        if type(size) is not int or size < 0:
            raise ManifestError(f"its manifest gives {path} no size")
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ManifestError(f"its manifest gives {path} no sha256")
        pieces.append(Piece(path, size, sha256))
    if len({each.path for each in pieces}) < len(pieces):
        raise ManifestError("its manifest names a piece twice")
    return pieces


def _mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ManifestError(f"{what} is no JSON object")
    return value


def _list(document: Mapping[str, object], name: str) -> Sequence[object]:
    value = document.get(name)
    if not isinstance(value, list):
        raise ManifestError(f"`{name}` in its manifest is no list")
    return value


def _text(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise ManifestError(f"`{name}` in its manifest is no text")
    return value


def _texts(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ManifestError(f"`{name}` in its manifest is not as it should be")
    return value
