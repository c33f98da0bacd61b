"""What an artifact is: a release file, where this copy came from, how far it is trusted."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.base.errors import HostLacksError


class ArtifactKind(StrEnum):
    """The four release files a run is made of."""

    K0S = "k0s"
    K0SCTL = "k0sctl"
    KUBECTL = "kubectl"
    BUNDLE = "bundle"

    @property
    def is_program(self) -> bool:
        """Whether the file is executed; the image bundle is only read."""
        return self is not ArtifactKind.BUNDLE


class Origin(StrEnum):
    """How far a file is known to be what its project released.

    `official`: its sha256 equals the one committed in the pins. `unverified`: it matches the
    checksum file it came with, but no sha256 is committed for it. `own-build`: somebody's own,
    used because they said so.
    """

    OFFICIAL = "official"
    UNVERIFIED = "unverified"
    OWN_BUILD = "own-build"


@dataclass(frozen=True, order=True)
class ArtifactRef:
    """A release file that is wanted: `version` is the release's tag, `arch` amd64 or arm64.

    `file_name` is the name upstream publishes it under.
    """

    kind: ArtifactKind
    version: str
    arch: str
    file_name: str

    def __str__(self) -> str:
        """Return how people call it: `k0s v1.32.3+k0s.0 (amd64)`."""
        name = "image bundle" if self.kind is ArtifactKind.BUNDLE else self.kind.value
        return f"{name} {self.version} ({self.arch})"

    @property
    def key(self) -> str:
        """A file name's stem that no other release file has."""
        return f"{self.kind.value}-{self.version}-{self.arch}"

    @property
    def stored_name(self) -> str:
        """The file name in the cache: upstream's, unless that does not tell the version."""
        return self.file_name if self.version in self.file_name else self.key


@dataclass(frozen=True)
class Artifact:
    """A release file that is on this host and verified.

    `source` says where it came from, in words (a URL, a folder, `K0S_BINARY=…`), never with a
    password.
    """

    ref: ArtifactRef
    path: Path
    sha256: str
    origin: Origin
    source: str

    def describe(self) -> str:
        """Return the line that stands for it in narration and reports."""
        return f"{self.ref}: {ORIGIN_WORDS[self.origin]}, sha256 {self.sha256}, from {self.source}"


ORIGIN_WORDS = {
    Origin.OFFICIAL: "the official release",
    Origin.UNVERIFIED: "of unverified origin (no checksum is pinned for it)",
    Origin.OWN_BUILD: "an own build, not the official release",
}


@dataclass(frozen=True)
class Progress:
    """How far a copy or a download is, in bytes; `total` is None where the source does not say."""

    file_name: str
    done: int
    total: int | None


# Called at most every `PROGRESS_BYTES`, and once at the end.
OnProgress = Callable[[Progress], None]
# Half a percent of the image bundle: fine enough for a line that moves, and no cost.
PROGRESS_BYTES = 2 * 1024 * 1024

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def host_arch(machine: str | None = None) -> str:
    """Return `amd64` or `arm64` for this host, or for what `uname -m` says on another.

    Raises `HostLacksError` for a processor the harness has no release files for.
    """
    machine = machine or platform.machine()
    try:
        return _ARCHITECTURES[machine.lower()]
    except KeyError:
        raise HostLacksError(
            "Choosing the release files",
            f"this host's processor is {machine}, and there are files for amd64 and arm64 only",
            remedy="use an x86_64 or aarch64 host",
        ) from None
