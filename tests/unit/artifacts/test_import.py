"""Taking a folder of release files into the cache."""

import dataclasses
import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from harness.artifacts import commands
from harness.artifacts.importing import import_folder
from harness.artifacts.model import ArtifactKind, Origin, host_arch
from harness.artifacts.pins import load_pins
from harness.artifacts.problems import SourceUnavailableError
from harness.artifacts.store import Store
from harness.base.completed import Completed
from harness.base.errors import ExitCode, HostLacksError, UsageError
from harness.base.settings import Settings

ARCH = host_arch()
# kubectl's name does not tell its architecture; its first bytes do. These are a real program's.
ELF = Path(sys.executable).resolve().read_bytes()[:64]
CONTENT = {kind: ELF + f"the released {kind}\n".encode() * 200 for kind in ArtifactKind}


def sha(content):
    return hashlib.sha256(content).hexdigest()


def make_pins():
    pins = load_pins()
    key = (ArtifactKind.K0S, pins.k0s_version, ARCH)
    return dataclasses.replace(pins, sums={key: sha(CONTENT[ArtifactKind.K0S])})


PINS = make_pins()
REFS = PINS.refs(None, ARCH)


class RecordedRunner:
    """Answers as k0sctl v0.31.0 and kubectl v1.32.3 did."""

    ANSWERS = {  # noqa: RUF012  # never changed
        "version": "version: v0.31.0\ncommit: def1a09\n",
        "--client": "Client Version: v1.32.3\nKustomize Version: v5.5.0\n",
    }

    def run(self, argv, **_):
        assert os.access(argv[0], os.X_OK)
        return Completed(tuple(argv), 0, self.ANSWERS[argv[-1]], "", 0.1)


@pytest.fixture
def store(tmp_path):
    settings = Settings(tmp_path / "state", tmp_path / "cache", tmp_path / "runs")
    return Store(settings, PINS)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "release"
    folder.mkdir()
    for ref in REFS:
        put(folder, ref.file_name, CONTENT[ref.kind])
    return folder


def put(folder, name, content, digest=None):
    (folder / name).write_bytes(content)
    sums = folder / "sha256sums.txt"
    kept = sums.read_text().splitlines(keepends=True) if sums.exists() else []
    lines = [line for line in kept if not line.endswith(f"*{name}\n")]
    sums.write_text("".join(lines) + f"{digest or sha(content)} *{name}\n")


def is_untouched(store):
    return store.cache.entries() == () and not [
        path for path in (store.cache.folder / "partial").glob("*") if path.name != "lock"
    ]


def test_a_flat_folder_with_one_checksum_file_is_all_a_host_needs(store, folder):
    (folder / "README").write_text("left alone")
    (folder / "k0s-v1.32.3+k0s.0-amd64.sig").write_text("left alone")
    artifacts = import_folder(store, folder, runner=RecordedRunner())
    assert {artifact.ref for artifact in artifacts} == set(REFS)
    provided = store.provide(REFS)
    assert {kind: a.path.read_bytes() for kind, a in provided.items()} == CONTENT
    assert provided[ArtifactKind.K0S].origin is Origin.OFFICIAL
    assert provided[ArtifactKind.BUNDLE].origin is Origin.UNVERIFIED
    assert provided[ArtifactKind.BUNDLE].source == f"import of {folder}"


def test_a_k0s_that_differs_from_its_pin_is_refused_unless_it_is_said_to_be_ones_own(store, folder):
    put(folder, REFS[2].file_name, b"mine")
    with pytest.raises(HostLacksError) as caught:
        import_folder(store, folder)
    text = caught.value.text()
    assert sha(b"mine") in text
    assert sha(CONTENT[ArtifactKind.K0S]) in text
    assert "--own-build" in text
    assert caught.value.exit_code is ExitCode.HOST_LACKS
    assert is_untouched(store)
    lines = commands.import_lines(store, folder, own_build=True)
    assert all("an own build, not the official release" in line for line in lines)
    assert store.provide(REFS)[ArtifactKind.K0S].origin is Origin.OWN_BUILD


def test_the_official_file_stays_official_among_own_builds(store, folder):
    artifacts = import_folder(store, folder, own_build=True)
    assert {a.ref.kind: a.origin for a in artifacts}[ArtifactKind.K0S] is Origin.OFFICIAL
    assert {a.ref.kind: a.origin for a in artifacts}[ArtifactKind.K0SCTL] is Origin.OWN_BUILD


def test_all_mistakes_are_named_at_once_and_nothing_is_imported(store, folder):
    put(folder, REFS[0].file_name, CONTENT[ArtifactKind.K0SCTL], digest="0" * 64)
    put(folder, REFS[3].file_name, CONTENT[ArtifactKind.BUNDLE], digest="1" * 64)
    with pytest.raises(HostLacksError) as caught:
        import_folder(store, folder)
    text = caught.value.text()
    assert "2 mistakes; nothing was imported" in text
    assert "0" * 64 in text
    assert "1" * 64 in text
    assert is_untouched(store)


