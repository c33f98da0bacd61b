"""What `k0s-harness artifacts` does, as functions that return lines of text or raise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.artifacts.checksums import ChecksumFileError, parse_checksums, render_checksums
from harness.artifacts.hashing import sha256_of
from harness.artifacts.importing import import_folder
from harness.artifacts.index import Entry, write_atomically
from harness.artifacts.model import ORIGIN_WORDS, Artifact, ArtifactRef, Origin, host_arch
from harness.artifacts.problems import DiskFullError, SourceUnavailableError, WrongChecksumError
from harness.artifacts.sources import CHECKSUM_FILE, OWN_BUILDS_FILE, copy_file
from harness.artifacts.store import Store
from harness.base.errors import REMEDY, HarnessError, HostLacksError
from harness.base.process import Runner
from harness.base.untrusted import RefusedError, read_text


def wanted(store: Store, k0s_version: str | None = None) -> tuple[ArtifactRef, ...]:
    """Return the files a run of `k0s_version` (None: the pinned one) needs on this host."""
    return store.pins.refs(k0s_version, host_arch())


def list_lines(store: Store, k0s_version: str | None = None) -> list[str]:
    """Return one line a file: those a run needs, here or not, then whatever else is cached.

    Nothing is hashed and nothing is fetched.
    """
    refs = wanted(store, k0s_version)
    entries = {entry.ref: entry for entry in store.cache.entries()}
    lines = [f"cache: {store.cache.folder}"]
    missing = False
    for ref in refs:
        entry = entries.get(ref)
        if ref.kind == "k0s" and store.settings.k0s_binary is not None:
            lines.append(f"{ref}: K0S_BINARY={store.settings.k0s_binary}")
        elif entry is None or not entry.path.is_file():
            missing = True
            lines.append(f"{ref}: not here; file {ref.file_name}")
        else:
            lines.append(_line(store, entry))
    if missing:
        lines.append(f"{REMEDY}k0s-harness artifacts fetch")
    others = [entry for entry in entries.values() if entry.ref not in refs]
    lines += [f"{_line(store, entry)}; not needed by k0s {refs[-1].version}" for entry in others]
    return [*lines, *(problem.text() for problem in store.cache.damaged())]


def fetch_lines(
    store: Store, k0s_version: str | None = None, *, replace_own_builds: bool = False
) -> list[str]:
    """Fill the cache with what a run needs and return a line a file.

    Raises what `Store.fetch` raises.
    """
    artifacts = store.fetch(wanted(store, k0s_version), replace_own_builds=replace_own_builds)
    return [artifact.describe() for artifact in artifacts.values()]


def import_lines(
    store: Store, folder: Path, *, own_build: bool = False, runner: Runner | None = None
) -> list[str]:
    """Take a folder of release files into the cache and return a line a file.

    Raises what `import_folder` raises.
    """
    artifacts = import_folder(store, folder, own_build=own_build, runner=runner)
    lines = [artifact.describe() for artifact in artifacts]
    used = set(wanted(store))
    lines += [
        f"{artifact.ref} is not what the harness uses by default"
        for artifact in artifacts
        if artifact.ref not in used
    ]
    return lines


def verify_lines(store: Store) -> list[str]:
    """Hash every file in the cache and return a line a file.

    Raises `HostLacksError` with all files that are damaged or gone, and entries of the index that
    are; damaged files are removed, and nothing else is, whatever the index says.
    """
    good, bad = [], [problem.text() for problem in store.cache.damaged()]
    for entry in store.cache.entries():
        try:
            store.verify(entry)
            origin = store.judge(
                entry.ref, entry.sha256, "the cache", own_build=_is_own_build(entry)
            )
        except (SourceUnavailableError, WrongChecksumError) as problem:
            bad.append(f"{entry.ref}: {problem.text()}")
        else:
            good.append(f"{entry.ref}: intact, {ORIGIN_WORDS[origin]}, sha256 {entry.sha256}")
    _verify_unnamed(store, good, bad)
    if bad:
        raise HostLacksError(
            f"Verifying the cache {store.cache.folder}",
            f"{len(bad)} of {len(bad) + len(good)} files cannot be used",
            details="\n".join(bad + good),
            remedy="k0s-harness artifacts fetch, or import them again",
        )
    return good or [f"the cache {store.cache.folder} is empty"]


def _verify_unnamed(store: Store, good: list[str], bad: list[str]) -> None:
    """Hash what stands in the cache without an entry in the index."""
    named = {entry.path for entry in store.cache.entries()}
    for path in store.cache.stored():
        if path in named:
            continue
        try:
            whole = sha256_of(path) == path.parent.name
        except OSError as error:
            bad.append(f"{path}: cannot be read: {error.strerror}")
            continue
        if whole:
            good.append(f"{path}: intact, and the index does not name it")
        else:
            store.cache.remove_file(path)
            bad.append(f"{path}: damaged, and the index does not name it; removed")


def export_lines(store: Store, folder: Path, k0s_version: str | None = None) -> list[str]:
    """Write what a run needs to `folder`, to be used elsewhere as K0S_HARNESS_MIRROR.

    Only what is in the cache is written; nothing is fetched. Own builds are marked in
    own-builds.txt: a mirror does not give them out, `import --own-build` takes them. Returns a line
    a file. Raises `HostLacksError` when a file is not in the cache or `folder` cannot be written.
    """
    doing = f"Exporting to {folder}"
    artifacts = tuple(_in_cache(store, wanted(store, k0s_version), doing))
    lines = []
    try:
        for artifact in artifacts:
            beside = folder / store.pins.mirror_folders(artifact.ref)[0]
            beside.mkdir(parents=True, exist_ok=True)
            _require_within(folder, beside)
            partial = beside / f".{artifact.ref.file_name}.partial"
            copy_file(artifact.path, partial, most_bytes=store.pins.most_bytes(artifact.ref))
            partial.chmod(0o755 if artifact.ref.kind.is_program else 0o644)
            partial.replace(beside / artifact.ref.file_name)
            own = artifact.origin is Origin.OWN_BUILD
            _list_in(beside / store.pins.checksum_name(artifact.ref), artifact, listed=True)
            _list_in(beside / OWN_BUILDS_FILE, artifact, listed=own)
            lines.append(
                f"{beside / artifact.ref.file_name}: {ORIGIN_WORDS[artifact.origin]}"
                + (" (elsewhere: k0s-harness artifacts import --own-build)" if own else "")
            )
    except DiskFullError as error:
        raise HostLacksError(
            doing, error.happened, remedy="make room there, or name another folder"
        ) from None
    except OSError as error:
        raise HostLacksError(
            doing, error.strerror or str(error), remedy="name a folder you may write to"
        ) from None
    return lines


def _require_within(folder: Path, beside: Path) -> None:
    """Refuse a folder that a link leads away from; a strange stick may hold one."""
    if not beside.resolve().is_relative_to(folder.resolve()):
        raise HostLacksError(
            f"Exporting to {folder}",
            f"{beside} is a link to another place",
            remedy="remove it, or name another folder",
        )


def _in_cache(store: Store, refs: Sequence[ArtifactRef], doing: str) -> Iterator[Artifact]:
    missing = []
    for ref in refs:
        artifact = store.look_in_cache(ref)
        if artifact is None:
            missing.append(f"{ref}, file {ref.file_name}")
        else:
            yield artifact
    if missing:
        raise HostLacksError(
            doing,
            f"{len(missing)} files are not in the cache",
            details="\n".join(missing),
            remedy="run k0s-harness artifacts fetch first",
        )


def _list_in(path: Path, artifact: Artifact, *, listed: bool) -> None:
    """Let the checksum file `path` list the artifact, or no longer, and keep what else it lists."""
    try:
        sums = dict(parse_checksums(read_text(path, CHECKSUM_FILE), path.name))
    except (FileNotFoundError, ChecksumFileError, RefusedError):
        sums = {}
    if listed:
        sums[artifact.ref.file_name] = artifact.sha256
    else:
        sums.pop(artifact.ref.file_name, None)
    if not sums:
        path.unlink(missing_ok=True)
    elif path.suffix == ".sha256":
        # As upstream publishes it: the bare hash.
        write_atomically(path, artifact.sha256 + "\n")
    else:
        write_atomically(path, render_checksums(sums))


def _is_own_build(entry: Entry) -> bool:
    return entry.origin is Origin.OWN_BUILD


def _line(store: Store, entry: Entry) -> str:
    try:
        origin = store.judge(entry.ref, entry.sha256, "the cache", own_build=_is_own_build(entry))
    except HarnessError:
        words = "differs from its pin and is not used"
    else:
        words = ORIGIN_WORDS[origin]
    return f"{entry.ref}: here since {entry.at}, {words}, sha256 {entry.sha256}"
