"""What machines' root file systems are made of, and where the packages come from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.base.completed import Completed
from harness.base.errors import InfrastructureError
from harness.images import rootfs
from harness.images.box import build
from harness.images.rootfs import Distribution, Recipe
from harness.providers.docker import node_image
from tests.unit.paths import UNIT

RECORDINGS = UNIT / "recordings"
INDEX_TARGETS = (RECORDINGS / "lab" / "apt-indextargets.txt").read_text()
MADISON = (RECORDINGS / "box" / "apt-madison.txt").read_text()


def test_the_hosts_own_sources_are_used():
    assert list(rootfs.parse_index_targets(INDEX_TARGETS, "bookworm")) == [
        "deb http://mirror.example/debian/ bookworm main",
        "deb http://mirror.example/debian/ bookworm-updates main",
        "deb http://mirror.example/debian-security/ bookworm-security main",
    ]


def test_sources_of_another_release_or_of_a_third_party_are_left_out():
    third_party = "http://packages.example/|bookworm|main|Example Inc.|/etc/apt/keyrings/e.gpg\n"
    assert list(rootfs.parse_index_targets(INDEX_TARGETS, "trixie")) == []
    assert list(rootfs.parse_index_targets(third_party, "bookworm")) == []


def test_a_source_with_a_key_and_two_components_is_one_line():
    text = (
        "http://mirror.example/u/|noble|main|Ubuntu|/usr/share/keyrings/u.gpg\n"
        "http://mirror.example/u/|noble|universe|Ubuntu|/usr/share/keyrings/u.gpg\n"
    )
    assert list(rootfs.parse_index_targets(text, "noble")) == [
        "deb [signed-by=/usr/share/keyrings/u.gpg] http://mirror.example/u/ noble main universe"
    ]


def test_all_versions_that_the_sources_have_are_read():
    assert rootfs.parse_madison(MADISON) == {
        "adduser": {"3.134"},
        "openssh-server": {
            "1:9.2p1-2+deb12u7",
            "1:9.2p1-2+deb12u9",
            "1:9.2p1-2+deb12u10",
        },
        "linux-image-cloud-amd64": {"6.1.176-1", "6.1.192-2"},
    }


@pytest.fixture(params=["docker", "vm"])
def recipe(request, tmp_path):
    shutil.copytree(rootfs.BOXES, tmp_path / "boxes")
    return Recipe(tmp_path / "boxes" / request.param)


def test_the_hash_changes_with_anything_that_changes_what_is_made(recipe):
    first = recipe.digest("bookworm", "x86_64")
    assert recipe.digest("bookworm", "x86_64") == first
    others = {recipe.digest("trixie", "x86_64"), recipe.digest("bookworm", "aarch64")}
    hook = recipe.folder / "customize.sh"
    hook.chmod(0o644)
    others.add(recipe.digest("bookworm", "x86_64"))
    hook.write_text(hook.read_text() + "# more\n")
    others.add(recipe.digest("bookworm", "x86_64"))
    packages = recipe.common / "packages.txt"
    packages.write_text("systemd\n")
    others.add(recipe.digest("bookworm", "x86_64"))
    assert len(others | {first}) == 6


def test_files_of_another_kind_of_machine_do_not_count(recipe):
    first = recipe.digest()
    other = "vm" if recipe.folder.name == "docker" else "docker"
    (recipe.folder.parent / other / "more").write_text("more\n")
    assert recipe.digest() == first


def test_the_build_names_no_source_but_the_hosts(recipe):
    command = rootfs.mmdebstrap_command(
        Distribution("bookworm", ("deb http://mirror.example/debian bookworm main",)),
        recipe,
        Path("/build/root.tar"),
    )
    assert [word for word in command if "http" in word] == [
        "deb http://mirror.example/debian bookworm main"
    ]
    assert f"--customize-hook={recipe.folder / 'customize.sh'}" in command


@pytest.mark.parametrize(("uid", "begins"), [(0, ["unshare", "--mount"]), (1000, ["mmdebstrap"])])
def test_what_a_build_mounts_goes_with_it(recipe, monkeypatch, uid, begins):
    monkeypatch.setattr(os, "getuid", lambda: uid)
    command = rootfs.mmdebstrap_command(Distribution("bookworm", ()), recipe, Path("/root.tar"))
    assert command[: len(begins)] == begins


def test_all_machines_have_the_common_packages_and_vms_a_kernel():
    node, box = node_image.RECIPE.packages(), build.RECIPE.packages()
    assert "systemd" in node
    assert set(node) < set(box)
    assert "linux-image-cloud-amd64" in set(box) - set(node)


def test_only_vagrants_public_key_is_in_the_recipes():
    with_key = []
    for path in rootfs.BOXES.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert "PRIVATE KEY" not in text
            with_key += [path.name] if "AAAA" in text else []
    assert with_key == ["insecure.pub"]


class Recorder:
    """Keeps what would have been started."""

    def __init__(self):
        self.commands = []

    def run(self, argv, **_):
        self.commands.append(list(argv))
        return Completed(tuple(argv), 0, "", "", 0.0)


def test_what_a_killed_build_left_is_removed_and_nothing_is_started_without(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    runner = Recorder()
    rootfs.remove_build_folder(runner)
    assert runner.commands == []
    rootfs.build_folder().mkdir()
    rootfs.remove_build_folder(runner)
    assert all(str(rootfs.build_folder()) in command for command in runner.commands)
    assert all("--one-file-system" in command for command in runner.commands)


def test_a_build_folder_that_cannot_be_removed_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    rootfs.build_folder().mkdir()
    with (
        pytest.raises(InfrastructureError, match="something may be mounted in it") as failed,
        rootfs.work_folder(Recorder()),
    ):
        pass
    assert str(rootfs.build_folder()) in failed.value.text()
    assert "findmnt" in failed.value.text()


def test_an_ordinary_user_removes_it_as_the_root_of_their_own_namespace(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    rootfs.build_folder().mkdir()
    runner = Recorder()
    rootfs.remove_build_folder(runner)
    assert {command[0] for command in runner.commands} == {"mmdebstrap", "rm"}
