"""`k0s-harness` in a folder of somebody else's executes and obeys nothing that lies there."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.base.settings import Settings
from harness.cli.run import run_scenarios

SCENARIO = """\
format: k0s-harness/1
name: x
title: X
phases:
  - name: a
    expect: [{pods: {selector: a=b, ready: 1}}]
"""
INI = "addopts = -p hostile_plugin\npythonpath = .\n"
TOML = 'addopts = ["-p", "hostile_plugin"]\npythonpath = ["."]\n'
CONFIGURATIONS = {
    "pytest.ini": f"[pytest]\n{INI}",
    ".pytest.ini": f"[pytest]\n{INI}",
    "tox.ini": f"[pytest]\n{INI}",
    "setup.cfg": f"[tool:pytest]\n{INI}",
    "pytest.toml": f"[pytest]\n{TOML}",
    ".pytest.toml": f"[pytest]\n{TOML}",
    "pyproject.toml": f"[tool.pytest.ini_options]\n{TOML}",
}
# What Python or pytest imports when it finds it: by their own names, and by those of modules that
# the harness imports.
MODULES = (
    *("conftest.py", "__init__.py", "hostile_plugin.py", "sitecustomize.py", "usercustomize.py"),
    *("harness/__init__.py", "yaml.py", "pytest.py", "json.py", "encodings/__init__.py"),
)
PLACES = ("theirs/scenarios", "theirs", "current")
COMMAND = Path(sys.executable).with_name("k0s-harness")


def leave_modules(folder, marks):
    for name in MODULES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = marks / f"{folder.name}-{name.replace('/', '-')}"
        path.write_text(f"open({str(mark)!r}, 'w').close()\n")


@pytest.fixture
def world(tmp_path, monkeypatch):
    make_world(tmp_path, monkeypatch)
    return tmp_path


def make_world(tmp_path, monkeypatch):
    """Somebody else's scenario, below, in and beside folders in which code lies in wait."""
    (tmp_path / "marks").mkdir()
    (tmp_path / "no-programs").mkdir()
    for place in PLACES:
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        leave_modules(tmp_path / place, tmp_path / "marks")
    (tmp_path / PLACES[0] / "x.yaml").write_text(SCENARIO)
    (tmp_path / "current" / "-p hostile_plugin.yaml").write_text(SCENARIO)
    (tmp_path / "current" / "@x.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path / "current")
    for name in ("PROVIDER", "KEEP", "K0S_HARNESS_RUNS", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    # Without vagrant and docker a run ends in the set-up of its first item, before any machine.
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    for name in ("HOME", "K0S_HARNESS_STATE", "K0S_HARNESS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


def marks(world):
    return sorted(path.name for path in (world / "marks").iterdir())


# Types one command after the other, in a process of their own, and says of each what came of it:
# most of a second command's time goes into importing what the first one has.
TYPED = """
import contextlib, io, json, os, runpy, sys
marks, command, *lines = sys.argv[1:]
for line in lines:
    sys.argv = [command, *json.loads(line)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = runpy.run_path(command, run_name="__main__") and None
        except SystemExit as ended:
            code = ended.code
    print(json.dumps([code, out.getvalue(), err.getvalue(), os.listdir(marks)]))
"""
COMMANDS = {
    "validate": (["validate", "../theirs/scenarios/x.yaml"], 0),
    "plan": (["plan", "../theirs/scenarios/x.yaml"], 0),
    "run": (["run", "../theirs/scenarios/x.yaml"], 3),
    "run of names like options": (["run", "./-p hostile_plugin.yaml", "@x.yaml"], 3),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each command came to: its exit code, what it said, which code beside it was executed."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        make_world(folder, patch)
        # In the order in which pytest looks, the first is found first: one of each kind in a place.
        for place, name in zip(PLACES, ("pytest.ini", "pyproject.toml", "tox.ini"), strict=True):
            (folder / place / name).write_text(CONFIGURATIONS[name])
        # A module that says so when it is imported.
        patch.setenv("PYTEST_PLUGINS", "this")
        patch.setenv("PYTEST_ADDOPTS", "-p this --collect-only")
        # A program's own folder is looked into first, and the command's is no hostile one.
        (folder / "typed").mkdir()
        program = folder / "typed/program.py"
        program.write_text(TYPED)
        lines = [json.dumps(arguments) for arguments, _ in COMMANDS.values()]
        done = subprocess.run(
            [sys.executable, program, folder / "marks", COMMAND, *lines],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert done.stderr == ""
    return dict(zip(COMMANDS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_executes_nothing_that_lies_around(answers, name):
    status, out, err, executed = answers[name]
    assert executed == []
    assert "Traceback" not in err
    assert "Zen of Python" not in out + err
    assert status == COMMANDS[name][1], err


def test_a_plan_on_a_host_without_vagrant_says_nothing_of_vagrant(answers):
    """python-vagrant complains when it is imported where there is no such program."""
    _, out, err, _ = answers["plan"]
    assert out.startswith("x: X")
    assert "vagrant" not in (answers["validate"][2] + err).lower()


def run_here(world):
    """Run the scenario in this process, and return its exit code."""
    settings = Settings.from_environment(os.environ, {"runs_dir": str(world / "runs")})
    return run_scenarios([world / PLACES[0] / "x.yaml"], settings)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Run among files of one name, and return the exit code and the modules that were executed."""

    @functools.cache
    def among(name):
        # In all places at once: were any of them looked into, the first would be obeyed.
        folder = tmp_path_factory.mktemp("world")
        with pytest.MonkeyPatch.context() as patch:
            make_world(folder, patch)
            for place in PLACES:
                (folder / place / name).write_text(CONFIGURATIONS[name])
            return run_here(folder), marks(folder)

    return among


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("place", PLACES)
def test_no_configuration_of_pytest_is_read_wherever_it_lies(executed, place, name):
    code, modules = executed(name)
    assert code == 3
    assert [each for each in modules if each.startswith(Path(place).name)] == []


ALONE = """
import json, pathlib, pytest, sys
for name, text in json.load(sys.stdin).items():
    path = pathlib.Path(name)
    path.write_text(text)
    pytest.main(["--collect-only", "-q", "x.yaml"])
    print(name, "hostile_plugin" in sys.modules)
    sys.modules.pop("hostile_plugin", None)
    path.unlink()
"""


def test_each_of_these_files_is_obeyed_by_pytest_alone(world):
    """If not, the tests above would prove nothing."""
    folder = world / PLACES[0]
    (folder / "conftest.py").unlink()
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE],
        input=json.dumps(CONFIGURATIONS),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert [f"{name} True" in done.stdout for name in CONFIGURATIONS] == [True] * 7


def test_the_variables_of_pytest_are_there_again_after_a_run(world, monkeypatch, capsys):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    assert run_here(world) == 3
    assert os.environ["PYTEST_ADDOPTS"] == "--collect-only"
