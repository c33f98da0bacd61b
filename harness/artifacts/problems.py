"""What can be wrong with getting a release file, as sentences."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.model import ArtifactKind, ArtifactRef
from harness.base.errors import HostLacksError

# What a full disk, a full quota and a file size limit are called by the kernel.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SourceUnavailableError(HostLacksError):
    """One source does not have the file or cannot be reached; the next one is asked."""

    def __init__(self, where: str, why: str) -> None:
        self.place = where
        self.why = why
        super().__init__(f"Looking at {where}", why)


class WrongChecksumError(HostLacksError):
    """A file is not what its pin or its checksum file says; it is never used."""

    def __init__(
        self,
        file_name: str,
        source: str,
        *,
        expected: str,
        actual: str,
        authority: str,
        remedy: str | None = None,
    ) -> None:
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"Verifying {file_name} from {source}",
            "its sha256 is not the expected one, so it is not used",
            details=f"expected {expected} ({authority})\nactual   {actual}",
            remedy=remedy,
        )


class DiskFullError(HostLacksError):
    """The cache's disk has no room for a file; what was half written is removed."""

    def __init__(self, file_name: str, folder: Path, why: str) -> None:
        super().__init__(
            f"Storing {file_name}",
            why,
            remedy=f"make room on the disk of {folder}, or set K0S_HARNESS_CACHE to a folder on a "
            "larger one",
        )


class OwnBuildGoneError(HostLacksError):
    """An own build in the cache is damaged or gone.

    Going on to the release would run something other than what the user asked for.
    """

    def __init__(self, ref: ArtifactRef, why: HostLacksError) -> None:
        super().__init__(
            f"Taking {ref} from the cache",
            "it was an own build, and the release never takes its place by itself",
            details=why.text(),
            remedy="import the own build again, or, for the release, run "
            "`k0s-harness artifacts fetch --replace-own-builds`",
        )


class DamagedEntryError(HostLacksError):
    """An entry of the cache's index is not what the harness writes; the file itself is kept."""

    def __init__(self, file: Path, what: str, why: str) -> None:
        super().__init__(
            f"Reading the cache's index for {what}",
            f"{file} cannot be used: {why}",
            remedy="import it again, or, for the release, run `k0s-harness artifacts fetch "
            "--replace-own-builds`: a file that is in the cache already is taken from there",
        )


class UnpinnedOverHttpError(SourceUnavailableError):
    """A file that no pin vouches for is offered over plain http."""

    def __init__(self, where: str, checksum_name: str) -> None:
        super().__init__(
            where,
            "comes over plain http, and no checksum is committed for it: whoever is on the way "
            f"could have changed it, and {checksum_name} with it. Name an https URL or a folder, "
            "take the file with `k0s-harness artifacts import DIR`, or, if you trust that way, set "
            "K0S_HARNESS_ALLOW_UNPINNED=1 (`artifacts fetch --allow-unpinned`)",
        )


@dataclass(frozen=True)
class Lack:
    """A file that cannot be provided: what was tried, in the order it was tried."""

    ref: ArtifactRef
    tried: tuple[str, ...]


class MissingArtifactsError(HostLacksError):
    """Some files a run needs are not to be had; `lacks` has each of them."""

    def __init__(self, lacks: Sequence[Lack], wanted: int) -> None:
        self.lacks = tuple(lacks)
        lines = []
        for lack in lacks:
            lines.append(f"{lack.ref}, file {lack.ref.file_name}")
            lines += [f"  {line}" for tried in lack.tried for line in tried.splitlines()]
        super().__init__(
            "Providing the release files",
            f"{len(lacks)} of {wanted} cannot be had; no machine was made: "
            + ", ".join(lack.ref.file_name for lack in lacks),
            details="\n".join(lines),
            remedy=_remedy([lack.ref for lack in lacks]),
        )


def is_no_room(error: OSError) -> bool:
    """Whether the error says that a disk, a quota or a size limit is full."""
    return error.errno in _NO_ROOM


def _remedy(refs: Sequence[ArtifactRef]) -> str:
    names = ", ".join(ref.file_name for ref in refs)
    ways = (
        "where the release hosts can be reached run `k0s-harness artifacts fetch` and "
        "`k0s-harness artifacts export DIR`, and here set K0S_HARNESS_MIRROR=DIR\n"
        "     or run `k0s-harness artifacts import DIR` with a folder that holds "
        f"{names} and the checksum files"
    )
    if any(ref.kind is ArtifactKind.K0S for ref in refs):
        ways += "\n     or set K0S_BINARY=FILE for a k0s build of your own"
    return (
        f"{ways}\n     meanwhile `k0s-harness demo` judges a recorded run again: it needs no"
        " release files, no network and no machine"
    )
