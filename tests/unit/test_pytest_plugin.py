"""Scenario files as pytest tests: what is collected, in which order, and how each ending looks.

The engine is replaced; no machine is started by any of these.
"""

from __future__ import annotations

import signal
import sys

import pytest

from harness.base.errors import HostLacksError, InfrastructureError
from harness.check.model import Verdict
from harness.engine.outcome import outcome_of
from harness.engine.results import ExpectationResult, PhaseResult, ScenarioResult
from harness.engine.session import RunSession, plan_of
from harness.report import files
from harness.scenario.load import load
from tests.unit.paths import SCENARIOS

pytest_plugins = ["pytester"]


class FakeRun:
    """A run that gives the verdicts it is told, and writes down what is asked of it."""

    shared_lab = None
    saved = ""

    def __init__(self, session, which, *, log, verdicts, error):
        path = which.path
        self.session = session
        self._plan = plan_of(load(path, which.variant), session.settings)
        self._folder = session.folder / self._plan.scenario.name
        self._log = log
        self._verdicts = verdicts
        self._error = error
        self._results = {}
        self.name = self._plan.scenario.name
        self.lab = f"lab of {self.name}"

    def enter(self, name):
        if self._error is not None:
            raise self._error
        for phase in self._plan.phases:
            if phase.name not in self._results:
                self._log.append(("enter", self.name, phase.name))
                self._results[phase.name] = PhaseResult(
                    phase.name,
                    verdicts=tuple(self._result(phase.name, each) for each in phase.expectations),
                )
            if phase.name == name:
                return self._results[name]
        raise AssertionError(name)

    def finish(self, interrupted_by=None, *, hand_on=False):
        self._log.append(("finish", self.name, type(interrupted_by).__name__))
        found = [each.verdict for phase in self._results.values() for each in phase.verdicts]
        return ScenarioResult(
            run_id="r",
            scenario=self.name,
            title="T",
            outcome=outcome_of(found, interrupted_by or self._error),
            started="2026-11-23T05:37:05+00:00",
            ended="2026-11-23T05:43:31+00:00",
            folder=self._folder,
            phases=tuple(self._results.values()),
        )

    def _result(self, phase, planned):
        verdict = self._verdicts.get((phase, planned.id), Verdict.MET)
        return ExpectationResult(
            id=planned.id,
            kind=planned.expectation.kind,
            expected_text=f"what {planned.id} expects",
            observed_text=f"what {planned.id} saw",
            verdict=verdict,
            explanation=f"why {planned.id} is {verdict}",
        )


class Engine:
    """What the fake runs do and have done."""

    def __init__(self):
        self.log = []
        self.verdicts = {}
        self.errors = {}
        self.refused = {}
        self.started = []

    def start(self, session, which):
        stem = which.path.stem
        self.started.append(f"{stem} {which.variant}" if which.variant else stem)
        if stem in self.refused:
            raise self.refused[stem]
        return FakeRun(
            session,
            which,
            log=self.log,
            verdicts=self.verdicts,
            error=self.errors.get(stem),
        )


@pytest.fixture
def engine(monkeypatch):
    fake = Engine()

    def start(session, which):
        return fake.start(session, which)

    monkeypatch.setattr(RunSession, "_start", start)
    # Its plugin imports all of hypothesis anew at the end of every session within this one.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    before = signal.getsignal(signal.SIGTERM)
    yield fake
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def scenarios(pytester):
    """The project's two scenarios of konnectivity, in a project of their own."""
    folder = pytester.mkdir("scenarios")
    for name in ("konnectivity-off", "konnectivity-on"):
        (folder / f"{name}.yaml").write_text((SCENARIOS / f"{name}.yaml").read_text())
    pytester.makeini("[pytest]\nmarkers = k0s(scenario, phase): a state\n")
    return folder


OFF, ON = "scenarios/konnectivity-off.yaml", "scenarios/konnectivity-on.yaml"
OF_OFF = [
    f"{OFF}::broken::apiservice",
    f"{OFF}::broken::top_nodes",
    f"{OFF}::broken::pods",
    f"{OFF}::broken::diagnosis",
    f"{OFF}::repaired::apiservice",
    f"{OFF}::repaired::top_nodes",
]


