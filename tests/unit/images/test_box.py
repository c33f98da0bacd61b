"""The box: its version, its lock, its catalogue, and what is kept of it."""

from __future__ import annotations

import json
import os
import platform
import re
from pathlib import Path

import pytest

from harness import cli
from harness.artifacts.hashing import sha256_of
from harness.artifacts.model import Artifact, ArtifactKind, ArtifactRef, Origin
from harness.base.context import Context
from harness.base.errors import HostLacksError, InfrastructureError, UsageError
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.images.box import boxes, build, cache, lockfile, package
from harness.images.box.build import Build, Wanted
from harness.images.box.lockfile import PackageLock
from harness.images.box.package import Box
from harness.images.making import Making
from harness.images.seed import Seed
from harness.testing import FakeRunner
from tests.unit.paths import UNIT

RECORDINGS = UNIT / "recordings" / "box"
LIBVIRT, VIRTUALBOX = "libvirt", "virtualbox"


def seed(sha256="a" * 64):
    k0s, bundle = (
        Artifact(ArtifactRef(kind, "v1", "amd64", "f"), Path("f"), sha256, Origin.OFFICIAL, "here")
        for kind in (ArtifactKind.K0S, ArtifactKind.BUNDLE)
    )
    return Seed(k0s, bundle)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return Settings.from_environment({"HOME": str(tmp_path)})


@pytest.fixture
def ensure(settings, tmp_path):
    def call(provider=LIBVIRT, seed=None, **changes):
        given = Settings(**{**vars(settings), **changes})
        context = Context(FakeRunner(), SystemClock(), given)
        return boxes.ensure(Making(context, tmp_path / "log"), provider, seed)

    return call


def store(settings, provider, version, *, seed=None, content=b"a box"):
    """Put a box into the cache as a build does."""
    folder = cache.folder_of(settings, provider, version)
    folder.mkdir(parents=True)
    path = folder / "k0s-harness-debian12.box"
    path.write_bytes(content)
    made = Box(
        name=package.NAME,
        version=version,
        provider=provider,
        folder=folder,
        path=path,
        sha256=sha256_of(path),
        seed=seed,
    )
    package.record(made)
    return made


def test_the_version_changes_with_lock_provider_and_seed():
    lock = PackageLock(1, {"bash": "5"})
    seeds = (None, seed("a" * 64), seed("b" * 64))
    versions = [
        Wanted(provider, each, each_seed).version
        for provider in (LIBVIRT, VIRTUALBOX)
        for each in (lock, PackageLock(2, {"bash": "5"}), PackageLock(1, {"bash": "6"}))
        for each_seed in seeds
    ]
    assert len(set(versions)) == 18
    assert Wanted(LIBVIRT, lock, seeds[1]).version == versions[1]


def test_vagrant_can_order_the_version():
    # What Vagrant takes for a version (RubyGems' Gem::Version::VERSION_PATTERN).
    pattern = r"[0-9]+(\.[0-9a-zA-Z]+)*(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
    assert re.fullmatch(pattern, Wanted(LIBVIRT, PackageLock(1, {}), seed()).version)


def test_the_committed_catalogue_is_of_the_committed_recipe_and_lock():
    catalogue = json.loads(boxes.CATALOGUE.read_text())
    assert catalogue["name"] == package.NAME
    [listed] = catalogue["versions"]
    assert listed["version"] == Wanted(LIBVIRT, lockfile.read_lock()).version, (
        "the box's recipe has changed: make box-lock"
    )
    [entry] = listed["providers"]
    assert entry["name"] == "libvirt"
    assert entry["checksum_type"] == "sha256"
    assert re.fullmatch(r"[0-9a-f]{64}", entry["checksum"])


def test_the_lock_has_every_package_of_the_recipe():
    lock = lockfile.read_lock()
    assert set(build.RECIPE.packages()) <= set(lock.versions)
    assert lockfile.LOCK.read_text() == lock.text()


