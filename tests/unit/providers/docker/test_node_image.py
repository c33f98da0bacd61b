"""The node image: which one a lab takes, and when it is made again."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
from datetime import UTC, datetime, timedelta
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
from harness.providers.docker.engine import Docker
from harness.providers.docker.machines import Containers
from harness.providers.docker.node_image import old_seeds
from harness.providers.substrate import LabRequest
from harness.state import records
from harness.testing import FakeRunner

IMAGE_ID = "sha256:44c95f4628c79130eec649ac137eb122a665526a03ade4805faec80914cc07f9"


def has_every_image():
    """An engine that has every image it is asked for; nothing may be made with it."""
    return FakeRunner({"docker image inspect": f"{IMAGE_ID}\n", "docker image tag": ""})


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


def test_a_seeded_image_that_is_taken_counts_as_used_now(tmp_path):
    engine = has_every_image()
    image = node_image.ensure(making(engine, tmp_path), seed())
    assert engine.commands[-1] == ("docker", "image", "tag", image.tag, image.tag)


NOW = datetime(2026, 11, 28, 20, tzinfo=UTC)


def used(*hours_ago):
    return {
        f"k0s-harness/node:72dfd38c5bb6-{number}": NOW - timedelta(hours=hours)
        for number, hours in enumerate(hours_ago)
    }


def test_the_seeds_that_were_taken_last_stay():
    assert old_seeds(used(9, 2, 30, 5, 3), NOW) == (
        "k0s-harness/node:72dfd38c5bb6-2",
        "k0s-harness/node:72dfd38c5bb6-0",
    )
    assert old_seeds(used(900, 800, 700), NOW) == ()


def test_what_a_lab_may_be_made_of_just_now_stays():
    assert old_seeds(used(0.9, 0.5, 0.2, 0.1), NOW) == ()


def test_the_image_without_a_seed_stays():
    plain = {"k0s-harness/node:72dfd38c5bb6": NOW - timedelta(days=90)}
    assert old_seeds({**used(5, 4, 3), **plain}, NOW) == ()


def test_when_an_image_was_taken_is_what_the_engine_says():
    """As engine 20.10 says it; of an image that went away meanwhile it says nothing."""
    tags = "k0s-harness/node:54330838ab82-ee6a726a8eed\nk0s-harness/node:gone\n"
    asked = "docker image inspect --format={{json .Metadata.LastTagTime}} k0s-harness/node"
    engine = FakeRunner(
        {
            "docker image ls": tags,
            f"{asked}:54330838ab82-ee6a726a8eed": '"2026-11-28T20:03:41.155609123Z"\n',
            f"{asked}:gone": 1,
        }
    )
    assert Docker(engine).tagged("k0s-harness/node") == {
        tags.split(maxsplit=1)[0]: datetime(2026, 11, 28, 20, 3, 41, 155609, tzinfo=UTC)
    }


def test_a_layer_is_taken_as_it_is_and_packed(tmp_path):
    """As `docker save` writes it, and as engines do that keep layers packed."""
    for packed in (False, True):
        layer = io.BytesIO(gzip.compress(b"a root") if packed else b"a root")

        def save(command, layer=layer):
            (target,) = (each[9:] for each in command if each.startswith("--output="))
            with tarfile.open(target, "w") as archive:
                for name, data in (
                    ("b6a7/layer.tar", layer.getvalue()),
                    ("manifest.json", b'[{"Layers": ["b6a7/layer.tar"]}]'),
                ):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
            return ""

        node_image.save_root(Docker(FakeRunner({"docker save": save})), "t", tmp_path / "root.tar")
        assert (tmp_path / "root.tar").read_bytes() == b"a root"


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
