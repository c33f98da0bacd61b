"""Scenarios in several processes of pytest-xdist: what stays together, and what is handed back.

The engine of each process is replaced by its own `conftest.py`; no machine is started.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.unit.paths import PROJECT

pytest_plugins = ["pytester"]

EXACT = "{route: {machine: controller0, to: service-network, via: worker0}}"
# In each process: what its runs do is written down, a line each, with the process's number.
CONFTEST = """\
import json, os, pathlib, sys, time
sys.path.insert(0, {project!r})
from harness.base.errors import HostLacksError
from harness.engine.events import StepId, StepStarted
from harness.engine.session import RunSession
from harness.pytest_session import ON_VERDICT
from tests.unit.test_pytest_plugin import FakeRun

LOG = pathlib.Path(__file__).parent / "log"


class Log:
    def append(self, what):
        with LOG.open("a") as file:
            file.write(json.dumps([os.getpid(), *what]) + "\\n")
        if what[0] == "enter" and os.environ.get("NAP"):
            time.sleep(float(os.environ["NAP"]))


def start(session, which):
    stem = which.path.stem
    if stem == "refused":
        raise HostLacksError("Choosing", "no docker", remedy="get it")
    if stem == "dies":
        os._exit(3)
    Log().append(("start", session.run_id, stem))
    session.emit(StepStarted(StepId.ARTIFACTS, "Artifacts"))
    return FakeRun(session, which, log=Log(), verdicts={{}}, error=None)


RunSession._start = start
finish = FakeRun.finish


def finish_judged(run, *args, **kwargs):
    result = finish(run, *args, **kwargs)
    run.session.on_verdict(result)
    return result


FakeRun.finish = finish_judged


def pytest_configure(config):
    config.stash[ON_VERDICT] = lambda result: print(
        f"{{result.scenario}}: told before its machines went", file=sys.stderr
    )


def pytest_sessionfinish(session):
    from harness.pytest_session import SESSION
    runs = session.config.stash.get(SESSION, None)
    if runs is not None and not hasattr(session.config, "workerinput"):
        names = sorted(each.scenario for each in runs.results)
        errors = {{str(which.path): error.text() for which, error in runs.not_started.items()}}
        (LOG.parent / "results").write_text(json.dumps([runs.run_id, names, errors]))
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A project of scenarios that begin in one of several states."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    pytester.makeconftest(CONFTEST.format(project=str(PROJECT)))

    def write(**workers):
        for name, count in workers.items():
            (pytester.path / f"{name}.yaml").write_text(
                f"format: k0s-harness/1\nname: {name}\ntitle: T\ncluster: {{workers: {count}}}\n"
                f"phases:\n- name: only\n  change: [{EXACT}]\n"
                "  expect: [{pods: {selector: a=b, ready: 1}}]\n"
            )
        return [f"{name}.yaml" for name in workers]

    pytester.log = lambda: [
        json.loads(line) for line in (pytester.path / "log").read_text().splitlines()
    ]
    pytester.results = lambda: json.loads((pytester.path / "results").read_text())
    pytester.write = write
    return pytester


def processes(project):
    """Return the scenarios of each process, in their order."""
    found = {}
    for pid, what, *of in project.log():
        if what == "start":
            found.setdefault(pid, []).append(of[1])
    return sorted(found.values())


def test_scenarios_that_begin_alike_stay_in_one_process_and_all_is_handed_back(project):
    run = {"run_id": "r", "ended": "2026-11-23T12:19:24+00:00", "outcome": "met", "substrate": "s"}
    run |= {"k0s": "v1", "artifacts": {}, "scenario_sha256": "0"}
    known = {name: [{**run, "seconds": 10.0}] for name in ("a", "c", "d", "refused")}
    known["b"] = [{**run, "seconds": 99.0}]
    (project.path / "runs.json").write_text(json.dumps(known))
    names = project.write(refused=3, a=1, b=2, c=1, d=2)
    result = project.runpytest_subprocess("-n2", "-q", *names)
    result.assert_outcomes(passed=4, errors=1)
    # Each process begins with what takes longest, and has all of it.
    assert sorted(members[:2] for members in processes(project)) == [["a", "c"], ["b", "d"]]
    run_id, results, errors = project.results()
    assert results == ["a", "b", "c", "d"]
    assert list(errors.values()) == ["Choosing: no docker\n  -> get it"]
    assert {of[0] for _, what, *of in project.log() if what == "start"} == {run_id}


def test_what_the_processes_do_is_told_by_the_one_that_shares_out(project):
    names = project.write(a=1, b=2)
    result = project.runpytest_subprocess("-n2", "-q", *names)
    told = result.stderr.lines
    for name in ("a", "b"):
        assert f"{name}: ==> Artifacts" in told
        assert f"{name}: told before its machines went" in told


def test_variants_of_a_file_are_shared_out_alone(project):
    project.write(a=1, b=1)
    for name in ("a", "b"):
        path = project.path / f"{name}.yaml"
        text = path.read_text().replace("workers: 1", 'workers: "${n}"')
        path.write_text(text.replace("cluster:", "matrix: {n: [1, 2]}\ncluster:"))
    result = project.runpytest_subprocess("-n2", "-q", "a.yaml::1", "b.yaml::1", "b.yaml::2")
    result.assert_outcomes(passed=3)
    assert processes(project) == [["a", "b"], ["b"]]


def test_a_process_that_dies_is_told_and_costs_only_its_own(project):
    names = project.write(a=1, dies=2)
    result = project.runpytest_subprocess("-n2", "-q", "--max-worker-restart=0", *names)
    assert result.ret != 0
    _, results, errors = project.results()
    assert results == ["a"]
    assert any("ended before its time" in each for each in errors.values())


def test_clusters_of_python_tests_need_their_groups_kept(project):
    project.write(a=1)
    (project.path / "scenarios").mkdir()
    (project.path / "a.yaml").rename(project.path / "scenarios/a.yaml")
    project.makeini("[pytest]\nmarkers = k0s(scenario, phase): a state\n")
    project.makepyfile(
        "import pytest\n@pytest.mark.k0s(scenario='a')\ndef test_it(cluster): pass\n"
    )
    result = project.runpytest_subprocess("-n2", "-q")
    result.assert_outcomes(errors=1)
    assert "need --dist loadgroup" in result.stdout.str()


def test_every_process_ends_its_runs_when_the_command_is_interrupted(project, monkeypatch):
    monkeypatch.setenv("NAP", "60")
    names = project.write(a=1, b=2)
    command = [sys.executable, "-m", "pytest", "-n2", "-q", "-p", "no:cacheprovider", *names]
    running = subprocess.Popen(command, cwd=project.path, start_new_session=True)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        time.sleep(0.2)
        entered = [what for _, what, *_ in project.log()] if (project.path / "log").exists() else []
        if entered.count("enter") == 2:
            break
    # As a terminal does: to all of them at once.
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) == pytest.ExitCode.INTERRUPTED
    ended = sorted(of for _, what, *of in project.log() if what == "finish")
    assert ended == [["a", "KeyboardInterrupt"], ["b", "KeyboardInterrupt"]]