def test_apt_is_told_to_take_no_other_version():
    assert PackageLock(1, {"bash": "5.2"}).preferences() == (
        "Package: bash\nPin: version 5.2\nPin-Priority: 1001\n"
    )


def test_a_version_that_the_archive_lost_is_named_with_three_ways_out():
    lock = PackageLock(1, {"bash": "5.1", "sudo": "1.9", "kmod": "30"})
    with pytest.raises(HostLacksError) as lacking:
        lockfile.check_available(lock, {"bash": frozenset({"5.2"}), "kmod": frozenset({"30"})})
    text = lacking.value.text()
    assert "2 of the 3" in text
    assert "bash 5.1 (there is 5.2)" in text
    assert "sudo 1.9 (there is none)" in text
    assert all(way in text for way in ("make box-lock", "BOX_SOURCES=", "BOX_URL="))
    lockfile.check_available(PackageLock(1, {"kmod": "30"}), {"kmod": frozenset({"30", "31"})})


def test_what_is_installed_is_read_from_dpkgs_own_file():
    installed = lockfile.parse_status((RECORDINGS / "dpkg-status.txt").read_text())
    locked = lockfile.read_lock().versions
    assert sorted(installed) == [
        "adduser",
        "bsdutils",
        "libc6",
        "linux-image-cloud-amd64",
        "tiny-initramfs",
    ]
    assert installed["bsdutils"] == "1:2.38.1-5+deb12u3"
    assert set(installed) <= set(locked)


def test_an_installed_package_that_is_not_in_the_lock_is_an_error():
    lock = PackageLock(1, {"bash": "5"})
    lockfile.check_installed(lock, {"bash": "5"}, None)
    with pytest.raises(InfrastructureError, match="not what the lock says"):
        lockfile.check_installed(lock, {"bash": "5", "perl": "5.36"}, None)


def test_a_box_in_the_cache_is_taken_and_nothing_is_started(ensure, settings):
    version = Wanted(LIBVIRT, lockfile.read_lock()).version
    made = store(settings, LIBVIRT, version)
    assert ensure() == made


def test_vagrants_catalogue_has_the_checksum_of_the_file(settings):
    made = store(settings, LIBVIRT, "0.aa.bb", seed={"k0s": {"version": "v1", "sha256": "x"}})
    catalogue = json.loads(made.catalogue.read_text())
    [entry] = catalogue["versions"][0]["providers"]
    assert catalogue["name"] == "k0s-harness/debian12"
    assert catalogue["versions"][0]["version"] == "0.aa.bb"
    assert entry["url"] == made.path.as_uri()
    assert entry["checksum"] == sha256_of(made.path)


def test_a_box_that_a_killed_build_left_is_no_box(settings):
    made = store(settings, LIBVIRT, "0.aa")
    (made.folder / "box.json").unlink()
    assert package.load(made.folder) is None
    assert cache.present_boxes(settings) == ()
    other = store(settings, LIBVIRT, "0.bb")
    cache.forget_old(settings, LIBVIRT, keep=other)
    assert not made.folder.exists()
    assert cache.present_boxes(settings) == (other,)


def test_old_boxes_make_room_for_new_ones(settings):
    elsewhere = store(settings, VIRTUALBOX, "0.aa")
    there = []
    for number in range(5):
        there.append(store(settings, LIBVIRT, f"0.aa.{number}", seed={"k0s": {"version": "v1"}}))
        os.utime(there[-1].folder, (number, number))
    cache.forget_old(settings, LIBVIRT, keep=there[0])
    left = {made.version for made in cache.present_boxes(settings)}
    assert left == {elsewhere.version, "0.aa.0", "0.aa.4", "0.aa.3"}


def test_boxes_are_removed_by_version_and_a_wrong_one_is_said(settings):
    first, second = store(settings, LIBVIRT, "0.aa"), store(settings, LIBVIRT, "0.bb")
    with pytest.raises(UsageError, match=r"no box 0\.cc"):
        cache.remove(settings, ["0.cc"])
    assert cache.remove(settings, ["0.aa"]) == (first,)
    assert cache.present_boxes(settings) == (second,)
    assert cache.remove(settings) == (second,)
    assert not cache.boxes_dir(settings).exists()


