"""Taking a folder of release files into the cache, for hosts that reach no release host.

Everything is checked first and all mistakes are named at once; nothing is half imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.checksums import ChecksumFileError, parse_checksums
from harness.artifacts.hashing import sha256_of
from harness.artifacts.index import place
from harness.artifacts.model import Artifact, ArtifactKind, ArtifactRef, Origin, host_arch
from harness.artifacts.pins import Pins, kubernetes_version
from harness.artifacts.problems import SourceUnavailableError, WrongChecksumError
from harness.artifacts.sources import CHECKSUM_FILE, OWN_BUILDS_FILE, copy_file
from harness.artifacts.store import Store
from harness.base.errors import HarnessError, HostLacksError, UsageError
from harness.base.process import Runner
from harness.base.untrusted import RefusedError, read_text

# What an exported mirror is deep: kubectl/v1.32.3/bin/linux/amd64/kubectl.
DEPTH = 5
# Asking a program for its version takes milliseconds; a cold disk is slower.
VERSION_SECONDS = 30.0

_TAG = re.compile(r"v\d+\.\d+\.\d+[0-9A-Za-z.+-]*")
_CHECKSUM_NAMES = {"sha256sums.txt", "checksums.txt", "sha256sums"}
# e_machine, two bytes at offset 18 of a little-endian ELF file (elf(5)).
_ELF_MACHINES = {62: "amd64", 183: "arm64"}
# The programs whose file name does not tell their version, and how they are asked for it.
_VERSION_ARGUMENTS = {
    ArtifactKind.K0SCTL: ("version",),
    ArtifactKind.KUBECTL: ("version", "--client"),
}


@dataclass(frozen=True)
class Found:
    """A release file in the folder, and the sha256 its checksum file lists (None: none does)."""

    ref: ArtifactRef
    path: Path
    listed: str | None
    marked_own: bool


@dataclass(frozen=True)
class _Staged:
    """A file in the cache's waiting room, or (`kept`) the same file where the cache has it."""

    found: Found
    path: Path
    kept: bool
    sha256: str
    origin: Origin


def import_folder(
    store: Store, folder: Path, *, own_build: bool = False, runner: Runner | None = None
) -> tuple[Artifact, ...]:
    """Take the release files in `folder` (flat, or laid out as a mirror) into the cache.

    Each file is compared with the checksum file beside it and with its pin. With `own_build` the
    files are somebody's own builds: they may differ from their pins and are recorded as what they
    are. With a `runner`, k0sctl and kubectl are asked for their version, which their file names
    do not tell. Raises `UsageError` when the folder is none or holds no release file, and
    `HostLacksError` with every mistake; then nothing was imported.
    """
    doing = f"Importing {folder}"
    if not folder.is_dir():
        raise UsageError(doing, "it is no folder", remedy="name the folder with the release files")
    mistakes: list[str] = []
    found = tuple(_find(folder, store.pins, mistakes))
    if not found and not mistakes:
        names = ", ".join(ref.file_name for ref in store.pins.refs(None, host_arch()))
        raise UsageError(doing, "it holds no release file", remedy=f"their names are {names}")
    # An exported folder says which of its files are own builds; without that all of them are.
    marked = {file for file in found if file.marked_own}
    own = (marked or set(found)) if own_build else set()
    mistakes += _without_sums(found, store.pins, own)
    _raise_all(doing, mistakes)
    with store.cache.filling(store.say):
        staged: list[_Staged] = []
        try:
            for file in found:
                try:
                    staged.append(_stage(store, file, own_build=file in own))
                    _check_version(staged[-1], runner)
                except (WrongChecksumError, SourceUnavailableError) as error:
                    mistakes.append(error.text())
                except _WrongVersionError as error:
                    mistakes.append(str(error))
            _raise_all(doing, mistakes)
            return tuple(_commit(store, staged))
        finally:
            for file in found:
                _partial(store, file).unlink(missing_ok=True)


class _WrongVersionError(Exception):
    """A program is of another version than its place in the folder or the pins say."""


