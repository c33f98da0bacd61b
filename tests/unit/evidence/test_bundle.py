"""A run's folder as one file: the same bytes each time, whole, without secrets, and read again."""

from __future__ import annotations

import gzip
import io
import json
import os
import secrets
import tarfile

import pytest

from harness.base.errors import ExitCode, InfrastructureError, UsageError
from harness.evidence import bundle as bundles
from harness.evidence.bundle import read_bundle, write_bundle
from harness.evidence.manifest import Kind
from harness.evidence.recorder import Recorder

META = {
    "run_id": "20261123-103611-4acb",
    "scenario": "konnectivity-off",
    "started": "2026-11-23T10:38:38+00:00",
    "substrate": "three containers sharing this host's kernel",
    "versions": {"k0s": "v1.32.3+k0s.0"},
    "artifacts": [
        {
            "kind": "k0s",
            "version": "v1.32.3+k0s.0",
            "file_name": "k0s",
            "sha256": "2339043e",
            "origin": "own-build",
            "source": "import of /somewhere",
        }
    ],
}


@pytest.fixture
def run(tmp_path, recording):
    """The folder of a run, with real readings in it."""
    recorder = Recorder(tmp_path / "run")
    for reading in recording("konnectivity-off/broken"):
        recorder.reading(reading)
    recorder.event({"event": "phase-entered", "name": "broken"})
    recorder.write_json("meta.json", META)
    recorder.write_piece("nodes/controller0/routes.txt", "default via 172.17.0.1 dev eth0\n")
    recorder.write_piece("plan/scenario.yaml", "format: k0s-harness/1\n")
    recorder.missing("nodes/worker0/routes.txt", "no SSH to worker0")
    return tmp_path / "run"


def members(path):
    with tarfile.open(path) as archive:
        return {member.name: member for member in archive}


def test_everything_in_a_folder_comes_back_from_its_bundle(run, recording):
    bundle = read_bundle(write_bundle(run))
    assert bundle.readings == recording("konnectivity-off/broken")
    assert bundle.events == ({"event": "phase-entered", "name": "broken"},)
    assert bundle.pieces["nodes/controller0/routes.txt"] == "default via 172.17.0.1 dev eth0\n"
    assert bundle.scenario == "format: k0s-harness/1\n"
    assert bundle.meta == META
    assert bundle.report == {}
    files = {each.relative_to(run).as_posix() for each in run.rglob("*") if each.is_file()}
    assert set(bundle.pieces) == files - {"bundle.tar.gz"}


def test_a_manifest_says_of_what_when_on_what_and_of_which_builds(run):
    manifest = read_bundle(write_bundle(run)).manifest
    assert manifest.kind is Kind.RUN
    assert (manifest.name, manifest.scenario) == (META["run_id"], "konnectivity-off")
    assert manifest.describe() == (
        "run 20261123-103611-4acb of konnectivity-off, 2026-11-23T10:38:38+00:00, "
        "on three containers sharing this host's kernel"
    )
    assert manifest.artifacts[0]["origin"] == "built from source, not the official release"
    assert manifest.missing == {"nodes/worker0/routes.txt": "no SSH to worker0"}


def test_the_same_folder_gives_the_same_bytes_whenever_it_is_packed(run, tmp_path):
    first = write_bundle(run, tmp_path / "first.tar.gz").read_bytes()
    for file in run.rglob("*"):
        os.utime(file, (1, 1))
        file.chmod(0o755)
    assert write_bundle(run, tmp_path / "second.tar.gz").read_bytes() == first
    assert write_bundle(run).read_bytes() == first
    assert write_bundle(run).read_bytes() == first, "a bundle is no part of the next one"


def test_nothing_of_the_host_is_in_a_members_header(run):
    found = members(write_bundle(run))
    assert next(iter(found)) == "manifest.json"
    assert list(found)[1:] == sorted(list(found)[1:])
    for member in found.values():
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        assert (member.mtime, member.mode) == (0, 0o644)


def test_a_bundle_can_be_looked_at_with_tar_and_gzip_alone(run):
    data = gzip.decompress(write_bundle(run).read_bytes())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))
    assert manifest["format"] == "k0s-harness-bundle/1"
    assert {each["path"] for each in manifest["pieces"]} >= {"observations.jsonl", "meta.json"}


