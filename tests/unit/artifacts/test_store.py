"""Providing release files from a named binary, the cache and a mirror folder."""

import dataclasses
import hashlib
import os

import pytest

from harness.artifacts import commands
from harness.artifacts.model import ArtifactKind, Origin, host_arch
from harness.artifacts.pins import load_pins
from harness.artifacts.problems import (
    DiskFullError,
    MissingArtifactsError,
    OwnBuildGoneError,
    SourceUnavailableError,
    WrongChecksumError,
)
from harness.artifacts.store import Store
from harness.base.errors import ExitCode, HostLacksError, UsageError
from harness.base.settings import Settings

ARCH = host_arch()
CONTENT = {kind: f"the released {kind}\n".encode() * 100 for kind in ArtifactKind}


class NoNetwork:
    """The release hosts, out of reach; it remembers who was asked for."""

    def __init__(self):
        self.asked = []

    def text(self, url):
        self.asked.append(url)
        raise SourceUnavailableError(url, "out of reach")

    def file(self, url, _partial, _on_progress, **_):
        self.asked.append(url)
        raise SourceUnavailableError(url, "out of reach")


def sha(content):
    return hashlib.sha256(content).hexdigest()


def pins_for(content):
    """The real pins, with the released k0s of these tests as the one that is committed."""
    pins = load_pins()
    ref = pins.ref(ArtifactKind.K0S, pins.k0s_version, ARCH)
    return dataclasses.replace(pins, sums={(ref.kind, ref.version, ref.arch): sha(content)})


PINS = pins_for(CONTENT[ArtifactKind.K0S])
REFS = PINS.refs(None, ARCH)


def write_mirror(folder, content=None):
    content = content or CONTENT
    for ref in REFS:
        beside = folder / PINS.mirror_folders(ref)[0]
        beside.mkdir(parents=True, exist_ok=True)
        (beside / ref.file_name).write_bytes(content[ref.kind])
        with (beside / PINS.checksum_name(ref)).open("a") as sums:
            sums.write(f"{sha(content[ref.kind])} *{ref.file_name}\n")
    return folder


@pytest.fixture
def make_store(tmp_path):
    def make(mirror=None, k0s_binary=None, cache="cache", pins=PINS):
        settings = Settings(
            tmp_path / "state", tmp_path / cache, tmp_path / "runs", None, mirror, k0s_binary
        )
        said = []
        store = Store(settings, pins, downloader=NoNetwork(), say=said.append)
        store.said = said
        store.asked = store._downloader.asked  # the tests' own downloader
        return store

    return make


def test_a_mirror_folder_fills_the_cache_and_then_nothing_is_asked_again(make_store, tmp_path):
    mirror = write_mirror(tmp_path / "mirror")
    first = make_store(str(mirror))
    artifacts = first.provide(REFS)
    assert {kind: a.path.read_bytes() for kind, a in artifacts.items()} == CONTENT
    assert {kind: a.origin for kind, a in artifacts.items()} == {
        ArtifactKind.K0S: Origin.OFFICIAL,
        ArtifactKind.K0SCTL: Origin.UNVERIFIED,
        ArtifactKind.KUBECTL: Origin.UNVERIFIED,
        ArtifactKind.BUNDLE: Origin.UNVERIFIED,
    }
    assert all(str(mirror) in a.source for a in artifacts.values())
    assert first.asked == []
    offline = make_store()
    assert offline.provide(REFS) == artifacts
    assert offline.asked == []
    assert offline.said == []


def test_a_program_can_be_run_from_the_cache_and_its_path_tells_what_it_is(make_store, tmp_path):
    artifacts = make_store(f"file://{write_mirror(tmp_path / 'a mirror')}".replace(" ", "%20"))
    artifacts = artifacts.provide(REFS)
    assert artifacts[ArtifactKind.K0SCTL].path.name == f"k0sctl-v0.31.0-{ARCH}"
    assert artifacts[ArtifactKind.K0SCTL].path.stat().st_mode & 0o777 == 0o555
    assert artifacts[ArtifactKind.BUNDLE].path.stat().st_mode & 0o777 == 0o444