def test_the_command_lists_and_removes_them(settings, monkeypatch, capsys):
    monkeypatch.setenv("K0S_HARNESS_CACHE", str(settings.cache_dir))
    assert cli.main(["box", "list"]) == 0
    assert capsys.readouterr() == ("", "no boxes in the cache\nk0s-harness: exit 0: done\n")
    made = store(settings, LIBVIRT, "0.aa", content=bytes(2_000_000))
    assert cli.main(["box", "list"]) == 0
    assert capsys.readouterr().out == (
        f"k0s-harness/debian12 0.aa (libvirt), made here, 2 MB, sha256 {made.sha256}\n"
    )
    assert cli.main(["box", "remove", "0.bb"]) == 2
    assert cli.main(["box", "remove", "0.aa"]) == 0
    assert capsys.readouterr().out == "removed k0s-harness/debian12 0.aa (libvirt)\n"
    assert cache.present_boxes(settings) == ()


def test_a_provider_without_boxes_is_refused_before_anything_is_made(settings, monkeypatch, capsys):
    monkeypatch.setenv("K0S_HARNESS_CACHE", str(settings.cache_dir))
    monkeypatch.setattr("harness.images.box.boxes.Build", None)
    assert cli.main(["box", "build", "--provider", "docker"]) == 2
    assert "made of the node image, not of a box" in capsys.readouterr().err
    assert not cache.boxes_dir(settings).exists()


def test_everything_a_build_lacks_is_said_at_once_with_the_command(ensure, monkeypatch, tmp_path):
    monkeypatch.setattr("harness.images.rootfs.SBIN", (str(tmp_path),))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("harness.images.disk.GRUB", tmp_path)
    with pytest.raises(HostLacksError) as lacking:
        ensure(seed=seed())
    for each in ("mmdebstrap", "e2fsprogs", "grub-pc-bin", "qemu-utils", "containerd"):
        assert each in lacking.value.text()
    assert "sudo apt-get install" in lacking.value.text()


def test_an_ordinary_user_needs_what_makes_them_root_of_a_namespace(monkeypatch, tmp_path):
    monkeypatch.setattr("harness.images.rootfs.SBIN", (str(tmp_path),))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert "uidmap" not in build.missing_packages(seeded=False)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert "uidmap" in build.missing_packages(seeded=False)


def test_another_architecture_is_told_what_it_can_do(ensure, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(HostLacksError, match="this host is aarch64") as lacking:
        ensure()
    assert "BOX_URL=" in lacking.value.text()


def test_a_disk_without_room_is_said_before_anything_is_made(ensure, monkeypatch):
    monkeypatch.setattr(build, "missing_packages", lambda **_: ())
    monkeypatch.setattr(build, "WORK_MIB", 10**9)
    with pytest.raises(HostLacksError, match="are free") as lacking:
        ensure()
    assert "TMPDIR" in lacking.value.text()


def test_a_lock_that_the_archive_outran_ends_before_anything_is_installed(
    settings, monkeypatch, tmp_path
):
    class OnlyApt:
        """The archive as recorded; anything that would install fails the test."""

        def run(self, argv, **given):
            if argv[:1] == ["apt-cache"]:
                argv = ["cat", str(RECORDINGS / "apt-madison.txt")]
            elif argv[:1] == ["apt-get"]:
                argv = ["true"]
            else:
                raise AssertionError(f"{argv} was started")
            return LocalRunner().run(argv, **given)

    lock = PackageLock(1, {"adduser": "3.134", "openssh-server": "1:9.2p1-2+deb12u8"})
    build = Build(Making(Context(OnlyApt(), SystemClock(), settings), tmp_path / "log"))
    with pytest.raises(HostLacksError, match="1 of the 2") as lacking:
        build.root(lock, tmp_path)
    assert "openssh-server 1:9.2p1-2+deb12u8 (there is 1:9.2p1-2+deb12u10" in lacking.value.text()
