from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.lab import node_image
from harness.lab.node_image import Distribution

INDEX_TARGETS = (Path(__file__).parent / "recordings" / "lab" / "apt-indextargets.txt").read_text()


def test_the_hosts_own_sources_are_used():
    assert list(node_image.parse_index_targets(INDEX_TARGETS, "bookworm")) == [
        "deb http://mirror.example/debian/ bookworm main",
        "deb http://mirror.example/debian/ bookworm-updates main",
        "deb http://mirror.example/debian-security/ bookworm-security main",
    ]


def test_sources_of_another_release_or_of_a_third_party_are_left_out():
    third_party = "http://packages.example/|bookworm|main|Example Inc.|/etc/apt/keyrings/e.gpg\n"
    assert list(node_image.parse_index_targets(INDEX_TARGETS, "trixie")) == []
    assert list(node_image.parse_index_targets(third_party, "bookworm")) == []


def test_a_source_with_a_key_and_two_components_is_one_line():
    text = (
        "http://mirror.example/u/|noble|main|Ubuntu|/usr/share/keyrings/u.gpg\n"
        "http://mirror.example/u/|noble|universe|Ubuntu|/usr/share/keyrings/u.gpg\n"
    )
    assert list(node_image.parse_index_targets(text, "noble")) == [
        "deb [signed-by=/usr/share/keyrings/u.gpg] http://mirror.example/u/ noble main universe"
    ]


@pytest.fixture
def recipe(tmp_path):
    return Path(shutil.copytree(node_image.RECIPE, tmp_path / "recipe"))


def test_the_tag_changes_with_anything_that_changes_the_image(recipe):
    first = node_image.recipe_hash(recipe, "bookworm", "x86_64")
    assert node_image.recipe_hash(recipe, "bookworm", "x86_64") == first
    others = {
        node_image.recipe_hash(recipe, "trixie", "x86_64"),
        node_image.recipe_hash(recipe, "bookworm", "aarch64"),
    }
    init = recipe / "files/usr/local/sbin/machine-init"
    init.chmod(0o644)
    others.add(node_image.recipe_hash(recipe, "bookworm", "x86_64"))
    init.write_text(init.read_text() + "# more\n")
    others.add(node_image.recipe_hash(recipe, "bookworm", "x86_64"))
    (recipe / "packages.txt").write_text("systemd\n")
    others.add(node_image.recipe_hash(recipe, "bookworm", "x86_64"))
    assert len(others | {first}) == 6


def test_the_build_names_no_source_but_the_hosts(recipe):
    command = node_image.mmdebstrap_command(
        Distribution("bookworm", ("deb http://mirror.example/debian bookworm main",)),
        recipe,
        Path("/build/node.tar"),
    )
    assert [word for word in command if "http" in word] == [
        "deb http://mirror.example/debian bookworm main"
    ]
    assert "systemd" in node_image.packages(recipe)
    assert f"--customize-hook={recipe / 'customize.sh'}" in command


def test_no_key_and_no_identity_is_in_the_recipe():
    for path in node_image.RECIPE.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert "PRIVATE KEY" not in text
            assert "ssh-rsa AAAA" not in text
