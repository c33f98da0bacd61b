"""The wheel, installed where no checkout is near: a laptop, or anybody's own repository.

Packages come through pip's own settings, as in bootstrap.sh.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

PROJECT = Path(__file__).parents[2]
PIP = (sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input")
SCENARIO = """\
format: k0s-harness/1
name: mine
title: Of my own repository
phases:
  - name: up
    expect:
      - top_nodes: {outcome: complete}
"""
PROBED = "typing-extensions"


def call(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # The build backend is of the lock, so that nothing is fetched.
    built = call(
        *(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation"),
        *("--wheel-dir", folder, PROJECT),
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of programs of an environment with the wheel and what it declares, no more."""
    folder = tmp_path_factory.mktemp("clean")
    index = call(*PIP, "download", "--no-deps", "--dest", folder / "probe", PROBED)
    if index.returncode != 0:
        pytest.skip(f"pip reaches no packages: {index.stderr.strip().splitlines()[-1]}")
    call(sys.executable, "-I", "-m", "venv", "--without-pip", folder / "venv")
    # In the versions of the lock, which are in pip's cache since bootstrap.sh; without its hashes,
    # which would be demanded of the wheel, too.
    lines = (PROJECT / "requirements.lock").read_text().splitlines()
    pins = [line.split(" ;")[0].rstrip(" \\") for line in lines if line[:1].isalnum()]
    (folder / "constraints.txt").write_text("\n".join(pins))
    done = call(
        *(*PIP, "--python", folder / "venv", "install", "--constraint", folder / "constraints.txt"),
        wheel,
    )
    assert done.returncode == 0, done.stderr
    return folder / "venv/bin"


@pytest.fixture
def elsewhere(installed, tmp_path):
    """Calls an installed program in an empty folder of a user who has nothing else."""

    def run(program, *words):
        environment = {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "nothing")}
        return call(installed / program, *words, cwd=tmp_path, env=environment, timeout=120)

    return run


def test_the_wheel_has_what_stands_beside_the_package_and_nothing_outside_it(wheel):
    with ZipFile(wheel) as archive:
        modes = {each.filename: each.external_attr >> 16 for each in archive.infolist()}
    shipped = "harness/shipped/"
    assert {name.split("/")[0] for name in modes} == {
        "harness",
        "-".join(wheel.name.split("-")[:2]) + ".dist-info",
    }
    found = {name.removeprefix(shipped) for name in modes if name.startswith(shipped)}
    tracked = call("git", "ls-files", "Vagrantfile", "boxes", "demo", "scenarios", cwd=PROJECT)
    assert found == {*tracked.stdout.split()} - {"scenarios/runs.json"}
    for name in found:
        assert bool(modes[shipped + name] & 0o100) == os.access(PROJECT / name, os.X_OK), name


def test_an_index_page_says_what_it_is(wheel):
    with ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("/METADATA"))
        page = archive.read(name).decode()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    for line in (
        f"Summary: {project['description']}",
        "License-Expression: Apache-2.0",
        "Requires-Python: >=3.11",
        "Description-Content-Type: text/markdown",
        *(f"Classifier: {each}" for each in project["classifiers"]),
        *(f"Project-URL: {name}, {url}" for name, url in project["urls"].items()),
    ):
        assert f"\n{line}\n" in page
    assert page.endswith((PROJECT / "README.md").read_text())


def test_the_demo_needs_nothing_else(elsewhere, tmp_path):
    done = elsewhere("k0s-harness", "demo")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/demo/report.html").is_file()
    assert "k0s-harness run konnectivity-off" in done.stderr
    assert "make " not in done.stderr


def test_a_bundle_is_diagnosed(elsewhere, tmp_path):
    shutil.copy(PROJECT / "demo/konnectivity-off.tar.gz", tmp_path / "bundle.tar.gz")
    done = elsewhere("k0s-harness", "diagnose", "--bundle", "bundle.tar.gz", "--phase", "broken")
    assert done.returncode == 1, done.stderr
    assert "no-route-to-service-network" in done.stdout
    assert elsewhere("k0s-harness", "replay", "bundle.tar.gz").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("validate mine.yaml", 0, "1 scenario without a mistake"),
        ("plan mine.yaml", 0, "controller0"),
        ("plan konnectivity-on", 0, "controller0"),
        ("schema", 0, "$schema"),
        ("diagnose --k0sctl k0sctl.yaml", 2, "k0sctl.yaml"),
        ("flows --k0sctl k0sctl.yaml", 2, "k0sctl.yaml"),
        ("collect --k0sctl k0sctl.yaml", 2, "k0sctl.yaml"),
        ("run mine.yaml", 3, "missing: vagrant"),
        ("catalogue", 2, "installed without a checkout"),
    ],
)
def test_a_verb_works_or_says_what_is_missing(words, code, said, elsewhere, tmp_path):
    (tmp_path / "mine.yaml").write_text(SCENARIO)
    done = elsewhere("k0s-harness", *words.split())
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_pytest_runs_a_scenario_of_anybodys_repository(elsewhere, tmp_path):
    (tmp_path / "mine.yaml").write_text(SCENARIO)
    collected = elsewhere("pytest", "--collect-only", "-q", "mine.yaml")
    assert "mine.yaml::up::top_nodes" in collected.stdout
    done = elsewhere("pytest", "mine.yaml")
    assert done.returncode == 1
    assert "missing: vagrant" in done.stdout
    assert "Traceback" not in done.stdout
