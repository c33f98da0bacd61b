"""Bundles that somebody made up: each is refused with a sentence, and nothing reaches the disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from dataclasses import replace

import pytest

from harness.base.errors import ExitCode, UsageError
from harness.evidence import unpack
from harness.evidence.bundle import read_bundle

READING = {
    "probe": "nodes",
    "where": "api",
    "argv": ["kubectl", "get", "nodes"],
    "at": "2026-11-23T10:38:38.000+00:00",
    "elapsed": 1.0,
    "duration": 0.1,
    "returncode": 0,
    "stdout": "",
    "stderr": "",
    "error": None,
}


def manifest_of(pieces):
    listed = [
        {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in pieces.items()
    ]
    return {
        "format": "k0s-harness-bundle/1",
        "kind": "cluster",
        "name": "x",
        "scenario": None,
        "began": "",
        "ended": "",
        "on": "nothing",
        "harness": "0",
        "versions": {},
        "artifacts": [],
        "pieces": listed,
        "missing": {},
    }


@pytest.fixture
def refused(tmp_path):
    """Write a file, read it as a bundle, and return the sentence with which it is refused."""

    def refuse(data):
        path = tmp_path / "in" / "hostile.tar.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UsageError) as caught:
            read_bundle(path)
        assert sorted(tmp_path.rglob("*")) == before
        assert caught.value.exit_code is ExitCode.USAGE
        assert caught.value.remedy
        return str(caught.value)

    return refuse


def packed(*members, pieces=None, changes=()):
    """Return a bundle of `pieces`, consistent but for `changes`, with further `members`."""
    pieces = pieces if pieces is not None else {}
    document = json.dumps(manifest_of(pieces) | dict(changes)).encode()
    whole = archive([("manifest.json", document), *pieces.items(), *members])
    return gzip.compress(whole, compresslevel=1)


def archive(members, kind=tarfile.USTAR_FORMAT):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=kind) as tar:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def member(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


def test_what_is_refused_below_is_read_when_nothing_is_wrong_with_it(tmp_path):
    path = tmp_path / "fine.tar.gz"
    lines = json.dumps(READING).encode() + b"\n"
    path.write_bytes(packed(pieces={"observations.jsonl": lines, "nodes/a/b.txt": b"text"}))
    assert [each.probe for each in read_bundle(path).readings] == ["nodes"]


@pytest.mark.parametrize(
    "name",
    [
        "../escape.txt",
        "nodes/../../escape.txt",
        "/etc/passwd",
        "./nodes.txt",
        "nodes//a.txt",
        ".hidden",
        "nodes/.ssh/authorized_keys",
        "-rf",
        "nodes\\..\\escape.txt",
        "C:\\x.txt",
        "new\nline",
        "\x1b[2Jx",
        "ñ.txt",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(refused, name):
    assert "has a name that leads elsewhere" in refused(packed((name, b"x")))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
    ],
)
def test_links_devices_pipes_and_folders_are_refused(refused, kind):
    said = refused(packed((member("nodes", kind, "/etc/passwd"), b"")))
    assert "is a link, a device or a folder" in said


def test_a_link_that_takes_the_place_of_a_piece_is_refused(refused):
    pieces = {"meta.json": b"{}"}
    document = json.dumps(manifest_of(pieces)).encode()
    link = member("meta.json", tarfile.SYMTYPE, "/etc/passwd")
    data = archive([("manifest.json", document), (link, b"")])
    assert "is a link" in refused(gzip.compress(data))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (tarfile.PAX_FORMAT, "n" * 201),
        (tarfile.PAX_FORMAT, "ñ.txt"),
        (tarfile.GNU_FORMAT, "n" * 201),
        (tarfile.GNU_FORMAT, "plain.txt"),
    ],
)
def test_headers_that_bundles_never_have_are_refused(refused, kind, name):
    document = json.dumps(manifest_of({})).encode()
    data = archive([("manifest.json", document), (name, b"x")], kind)
    said = refused(gzip.compress(data))
    assert "header that no bundle has" in said or "not of the kind that bundles are" in said


def test_a_sparse_member_is_refused(refused):
    sparse = tarfile.TarInfo("sparse.txt")
    sparse.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 40)}
    document = json.dumps(manifest_of({})).encode()
    data = archive([("manifest.json", document), (sparse, b"x")], tarfile.PAX_FORMAT)
    assert "header that no bundle has" in refused(gzip.compress(data))


def test_two_members_of_one_name_are_refused(refused):
    said = refused(packed(("meta.json", b"{ }"), pieces={"meta.json": b"{}"}))
    assert "two members called meta.json" in said


def test_a_bomb_is_refused_before_it_has_gone_off(refused, monkeypatch):
    largest = 0
    real = zlib.decompressobj

    class Watched:
        def __init__(self, bits):
            self._inner = real(bits)
            self._size = 0

        def decompress(self, data, most):
            nonlocal largest
            chunk = self._inner.decompress(data, most)
            self._size += len(chunk)
            largest = max(largest, self._size)
            return chunk

        def __getattr__(self, name):
            return getattr(self._inner, name)

    bomb = gzip.compress(bytes(64 * 1024 * 1024), compresslevel=6)
    monkeypatch.setattr(unpack.zlib, "decompressobj", Watched)
    assert len(bomb) < 100_000
    assert "bytes into one" in refused(bomb)
    assert largest < 32 * 1024 * 1024


def test_more_than_any_bundle_holds_is_refused(refused, monkeypatch):
    monkeypatch.setattr(unpack, "MOST_UNPACKED", 4 * 1024 * 1024)
    noise = os.urandom(5 * 1024 * 1024)
    assert "more than 4194304 bytes in it" in refused(packed(pieces={"a": noise}))
    monkeypatch.setattr(unpack, "_PACKED", replace(unpack._PACKED, most_bytes=1024 * 1024))
    assert "it has more than 1 MiB" in refused(packed(pieces={"a": noise}))


def test_too_many_members_are_refused(refused, monkeypatch):
    monkeypatch.setattr(unpack, "MOST_MEMBERS", 50)
    said = refused(packed(pieces={f"piece{number}": b"" for number in range(60)}))
    assert "more than 50 members" in said


def test_a_bundle_cut_off_anywhere_is_refused(refused):
    data = packed(pieces={"meta.json": b"{}", "nodes/a/b.txt": os.urandom(3000)})
    for length in (1, 9, 10, 11, len(data) // 2, len(data) - 9, len(data) - 1):
        assert refused(data[:length]), length


def test_an_archive_cut_off_inside_its_packing_is_refused(refused):
    whole = gzip.decompress(packed(pieces={"meta.json": b"{}", "nodes/a/b.txt": b"x" * 3000}))
    for length in (100, 512, 1000, 1536, 2500, 4000):
        assert refused(gzip.compress(whole[:length])), length


def test_flipped_bits_are_refused(refused):
    whole = bytearray(gzip.decompress(packed(pieces={"nodes/a/b.txt": b"x" * 300})))
    at = whole.index(b"x" * 300)
    whole[at] ^= 1
    assert "it was changed" in refused(gzip.compress(bytes(whole)))
    data = bytearray(packed(pieces={"nodes/a/b.txt": b"x" * 300}))
    data[len(data) // 2] ^= 0xFF
    assert refused(bytes(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off"),
        (b"PK\x03\x04 a zip", "not packed with gzip"),
        (b"plain text\n", "not packed with gzip"),
        (b"\x7fELF" + bytes(200), "not packed with gzip"),
        (gzip.compress(b"text and no tar"), "tar archive"),
        (gzip.compress(b""), "tar archive"),
        (gzip.compress(bytes(10240)), "first member is not manifest.json"),
        (packed() + b"more", "something follows"),
        (packed() + packed(), "something follows"),
    ],
    ids=[
        *("nothing", "zip", "text", "program"),
        *("packed text", "packed nothing", "packed zeros", "a tail", "two bundles"),
    ],
)
def test_what_is_no_bundle_is_refused(refused, data, words):
    assert words in refused(data)


def test_headers_that_refer_to_headers_without_end_are_refused(refused):
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type = tarfile.GNUTYPE_LONGNAME
    data = archive([(long_name, b"x\x00")] * 3000)
    assert refused(gzip.compress(data))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "k0s-harness-bundle/2"}, "a newer harness made it"),
        ({"format": "k0s-harness-bundle/999999"}, "a newer harness made it"),
        ({"format": "k0s-harness-report/1"}, "does not say k0s-harness-bundle/1"),
        ({"format": 1}, "does not say"),
        ({"format": None}, "does not say"),
        ({"kind": "surprise"}, "of what it is"),
        ({"name": 5}, "`name`"),
        ({"scenario": []}, "`scenario`"),
        ({"versions": {"k0s": 1}}, "`versions`"),
        ({"artifacts": [{"origin": {}}]}, "`artifacts`"),
        ({"pieces": {}}, "`pieces`"),
        ({"pieces": ["meta.json"]}, "no JSON object"),
        ({"pieces": [{"path": "../x", "size": 0, "sha256": "0" * 64}]}, "no path"),
        ({"pieces": [{"path": "x", "size": -1, "sha256": "0" * 64}]}, "no size"),
        ({"pieces": [{"path": "x", "size": True, "sha256": "0" * 64}]}, "no size"),
        ({"pieces": [{"path": "x", "size": 0, "sha256": "0"}]}, "no sha256"),
        ({"pieces": [{"path": "x", "size": 0, "sha256": "0" * 64}] * 2}, "twice"),
        ({"pieces": [{"path": "x", "size": 0, "sha256": "0" * 64}]}, "and not in it"),
        ({"missing": []}, "`missing`"),
    ],
)
def test_a_manifest_that_is_none_is_refused(refused, changes, words):
    assert words in refused(packed(changes=changes))


def test_the_remedy_for_a_newer_format_is_an_update(tmp_path):
    path = tmp_path / "newer.tar.gz"
    path.write_bytes(packed(changes={"format": "k0s-harness-bundle/2"}))
    with pytest.raises(UsageError) as caught:
        read_bundle(path)
    assert caught.value.remedy == "update k0s-harness"


def test_a_member_that_the_manifest_does_not_know_is_refused(refused):
    assert "does not know extra.txt" in refused(packed(("extra.txt", b"x")))


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"1" * 5000],
)
def test_a_manifest_that_is_no_json_is_refused(refused, manifest):
    assert refused(gzip.compress(archive([("manifest.json", manifest)])))


@pytest.mark.parametrize(
    "change",
    [
        {"elapsed": "1"},
        {"elapsed": -5},
        {"elapsed": 1e300},
        {"returncode": 2**70},
        {"stdout": "\ud800"},
        {"stdout": "x" * (5 * 1024 * 1024)},
        {"argv": ["x"] * 20_000},
        {"duration": None},
        {"duration": True},
        {"argv": "kubectl"},
        {"argv": []},
        {"argv": [1]},
        {"probe": 5},
        {"stdout": None},
        {"returncode": "0"},
        {"returncode": False},
        {"error": 1},
        {"at": {}},
        {"further": 1},
    ],
)
def test_a_reading_that_is_none_is_refused_with_its_line(refused, change):
    lines = [{**READING, **change}, READING]
    text = "\n".join(json.dumps(each) for each in lines).encode() + b"\n"
    assert "line 1 of observations.jsonl" in refused(packed(pieces={"observations.jsonl": text}))


@pytest.mark.parametrize(
    "line",
    [
        '{"elapsed": NaN}',
        "[]",
        "[" * 5000,
        '{"event": 1}',
        "x",
        '{"event": "x", "run_seconds": 1e999}',
        '{"event": "x", "deep": ' + "[" * 20 + "]" * 20 + "}",
        '{"event": "x", "wide": [' + "1," * 2000 + "1]}",
        '{"event": "x", "long": "' + "x" * 300_000 + '"}',
        '{"event": "half of a character \\udc00"}',
    ],
)
def test_an_event_that_is_none_is_refused_with_its_line(refused, line):
    text = f'{line}\n{{"event": "step-started"}}\n'.encode()
    assert "line 1 of timeline.jsonl" in refused(packed(pieces={"timeline.jsonl": text}))


@pytest.mark.parametrize(
    ("piece", "data", "words"),
    [
        ("timeline.jsonl", b'{"event":""}\n' * 26_000, "more than 25000 lines"),
        ("timeline.jsonl", b'{"event":"","x":[1,1,1,1]}\n' * 24_000, "or 200000 values"),
        ("timeline.jsonl", b" " * 5_000_000, "more than 4 MiB"),
    ],
)
def test_more_lines_or_values_than_a_recording_has_are_refused(refused, piece, data, words):
    assert words in refused(packed(pieces={piece: data}))


def test_a_pipe_a_device_and_a_folder_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(UsageError):
            read_bundle(path)