def collected(result):
    return [line for line in result.outlines if "::" in line and not line.startswith("ERROR")]


def test_a_scenario_is_one_item_an_expectation_named_by_phase_and_id(pytester, scenarios, engine):
    result = pytester.runpytest_inprocess("--collect-only", "-q", OFF)
    assert collected(result) == OF_OFF
    assert engine.started == []


def test_one_expectation_can_be_named_alone(pytester, scenarios, engine):
    result = pytester.runpytest_inprocess("--collect-only", "-q", f"{OFF}::repaired")
    assert collected(result) == OF_OFF[4:]


@pytest.mark.parametrize("arguments", [[], ["scenarios"], ["."]])
def test_a_scenario_that_is_not_named_itself_is_not_collected(
    pytester, scenarios, engine, arguments
):
    pytester.makepyfile(test_other="def test_other(): pass")
    result = pytester.runpytest_inprocess("-q", *arguments)
    assert "konnectivity" not in result.stdout.str()
    assert engine.started == []


@pytest.mark.parametrize("content", ["name: values\n", "formats: k0s-harness/1\n", ""])
def test_another_yaml_file_is_no_scenario_even_when_it_is_named(pytester, engine, content):
    pytester.makefile(".yaml", other=content)
    result = pytester.runpytest_inprocess("-q", "other.yaml")
    result.stdout.no_fnmatch_line("*::*")
    assert result.ret in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED}


def test_mistakes_in_a_file_are_shown_with_their_place_and_no_traceback(pytester, engine):
    path = pytester.makefile(
        ".yaml",
        wrong="format: k0s-harness/1\nname: wrong\ntitle: T\nphases:\n  - name: a\n    expct: []\n",
    )
    result = pytester.runpytest_inprocess("-q", "wrong.yaml")
    said = result.stdout.str()
    assert f"{path}:6:5: " in said
    assert "expect" in said
    assert "Traceback" not in said
    assert ".py" not in said
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert engine.started == []


def test_a_change_that_the_provider_cannot_make_is_shown_with_its_line(pytester, engine):
    path = pytester.makefile(
        ".yaml",
        clock="format: k0s-harness/1\nname: clock\ntitle: T\nphases:\n  - name: a\n"
        "    change: [{clock_step: {machine: worker0, by: 2m}}]\n"
        "    expect: [{pods: {selector: a=b, ready: 1}}]\n",
    )
    result = pytester.runpytest_inprocess("-q", "clock.yaml", "--k0s-provider=docker")
    said = result.stdout.str()
    assert f"{path}:6:" in said
    assert "reaches the kernel" in said
    assert "Traceback" not in said
    assert engine.started == []


def test_all_met_is_all_passed_and_each_phase_is_entered_once(pytester, scenarios, engine):
    result = pytester.runpytest_inprocess("-q", OFF)
    result.assert_outcomes(passed=6)
    assert engine.started == ["konnectivity-off"]
    assert engine.log == [
        ("enter", "konnectivity-off", "broken"),
        ("enter", "konnectivity-off", "repaired"),
        ("finish", "konnectivity-off", "NoneType"),
    ]


def test_selecting_a_late_phase_enters_the_earlier_ones_first(pytester, scenarios, engine):
    result = pytester.runpytest_inprocess("-q", OFF, "-k", "repaired and top_nodes")
    result.assert_outcomes(passed=1, deselected=5)
    assert [entry[2] for entry in engine.log if entry[0] == "enter"] == ["broken", "repaired"]


def test_phases_are_entered_in_file_order_however_items_are_named(pytester, scenarios, engine):
    result = pytester.runpytest_inprocess("-v", OF_OFF[4], ON, OF_OFF[0])
    result.assert_outcomes(passed=6)
    passed = [line.split(" ")[0] for line in result.outlines if " PASSED" in line]
    assert passed[:2] == [OF_OFF[0], OF_OFF[4]]
    assert [entry[:2] for entry in engine.log] == [
        ("enter", "konnectivity-off"),
        ("enter", "konnectivity-off"),
        ("finish", "konnectivity-off"),
        ("enter", "konnectivity-on"),
        ("finish", "konnectivity-on"),
    ]


