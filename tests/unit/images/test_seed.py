"""Seeds: what machines are made with, and which machines."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from harness.artifacts.model import Artifact, ArtifactKind, ArtifactRef, Origin
from harness.base.errors import HostLacksError, UsageError
from harness.base.settings import Settings
from harness.images import seed as seeds
from harness.images.making import Making
from harness.images.seed import Seed, seed_for
from harness.providers.registry import provider as provider_of

HOME = {"HOME": "/home/somebody"}


def artifact(kind, sha256):
    ref = ArtifactRef(kind, "v1.32.3+k0s.0", "amd64", f"{kind}-file")
    return Artifact(ref, Path("/cache") / sha256, sha256, Origin.OFFICIAL, "the cache")


@pytest.fixture
def artifacts():
    return {
        ArtifactKind.K0S: artifact(ArtifactKind.K0S, "a" * 64),
        ArtifactKind.BUNDLE: artifact(ArtifactKind.BUNDLE, "b" * 64),
    }


@pytest.fixture(autouse=True)
def _able(monkeypatch):
    monkeypatch.setattr(seeds, "cannot_unpack", lambda: None)


def settings(**variables):
    return Settings.from_environment({**HOME, **variables})


@pytest.mark.parametrize("provider", ["docker", "libvirt", "virtualbox"])
def test_machines_are_seeded_where_the_release_files_are_at_hand(provider, artifacts):
    assert seed_for(settings(), artifacts, boxed=provider_of(provider).boxed) == Seed(
        *artifacts.values()
    )
    del artifacts[ArtifactKind.BUNDLE]
    assert seed_for(settings(), artifacts, boxed=provider_of(provider).boxed) is None


@pytest.mark.parametrize("boxed", [True, False])
def test_seeding_can_be_refused(artifacts, boxed):
    assert seed_for(settings(SEED="0"), artifacts, boxed=boxed) is None


def test_another_word_for_yes_is_an_error_and_not_taken_for_no():
    with pytest.raises(UsageError, match="'yes' is neither 1 nor 0"):
        settings(SEED="yes")


def test_a_box_that_somebody_brings_is_taken_as_it_is(artifacts):
    assert seed_for(settings(BOX_URL="x", SEED="1"), artifacts, boxed=True) is None


def test_who_cannot_unpack_images_gets_machines_without_unless_they_asked(artifacts, monkeypatch):
    monkeypatch.setattr(seeds, "cannot_unpack", lambda: "why")
    assert seed_for(settings(), artifacts, boxed=True) is None
    assert seed_for(settings(SEED="1"), artifacts, boxed=True) is not None


def test_an_ordinary_user_and_a_host_without_containerd_cannot_unpack(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert "root" in (seeds.cannot_unpack() or "")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert "containerd" in (seeds.cannot_unpack() or "")


def test_a_full_disk_cannot_unpack_and_where_it_would_is_said(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, **_: name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert seeds.cannot_unpack() is None
    monkeypatch.setattr(seeds, "WORK_MIB", 10**9)
    assert f"1000000000 MiB in {tmp_path}" in (seeds.cannot_unpack() or "")


def test_what_cannot_be_unpacked_says_both_ways_out(artifacts, monkeypatch, tmp_path):
    monkeypatch.setattr(seeds, "cannot_unpack", lambda: "there is no program containerd")
    with pytest.raises(HostLacksError) as lacking:
        seeds.make_tree(Making(None), Seed(*artifacts.values()), tmp_path)
    assert "apt-get install containerd" in lacking.value.text()
    assert "SEED=0" in lacking.value.text()


def test_the_key_is_of_both_files(artifacts):
    first = Seed(*artifacts.values())
    other_k0s = Seed(artifact(ArtifactKind.K0S, "c" * 64), first.bundle)
    other_bundle = Seed(first.k0s, artifact(ArtifactKind.BUNDLE, "c" * 64))
    assert Seed(*artifacts.values()).key == first.key
    assert len({first.key, other_k0s.key, other_bundle.key}) == 3


def test_the_machine_says_what_it_was_made_with(artifacts):
    assert json.loads(Seed(*artifacts.values()).text()) == {
        "k0s": {"version": "v1.32.3+k0s.0", "sha256": "a" * 64},
        "images": {"sha256": "b" * 64},
    }