def test_a_mirror_made_by_hand_may_hold_kubectl_directly_below_its_tag(make_store, tmp_path):
    beside = tmp_path / "mirror/kubectl/v1.32.3"
    beside.mkdir(parents=True)
    (beside / "kubectl").write_bytes(CONTENT[ArtifactKind.KUBECTL])
    (beside / "kubectl.sha256").write_text(sha(CONTENT[ArtifactKind.KUBECTL]) + "\n")
    store = make_store(str(tmp_path / "mirror"))
    assert store.provide([REFS[1]])[ArtifactKind.KUBECTL].origin is Origin.UNVERIFIED


def test_every_missing_file_is_named_at_once_with_where_it_was_looked_for(make_store, tmp_path):
    mirror = write_mirror(tmp_path / "mirror")
    (mirror / "k0s/v1.32.3+k0s.0" / REFS[3].file_name).unlink()
    (mirror / "k0sctl/v0.31.0/checksums.txt").unlink()
    with pytest.raises(MissingArtifactsError) as caught:
        make_store(str(mirror)).provide(REFS)
    text = caught.value.text()
    assert caught.value.exit_code is ExitCode.HOST_LACKS
    assert {lack.ref.kind for lack in caught.value.lacks} == {
        ArtifactKind.BUNDLE,
        ArtifactKind.K0SCTL,
    }
    assert "2 of 4 cannot be had; no machine was made" in text
    assert f"{mirror}/k0sctl/v0.31.0/checksums.txt: is not there" in text
    assert "https://github.com/k0sproject/k0sctl/releases/download/v0.31.0/checksums.txt" in text
    assert "K0S_HARNESS_MIRROR=DIR" in text
    assert "k0s-harness artifacts import DIR" in text
    assert "meanwhile `k0s-harness demo`" in text
    assert "K0S_BINARY" not in text, "k0s itself is not missing"


def test_only_the_files_asked_for_are_needed(make_store, tmp_path):
    store = make_store(str(write_mirror(tmp_path / "mirror")))
    assert set(store.provide([REFS[0]])) == {ArtifactKind.K0SCTL}
    assert len(store.cache.entries()) == 1


def test_a_file_that_differs_from_its_pin_is_refused_with_both_sums(make_store, tmp_path):
    other = CONTENT | {ArtifactKind.K0S: b"something else"}
    store = make_store(str(write_mirror(tmp_path / "mirror", other)))
    with pytest.raises(WrongChecksumError) as caught:
        store.provide(REFS)
    text = caught.value.text()
    assert f"expected {sha(CONTENT[ArtifactKind.K0S])} (committed in the harness's pins)" in text
    assert f"actual   {sha(b'something else')}" in text
    assert "--own-build" in text
    assert caught.value.exit_code is ExitCode.HOST_LACKS
    assert store.asked == [], "a bad mirror is not passed over in silence"
    stored = [path.read_bytes() for path in store.cache.folder.rglob("*") if path.is_file()]
    assert b"something else" not in stored


def test_a_file_that_differs_from_its_checksum_file_is_refused(make_store, tmp_path):
    mirror = write_mirror(tmp_path / "mirror")
    (mirror / "k0sctl/v0.31.0" / REFS[0].file_name).write_bytes(b"damaged")
    with pytest.raises(WrongChecksumError, match="not the expected one") as caught:
        make_store(str(mirror)).provide(REFS[:1])
    assert caught.value.actual == sha(b"damaged")
    assert caught.value.expected == sha(CONTENT[ArtifactKind.K0SCTL])


def test_a_file_the_cache_lost_to_a_change_is_removed_and_fetched_again(make_store, tmp_path):
    store = make_store(str(write_mirror(tmp_path / "mirror")))
    path = store.provide(REFS)[ArtifactKind.BUNDLE].path
    path.chmod(0o644)
    path.write_bytes(CONTENT[ArtifactKind.BUNDLE].replace(b"t", b"T"))
    assert make_store().look(REFS[3]) is None
    assert not path.exists()
    assert store.provide(REFS)[ArtifactKind.BUNDLE].path.read_bytes() == CONTENT["bundle"]