def test_links_hidden_files_and_the_large_report_stay_out(run, tmp_path):
    (tmp_path / "private").write_text("of somebody else")
    (run / "link.txt").symlink_to(tmp_path / "private")
    (run / "folder").symlink_to(tmp_path)
    (run / ".half.partial").write_text("half")
    (run / "report.html").write_text("<html>")
    assert not {"link.txt", "folder/private", ".half.partial", "report.html"} & set(
        members(write_bundle(run))
    )


def test_what_cannot_be_packed_is_listed_with_the_reason(run):
    (run / "a name with blanks.txt").write_text("x")
    os.mkfifo(run / "pipe")
    bundle = read_bundle(write_bundle(run))
    assert bundle.manifest.missing["a name with blanks.txt"] == (
        "its name is none that a bundle can have"
    )
    assert bundle.manifest.missing["pipe"] == "it is not a plain file"


@pytest.mark.parametrize("length", [100, 101, 150, 155, 156, 200])
@pytest.mark.parametrize("at", [1, 20, 50, 99, 100, 101, 154, 155, 156, 199])
def test_a_name_is_packed_as_far_as_a_header_has_room(tmp_path, length, at):
    path = "p" * length if at >= length - 1 else f"{'d' * at}/{'f' * (length - at - 1)}"
    folder = tmp_path / "run"
    Recorder(folder).write_piece(path, "x")
    bundle = read_bundle(write_bundle(folder))
    assert (path in bundle.pieces) is not (path in bundle.manifest.missing)
    assert (path in bundle.pieces) is (
        length <= 100 or (at < length - 1 and at <= 155 and length - at - 1 <= 100)
    )


def test_what_there_is_no_room_for_is_left_out_logs_first(run, monkeypatch):
    monkeypatch.setattr(bundles, "_MOST_CONTENT", 100_000)
    (run / "nodes/controller0/big.log").write_text("x" * 90_000)
    bundle = read_bundle(write_bundle(run))
    assert "it is too long" in bundle.manifest.missing["nodes/controller0/big.log"]
    assert bundle.readings


def test_no_more_is_packed_of_a_recording_than_is_read_again(run, monkeypatch):
    monkeypatch.setitem(bundles._LONGEST, "observations.jsonl", 10)
    bundle = read_bundle(write_bundle(run))
    assert "it is too long" in bundle.manifest.missing["observations.jsonl"]


def test_secrets_in_the_logs_of_programs_are_gone(run):
    secret = "p7" + secrets.token_hex(16)
    (run / "k0sctl.log").write_text(f"level=debug msg=join\nK0S_TOKEN={secret}\n")
    (run / "k0sctl.yaml").write_text(f"environment:\n  HTTPS_PROXY: http://u:{secret}@proxy:1\n")
    bundle = read_bundle(write_bundle(run))
    assert "redacted" in bundle.pieces["k0sctl.log"]
    assert "redacted" in bundle.pieces["k0sctl.yaml"]
    assert secret.encode() not in gzip.decompress((run / "bundle.tar.gz").read_bytes())


def test_a_run_that_was_killed_has_a_bundle_too(tmp_path):
    Recorder(tmp_path / "run")
    (tmp_path / "run/observations.jsonl").write_text('{"probe": "cut o')
    (tmp_path / "run/meta.json").write_text('{"run_id": "cut')
    bundle = read_bundle(write_bundle(tmp_path / "run"))
    assert bundle.readings == ()
    assert bundle.manifest.kind is Kind.CLUSTER
    assert bundle.manifest.name == "run"


def test_a_bundle_that_cannot_be_written_is_said_and_the_earlier_one_stays(run, tmp_path):
    earlier = write_bundle(run).read_bytes()
    with pytest.raises(InfrastructureError, match="Writing the bundle") as caught:
        write_bundle(run, tmp_path / "run" / "meta.json" / "bundle.tar.gz")
    assert caught.value.remedy is not None
    assert (run / "bundle.tar.gz").read_bytes() == earlier


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="it is not there") as caught:
        read_bundle(tmp_path / "none.tar.gz")
    assert caught.value.exit_code is ExitCode.USAGE
