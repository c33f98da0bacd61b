"""The pins: which versions are run, what upstream calls their files, what they must hash to."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from harness.artifacts.model import ArtifactKind, ArtifactRef
from harness.base.errors import UsageError

FORMAT = "k0s-harness-pins/1"


@dataclass(frozen=True)
class FileRule:
    """Where upstream and a mirror keep one kind of file, and how large it is at most.

    `folders` are relative to a mirror's root, the one to write first; `names` pairs of the first
    version and the file name from there on. All are patterns of `{version}` and `{arch}`.
    """

    upstream: str
    folders: tuple[str, ...]
    checksums: str
    names: tuple[tuple[tuple[int, ...], str], ...]
    most_bytes: int

    def file_name(self, version: str, arch: str) -> str:
        """Return what upstream calls the file of that release."""
        reached = [name for since, name in self.names if since <= _numbers(version)]
        return reached[-1].format(version=version, arch=arch)


@dataclass(frozen=True)
class Pins:
    """The content of pins.yaml."""

    k0s_version: str
    k0sctl_version: str
    architectures: tuple[str, ...]
    rules: Mapping[ArtifactKind, FileRule]
    sums: Mapping[tuple[ArtifactKind, str, str], str]

    @property
    def kubectl_version(self) -> str:
        """The kubectl that goes with the pinned k0s."""
        return kubernetes_version(self.k0s_version)

    def ref(self, kind: ArtifactKind, version: str, arch: str) -> ArtifactRef:
        """Return the reference to a release's file, with the name upstream gives it.

        Raises `UsageError` for a version that is not like v1.2.3 or v1.2.3+k0s.0.
        """
        return ArtifactRef(kind, version, arch, self.rules[kind].file_name(version, arch))

    def refs(self, k0s_version: str | None, arch: str) -> tuple[ArtifactRef, ...]:
        """Return the four files a run of `k0s_version` (None: the pinned one) is made of.

        Small files first, so that what is missing shows before half a gigabyte is fetched.
        """
        k0s = k0s_version or self.k0s_version
        return (
            self.ref(ArtifactKind.K0SCTL, self.k0sctl_version, arch),
            self.ref(ArtifactKind.KUBECTL, kubernetes_version(k0s), arch),
            self.ref(ArtifactKind.K0S, k0s, arch),
            self.ref(ArtifactKind.BUNDLE, k0s, arch),
        )

    def sha256(self, ref: ArtifactRef) -> str | None:
        """Return the committed sha256 of that file, None where none is known."""
        return self.sums.get((ref.kind, ref.version, ref.arch))

    def upstream_folder(self, ref: ArtifactRef) -> str:
        """Return the folder's URL at the release host, not yet quoted."""
        return self.rules[ref.kind].upstream.format(version=ref.version, arch=ref.arch)

    def mirror_folders(self, ref: ArtifactRef) -> tuple[str, ...]:
        """Return the folders below a mirror's root that may hold the file, the usual one first."""
        return tuple(
            folder.format(version=ref.version, arch=ref.arch)
            for folder in self.rules[ref.kind].folders
        )

    def checksum_name(self, ref: ArtifactRef) -> str:
        """Return what upstream calls the checksum file beside it."""
        return self.rules[ref.kind].checksums

    def most_bytes(self, ref: ArtifactRef) -> int:
        """Return the size that a file of this kind never exceeds."""
        return self.rules[ref.kind].most_bytes


def kubernetes_version(k0s_version: str) -> str:
    """Return the Kubernetes version inside a k0s version: v1.32.3 for v1.32.3+k0s.0."""
    return k0s_version.partition("+")[0]


@functools.cache
def load_pins() -> Pins:
    """Return the pins that came with this package; they are read once."""
    text = files(__package__).joinpath("pins.yaml").read_text(encoding="utf-8")
    return parse_pins(yaml.safe_load(text))


def parse_pins(data: Mapping[str, Any]) -> Pins:
    """Build pins from the parsed file; raises `KeyError` or `ValueError` for another shape."""
    if data["format"] != FORMAT:
        raise ValueError(f"pins of format {data['format']!r}, and this is {FORMAT}")
    return Pins(
        k0s_version=data["versions"]["k0s"],
        k0sctl_version=data["versions"]["k0sctl"],
        architectures=tuple(data["architectures"]),
        rules={ArtifactKind(kind): _rule(rule) for kind, rule in data["files"].items()},
        sums=dict(_sums(data["sha256"])),
    )


def _sums(rows: Iterable[Mapping[str, str]]) -> Iterator[tuple[tuple[ArtifactKind, str, str], str]]:
    """Yield what each file must hash to; a row says where that was read, or that nobody says it."""
    for row in rows:
        key = (ArtifactKind(row["kind"]), row["version"], row["arch"])
        if "none" in row:
            continue
        if not _SHA256.fullmatch(row["sha256"]) or not _READ_AT.fullmatch(row["from"]):
            raise ValueError(
                f"the pin of {' '.join(key)} is no sha256 with the place of its reading"
            )
        yield key, row["sha256"]


def _rule(data: Mapping[str, Any]) -> FileRule:
    folders = [data["mirror"]] + ([data["mirror_flat"]] if "mirror_flat" in data else [])
    names = sorted((_numbers(row["since"]), row["name"]) for row in data["names"])
    return FileRule(
        data["upstream"],
        tuple(folders),
        data["checksums"],
        tuple(names),
        data["most_mib"] * 1024 * 1024,
    )


_SHA256 = re.compile(r"[0-9a-f]{64}")
# Repository, commit, file.
_READ_AT = re.compile(r"[\w.-]+/[\w.-]+ [0-9a-f]{40}, \S+")
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)([-+][0-9A-Za-z.+-]+)?")


def _numbers(version: str) -> tuple[int, ...]:
    match = _VERSION.fullmatch(version)
    if match is None:
        raise UsageError(
            "Choosing the release files",
            f"{version!r} is not a release's tag",
            remedy="tags look like v1.32.3+k0s.0 (k0s), v0.31.0 (k0sctl), v1.32.3 (kubectl)",
        )
    return tuple(int(part) for part in match.groups()[:3])
