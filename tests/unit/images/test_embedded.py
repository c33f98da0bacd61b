"""The programs in a k0s binary: unpacked as k0s takes them, or left to k0s."""

from __future__ import annotations

import gzip
import os
import struct

import pytest

from harness.images import embedded

# Whole seconds, as k0s's own file in a machine.
MADE_AT = 1_700_000_000
# By the names' order, which is not that of their texts in the executable.
PROGRAMS = {
    "containerd": os.urandom(1200 * 1024),
    "containerd-shim-runc-v2": b"shim",
    "kubelet": os.urandom(300 * 1024),
    "runc": b"",
}
SHUFFLED = tuple(reversed(PROGRAMS))


def executable(*, programs=PROGRAMS, names=SHUFFLED, magic=b"\x7fELF\x02\x01"):
    """Return an executable laid out as k0s v1.32.3+k0s.0: texts, the list of sections, gzip files.

    The list has two entries of 64 bytes behind the texts.
    """
    texts = b"\0code" + b"".join(f"bin/{name}.gz".encode() for name in (*names, *names)) + b"\0"
    header = bytearray(64)
    header[: len(magic)] = magic
    struct.pack_into("<Q", header, 40, len(header) + len(texts))
    struct.pack_into("<HH", header, 58, 64, 2)
    packed = b"".join(gzip.compress(content, compresslevel=1) for content in programs.values())
    return bytes(header) + texts + bytes(128) + packed


@pytest.fixture
def unpacked(tmp_path):
    def unpack(content):
        k0s = tmp_path / "k0s"
        k0s.write_bytes(content)
        os.utime(k0s, (MADE_AT, MADE_AT))
        return embedded.unpack(k0s, tmp_path / "lib" / "bin"), tmp_path / "lib" / "bin"

    return unpack


def test_each_program_gets_its_name_and_its_bytes(unpacked):
    names, folder = unpacked(executable())
    assert names == tuple(PROGRAMS)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == PROGRAMS


def test_k0s_finds_them_as_old_as_itself_and_with_its_own_modes(unpacked):
    _, folder = unpacked(executable())
    assert {path.stat().st_mtime_ns for path in folder.iterdir()} == {MADE_AT * 10**9}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o550}
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"#!/bin/sh\necho k0s\n", id="a script"),
        pytest.param(executable(magic=b"\x7fELF\x01\x01"), id="of 32 bits"),
        pytest.param(executable(names=("kubelet", "runc")), id="fewer names than programs"),
        pytest.param(executable(names=(*PROGRAMS, "etcd")), id="more names than programs"),
        pytest.param(executable() + b"signature", id="something else behind them"),
        pytest.param(executable()[:-30], id="cut off"),
        pytest.param(executable(programs={}), id="a name and no program"),
        pytest.param(executable(programs={}, names=()), id="nothing carried"),
    ],
)
def test_a_binary_of_another_kind_is_left_to_unpack_by_itself(unpacked, content):
    names, folder = unpacked(content)
    assert names == ()
    assert not folder.exists()
