"""One file of all evidence: written from a run's folder, read without trusting it.

A bundle is a `.tar.gz` of the folder's files, with a manifest as its first member. The recorder has
redacted what it wrote; what programs wrote themselves, their logs, is redacted when it is packed.
The same folder gives the same bytes. `docs/bundles.md` describes the format.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from harness.base.errors import InfrastructureError, UsageError
from harness.base.untrusted import MIB, Limits, RefusedError, json_value, require_size
from harness.evidence import manifest as manifests
from harness.evidence.lines import EVENTS, READINGS, whole_lines
from harness.evidence.manifest import MANIFEST, Kind, Manifest, ManifestError, Piece, is_piece_path
from harness.evidence.old_format import report_with_ids
from harness.evidence.reading import Reading
from harness.evidence.recorder import MISSING, OBSERVATIONS, PIECE_LIMIT, TIMELINE, reason_of
from harness.evidence.redaction import redact
from harness.evidence.unpack import MOST_UNPACKED, NotABundleError, unpack
from harness.evidence.ustar import BLOCK, is_name

BUNDLE = "bundle.tar.gz"
META = "meta.json"
REPORT = "report.json"
SCENARIO = "plan/scenario.yaml"

# Made of the evidence, as large as all of it, and made again by a replay.
_LEFT_OUT = {BUNDLE, "report.html"}
# What the recorder writes beside its folders of pieces; it has redacted all of it.
_RECORDED = {META, MISSING, OBSERVATIONS, REPORT, TIMELINE}
# What a reader takes; everything else is bounded where it is recorded, in characters.
_LONGEST = {each.file: each.whole.most_bytes for each in (READINGS, EVENTS)}
_WIDEST = 4
# Below what a reader takes: the manifest, and what an archive is filled up with.
_MOST_CONTENT = MOST_UNPACKED - 8 * MIB
# A report of a run with two phases has 825 values and 40 kB, its manifest 590 and 14 kB; that of
# 5000 pieces, which no bundle has, would have 35,000 and 1 MB.
DOCUMENT = Limits("a run or its bundle", most_bytes=2 * MIB, most_levels=16, most_values=100_000)
_ONCE_MORE = "ask for it again, made with k0s-harness collect or taken from a run's folder"


@dataclass(frozen=True)
class Pieces(Mapping[str, str]):
    """The pieces of a bundle as text, by path; `data` has their bytes.

    Each is made text when it is asked for: all of them at once would take up to four times as much.
    """

    data: Mapping[str, memoryview]

    def __getitem__(self, path: str) -> str:
        return str(self.data[path], encoding="utf-8", errors="replace")

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read: its manifest, all its pieces as text, and of them what replay needs.

    `readings` and `events` (the lines of `timeline.jsonl`) are in the order they were recorded.
    """

    path: Path
    manifest: Manifest
    pieces: Pieces
    readings: Sequence[Reading]
    events: Sequence[Mapping[str, Any]]

    @property
    def scenario(self) -> str | None:
        """The text of the scenario file, None in a bundle of a cluster that was only looked at."""
        return self.pieces.get(SCENARIO)

    @functools.cached_property
    def meta(self) -> Mapping[str, Any]:
        """What was known when the recording began; raises `UsageError` where it is no JSON."""
        return self._object(META)

    @functools.cached_property
    def report(self) -> Mapping[str, Any]:
        """The run's `report.json`, empty where the run ended before it had one."""
        return report_with_ids(self._object(REPORT))

    def _object(self, name: str) -> Mapping[str, Any]:
        try:
            value = _json(self.pieces.data.get(name, b"{}"))
        except ValueError as error:
            raise _refused(self.path, f"{name} in it is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise _refused(self.path, f"{name} in it is no JSON object")
        return value


def write_bundle(folder: Path, target: Path | None = None) -> Path:
    """Pack the evidence in `folder` into one file and return its path.

    That is `bundle.tar.gz` in the folder unless `target` names another. What cannot be packed is
    listed in the manifest with the reason. Raises `InfrastructureError` when the bundle itself
    cannot be written; an earlier one is then still there.
    """
    target = target if target is not None else folder / BUNDLE
    missing = _missing_of(folder)
    found: dict[str, bytes] = {}
    room = _MOST_CONTENT
    # What a replay cannot do without goes before logs, should there not be room for all.
    for path in sorted(_files(folder), key=lambda path: path not in _RECORDED):
        try:
            found[path] = _packable(folder / path, path, room)
            room -= len(found[path]) + 2 * BLOCK
        except NotABundleError as error:
            missing[path] = str(error)
        except OSError as error:
            missing[path] = reason_of(error)
    contents = {path: found[path] for path in sorted(found)}
    manifest = _manifest(folder, contents, missing)
    text = json.dumps(manifest.to_dict(), indent=2, ensure_ascii=False) + "\n"
    data = _packed({MANIFEST: text.encode(errors="replace"), **contents})
    partial = target.with_name(f".{target.name}.{threading.get_ident()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise InfrastructureError(
            f"Writing the bundle {target}",
            reason_of(error),
            remedy="make room or give back the right to write there; what was recorded is kept",
            where=folder,
        ) from error
    return target


def read_bundle(path: Path) -> Bundle:
    """Return the bundle in the file `path`, which may come from anyone; nothing is written.

    Raises `UsageError` for a file that is none, is damaged, is larger than any bundle, has members
    that are no plain files or that its manifest does not describe, or is of a newer format.
    """
    try:
        members = dict(unpack(path))
    except NotABundleError as error:
        raise _refused(path, str(error)) from error
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"Reading the bundle {path}", reason, remedy="name the file of a bundle"
        ) from error
    try:
        manifest = _manifest_in(members)
    except ManifestError as error:
        newer = "update k0s-harness" if "newer" in str(error) else _ONCE_MORE
        raise _refused(path, str(error), remedy=newer) from error
    except ValueError as error:
        raise _refused(path, f"its {MANIFEST} is no JSON: {error}") from error
    try:
        return Bundle(
            path=path,
            manifest=manifest,
            pieces=Pieces(members),
            readings=tuple(whole_lines(members.get(OBSERVATIONS, b""), READINGS)),
            events=tuple(whole_lines(members.get(TIMELINE, b""), EVENTS)),
        )
    except RefusedError as error:
        raise _refused(path, str(error)) from error


