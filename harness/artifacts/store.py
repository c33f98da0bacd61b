"""Provides the release files of a run: all of them, verified, or one error that names each lack.

Sources, in order: a k0s binary the user names (K0S_BINARY), the cache, the mirror
(K0S_HARNESS_MIRROR), the upstream releases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from harness.artifacts.cache import Cache, why_strange
from harness.artifacts.download import Downloader, HttpDownloader
from harness.artifacts.fetching import PINNED, Fetcher
from harness.artifacts.hashing import Hashes
from harness.artifacts.index import Entry
from harness.artifacts.model import Artifact, ArtifactKind, ArtifactRef, OnProgress, Origin
from harness.artifacts.pins import Pins, load_pins
from harness.artifacts.problems import (
    DamagedEntryError,
    Lack,
    MissingArtifactsError,
    OwnBuildGoneError,
    SourceUnavailableError,
    WrongChecksumError,
)
from harness.artifacts.sources import Source, Upstream, mirror_source
from harness.base.context import Say
from harness.base.errors import HarnessError, UsageError
from harness.base.settings import Settings
from harness.base.wait import Clock, SystemClock


class Store:
    """The release files this host has or can get.

    `say` takes narration a line at a time, `on_progress` the bytes of a download.
    """

    def __init__(
        self,
        settings: Settings,
        pins: Pins | None = None,
        *,
        clock: Clock | None = None,
        downloader: Downloader | None = None,
        say: Say = lambda _: None,
        on_progress: OnProgress | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.pins = pins or load_pins()
        self.settings = settings
        self.cache = Cache(settings.cache_dir, clock)
        self.say = say
        self._hashes = Hashes()
        self._downloader = downloader or HttpDownloader(clock, say)
        self._on_progress = on_progress

    def provide(self, refs: Iterable[ArtifactRef]) -> dict[ArtifactKind, Artifact]:
        """Return the wanted files by kind, each verified, fetched where they are not here yet.

        Raises `MissingArtifactsError` naming every file that cannot be had and where it was looked
        for, `WrongChecksumError` for a single file that is not what it should be, `DiskFullError`,
        and `UsageError` for a setting that names nothing.
        """
        own: dict[ArtifactKind, Artifact] = {}
        rest = []
        for ref in refs:
            if ref.kind is ArtifactKind.K0S and self.settings.k0s_binary is not None:
                own[ref.kind] = self._own_binary(ref, self.settings.k0s_binary)
            else:
                rest.append(ref)
        return own | self.fetch(rest)

    def fetch(
        self, refs: Sequence[ArtifactRef], *, replace_own_builds: bool = False
    ) -> dict[ArtifactKind, Artifact]:
        """Return the wanted files from the cache, which is filled first where it lacks one.

        Like `provide` without K0S_BINARY. With `replace_own_builds` the release takes the place of
        an own build in the cache.
        """
        found: dict[ArtifactKind, Artifact] = {}
        absent: list[tuple[ArtifactRef, list[HarnessError]]] = []
        lacks: list[tuple[ArtifactRef, list[HarnessError]]] = []
        tried: list[list[HarnessError]] = [[] for _ in refs]
        look = partial(self._cached, replace_own_builds=replace_own_builds)
        # Beside one another: whoever computes a checksum lets others work.
        with ThreadPoolExecutor(max_workers=len(refs) or 1) as pool:
            looks = [pool.submit(look, *each) for each in zip(refs, tried, strict=True)]
        for ref, problems, looked in zip(refs, tried, looks, strict=True):
            try:
                artifact = looked.result()
            except (OwnBuildGoneError, DamagedEntryError) as problem:
                lacks.append((ref, [problem]))
                continue
            if artifact is not None:
                found[ref.kind] = artifact
            else:
                absent.append((ref, problems))
        if absent:
            sources = self._sources()
            fetcher = self._fetcher()
            with self.cache.filling(self.say):
                for ref, problems in absent:
                    # What another process fetched while this one waited for the lock is there now.
                    fetched = self._cached(
                        ref, [], replace_own_builds=replace_own_builds
                    ) or fetcher.fetch(ref, sources, problems)
                    if fetched is not None:
                        found[ref.kind] = fetched
                    else:
                        lacks.append((ref, problems))
        if lacks:
            raise _as_one(lacks, len(refs))
        return found

    def look(self, ref: ArtifactRef) -> Artifact | None:
        """Return the file if it is on this host and verified; fetches nothing and raises nothing.

        What `plan` and `doctor` show.
        """
        if ref.kind is ArtifactKind.K0S and self.settings.k0s_binary is not None:
            try:
                return self._own_binary(ref, self.settings.k0s_binary)
            except HarnessError:
                return None
        return self.look_in_cache(ref)

    def look_in_cache(self, ref: ArtifactRef) -> Artifact | None:
        """Return the file if the cache has it and it is verified; raises nothing."""
        try:
            return self._from_cache(ref)
        except HarnessError:
            return None

    def judge(self, ref: ArtifactRef, sha256: str, source: str, *, own_build: bool) -> Origin:
        """Return the origin of a file with that checksum.

        Raises `WrongChecksumError` when it differs from its pin and nobody said it is their own.
        """
        pinned = self.pins.sha256(ref)
        if pinned == sha256:
            return Origin.OFFICIAL
        if own_build:
            return Origin.OWN_BUILD
        if pinned is None:
            return Origin.UNVERIFIED
        raise WrongChecksumError(
            ref.file_name,
            source,
            expected=pinned,
            actual=sha256,
            authority=PINNED,
            remedy="get the official file, or, if this is a build of your own, say so: "
            + ("K0S_BINARY=FILE or " if ref.kind is ArtifactKind.K0S else "")
            + "k0s-harness artifacts import --own-build DIR",
        )

    def _sources(self) -> tuple[Source, ...]:
        upstream = Upstream(self.pins, self._downloader)
        if self.settings.mirror is None:
            return (upstream,)
        return (mirror_source(self.settings.mirror, self.pins, self._downloader), upstream)

    def _fetcher(self) -> Fetcher:
        return Fetcher(
            self.cache,
            self.pins,
            self.judge,
            allow_unpinned=self.settings.allow_unpinned,
            say=self.say,
            on_progress=self._on_progress,
        )

    def _cached(
        self, ref: ArtifactRef, problems: list[HarnessError], *, replace_own_builds: bool
    ) -> Artifact | None:
        """Return what the cache has of `ref`, or None and why not in `problems`.

        Raises `OwnBuildGoneError` for an own build that is damaged or gone, and `DamagedEntryError`
        where the index cannot tell any more whether it was one.
        """
        try:
            artifact = self._from_cache(ref)
        except DamagedEntryError as problem:
            if not replace_own_builds and self._may_be_own(ref):
                raise
            self.say(str(problem))
            return None
        except (SourceUnavailableError, WrongChecksumError) as problem:
            entry = self.cache.entry(ref)
            own = entry is not None and entry.origin is Origin.OWN_BUILD
            if own and not replace_own_builds:
                raise OwnBuildGoneError(ref, problem) from None
            problems.append(problem)
            return None
        if artifact.origin is Origin.OWN_BUILD and replace_own_builds:
            problems.append(
                SourceUnavailableError(f"the cache {self.cache.folder}", "has an own build")
            )
            return None
        return artifact

    def _may_be_own(self, ref: ArtifactRef) -> bool:
        """Whether the cache keeps a file of that name which is not known to be the release."""
        kept = {path.parent.name for path in self.cache.stored() if path.name == ref.stored_name}
        return bool(kept - {self.pins.sha256(ref)})

    def _own_binary(self, ref: ArtifactRef, path: Path) -> Artifact:
        doing = f"Reading K0S_BINARY={path}"
        try:
            if not path.is_file():
                raise UsageError(
                    doing,
                    "it is no file",
                    remedy="name a k0s binary, or unset K0S_BINARY to use the release",
                )
            sha256 = self._hashes.sha256(path)
        except OSError as error:
            raise UsageError(doing, error.strerror or str(error)) from None
        source = f"K0S_BINARY={path}"
        origin = self.judge(ref, sha256, source, own_build=True)
        return Artifact(ref, path, sha256, origin, source)

    def _from_cache(self, ref: ArtifactRef) -> Artifact:
        """Return what the cache has of `ref`, verified.

        Raises `SourceUnavailableError` when it has nothing, `DamagedEntryError` when its index is
        damaged there, `WrongChecksumError` for a file that is damaged (it is removed) or that a
        newer pin contradicts.
        """
        entry = self.cache.entry(ref)
        if entry is None:
            raise SourceUnavailableError(f"the cache {self.cache.folder}", "is not there")
        own_build = entry.origin is Origin.OWN_BUILD
        self.verify(entry)
        origin = self.judge(ref, entry.sha256, "the cache", own_build=own_build)
        return Artifact(ref, entry.path, entry.sha256, origin, entry.source)

    def verify(self, entry: Entry) -> None:
        """Compare a cached file with its checksum.

        Raises `WrongChecksumError` when they differ (the file is removed), and
        `SourceUnavailableError` when the file is gone or is none of the cache's own (it is left
        alone).
        """
        try:
            strange = why_strange(entry.path)
            if strange is not None:
                raise SourceUnavailableError(str(entry.path), f"it is left alone: {strange}")
            actual = self._hashes.sha256(entry.path)
        except OSError as error:
            raise SourceUnavailableError(
                str(entry.path), f"the index has it, the file is gone ({error.strerror})"
            ) from None
        if actual != entry.sha256:
            self.cache.remove_file(entry.path)
            raise WrongChecksumError(
                entry.ref.file_name,
                f"the cache ({entry.path}, now removed)",
                expected=entry.sha256,
                actual=actual,
                authority="when it was stored",
            )


def _as_one(lacks: Sequence[tuple[ArtifactRef, list[HarnessError]]], wanted: int) -> HarnessError:
    """Return one error for all that is lacking."""
    if len(lacks) == 1:
        last = lacks[0][1][-1]
        if not isinstance(last, SourceUnavailableError):
            return last
    return MissingArtifactsError([Lack(ref, _lines(problems)) for ref, problems in lacks], wanted)


def _lines(problems: Sequence[HarnessError]) -> tuple[str, ...]:
    """Return what was tried, one text each; a place that was tried twice stands once."""
    texts = []
    for problem in problems:
        if isinstance(problem, SourceUnavailableError):
            texts.append(f"{problem.place}: {problem.why}")
        else:
            texts.append(problem.text())
    return tuple(dict.fromkeys(texts))
