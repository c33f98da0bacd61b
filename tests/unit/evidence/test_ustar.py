"""Archives: read as they are written, and every other kind of header is refused at its block."""

from __future__ import annotations

import io
import tarfile
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.evidence.ustar import NotUstarError, is_name, members
from tests.unit.fuzz import examples

PART = st.text("abcXYZ019_.-", min_size=1, max_size=60)
NAME = st.lists(PART, min_size=1, max_size=4).map("/".join).filter(is_name)
CONTENTS = st.dictionaries(NAME, st.binary(max_size=1200), max_size=4)


def archive(contents):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def read(data):
    return {name: bytes(content) for name, content in members(memoryview(data))}


def with_checksum(header):
    """The header block with the checksum that is true of it."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return header


@given(CONTENTS)
@settings(max_examples=examples(15), deadline=None)
def test_what_the_standard_library_writes_is_read_as_it_is(contents):
    assert read(archive(contents)) == contents


@given(contents=CONTENTS.filter(bool), data=st.data())
@settings(max_examples=examples(40), deadline=None)
def test_any_byte_that_is_changed_is_refused_or_harmless(contents, data):
    whole = bytearray(archive(contents))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(whole))
    except NotUstarError:
        return
    # Nothing but a member's own content may have changed: its sha256 is looked at next.
    assert list(found) == list(contents)
    assert {name: len(each) for name, each in found.items()} == {
        name: len(each) for name, each in contents.items()
    }


@pytest.mark.parametrize("kind", [bytes([each]) for each in range(256) if each not in b"\x000"])
def test_every_kind_of_member_but_a_plain_file_is_refused(kind):
    whole = bytearray(archive({"a.txt": b"x"}))
    whole[156:157] = kind
    whole[:512] = with_checksum(whole[:512])
    with pytest.raises(NotUstarError, match=r"a\.txt' is a (link|header)"):
        read(bytes(whole))


@pytest.mark.parametrize(
    ("place", "field"),
    [
        (124, b"\x80" + bytes(10) + b"\x01"),
        (124, b"-0000000001\0"),
        (124, b"0x000000001\0"),
        (124, bytes(12)),
        (124, b"77777777777\0"),
        (257, b"ustar  \0"),
        (257, bytes(8)),
        (157, b"/etc/passwd"),
        (0, b"a.txt\0b.txt"),
    ],
)
def test_a_field_that_bundles_never_have_is_refused(place, field):
    whole = bytearray(archive({"a.txt": b"x"}))
    whole[place : place + len(field)] = field
    whole[:512] = with_checksum(whole[:512])
    with pytest.raises(NotUstarError):
        read(bytes(whole))


def test_what_hides_behind_the_end_is_refused():
    whole = archive({"a.txt": b"x"})
    for hidden in (whole, b"x", bytes(20 * 512), bytes(511) + b"x"):
        with pytest.raises(NotUstarError, match="does not end with zeros"):
            read(whole + hidden)
    with pytest.raises(NotUstarError, match="something is hidden behind"):
        read(whole[:600] + b"x" + whole[601:])


@pytest.mark.parametrize("repeated", [b"0", b"0 ", b"9" * 50, b"12 a=\n"])
def test_a_header_that_takes_the_standard_librarys_parser_minutes_is_refused_at_once(repeated):
    # CVE-2024-6232: numbers without end in the records of a pax header.
    content = repeated * (700_000 // len(repeated))
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(content)
    data = info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512 + 1024)
    began = time.process_time()
    with pytest.raises(NotUstarError, match="header that no bundle has"):
        read(data)
    assert time.process_time() - began < 0.5