def test_what_is_not_met_is_a_failure_that_says_expected_and_observed(pytester, scenarios, engine):
    engine.verdicts["broken", "top_nodes"] = Verdict.NOT_MET
    result = pytester.runpytest_inprocess("-q", OFF)
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(
        [
            "expected: what top_nodes expects",
            "observed: what top_nodes saw",
            "verdict:  not-met: why top_nodes is not-met",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "pytest_plugin.py" not in result.stdout.str()
    *_, last = result.stdout.str().split("short test summary info")
    assert "not met    broken: what top_nodes expects; why top_nodes is not-met" in last
    assert "again      k0s-harness run konnectivity-off" in last


def test_what_is_inconclusive_is_an_error_and_never_a_pass_or_a_failure(
    pytester, scenarios, engine
):
    engine.verdicts["broken", "apiservice"] = Verdict.INCONCLUSIVE
    result = pytester.runpytest_inprocess("-q", OFF)
    result.assert_outcomes(passed=5, errors=1)
    result.stdout.fnmatch_lines(["what apiservice expects: why apiservice is inconclusive"])
    assert "Traceback" not in result.stdout.str()


def test_a_run_that_failed_gives_every_item_its_error_and_is_finished_once(
    pytester, scenarios, engine
):
    engine.errors["konnectivity-off"] = InfrastructureError("Making machines", "worker1 is lost")
    result = pytester.runpytest_inprocess("-q", OFF, ON)
    result.assert_outcomes(passed=4, errors=6)
    assert result.stdout.str().count("Making machines: worker1 is lost") >= 6
    assert [entry for entry in engine.log if entry[0] == "finish"] == [
        ("finish", "konnectivity-off", "NoneType"),
        ("finish", "konnectivity-on", "NoneType"),
    ]


def test_a_host_that_lacks_something_is_asked_once_and_told_to_every_item(
    pytester, scenarios, engine
):
    engine.refused["konnectivity-off"] = HostLacksError("Choosing", "no docker", remedy="get it")
    result = pytester.runpytest_inprocess("-q", OFF)
    result.assert_outcomes(errors=6)
    assert "Choosing: no docker" in result.stdout.str()
    *_, last = result.stdout.str().split("short test summary info")
    assert "-> get it" in last
    assert engine.started == ["konnectivity-off"]


@pytest.mark.parametrize(
    ("option", "words"),
    [("--k0s-provider=vmware", "docker, libvirt, virtualbox"), ("--k0s-keep=yes", "never")],
)
def test_an_unknown_word_in_an_option_is_wrong_usage(pytester, scenarios, engine, option, words):
    result = pytester.runpytest_inprocess("-q", OFF, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


PYTHON_TEST = """
import pytest

@pytest.mark.k0s({marker})
def test_free(lab):
    assert lab == "lab of konnectivity-off"
"""


def test_a_python_test_gets_the_state_that_its_marker_names(pytester, scenarios, engine):
    pytester.makepyfile(PYTHON_TEST.format(marker="scenario='konnectivity-off', phase='repaired'"))
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=1)
    assert [entry[2] for entry in engine.log] == ["broken", "repaired", "NoneType"]


def test_a_python_test_without_a_phase_gets_the_first_one(pytester, scenarios, engine):
    pytester.makepyfile(PYTHON_TEST.format(marker="scenario='konnectivity-off'"))
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=1)
    assert [entry[2] for entry in engine.log] == ["broken", "NoneType"]


def test_a_python_test_and_a_scenario_share_one_cluster(pytester, scenarios, engine):
    pytester.makepyfile(PYTHON_TEST.format(marker="scenario='konnectivity-off', phase='broken'"))
    result = pytester.runpytest_inprocess("-q", OFF, *pytester.path.glob("test_*.py"))
    result.assert_outcomes(passed=7)
    assert engine.started == ["konnectivity-off"]


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("phase='broken'", "the k0s marker needs scenario=..."),
        ("scenario='konectivity-off'", "konnectivity-off"),
        ("scenario='konnectivity-off', phase='fixed'", "its phases are broken, repaired"),
    ],
)
def test_a_marker_that_names_no_state_is_wrong_usage(pytester, scenarios, engine, marker, words):
    pytester.makepyfile(PYTHON_TEST.format(marker=marker))
    result = pytester.runpytest_inprocess("-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()
    assert "Traceback" not in result.stderr.str()
    assert engine.started == []


def test_a_python_test_that_uses_a_cluster_must_say_which(pytester, scenarios, engine):
    pytester.makepyfile("def test_free(lab): pass")
    result = pytester.runpytest_inprocess("-q")
    assert result.ret != pytest.ExitCode.OK
    assert "mark it with @pytest.mark.k0s(scenario=..., phase=...)" in (
        result.stdout.str() + result.stderr.str()
    )
    assert engine.started == []


def test_a_tests_own_fixtures_clean_up_while_the_machines_are_still_there(
    pytester, scenarios, engine, monkeypatch
):
    monkeypatch.setattr(sys, "engine_log", engine.log, raising=False)
    pytester.makepyfile(
        """
        import sys
        import pytest

        @pytest.fixture
        def tidy(lab):
            yield
            sys.engine_log.append(("tidied",))

        @pytest.mark.k0s(scenario="konnectivity-on")
        def test_it(tidy):
            pass
        """
    )
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=1)
    assert [entry[0] for entry in engine.log][-2:] == ["tidied", "finish"]


