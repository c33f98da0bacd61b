"""BOX_URL=: a box or an image that somebody brings is used only with its checksum."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import pytest

from harness.base.completed import Completed
from harness.base.context import Context
from harness.base.errors import UsageError
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.images import rootfs
from harness.images.box import boxes, cache
from harness.images.making import Making
from harness.testing import FakeRunner
from tests.unit.paths import UNIT

LIBVIRT = "libvirt"
# qemu-img takes what it does not know for a raw disk.
RECORDINGS = UNIT / "recordings" / "box"
UNKNOWN = (RECORDINGS / "qemu-img-info-unknown.json").read_text()


class QemuSays:
    """qemu-img's answer about an image; nothing else may be started but cleaning up."""

    def __init__(self, answer):
        self.answer = answer

    def run(self, argv, **given):
        if argv[0] == "rm":
            return LocalRunner().run(argv, **given)
        assert argv[:2] == ["qemu-img", "info"]
        return Completed(tuple(argv), 0, self.answer, "", 0.0)


@pytest.fixture
def ensure(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def call(url, sha256, provider=LIBVIRT, runner=None):
        variables = {"HOME": str(tmp_path), "BOX_URL": str(url)}
        if sha256 is not None:
            variables["BOX_SHA256"] = sha256
        settings = Settings.from_environment(variables)
        context = Context(runner or FakeRunner(), SystemClock(), settings)
        return boxes.ensure(Making(context, tmp_path / "log"), provider, None)

    return call


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(params=["w", "w:gz"])
def brought(request, tmp_path):
    """A Vagrant box: tar or compressed tar."""
    path = tmp_path / "some.box"
    with tarfile.open(path, request.param) as archive:
        for name, content in (
            ("./metadata.json", b'{"provider": "libvirt", "format": "qcow2"}'),
            ("./box.img", b"QFI\xfb"),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("as_url", [str, lambda path: path.as_uri()])
def test_a_box_with_its_checksum_is_used_where_it_lies(ensure, brought, as_url):
    made = ensure(as_url(brought), sha256(brought))
    [entry] = json.loads(made.catalogue.read_text())["versions"][0]["providers"]
    assert made.path == brought
    assert entry["checksum"] == sha256(brought)
    assert entry["url"] == brought.as_uri()
    assert made.seed is None
    assert as_url(brought) in made.describe()


def test_a_box_that_is_known_is_not_read_again(ensure, brought, tmp_path):
    first = ensure(brought, sha256(brought))
    assert ensure(brought, sha256(brought)) == first
    settings = Settings.from_environment({"HOME": str(tmp_path)})
    assert cache.present_boxes(settings) == (first,)


@pytest.mark.parametrize("given", [None, "", "latest", "ab" * 20])
def test_no_box_is_used_without_a_checksum(ensure, brought, given):
    with pytest.raises(UsageError, match="BOX_SHA256 is not set to a checksum"):
        ensure(brought, given)


def test_a_box_with_another_checksum_is_refused_with_both(ensure, brought):
    with pytest.raises(UsageError, match="not the one of BOX_SHA256") as refused:
        ensure(brought, "0" * 64)
    assert "0" * 64 in refused.value.text()
    assert sha256(brought) in refused.value.text()


def test_a_box_for_another_provider_is_refused_by_name(ensure, brought):
    with pytest.raises(UsageError, match="it is a box for libvirt, not for virtualbox"):
        ensure(brought, sha256(brought), "virtualbox")


def test_a_tar_that_is_no_box_is_refused(ensure, tmp_path):
    path = tmp_path / "some.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("readme"), io.BytesIO())
    with pytest.raises(UsageError, match="no Vagrant box"):
        ensure(path, sha256(path))


def test_a_file_that_is_not_there_and_a_strange_url_are_said(ensure, tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        ensure(tmp_path / "none", "0" * 64)
    with pytest.raises(UsageError, match="BOX_URL is no URL"):
        ensure("http://[::1/box", "0" * 64)
    with pytest.raises(UsageError, match="ftp: is nothing"):
        ensure("ftp://mirror.example/box", "0" * 64)


def test_a_file_that_is_no_image_is_refused(ensure, tmp_path):
    path = tmp_path / "image.xz"
    path.write_bytes(b"\xfd7zXZ" + bytes(1000))
    with pytest.raises(UsageError, match="neither a Vagrant box") as refused:
        ensure(path, sha256(path), runner=QemuSays(UNKNOWN))
    assert "unpack it first" in refused.value.text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backing-filename": "/etc/shadow"}, "another file of this host, /etc/shadow"),
        ({"format-specific": {"data": {"data-file": "/etc/shadow"}}}, "another file of this host"),
        ({"format": "vmdk"}, "neither a Vagrant box"),
        ({"format": "vpc"}, "neither a Vagrant box"),
        ({"virtual-size": 2**50}, "neither a Vagrant box"),
    ],
)
def test_an_image_whose_content_is_elsewhere_or_of_another_kind_is_refused(
    ensure, tmp_path, changes, words
):
    path = tmp_path / "image"
    path.write_bytes(b"QFI\xfb" + bytes(1000))
    said = json.loads((RECORDINGS / "qemu-img-info-qcow2.json").read_text()) | changes
    with pytest.raises(UsageError, match=words):
        ensure(path, sha256(path), runner=QemuSays(json.dumps(said)))


@pytest.mark.parametrize("metadata", [b"[]", b'"x"', b"\xff", b"[" * 10_000, b" " * 2**21, b""])
def test_a_box_with_strange_metadata_is_refused(ensure, tmp_path, metadata):
    path = tmp_path / "some.box"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("metadata.json")
        entry.size = len(metadata)
        archive.addfile(entry, io.BytesIO(metadata))
    with pytest.raises(UsageError, match="no Vagrant box"):
        ensure(path, sha256(path))


def test_a_box_that_was_cut_short_is_refused(ensure, tmp_path):
    path = tmp_path / "some.box"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("metadata.json")
        entry.size = 5000
        archive.addfile(entry, io.BytesIO(bytes(5000)))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UsageError, match="a tar that cannot be read"):
        ensure(path, sha256(path))


def test_a_link_among_the_boxes_is_not_removed_and_neither_is_where_it_leads(tmp_path):
    settings = Settings.from_environment({"HOME": str(tmp_path)})
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").write_text("theirs")
    boxes = cache.boxes_dir(settings)
    boxes.mkdir(parents=True)
    (boxes / "libvirt-1").symlink_to(theirs)
    cache.remove(settings)
    assert (theirs / "file").read_text() == "theirs"


def test_a_refused_image_leaves_no_box_behind(ensure, tmp_path):
    path = tmp_path / "image"
    path.write_bytes(bytes(1024))
    for _ in range(2):
        with pytest.raises(UsageError):
            ensure(path, sha256(path), runner=QemuSays(UNKNOWN))
    settings = Settings.from_environment({"HOME": str(tmp_path)})
    assert cache.present_boxes(settings) == ()
    assert not rootfs.build_folder().exists()
