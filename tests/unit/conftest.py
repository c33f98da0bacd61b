from __future__ import annotations

import copy
import functools
import gc
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings

from harness.evidence.reading import Reading
from harness.scenario import document, load
from tests.unit.fuzz import examples
from tests.unit.paths import DEMO, RECORDINGS, UNIT
from tests.unit.recorded import readings

# Where a property does not say how often it is tried.
settings.register_profile("unit", max_examples=examples(20))
settings.load_profile("unit")


_read = functools.lru_cache(maxsize=256)(document.read)


@pytest.fixture(autouse=True, scope="session")
def scenarios_read_once() -> Iterator[None]:
    """Read the same text as YAML once: half of what a scenario's loading costs."""

    def read(text: str) -> document.Document:
        known = _read(text)
        return replace(known, data=copy.deepcopy(known.data))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "read", read)
        yield


Recording = Callable[[str], tuple[Reading, ...]]


@pytest.fixture
def recording() -> Recording:
    """Readings recorded from a real cluster; tests/recordings/README.md says from which."""

    def load(name: str) -> tuple[Reading, ...]:
        return readings(RECORDINGS / f"{name}.jsonl")

    return load


@functools.cache
def _unpacked() -> Mapping[str, bytes]:
    with tarfile.open(DEMO) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


@pytest.fixture
def demo() -> Callable[[], tuple[dict[str, bytes], dict[str, object]]]:
    """Return the pieces of a real run's bundle, but for the logs, and its manifest."""

    def load() -> tuple[dict[str, bytes], dict[str, object]]:
        found = _unpacked()
        kept = {"plan/scenario.yaml", "nodes/worker0/addresses.txt", "k0sctl.yaml"}
        pieces = {name: found[name] for name in found if "/" not in name or name in kept}
        return pieces, json.loads(pieces.pop("manifest.json"))

    return load


@pytest.fixture
def bundle_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a bundle of any pieces, with a manifest that is true of them."""

    def write(pieces: Mapping[str, bytes], manifest: Mapping[str, object]) -> Path:
        listed = [
            {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in pieces.items()
        ]
        document = json.dumps({**manifest, "pieces": listed}).encode()
        path = tmp_path / "made.tar.gz"
        with (
            gzip.open(path, mode="wb", compresslevel=1) as stream,
            tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            for name, data in {"manifest.json": document, **pieces}.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return path

    return write


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Any warning fails a unit test: a deprecated call, a file or socket that is left open."""
    here = UNIT
    for item in items:
        if item.path.is_relative_to(here):
            # First in the list, so that a test's own filter goes before it.
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


def pytest_collection_finish() -> None:
    """Keep what is there by now out of the garbage collector's sight.

    A session of pytest within a test collects five times before and after itself, and would look
    through every module and every test of this one each time: half a second of processor time.
    """
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Do the same with what tests have made since, before one that may start a session."""
    if {"pytester", "engine"} & set(getattr(item, "fixturenames", ())):
        gc.freeze()
