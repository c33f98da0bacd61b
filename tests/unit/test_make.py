"""The Makefile's promises, the lock files behind them, and the workflow's safety."""

import re
import shutil
import tomllib

import pytest
import yaml

from harness.base.process import LocalRunner
from tests.unit.paths import PROJECT

NEEDS_MAKE = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def make(*arguments, env=None):
    return LocalRunner().run(
        ["make", *arguments], doing="make", deadline=30, cwd=PROJECT, env=env, check=False
    )


@NEEDS_MAKE
@pytest.mark.parametrize("name", ["konnectivity-off", "konnectivity-on"])
def test_the_two_main_targets_set_up_and_run_their_scenario(name):
    (line,) = make("-n", f"test-{name}").stdout.splitlines()
    assert "bootstrap.sh --lab " in line
    assert line.endswith(f"run scenarios/{name}.yaml")


@NEEDS_MAKE
def test_every_promised_target_is_in_the_help():
    listed = re.findall(r"^  make (\S+)", make("help").stdout, flags=re.MULTILINE)
    promised = "test-konnectivity-off test-konnectivity-on test-scenario test-all test lint bench"
    assert {*promised.split(), "doctor", "clean-labs", "nightly"} <= set(listed)


@NEEDS_MAKE
def test_a_scenario_target_without_a_scenario_is_a_usage_error_that_starts_nothing():
    completed = make("test-scenario", env={"SCENARIO": ""})
    assert completed.returncode == 2
    assert "k0s-harness: exit 2: name one" in completed.stderr


def locked(name):
    text = (PROJECT / name).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE)), text


def wanted(requirements):
    return {re.match(r"[A-Za-z0-9-]+", line).group().lower() for line in requirements}


def test_the_locks_hold_every_dependency_hashed_and_name_no_index():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    runtime, text = locked("requirements.lock")
    development, more = locked("requirements-dev.lock")
    assert wanted(project["project"]["dependencies"]) <= set(runtime)
    # The project itself is installed without an index: its build backend comes from the lock.
    assert {"hatchling", "editables"} <= set(runtime)
    assert wanted(project["dependency-groups"]["dev"]) <= set(development)
    assert text.count("--hash=sha256:") > len(runtime)
    assert "://" not in text + more


def test_both_locks_agree_on_every_version():
    runtime, _ = locked("requirements.lock")
    development, _ = locked("requirements-dev.lock")
    assert runtime.items() <= development.items()


def workflow():
    # `on` is a boolean in YAML 1.1: the base loader keeps it a word.
    text = (PROJECT / ".github/workflows/nightly.yml").read_text()
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  # makes only texts, lists, maps


def test_the_nightly_starts_on_schedule_or_by_hand_and_never_for_a_fork():
    assert set(workflow()["on"]) == {"schedule", "workflow_dispatch"}
    assert workflow()["permissions"] == {}
    assert workflow()["concurrency"]["cancel-in-progress"] == "false"


def test_the_nightly_cleans_up_before_and_after_whatever_happened():
    (job,) = workflow()["jobs"].values()
    runs = [step.get("run", "") for step in job["steps"]]
    (main,) = (number for number, run in enumerate(runs) if "make nightly" in run)
    assert any("make clean-labs" in run for run in runs[:main])
    after = [step for step in job["steps"][main:] if "make clean-labs" in step.get("run", "")]
    assert [step["if"] for step in after] == ["${{ always() }}"]


def test_the_nightlys_actions_are_pinned_by_commit_and_inputs_stay_out_of_shell():
    (job,) = workflow()["jobs"].values()
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in used)
    assert not any("${{" in step.get("run", "") for step in job["steps"])
