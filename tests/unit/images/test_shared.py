"""What of a seed containers share, and what each of them gets for itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from harness.images import shared
from harness.images.seed import BIN_PATH, STORE_PATH

SHARED = "usr/lib/k0s-harness/seed"
SNAPSHOTS = f"{STORE_PATH[1:]}/io.containerd.snapshotter.v1.overlayfs/snapshots"
BLOB = f"{STORE_PATH[1:]}/io.containerd.content.v1.content/blobs/sha256/90c123"
DATABASE = f"{STORE_PATH[1:]}/io.containerd.metadata.v1.bolt/meta.db"
KUBELET = f"{BIN_PATH[1:]}/kubelet"


@pytest.fixture
def tree(tmp_path):
    """A seed of one program, one blob and two layers."""
    files = (KUBELET, BLOB, DATABASE, f"{SNAPSHOTS}/1/fs/etc/passwd", f"{SNAPSHOTS}/2/fs/app/run")
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize("name", [KUBELET, BLOB, f"{SNAPSHOTS}/1/fs", f"{SNAPSHOTS}/2/fs"])
def test_what_is_only_read_lies_in_the_image_and_a_link_in_its_place(tree, name):
    before = (tree / name).stat()
    assert shared.share(tree) == ()
    assert (tree / name).readlink() == Path("/", SHARED, name)
    # By its time k0s knows a program that it need not unpack.
    after = (tree / SHARED / name).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_containerd_writes_to_stays_a_file_of_the_machine(tree):
    shared.share(tree)
    database = tree / DATABASE
    assert database.is_file()
    assert not database.is_symlink()


def test_nothing_but_links_and_databases_is_copied_for_each_machine(tree):
    shared.share(tree)
    there = [each for each in (tree / "var").rglob("*") if not each.is_symlink()]
    assert [each for each in there if not each.is_dir()] == [tree / DATABASE]


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes what overlayfs hides files with")
@pytest.mark.parametrize("how", ["whiteout", "opaque folder"])
def test_a_layer_that_hides_files_of_another_stays_whole(tree, how):
    place = tree / SNAPSHOTS / "2/fs/etc"
    place.mkdir()
    if how == "whiteout":
        os.mknod(place / "passwd", stat.S_IFCHR | 0o600, 0)
    else:
        os.setxattr(place, "trusted.overlay.opaque", b"y")
    (own,) = shared.share(tree)
    assert own.as_posix() == f"{SNAPSHOTS}/2/fs"
    assert (tree / own / "app/run").is_file()
    assert (tree / SNAPSHOTS / "1/fs").is_symlink()