def _raise_all(doing: str, mistakes: list[str]) -> None:
    if mistakes:
        noun = "mistake" if len(mistakes) == 1 else "mistakes"
        raise HostLacksError(
            doing,
            f"{len(mistakes)} {noun}; nothing was imported",
            details="\n".join(mistakes),
            remedy="put that right in the folder, and import it again",
        )


def _find(folder: Path, pins: Pins, mistakes: list[str]) -> Iterator[Found]:
    """Yield the release files below `folder`; what else lies there is left alone."""
    files = sorted(_files(folder))
    named = {_in_name(path.name, pins) for path in files} - {None}
    kubernetes = {kubernetes_version(ref.version) for ref in named if ref is not None}
    kubectl_version = kubernetes.pop() if len(kubernetes) == 1 else pins.kubectl_version
    sums: dict[Path, Mapping[str, str]] = {}
    marks: dict[Path, Mapping[str, str]] = {}
    seen: dict[ArtifactRef, Path] = {}
    for path in files:
        relative = path.relative_to(folder)
        try:
            ref = _in_name(path.name, pins) or _in_place(path, relative, pins, kubectl_version)
        except HarnessError as error:
            mistakes.append(f"{path}: {error.happened}")
            continue
        if ref is None:
            continue
        if ref in seen:
            mistakes.append(f"{path}: this is {ref}, and so is {seen[ref]}")
            continue
        seen[ref] = path
        beside = path.parent
        if beside not in sums:
            sums[beside], marks[beside] = _sums_of(beside, mistakes)
        yield Found(ref, path, sums[beside].get(path.name), path.name in marks[beside])


def _files(folder: Path) -> Iterator[Path]:
    for name, below, names in os.walk(folder):
        here = Path(name)
        if len(here.relative_to(folder).parts) >= DEPTH:
            below.clear()
        yield from (here / each for each in names)


def _in_name(name: str, pins: Pins) -> ArtifactRef | None:
    """Return what a file is whose name tells version and architecture."""
    for kind in (ArtifactKind.K0S, ArtifactKind.BUNDLE):
        for _, pattern in pins.rules[kind].names:
            escaped = re.escape(pattern).replace(r"\{version\}", f"(?P<version>{_TAG.pattern}?)")
            arches = "|".join(pins.architectures)
            match = re.fullmatch(escaped.replace(r"\{arch\}", f"(?P<arch>{arches})"), name)
            if match is None:
                continue
            ref = pins.ref(kind, match["version"], match["arch"])
            if ref.file_name == name:
                return ref
    return None


def _in_place(path: Path, relative: Path, pins: Pins, kubectl_version: str) -> ArtifactRef | None:
    """Return what a file is whose name does not tell its version.

    The version is the tag among its folders, or else the one that goes with the rest. Raises
    `UsageError` for a kubectl that is for neither architecture.
    """
    tags = [part for part in relative.parts[:-1] if _TAG.fullmatch(part)]
    for arch in pins.architectures:
        if path.name == pins.ref(ArtifactKind.K0SCTL, pins.k0sctl_version, arch).file_name:
            return pins.ref(ArtifactKind.K0SCTL, tags[-1] if tags else pins.k0sctl_version, arch)
    if path.name != pins.rules[ArtifactKind.KUBECTL].file_name(kubectl_version, ""):
        return None
    arch_of_file = _elf_arch(path)
    if arch_of_file is None:
        raise UsageError("Importing", "not a Linux program for amd64 or arm64")
    return pins.ref(ArtifactKind.KUBECTL, tags[-1] if tags else kubectl_version, arch_of_file)


def _elf_arch(path: Path) -> str | None:
    try:
        # A pipe of that name would be waited for without end.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        return None
    if not header.startswith(b"\x7fELF"):
        return None
    return _ELF_MACHINES.get(int.from_bytes(header[18:20], "little"))


