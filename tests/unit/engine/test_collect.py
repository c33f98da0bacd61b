"""`k0s-harness collect`: a bundle of a cluster as it stands, whatever of it answers."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path

import pytest

from harness.base.completed import Completed
from harness.base.context import Context
from harness.base.errors import ExitCode, InfrastructureError, UsageError
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.cli.collect import collect_evidence
from harness.cli.target import Target
from harness.engine.access import ClusterAccess, access, existing_cluster
from harness.engine.collect import collect
from harness.engine.evidence_commands import OF_API, of_machine
from harness.evidence.bundle import read_bundle
from harness.evidence.manifest import Kind
from tests.unit.paths import PROJECT

DOCS = PROJECT / "docs/bundles.md"


class Played:
    """A machine and an API that answer with what a real cluster's did, and know nothing else."""

    def __init__(self, name, readings):
        self.name = name
        self._readings = {(each.where, each.argv): each for each in readings}

    def run(self, argv, **_):
        asked = ("kubectl", *argv) if self.name == "api" else tuple(argv)
        found = self._readings.get((self.name, asked))
        if found is None:
            return Completed(asked, 1, "", "not in this recording\n", 0.0)
        return Completed(asked, found.returncode or 0, found.stdout, found.stderr, 0.0)

    def dial(self, host, port, **_):
        raise InfrastructureError(f"Dialling {host}:{port}", "not in this recording")


@pytest.fixture
def settings(tmp_path):
    return Settings.from_environment({"HOME": str(tmp_path)}, {})


@pytest.fixture
def cluster(recording, monkeypatch):
    """Stand a recorded cluster where a real one would be."""
    readings = recording("konnectivity-off/broken")
    names = ("controller0", "worker0")
    found = ClusterAccess(
        name="k5-abcdef",
        on="three containers sharing this host's kernel",
        api=Played("api", readings),
        controller="controller0",
        remotes={name: Played(name, readings) for name in names},
        roles={"controller0": "controller", "worker0": "worker", "worker1": "worker"},
        in_lab=True,
        unreachable={"worker1": "Reaching worker1 over SSH: no route"},
    )
    monkeypatch.setattr(Target, "reach", lambda *_args, **_kwargs: contextlib.nullcontext(found))
    return found


def test_a_bundle_of_a_cluster_has_the_ladders_readings_and_says_of_what_it_is(
    cluster, settings, tmp_path, capsys
):
    target = tmp_path / "out" / "mine.tar.gz"
    assert collect_evidence(settings, Target(), output=target) is ExitCode.OK
    told = capsys.readouterr()
    assert told.out == f"{target}\n"
    assert "pieces could not be had" in told.err
    assert "cause: " in told.err
    bundle = read_bundle(target)
    assert bundle.manifest.kind is Kind.CLUSTER
    assert bundle.manifest.name == "k5-abcdef"
    assert bundle.manifest.on == cluster.on
    assert bundle.scenario is None
    probes = {each.probe for each in bundle.readings}
    assert {"apiservice", "nodes", "apiserver_flags"} <= probes
    assert bundle.meta["roles"]["worker1"] == "worker"


def test_what_could_not_be_had_is_in_the_manifest_with_the_reason(
    cluster, settings, tmp_path, capsys
):
    target = tmp_path / "mine.tar.gz"
    collect_evidence(settings, Target(), output=target)
    capsys.readouterr()
    bundle = read_bundle(target)
    missing = bundle.manifest.missing
    assert missing["nodes/worker1"] == "Reaching worker1 over SSH: no route"
    assert missing["nodes/worker0/routes.txt"] == ("Collecting on worker0: not in this recording")
    wanted = {f"nodes/worker0/{name}" for name in of_machine("worker")}
    wanted |= {f"nodes/controller0/{name}" for name in of_machine("controller")}
    wanted |= {f"kube/{name}" for name in OF_API}
    assert wanted <= missing.keys() | bundle.pieces.keys()


class Meeting:
    """A machine or an API whose first command ends when the others' have begun, too."""

    def __init__(self, name, together, met):
        self.name = name
        self._together = together
        self._met = met

    def run(self, argv, **_):
        if len(self._met) < self._together.parties:
            self._met.append(self.name)
            self._together.wait(timeout=5)
        return Completed(tuple(argv), 0, "", "", 0.0)


class Kept:
    def write_piece(self, path, text):
        pass


def test_machines_and_the_api_are_asked_side_by_side_and_not_one_after_the_other():
    met, together = [], threading.Barrier(4)
    roles = {"controller0": "controller", "worker0": "worker", "worker1": "worker"}
    remotes = {name: Meeting(name, together, met) for name in roles}
    collect(remotes, roles, Meeting("api", together, met), Kept())
    assert sorted(met) == ["api", *roles]


def test_a_bundle_is_written_where_one_stands_unless_told_otherwise(
    cluster, settings, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    collect_evidence(settings, Target(), output=None)
    written = Path(capsys.readouterr().out.strip())
    assert re.fullmatch(r"k0s-harness-k5-abcdef-\d{8}-\d{6}\.tar\.gz", written.name)
    assert (tmp_path / written).is_file()


def test_a_lab_and_a_cluster_at_once_are_refused(settings):
    host = Context(Refusing(), SystemClock(), settings)
    with (
        pytest.raises(UsageError, match="not both"),
        access(host, "k5-abcdef", Path("k0sctl.yaml"), doing="Collecting", say=print),
    ):
        pass


class Refusing:
    """A host whose ssh reaches nothing."""

    def __init__(self):
        self.asked = []

    def run(self, argv, **_):
        self.asked.append(tuple(argv))
        return Completed(tuple(argv), 255, "", "ssh: connect to host: Connection refused\n", 0.0)


def test_a_cluster_that_cannot_be_reached_is_one_sentence_for_its_controller(tmp_path):
    file = tmp_path / "k0sctl.yaml"
    file.write_text(
        "apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\nspec:\n  hosts:\n"
        "  - {role: controller, ssh: {address: 192.0.2.1, user: root}}\n"
        "  - {role: worker, ssh: {address: 192.0.2.2, user: root}}\n"
    )
    with (
        pytest.raises(InfrastructureError, match=r"192\.0\.2\.1") as caught,
        existing_cluster(Refusing(), file, say=[].append),
    ):
        pass
    assert caught.value.exit_code is ExitCode.INFRASTRUCTURE


def test_every_piece_is_in_the_documentation():
    text = DOCS.read_text()
    named = {*of_machine("controller"), *of_machine("worker"), *OF_API}
    assert sorted(name for name in named if f"`{name}`" not in text) == []
