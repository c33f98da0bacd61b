"""What the real engine has with labels that lie: it stays, and so does all that the labels name.

Nothing here runs: containers are created and never started, of an image without a file in it. An
image hands its labels to each container made of it, so whoever starts one may know nothing of them.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import cli
from harness.base.process import LocalRunner
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.lab import listing
from harness.providers import registry
from harness.state.entries import LabState
from harness.state.owner import LABEL_RUN, LABEL_STATE, LABEL_USER, current_user

pytestmark = pytest.mark.machines("docker")


def docker(*words, stdin=None):
    done = subprocess.run(
        ["docker", *words], input=stdin, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def options(labels):
    return [f"--label={name}={text}" for name, text in labels.items()]


class Strangers:
    """Containers, networks and volumes of the tests' own, removed at the end by id."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.images: list[str] = []
        self.made: list[tuple[str, str]] = []

    def labels(self, run: str, **changes: str) -> dict[str, str]:
        labels = {LABEL_RUN: run, LABEL_USER: current_user()}
        return labels | {LABEL_STATE: str(self.settings.labs_dir)} | changes

    def image(self, labels: dict[str, str]) -> str:
        empty = io.BytesIO()
        tarfile.open(fileobj=empty, mode="w").close()
        # A label's text in JSON's quotes is one in a Dockerfile's as well.
        changes = [f"--change=LABEL {name}={json.dumps(text)}" for name, text in labels.items()]
        self.images.append(docker("import", *changes, "-", stdin=empty.getvalue()))
        return self.images[-1]

    def container(self, labels: dict[str, str], name: str, *, by_image: bool = False) -> str:
        image = self.image(labels if by_image else {})
        words = [] if by_image else options(labels)
        made = docker("create", "--network=none", f"--name={name}", *words, image, "/nothing")
        self.made.append(("container", made))
        return made

    def network(self, labels: dict[str, str], name: str) -> str:
        made = docker("network", "create", "--internal", *options(labels), name)
        self.made.append(("network", made))
        return made

    def volume(self, labels: dict[str, str]) -> str:
        made = docker("volume", "create", *options(labels))
        self.made.append(("volume", made))
        return made

    def there(self) -> list[tuple[str, str]]:
        found = [
            (kind, line)
            for kind, words in (
                ("container", ["ps", "--all", "--no-trunc", "--format={{.ID}}"]),
                ("network", ["network", "ls", "--no-trunc", "--format={{.ID}}"]),
                ("volume", ["volume", "ls", "--format={{.Name}}"]),
            )
            for line in docker(*words).splitlines()
        ]
        return [each for each in self.made if each in found]

    def remove(self) -> None:
        for kind, each in self.there():
            docker(kind, "rm", *(["--force"] if kind != "network" else []), each)
        for image in self.images:
            docker("image", "rm", "--force", image)


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Strangers]:
    monkeypatch.setenv("K0S_HARNESS_STATE", str(tmp_path / "state"))
    made = Strangers(Settings.from_environment(os.environ, providers=registry.names()))
    yield made
    made.remove()


@pytest.fixture
def folder(tmp_path):
    """A folder that labels name, with another of the name that sockets would have."""
    for name in ("dir", "dir.ssh"):
        (tmp_path / "any" / name).mkdir(parents=True)
        (tmp_path / "any" / name / "file").write_text("precious")
    return tmp_path / "any" / "dir"


def files(folder):
    return sorted(folder.parent.rglob("*"))


def clean(*words):
    assert cli.main(["labs", "--clean", *words]) == 0


def name():
    return f"stranger-{uuid.uuid4().hex[:12]}"


def forged(strangers: Strangers, folder: Path) -> None:
    """Make all that is not a run's, in each way that it can say it is."""
    run = RunId.new()
    for odd in (
        str(folder),
        "../../any/dir",
        "..",
        "",
        f"{run}\n",
        f"{run}/../..",
        "k5-\u0661" * 6,
    ):
        labels = strangers.labels(odd)
        strangers.container(labels, name())
        strangers.network(labels, name())
        strangers.volume(labels)
    strangers.container(strangers.labels(str(folder)), name(), by_image=True)
    # Everything right but the name, the user, the state folder.
    strangers.container(strangers.labels(run), name(), by_image=True)
    strangers.container(strangers.labels(run), f"{run}-worker0-")
    strangers.network(strangers.labels(run), name())
    for number, change in enumerate(({LABEL_USER: "somebody"}, {LABEL_STATE: "/elsewhere"})):
        other = RunId.new()
        labels = strangers.labels(other) | change
        strangers.container(labels, f"{other}-worker{number}")
        strangers.network(labels, [f"{other}-nat", f"{other}-private"][number])
        strangers.volume(labels)
    # A label that looks like the engine's answer for another container.
    line = f'x"]\n["{"a" * 64}","{run}-worker0","{run}","{current_user()}"'
    strangers.container(strangers.labels(line), name())


def test_nothing_goes_that_only_says_it_is_a_labs(strangers, folder, capsys):
    forged(strangers, folder)
    before, there = files(folder), strangers.there()
    assert len(there) == len(strangers.made)
    for words in ((), ("--all",), (RunId.new(), "--all")):
        clean(*words)
        assert strangers.there() == there
        assert files(folder) == before
    said = capsys.readouterr().out
    assert "not ours" in said
    assert "of user somebody" in said
    assert "state folder /elsewhere" in said


def test_what_is_a_labs_goes_from_amid_what_only_says_so(strangers, folder):
    forged(strangers, folder)
    there = strangers.there()
    run = RunId.new()
    labels = strangers.labels(run)
    strangers.container(labels, f"{run}-worker0")
    strangers.network(labels, f"{run}-private")
    strangers.volume(labels)
    ours = [each for each in strangers.there() if each not in there]
    assert len(ours) == 3
    # With the label of our run, and a name or a user of its own.
    strangers.container(labels, name())
    strangers.volume(labels | {LABEL_USER: "somebody"})
    there = [each for each in strangers.there() if each not in ours]
    found = listing.list_labs(strangers.settings.labs_dir, LocalRunner(), now=SystemClock().now())
    assert {entry.run_id: entry.state for entry in found}[run] is LabState.DEAD
    clean()
    assert strangers.there() == there
