"""The node image: which one a lab takes, and when it is made again."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

from harness.artifacts.model import Artifact, ArtifactKind, ArtifactRef, Origin
from harness.base.context import Context
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.images.making import Making
from harness.images.seed import Seed
from harness.providers.docker import machines, node_image
from harness.providers.docker.machines import Containers
from harness.providers.substrate import LabRequest
from harness.state import records
from harness.testing import FakeRunner

IMAGE_ID = "sha256:44c95f4628c79130eec649ac137eb122a665526a03ade4805faec80914cc07f9"


def has_every_image():
    """An engine that has every image it is asked for; nothing may be made with it."""
    return FakeRunner({"docker image inspect": f"{IMAGE_ID}\n"})


def seed():
    k0s, bundle = (
        Artifact(ArtifactRef(kind, "v1", "amd64", "f"), Path("f"), "a" * 64, Origin.OFFICIAL, "x")
        for kind in (ArtifactKind.K0S, ArtifactKind.BUNDLE)
    )
    return Seed(k0s, bundle)


def making(runner, tmp_path):
    return Making(Context(runner, SystemClock(), Settings(tmp_path, tmp_path, tmp_path)))


def test_an_image_that_is_there_is_taken(tmp_path):
    engine = has_every_image()
    image = node_image.ensure(making(engine, tmp_path))
    assert [each[-1] for each in engine.commands] == [image.tag]
    assert (image.digest, image.built) == (IMAGE_ID, False)
    assert image.tag == f"k0s-harness/node:{image.recipe}"


def test_a_seeded_image_has_a_tag_of_its_own(tmp_path):
    plain = node_image.ensure(making(has_every_image(), tmp_path))
    seeded = node_image.ensure(making(has_every_image(), tmp_path), seed())
    assert seeded.tag == f"{plain.tag}-{seed().key}"


def test_a_seeded_lab_of_containers_is_made_of_the_seeded_image(tmp_path, monkeypatch):
    monkeypatch.setattr(machines, "host_lock", lambda *_, **__: contextlib.nullcontext())
    record = records.make_record(
        run_id=RunId("k5-4gtqzp"),
        scenario="konnectivity-on",
        provider="docker",
        labs_dir=tmp_path,
        machines=["controller0"],
        private=IPv4Network("172.16.77.0/24"),
        nat=IPv4Network("172.16.78.0/24"),
        created=datetime(2026, 11, 23, tzinfo=UTC),
    )

    settings = Settings(tmp_path, tmp_path, tmp_path)
    context = Context(has_every_image(), SystemClock(), settings)

    def image(wanted):
        part = Containers(record, LabRequest((), tmp_path, seed=wanted), context)
        return part.image(log_dir=tmp_path, say=lambda _text: None)["image"]

    assert image(seed()) == f"{image(None)}-{seed().key}"