@pytest.mark.parametrize("own_build", [False, True])
def test_a_file_without_checksum_is_refused_with_the_command_that_makes_one(
    store, folder, own_build
):
    (folder / "sha256sums.txt").unlink()
    with pytest.raises(HostLacksError) as caught:
        import_folder(store, folder, own_build=own_build)
    text = caught.value.text()
    assert f"cd {folder} && sha256sum -b kubectl >> sha256sums.txt" in text
    assert text.count("no checksum file beside it") == (4 if own_build else 3)
    assert is_untouched(store)


def test_the_command_that_makes_a_checksum_works(store, folder):
    (folder / "sha256sums.txt").unlink()
    with pytest.raises(HostLacksError) as caught:
        import_folder(store, folder, own_build=True)
    for line in caught.value.text().splitlines():
        if "sha256sum -b" in line:
            subprocess.run(["sh", "-c", line[line.index("cd ") :]], check=True)
    assert len(import_folder(store, folder, own_build=True)) == 4


def test_checksum_files_that_contradict_each_other_are_a_mistake(store, folder):
    (folder / "kubectl.sha256").write_text("0" * 64 + "\n")
    with pytest.raises(HostLacksError, match="1 mistake") as caught:
        import_folder(store, folder)
    assert "another sum for kubectl" in caught.value.text()


@pytest.mark.parametrize(("name", "message"), [("none", "no folder"), ("empty", "no release file")])
def test_a_folder_without_release_files_is_a_usage_error(store, tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        import_folder(store, tmp_path / name)


def test_a_kubectl_for_no_known_processor_is_a_mistake(store, folder):
    put(folder, "kubectl", b"#!/bin/sh\n")
    with pytest.raises(HostLacksError) as caught:
        import_folder(store, folder)
    assert f"{folder}/kubectl: not a Linux program for amd64 or arm64" in caught.value.text()


def test_a_program_of_another_version_than_the_harness_runs_is_refused(store, folder):
    (folder / "k0sctl/v0.30.0").mkdir(parents=True)
    put(folder / "k0sctl/v0.30.0", REFS[0].file_name, CONTENT[ArtifactKind.K0SCTL])
    with pytest.raises(HostLacksError) as caught:
        import_folder(store, folder, runner=RecordedRunner())
    assert f"it says it is v0.31.0, and k0sctl v0.30.0 ({ARCH}) is what goes here" in (
        caught.value.text()
    )
    assert is_untouched(store)


def test_what_an_import_that_was_killed_left_is_removed_by_the_next_one(store, folder):
    left = store.cache.partial("import-k0s-v1.31.0+k0s.0-amd64")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    import_folder(store, folder)
    assert list(left.parent.iterdir()) == []


def test_kubectl_takes_its_version_from_the_k0s_beside_it(store, tmp_path):
    folder = tmp_path / "newer"
    folder.mkdir()
    put(folder, f"k0s-v1.33.13+k0s.1-{ARCH}", CONTENT[ArtifactKind.K0S])
    put(folder, "kubectl", CONTENT[ArtifactKind.KUBECTL])
    assert {str(artifact.ref) for artifact in import_folder(store, folder)} == {
        f"k0s v1.33.13+k0s.1 ({ARCH})",
        f"kubectl v1.33.13 ({ARCH})",
    }


def test_an_exported_own_build_is_an_own_build_on_the_other_host_too(store, folder, tmp_path):
    put(folder, REFS[2].file_name, b"mine")
    import_folder(store, folder, own_build=True)
    stick = tmp_path / "stick"
    commands.export_lines(store, stick)
    other = Settings(tmp_path / "s", tmp_path / "other", tmp_path / "r", mirror=str(stick))
    elsewhere = Store(other, PINS, downloader=NoNetwork())
    with pytest.raises(HostLacksError) as caught:
        elsewhere.provide(REFS)
    assert caught.value.text().count("is an own build (own-builds.txt)") == 4
    with pytest.raises(HostLacksError, match="4 mistakes"):
        import_folder(elsewhere, stick)
    artifacts = import_folder(elsewhere, stick, own_build=True)
    assert {artifact.origin for artifact in artifacts} == {Origin.OWN_BUILD}


class NoNetwork:
    """The release hosts, out of reach."""

    def text(self, url):
        raise SourceUnavailableError(url, "out of reach")

    def file(self, url, _partial, _on_progress, **_):
        raise SourceUnavailableError(url, "out of reach")


LIMITED = """
import resource, sys
from pathlib import Path
from harness.artifacts.commands import import_lines
from harness.artifacts.store import Store
from harness.base.errors import HarnessError
from harness.base.settings import Settings
# The kernel refuses to let any file of this process grow further, as on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
base = Path(sys.argv[1])
store = Store(Settings(base / "state", base / "cache", base / "runs"))
try:
    import_lines(store, base / "release", own_build=True)
except HarnessError as error:
    print(error.text())
    sys.exit(error.exit_code)
"""


@pytest.mark.usefixtures("folder")
def test_a_disk_that_fills_up_in_the_middle_leaves_nothing_behind(store, tmp_path):
    assert len(CONTENT[ArtifactKind.K0S]) > 2000
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert soft == resource.RLIM_INFINITY
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == ExitCode.HOST_LACKS, ended.stderr
    assert "File too large" in ended.stdout
    assert "make room on the disk" in ended.stdout
    assert is_untouched(store)
