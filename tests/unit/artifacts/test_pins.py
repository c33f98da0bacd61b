"""Versions, upstream file names and checksum files."""

import copy
import re
from importlib.resources import files

import pytest
import yaml

from harness.artifacts.checksums import ChecksumFileError, parse_checksums, render_checksums
from harness.artifacts.model import ArtifactKind, host_arch
from harness.artifacts.pins import load_pins, parse_pins
from harness.base.errors import ExitCode, HostLacksError, UsageError

A = "a" * 64
B = "B" * 64


def test_a_run_of_the_pinned_version_needs_four_files_small_ones_first():
    refs = load_pins().refs(None, "amd64")
    assert [ref.file_name for ref in refs] == [
        "k0sctl-linux-amd64",
        "kubectl",
        "k0s-v1.32.3+k0s.0-amd64",
        "k0s-airgap-bundle-v1.32.3+k0s.0-amd64",
    ]
    assert [str(ref) for ref in refs][1:] == [
        "kubectl v1.32.3 (amd64)",
        "k0s v1.32.3+k0s.0 (amd64)",
        "image bundle v1.32.3+k0s.0 (amd64)",
    ]


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("v1.35.7+k0s.0", "k0s-airgap-bundle-v1.35.7+k0s.0-arm64"),
        ("v1.36.3+k0s.2", "k0s-airgap-bundle-v1.36.3+k0s.2-linux-arm64.tar"),
        ("v1.37.0-alpha.1+k0s.0", "k0s-airgap-bundle-v1.37.0-alpha.1+k0s.0-linux-arm64.tar"),
    ],
)
def test_the_image_bundle_has_another_name_from_1_36_on(version, name):
    assert load_pins().ref(ArtifactKind.BUNDLE, version, "arm64").file_name == name


def test_every_file_in_the_cache_has_a_name_that_tells_its_version():
    assert [ref.stored_name for ref in load_pins().refs(None, "arm64")] == [
        "k0sctl-v0.31.0-arm64",
        "kubectl-v1.32.3-arm64",
        "k0s-v1.32.3+k0s.0-arm64",
        "k0s-airgap-bundle-v1.32.3+k0s.0-arm64",
    ]


def test_a_version_that_is_no_tag_is_a_usage_error():
    with pytest.raises(UsageError, match=r"'1\.32' is not a release's tag"):
        load_pins().refs("1.32", "amd64")


def test_every_committed_sum_is_a_sha256_of_a_file_that_is_known():
    pins = load_pins()
    assert pins.sums
    for (kind, version, arch), digest in pins.sums.items():
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert arch in pins.architectures
        assert pins.sha256(pins.ref(kind, version, arch)) == digest


PINS_FILE = yaml.safe_load(files("harness.artifacts").joinpath("pins.yaml").read_text())


def test_every_file_of_a_run_has_a_sum_with_its_source_or_says_that_nobody_publishes_one():
    rows = {(row["kind"], row["version"], row["arch"]): row for row in PINS_FILE["sha256"]}
    assert len(rows) == len(PINS_FILE["sha256"]), "two rows for one file"
    pins = load_pins()
    for arch in pins.architectures:
        for ref in pins.refs(None, arch):
            row = rows[(ref.kind, ref.version, arch)]
            assert ("sha256" in row) == ("from" in row) == (pins.sha256(ref) is not None)
            assert ("none" in row) != ("sha256" in row)
    assert {(ref.kind, pins.sha256(ref) is None) for ref in pins.refs(None, "amd64")} == {
        (ArtifactKind.K0S, False),
        (ArtifactKind.KUBECTL, False),
        (ArtifactKind.K0SCTL, True),
        (ArtifactKind.BUNDLE, True),
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sha256", "AB" * 32),
        ("sha256", "ab" * 31),
        ("from", "somewhere"),
        ("from", "owner/name main, file"),
    ],
)
def test_a_pin_without_the_place_where_it_was_read_is_refused(key, value):
    data = copy.deepcopy(PINS_FILE)
    next(row for row in data["sha256"] if "sha256" in row)[key] = value
    with pytest.raises(ValueError, match="is no sha256 with the place of its reading"):
        parse_pins(data)


def test_a_processor_without_release_files_is_named():
    assert host_arch("aarch64") == "arm64"
    with pytest.raises(HostLacksError, match="riscv64") as caught:
        host_arch("riscv64")
    assert caught.value.exit_code is ExitCode.HOST_LACKS


def test_the_forms_checksum_files_come_in_are_read():
    text = f"# sums\n{A} *one\n{B}  dir/two with spaces\r\nSHA256 (three) = {A}\n\n"
    assert parse_checksums(text, "sha256sums.txt") == {
        "one": A,
        "two with spaces": B.lower(),
        "three": A,
    }
    assert parse_checksums(A + "\n", "kubectl.sha256") == {"kubectl": A}


def test_what_is_written_is_read_again():
    sums = {"k0s-v1.32.3+k0s.0-amd64": A, "b": B.lower()}
    assert parse_checksums(render_checksums(sums), "sha256sums.txt") == sums


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>Not found</html>", "sums.txt:1: not a sha256 checksum"),
        (f"{A} *one\n{'a' * 40} *two", "sums.txt:2: not a sha256 checksum"),
        (f"{A} *one\n{B} *one", "sums.txt:2: a second, different sum for one"),
        ("\n", "holds no checksum"),
    ],
)
def test_a_checksum_file_that_is_none_is_refused_with_its_line(text, message):
    with pytest.raises(ChecksumFileError, match=message):
        parse_checksums(text, "sums.txt")