def _manifest_in(members: dict[str, memoryview]) -> Manifest:
    """Take the manifest out of the members, which must be exactly what it says.

    Raises `ManifestError` where they are not, and `ValueError` for no JSON.
    """
    if next(iter(members), None) != MANIFEST:
        raise ManifestError(f"its first member is not {MANIFEST}")
    manifest = manifests.parse(_json(members.pop(MANIFEST)))
    listed = {each.path: each for each in manifest.pieces}
    unlisted = sorted(members.keys() - listed)
    lost = sorted(listed.keys() - members)
    if unlisted:
        raise ManifestError(f"its manifest does not know {unlisted[0]}")
    if lost:
        raise ManifestError(f"{lost[0]} is in its manifest and not in it")
    for name, content in members.items():
        if len(content) != listed[name].size or _sha256(content) != listed[name].sha256:
            raise ManifestError(f"{name} is not what its manifest says: it was changed")
    return manifest


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of the files below `folder`, sorted; links are left alone."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(root, name)
            relative = path.relative_to(folder).as_posix()
            if not name.startswith(".") and relative not in _LEFT_OUT and not path.is_symlink():
                found.append(relative)
    return iter(sorted(found))


def _packable(file: Path, path: str, room: int) -> bytes:
    """Return what of `file` is packed; raises `NotABundleError` with why nothing is."""
    if not is_piece_path(path) or not is_name(path):
        raise NotABundleError("its name is none that a bundle can have")
    if not file.is_file():
        raise NotABundleError("it is not a plain file")
    size = file.stat().st_size
    if size > min(_LONGEST.get(path, PIECE_LIMIT * _WIDEST), room):
        raise NotABundleError(f"it is too long: {size} bytes")
    content = file.read_bytes()
    if "/" in path or path in _RECORDED:
        # A second time costs seconds and changes nothing.
        return content
    return redact(content.decode(errors="replace")).encode(errors="replace")


def _packed(contents: Mapping[str, bytes]) -> bytes:
    """Return the archive of `contents`: always the same bytes for the same contents."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _manifest(folder: Path, contents: Mapping[str, bytes], missing: Mapping[str, str]) -> Manifest:
    known = _known(contents.get(META)) | _known(contents.get(REPORT))
    scenario = known.get("scenario")
    is_run = isinstance(scenario, str)
    artifacts = known.get("artifacts")
    versions = known.get("versions")
    return Manifest(
        kind=Kind.RUN if is_run else Kind.CLUSTER,
        name=str(known.get("run_id" if is_run else "cluster", folder.name)),
        scenario=scenario if is_run else None,
        began=str(known.get("started", "")),
        ended=str(known.get("ended", known.get("started", ""))),
        on=str(known.get("substrate", "machines that nothing is known of")),
        harness=harness.__version__,
        versions={str(name): str(text) for name, text in versions.items()}
        if isinstance(versions, dict)
        else {},
        artifacts=[_artifact(each) for each in artifacts if isinstance(each, dict)]
        if isinstance(artifacts, list)
        else [],
        pieces=[Piece(path, len(data), _sha256(data)) for path, data in contents.items()],
        missing={path: missing[path] for path in sorted(missing)},
    )


def _artifact(known: Mapping[str, Any]) -> Mapping[str, str]:
    origin = str(known.get("origin", "unverified"))
    return {
        **{name: str(known.get(name, "")) for name in ("kind", "version", "file_name", "sha256")},
        "origin": manifests.ORIGINS.get(origin, origin),
    }


def _known(content: bytes | None) -> dict[str, Any]:
    """Return a JSON object of this run's own, empty where a killed run left none or half of one."""
    try:
        value = _json(content or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _missing_of(folder: Path) -> dict[str, str]:
    try:
        content = (folder / MISSING).read_bytes()
    except OSError:
        return {}
    return {str(path): str(why) for path, why in _known(content).items()}


def _sha256(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(data: bytes | memoryview) -> Any:  # noqa: ANN401  # any JSON value
    """Return one of a bundle's documents; raises `ValueError` for what is none within limits."""
    require_size(data, DOCUMENT)
    return json_value(str(data, encoding="utf-8"), DOCUMENT)


def _refused(path: Path, why: str, *, remedy: str = _ONCE_MORE) -> UsageError:
    return UsageError(f"Reading the bundle {path}", why, remedy=remedy)
