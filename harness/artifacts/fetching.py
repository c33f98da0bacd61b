"""Filling the cache: one release file from the first source that has it, verified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from harness.artifacts.cache import Cache
from harness.artifacts.hashing import sha256_of
from harness.artifacts.model import Artifact, ArtifactRef, OnProgress, Origin
from harness.artifacts.pins import Pins
from harness.artifacts.problems import (
    SourceUnavailableError,
    UnpinnedOverHttpError,
    WrongChecksumError,
)
from harness.artifacts.sources import OWN_BUILDS_FILE, Place, Source, listed_sums
from harness.artifacts.transport import is_plain
from harness.base.context import Say
from harness.base.errors import HarnessError

PINNED = "committed in the harness's pins"


class Judge(Protocol):
    """What tells the origin of a file with a checksum (`Store.judge`)."""

    def __call__(self, ref: ArtifactRef, sha256: str, source: str, *, own_build: bool) -> Origin:
        """Return the origin; raises `WrongChecksumError` where the pins say otherwise."""


class Fetcher:
    """Fetches release files into `cache`, whose lock is held meanwhile."""

    def __init__(
        self,
        cache: Cache,
        pins: Pins,
        judge: Judge,
        *,
        allow_unpinned: bool,
        say: Say,
        on_progress: OnProgress | None,
    ) -> None:
        self._cache = cache
        self._pins = pins
        self._judge = judge
        self._allow_unpinned = allow_unpinned
        self._say = say
        self._on_progress = on_progress

    def fetch(
        self, ref: ArtifactRef, sources: Sequence[Source], problems: list[HarnessError]
    ) -> Artifact | None:
        """Return `ref` from the first source that has it, else None, and `problems` grows."""
        for source in sources:
            for place in source.places(ref):
                try:
                    return self._fetch_from(ref, source, place)
                except SourceUnavailableError as problem:
                    problems.append(problem)
                except WrongChecksumError as problem:
                    # Not passed over: whoever runs that source should know.
                    problems.append(problem)
                    return None
        return None

    def _fetch_from(self, ref: ArtifactRef, source: Source, place: Place) -> Artifact:
        location = place.of(ref.file_name)
        shown = source.shown(location)
        expected, authority = self._expected(ref, source, place)
        if self._cache.has(ref, expected):
            # Its entry in the index was lost, or another file took its place there.
            origin = self._judge(ref, expected, "the cache", own_build=False)
            return self._recorded(ref, expected, origin, f"the cache, as {shown} lists it")
        partial = self._cache.partial(expected)
        self._say(f"fetching {ref} from {shown}")
        resumed = partial.exists()
        actual = self._copied(ref, source, location, partial)
        if actual != expected and resumed:
            # The beginning was kept from an earlier try: it may be what is wrong.
            partial.unlink()
            actual = self._copied(ref, source, location, partial)
        if actual != expected:
            partial.unlink()
            if authority == PINNED:
                self._judge(ref, actual, shown, own_build=False)
            raise WrongChecksumError(
                ref.file_name, shown, expected=expected, actual=actual, authority=authority
            )
        origin = self._judge(ref, actual, shown, own_build=False)
        self._cache.store(ref, partial, actual)
        return self._recorded(ref, actual, origin, shown)

    def _copied(self, ref: ArtifactRef, source: Source, location: str, partial: Path) -> str:
        """Copy the file into `partial` and return its sha256."""
        most = self._pins.most_bytes(ref)
        source.copy(location, partial, self._on_progress, most_bytes=most)
        return sha256_of(partial)

    def _recorded(self, ref: ArtifactRef, sha256: str, origin: Origin, source: str) -> Artifact:
        entry = self._cache.record(ref, sha256, origin, source)
        return Artifact(ref, entry.path, sha256, origin, entry.source)

    def _expected(self, ref: ArtifactRef, source: Source, place: Place) -> tuple[str, str]:
        """Return the sha256 the file must have, and who says so.

        Raises `UnpinnedOverHttpError` where anybody on the way could have written both the file and
        its checksum.
        """
        pinned = self._pins.sha256(ref)
        if pinned is None and is_plain(place.folder) and not self._allow_unpinned:
            problem = UnpinnedOverHttpError(
                source.shown(place.of(ref.file_name)), place.checksum_name
            )
            self._say(str(problem))
            raise problem
        if source.is_mirror:
            _refuse_own_build(ref, source, place)
        if pinned is not None:
            return pinned, PINNED
        sums = listed_sums(source, place, place.checksum_name)
        where = source.shown(place.of(place.checksum_name))
        if ref.file_name not in sums:
            raise SourceUnavailableError(where, f"it has no checksum for {ref.file_name}")
        return sums[ref.file_name], where


def _refuse_own_build(ref: ArtifactRef, source: Source, place: Place) -> None:
    """Refuse a file that whoever exported the mirror marked as their own build."""
    try:
        marked = listed_sums(source, place, OWN_BUILDS_FILE)
    except SourceUnavailableError:
        return
    if ref.file_name in marked:
        raise SourceUnavailableError(
            source.shown(place.of(ref.file_name)),
            f"is an own build ({OWN_BUILDS_FILE}): `k0s-harness artifacts import --own-build` "
            "takes it from a folder",
        )