def test_a_change_that_puts_size_and_time_back_is_still_seen(make_store, tmp_path):
    store = make_store(str(write_mirror(tmp_path / "mirror")))
    path = store.provide(REFS)[ArtifactKind.K0S].path
    assert store.look(REFS[2]) is not None
    before = path.stat()
    path.chmod(0o755)
    path.write_bytes(CONTENT[ArtifactKind.K0S].swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.chmod(0o555)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert store.look(REFS[2]) is None


def test_every_process_hashes_each_file_once(make_store, tmp_path, monkeypatch):
    make_store(str(write_mirror(tmp_path / "mirror"))).provide(REFS)
    hashed = []
    monkeypatch.setattr(
        "harness.artifacts.hashing.sha256_of",
        lambda path: hashed.append(path.name) or sha(path.read_bytes()),
    )
    store = make_store()
    store.provide(REFS)
    store.provide(REFS)
    # Side by side, so in any order.
    assert sorted(hashed) == sorted(ref.stored_name for ref in REFS)


def test_a_named_k0s_binary_comes_first_and_is_an_own_build(make_store, tmp_path):
    binary = tmp_path / "k0s"
    binary.write_bytes(b"built here")
    store = make_store(str(write_mirror(tmp_path / "mirror")), k0s_binary=binary)
    k0s = store.provide(REFS)[ArtifactKind.K0S]
    assert (k0s.path, k0s.origin, k0s.sha256) == (binary, Origin.OWN_BUILD, sha(b"built here"))
    assert k0s.source == f"K0S_BINARY={binary}"
    assert "own build, not the official release" in k0s.describe()
    binary.write_bytes(CONTENT[ArtifactKind.K0S])
    assert store.provide(REFS)[ArtifactKind.K0S].origin is Origin.OFFICIAL


def test_a_named_k0s_binary_that_is_not_there_is_never_replaced(make_store, tmp_path):
    store = make_store(str(write_mirror(tmp_path / "mirror")), k0s_binary=tmp_path / "no")
    with pytest.raises(UsageError, match="K0S_BINARY="):
        store.provide(REFS)


def test_a_mirror_that_is_no_longer_mounted_is_not_missed_when_all_is_cached(make_store, tmp_path):
    make_store(str(write_mirror(tmp_path / "mirror"))).provide(REFS)
    assert set(make_store("/no/such/folder").provide(REFS)) == set(ArtifactKind)


@pytest.mark.parametrize(
    "setting",
    ["ftp://host/x", "https:///x", "/no/such/folder", "http://[::1/x", "https://host:99999/x"],
)
def test_a_mirror_that_names_nothing_is_a_usage_error(make_store, setting):
    with pytest.raises(UsageError, match="K0S_HARNESS_MIRROR"):
        make_store(setting).provide(REFS)


def test_a_cache_that_cannot_be_made_is_said_with_the_setting(make_store, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(HostLacksError) as caught:
        make_store(str(write_mirror(tmp_path / "mirror"))).provide(REFS)
    assert "K0S_HARNESS_CACHE" in caught.value.text()


def test_a_file_larger_than_the_disk_is_refused_before_it_is_copied(make_store, tmp_path):
    mirror = write_mirror(tmp_path / "mirror")
    file = mirror / "k0sctl/v0.31.0" / REFS[0].file_name
    try:
        os.truncate(file, 2**43)
    except OSError:
        pytest.skip("this file system has no sparse files of 8 TiB")
    store = make_store(str(mirror))
    with pytest.raises(DiskFullError, match="less is free") as caught:
        store.provide(REFS)
    file.unlink()
    assert "K0S_HARNESS_CACHE" in caught.value.text()
    assert list((store.cache.folder / "partial").iterdir()) == []


def test_an_exported_folder_is_a_mirror_for_a_host_that_reaches_nothing(make_store, tmp_path):
    commands_said = []
    online = make_store(str(write_mirror(tmp_path / "mirror")))
    online.provide(REFS)
    commands_said += commands.export_lines(online, tmp_path / "stick")
    commands_said += commands.export_lines(online, tmp_path / "stick")
    offline = make_store(str(tmp_path / "stick"), cache="other")
    artifacts = offline.provide(REFS)
    assert {kind: a.path.read_bytes() for kind, a in artifacts.items()} == CONTENT
    assert offline.asked == []
    assert len(commands_said) == 8
    assert sorted(
        str(path.relative_to(tmp_path / "stick"))
        for path in (tmp_path / "stick").rglob("*")
        if path.is_file()
    ) == [
        f"k0s/v1.32.3+k0s.0/{REFS[3].file_name}",
        f"k0s/v1.32.3+k0s.0/{REFS[2].file_name}",
        "k0s/v1.32.3+k0s.0/sha256sums.txt",
        "k0sctl/v0.31.0/checksums.txt",
        f"k0sctl/v0.31.0/{REFS[0].file_name}",
        f"kubectl/v1.32.3/bin/linux/{ARCH}/kubectl",
        f"kubectl/v1.32.3/bin/linux/{ARCH}/kubectl.sha256",
    ]


def test_exporting_what_is_not_cached_names_it(make_store, tmp_path):
    with pytest.raises(HostLacksError) as caught:
        commands.export_lines(make_store(), tmp_path / "stick")
    assert REFS[3].file_name in caught.value.text()
    assert "artifacts fetch" in caught.value.text()
    assert not (tmp_path / "stick").exists()


def test_list_says_what_is_here_what_it_is_and_what_is_missing(make_store, tmp_path):
    store = make_store(str(write_mirror(tmp_path / "mirror")))
    store.provide(REFS[1:])
    lines = commands.list_lines(store)
    assert lines[0] == f"cache: {tmp_path / 'cache'}"
    assert lines[1] == f"{REFS[0]}: not here; file {REFS[0].file_name}"
    assert "of unverified origin" in lines[2]
    assert "the official release" in lines[3]
    other = commands.list_lines(store, "v1.33.13+k0s.1")
    assert any("not needed by k0s v1.33.13+k0s.1" in line for line in other)


def test_verify_hashes_everything_and_names_each_file_that_is_damaged(make_store, tmp_path):
    store = make_store(str(write_mirror(tmp_path / "mirror")))
    artifacts = store.provide(REFS)
    assert len(commands.verify_lines(store)) == 4
    for kind in (ArtifactKind.K0S, ArtifactKind.K0SCTL):
        artifacts[kind].path.chmod(0o644)
        artifacts[kind].path.write_bytes(b"bad")
    artifacts[ArtifactKind.KUBECTL].path.unlink()
    with pytest.raises(HostLacksError) as caught:
        commands.verify_lines(store)
    text = caught.value.text()
    assert "3 of 4 files cannot be used" in text
    assert text.count(f"actual   {sha(b'bad')}") == 2
    assert "the file is gone" in text


def test_a_newer_pin_refuses_what_was_cached_before_it(make_store, tmp_path):
    make_store(str(write_mirror(tmp_path / "mirror"))).provide(REFS)
    newer = dataclasses.replace(
        PINS, sums={(ArtifactKind.K0SCTL, "v0.31.0", ARCH): sha(b"what was really released")}
    )
    with pytest.raises(MissingArtifactsError) as caught:
        make_store(pins=newer).provide(REFS)
    assert [lack.ref.kind for lack in caught.value.lacks] == [ArtifactKind.K0SCTL]
    assert sha(CONTENT[ArtifactKind.K0SCTL]) in caught.value.text()


def test_a_damaged_own_build_is_never_replaced_by_the_release(make_store, tmp_path):
    store = make_store(str(write_mirror(tmp_path / "mirror")))
    staged = store.cache.partial("own")
    with store.cache.filling(store.say):
        staged.write_bytes(b"my own")
        path = store.cache.store(REFS[2], staged, sha(b"my own"))
        store.cache.record(REFS[2], sha(b"my own"), Origin.OWN_BUILD, "import of /x")
    assert store.provide(REFS)[ArtifactKind.K0S].origin is Origin.OWN_BUILD
    path.unlink()
    with pytest.raises(OwnBuildGoneError) as caught:
        store.provide(REFS)
    assert "--replace-own-builds" in caught.value.text()
    commands.fetch_lines(store, replace_own_builds=True)
    assert store.provide(REFS)[ArtifactKind.K0S].origin is Origin.OFFICIAL