def _sums_of(folder: Path, mistakes: list[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return what all checksum files of a folder list, and which files are marked as own builds."""
    sums: dict[str, str] = {}
    marks: Mapping[str, str] = {}
    for path in sorted(folder.iterdir()):
        is_marks = path.name == OWN_BUILDS_FILE
        is_sums = path.name.lower() in _CHECKSUM_NAMES or path.suffix == ".sha256"
        if not (is_marks or is_sums):
            continue
        try:
            listed = parse_checksums(read_text(path, CHECKSUM_FILE), path.name)
        except ChecksumFileError as error:
            mistakes.append(f"{folder}/{error}")
        except (OSError, RefusedError) as error:
            mistakes.append(f"{path}: cannot be read: {error}")
        else:
            if is_marks:
                marks = listed
                continue
            for name, digest in listed.items():
                if sums.setdefault(name, digest) != digest:
                    mistakes.append(f"{path}: another sum for {name} than the file beside it has")
    return sums, marks


def _without_sums(found: tuple[Found, ...], pins: Pins, own: set[Found]) -> Iterator[str]:
    for file in found:
        if file.marked_own and file not in own:
            yield (
                f"{file.path}: an own build ({OWN_BUILDS_FILE} says so): import it with --own-build"
            )
        elif file.listed is None and (file in own or pins.sha256(file.ref) is None):
            yield (
                f"{file.path}: no checksum file beside it lists it. Get the release's "
                f"{pins.checksum_name(file.ref)}; for a build of your own make it where it was "
                f"built: cd {file.path.parent} && sha256sum -b {file.path.name} >> sha256sums.txt"
            )


def _partial(store: Store, file: Found) -> Path:
    return store.cache.partial(f"import-{file.ref.key}")


def _stage(store: Store, file: Found, *, own_build: bool) -> _Staged:
    """Copy one file into the cache's waiting room, unless the cache has it, and judge it."""
    kept = _kept(store, file)
    if kept is not None:
        path, sha256 = place(store.cache.folder, file.ref, kept), kept
        store.say(f"{file.ref} is in the cache already, the same file")
    else:
        path = _partial(store, file)
        store.say(f"copying {file.ref} from {file.path}")
        copy_file(file.path, path, most_bytes=store.pins.most_bytes(file.ref))
        sha256 = sha256_of(path)
    if file.listed is not None and sha256 != file.listed:
        raise WrongChecksumError(
            file.path.name,
            str(file.path.parent),
            expected=file.listed,
            actual=sha256,
            authority="the checksum file beside it",
            remedy="copy the file again, or get the checksum file that belongs to it",
        )
    origin = store.judge(file.ref, sha256, str(file.path.parent), own_build=own_build)
    return _Staged(file, path, kept is not None, sha256, origin)


def _kept(store: Store, file: Found) -> str | None:
    """Return the sha256 of the file where the cache has the very same one, else None."""
    # One of the two is there: `_without_sums` has seen to it.
    expected = file.listed or store.pins.sha256(file.ref)
    if expected is None or not store.cache.has(file.ref, expected):
        return None
    try:
        return expected if file.path.is_file() and sha256_of(file.path) == expected else None
    except OSError:
        # Copying it says why.
        return None


def _check_version(staged: _Staged, runner: Runner | None) -> None:
    ref = staged.found.ref
    arguments = _VERSION_ARGUMENTS.get(ref.kind)
    if runner is None or arguments is None or ref.arch != host_arch():
        return
    if not staged.kept:
        staged.path.chmod(0o755)
    try:
        answer = runner.run(
            [str(staged.path), *arguments],
            doing=f"Asking {staged.found.path.name} for its version",
            deadline=VERSION_SECONDS,
        ).stdout
    except (HarnessError, OSError) as error:
        raise _WrongVersionError(f"{staged.found.path}: it cannot be run: {error}") from None
    tag = _TAG.search(answer)
    if tag is None or tag[0] != ref.version:
        said = tag[0] if tag else repr(answer[:60])
        raise _WrongVersionError(
            f"{staged.found.path}: it says it is {said}, and {ref} is what goes here"
        )


def _commit(store: Store, staged: list[_Staged]) -> Iterator[Artifact]:
    """Put all files in their places, and only then let the index name them."""
    for each in staged:
        if not each.kept:
            store.cache.store(each.found.ref, each.path, each.sha256)
    for each in staged:
        ref, origin = each.found.ref, each.origin
        source = f"import of {each.found.path.parent}"
        entry = store.cache.record(ref, each.sha256, origin, source)
        yield Artifact(ref, entry.path, each.sha256, origin, entry.source)