def test_machines_go_with_the_last_item_that_needs_them_and_before_the_next_scenario(
    pytester, scenarios, engine
):
    pytester.makepyfile(
        test_one=PYTHON_TEST.format(marker="scenario='konnectivity-off'"),
        test_two="def test_two(): pass",
    )
    result = pytester.runpytest_inprocess("-q", ON, "test_two.py", "test_one.py")
    result.assert_outcomes(passed=6)
    kinds = [entry[:2] for entry in engine.log]
    assert kinds.index(("finish", "konnectivity-on")) < kinds.index(("enter", "konnectivity-off"))
    assert kinds[-1] == ("finish", "konnectivity-off")


def test_after_an_interrupt_machines_go_and_the_run_is_interrupted(pytester, scenarios, engine):
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.mark.k0s(scenario='konnectivity-off')\n"
        "def test_stopped(lab): raise KeyboardInterrupt\n"
    )
    result = pytester.runpytest_inprocess("-q", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert engine.log[-1] == ("finish", "konnectivity-off", "KeyboardInterrupt")


def test_after_the_first_failure_of_x_machines_go_too(pytester, scenarios, engine):
    engine.verdicts["broken", "apiservice"] = Verdict.NOT_MET
    result = pytester.runpytest_inprocess("-q", "-x", OFF)
    result.assert_outcomes(failed=1)
    assert engine.log[-1] == ("finish", "konnectivity-off", "NoneType")


def test_sigterm_takes_the_way_out_of_ctrl_c(pytester, scenarios, engine):
    pytester.makepyfile(
        "import os, signal, pytest\n"
        "@pytest.mark.k0s(scenario='konnectivity-off')\n"
        "def test_stopped(lab): os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
    )
    result = pytester.runpytest_inprocess("-q", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert engine.log[-1] == ("finish", "konnectivity-off", "KeyboardInterrupt")


def test_reports_are_written_as_soon_as_a_run_is_over(pytester, scenarios, engine):
    pytester.runpytest_inprocess("-q", OFF, "--k0s-runs=kept")
    (folder,) = (pytester.path / "kept").glob("*/konnectivity-off")
    assert {each.name for each in folder.iterdir()} >= {"report.json", "junit.xml", "summary.md"}


def test_one_page_says_what_all_scenarios_of_a_command_came_to(pytester, scenarios, engine):
    engine.verdicts["broken", "top_nodes"] = Verdict.NOT_MET
    engine.refused["konnectivity-on"] = HostLacksError("Looking for memory", "2 GB are free")
    pytester.runpytest_inprocess("-q", OFF, ON, "--k0s-runs=kept")
    (page,) = (pytester.path / "kept").glob("*/index.html")
    text = page.read_text()
    assert "0 of 2 scenarios met" in text
    assert 'href="./konnectivity-off/report.html"' in text
    assert (page.parent / "konnectivity-off/report.html").is_file()
    assert "Looking for memory: 2 GB are free" in text


def test_a_page_of_all_runs_that_cannot_be_written_changes_no_verdict(
    pytester, scenarios, engine, monkeypatch
):
    def refuse(*_):
        raise InfrastructureError("Writing index.html", "there is no space left on the disk")

    monkeypatch.setattr(files, "write_index", refuse)
    result = pytester.runpytest_inprocess("-q", OFF, "--k0s-runs=kept")
    result.assert_outcomes(passed=6)
    assert result.ret == pytest.ExitCode.OK
    assert "there is no space left on the disk" in result.stderr.str()


def test_what_was_expected_and_seen_stands_in_pytests_own_junit_file(pytester, scenarios, engine):
    pytester.runpytest_inprocess("-q", OFF, "--junitxml=own.xml")
    text = (pytester.path / "own.xml").read_text()
    assert 'name="observed_text" value="what top_nodes saw"' in text


@pytest.fixture
def matrix(scenarios):
    """A scenario with a matrix: the one of the project, with one and with two workers."""
    text = (scenarios / "konnectivity-on.yaml").read_text()
    text = text.replace("  workers: 2\n", '  workers: "${n}"\n').replace(
        ", nodes: [worker0, worker1]", ""
    )
    assert "${n}" in text
    path = scenarios / "sized.yaml"
    path.write_text(text.replace("name: konnectivity-on\n", "name: sized\nmatrix: {n: [1, 2]}\n"))
    return "scenarios/sized.yaml"


def test_each_variant_of_a_file_with_a_matrix_has_items_of_its_own(pytester, matrix, engine):
    result = pytester.runpytest_inprocess("--collect-only", "-q", matrix)
    kinds = ("apiservice", "top_nodes", "pods", "diagnosis")
    assert collected(result) == [
        f"{matrix}::{variant}::healthy::{kind}" for variant in "12" for kind in kinds
    ]


def test_each_variant_is_a_run_of_its_own(pytester, matrix, engine):
    pytester.runpytest_inprocess("-q", matrix, "--k0s-runs=kept").assert_outcomes(passed=8)
    assert engine.started == ["sized 1", "sized 2"]
    assert [entry[:2] for entry in engine.log] == [
        ("enter", "sized-1"),
        ("finish", "sized-1"),
        ("enter", "sized-2"),
        ("finish", "sized-2"),
    ]
    folders = {path.name for path in (pytester.path / "kept").glob("*/*") if path.is_dir()}
    assert folders == {"sized-1", "sized-2"}


def test_one_variant_can_be_named_alone(pytester, matrix, engine):
    result = pytester.runpytest_inprocess("-q", f"{matrix}::2::healthy::pods")
    result.assert_outcomes(passed=1)
    assert engine.started == ["sized 2"]


def test_a_python_test_names_the_variant_it_wants(pytester, matrix, engine):
    marker = "scenario='sized', variant='2'"
    text = PYTHON_TEST.format(marker=marker).replace("konnectivity-off", "sized-2")
    pytester.makepyfile(text)
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=1)
    assert engine.started == ["sized 2"]


@pytest.mark.parametrize("marker", ["scenario='sized'", "scenario='sized', variant='3'"])
def test_a_marker_without_a_variant_that_exists_is_told_those_that_do(
    pytester, matrix, engine, marker
):
    pytester.makepyfile(PYTHON_TEST.format(marker=marker))
    result = pytester.runpytest_inprocess("-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "there are: 1, 2" in result.stderr.str()
    assert engine.started == []


def test_a_python_test_of_a_scenario_this_provider_cannot_run_is_told_its_line(
    pytester, scenarios, engine
):
    text = (scenarios / "konnectivity-on.yaml").read_text().replace("konnectivity-on", "stepped")
    change = "  - name: healthy\n    change: [{clock_step: {machine: worker0, by: 30m}}]\n"
    assert "  - name: healthy\n" in text
    (scenarios / "stepped.yaml").write_text(text.replace("  - name: healthy\n", change))
    pytester.makepyfile(PYTHON_TEST.format(marker="scenario='stepped'"))
    result = pytester.runpytest_inprocess("-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "reaches the kernel" in result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
