"""The command line: data on stdout, narration on stderr, an exit code that the last line says."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.base import printing
from harness.base.errors import HostLacksError, InfrastructureError
from harness.base.settings import Settings
from harness.cli import run as run_verb
from harness.cli.options import settings_of
from harness.engine.outcome import outcome_of
from harness.engine.results import ScenarioResult
from harness.engine.session import RunSession
from harness.scenario.load import files_in, load, load_all
from tests.unit.paths import PROJECT, RECORDINGS, SCENARIOS

HEAD = "format: k0s-harness/1\nname: x\ntitle: X\n"
PHASE = "phases:\n  - name: a\n    expect: [{pods: {selector: a=b, ready: 1}}]\n"


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    """No test touches the user's own folders, or is moved by the user's own settings."""
    for name in (
        "PROVIDER",
        "KEEP",
        "K0S_BINARY",
        "K0S_HARNESS_MIRROR",
        "K0S_HARNESS_RUNS",
        "SHARD",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("K0S_HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("K0S_HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    # In this process, where the engine is a test's.
    monkeypatch.setenv("JOBS", "1")
    place = tmp_path / "project"
    place.mkdir()
    (place / "scenarios").symlink_to(PROJECT / "scenarios")
    monkeypatch.chdir(place)


@pytest.fixture
def run(capsys):
    """Run a command; returns exit code, stdout and stderr, after the checks that hold for all."""

    def command(*arguments):
        code = cli.main([str(each) for each in arguments])
        out, err = capsys.readouterr()
        last = err.rstrip("\n").splitlines()[-1]
        assert last.startswith(f"k0s-harness: exit {code}: "), err
        assert "Traceback" not in err
        return code, out, err

    return command


def test_help_answers_at_once_and_loads_nothing_heavy():
    code = (
        "import sys, time; began = time.process_time()\n"
        "from harness import cli\n"
        "cli.parser([]).format_help()\n"
        "print(time.process_time() - began, *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *modules = done.stdout.split()
    assert float(seconds) < 0.5
    heavy = {"paramiko", "pydantic", "yaml", "pytest", "vagrant", "testinfra"}
    assert not heavy & set(modules)


def test_a_pytest_session_without_clusters_does_not_pay_for_them():
    """The plugin is loaded wherever the package is installed."""
    code = (
        "import sys, time, pytest; had = set(sys.modules); began = time.process_time()\n"
        "import harness.pytest_plugin\n"
        "print(time.process_time() - began, *set(sys.modules) - had)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *modules = done.stdout.split()
    assert float(seconds) < 0.06
    ours = {"harness", "harness.base", "harness.pytest_plugin", "harness.pytest_session"}
    ours |= {f"harness.base.{name}" for name in ("errors", "printable", "settings")}
    assert {each for each in modules if each.startswith("harness")} == ours
    assert not {"paramiko", "pydantic", "yaml", "vagrant", "testinfra"} & set(modules)


def test_unpinned_files_over_plain_http_are_allowed_by_the_option_or_the_variable(monkeypatch):
    def allowed(*arguments):
        given = ["artifacts", "fetch", *arguments]
        return settings_of(cli.parser(given).parse_args(given))

    assert not allowed().allow_unpinned
    assert allowed("--allow-unpinned").allow_unpinned
    assert allowed("--allow-unpinned").origin["allow_unpinned"] == "--allow-unpinned"
    monkeypatch.setenv("K0S_HARNESS_ALLOW_UNPINNED", "1")
    assert allowed().allow_unpinned


def test_doctor_says_all_it_found_before_it_refuses_a_cache_that_others_may_write_to(run, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    code, out, err = run("doctor")
    assert code == 3
    assert "libvirt" in out
    assert "may be written to by others" in err


def test_every_verb_of_the_design_is_there(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    verbs = ("run", "plan", "doctor", "diagnose", "labs", "artifacts", "validate", "schema")
    for verb in (*verbs, "flows", "collect", "replay", "demo", "catalogue"):
        assert re.search(rf"^\s+{verb}\s", said, re.MULTILINE), verb


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["run"], ["validate"], ["diagnose"], ["artifacts"], ["plan", "x", "--bad"]],
)
def test_a_wrong_command_line_is_usage_and_its_last_line_says_so(capsys, arguments):
    try:
        code = cli.main(arguments)
    except SystemExit as ended:
        code = ended.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.rstrip("\n").splitlines()[-1].startswith("k0s-harness: exit 2: ")


def test_the_projects_own_scenarios_are_valid(run):
    code, out, err = run("validate", *files_in(Path("scenarios")))
    assert (code, out) == (0, "")
    assert "scenarios without a mistake" in err


def test_a_scenario_may_be_named_by_its_name_alone(run):
    assert run("validate", "konnectivity-off")[0] == 0


def test_every_mistake_in_every_file_is_told_at_once_with_its_place(run):
    Path("one.yaml").write_text(HEAD + PHASE + "extra: 1\n")
    Path("two.yaml").write_text(HEAD.replace("title", "titel") + PHASE)
    code, out, err = run("validate", "one.yaml", "two.yaml")
    assert (code, out) == (2, "")
    assert re.search(r"^one\.yaml:7:1: ", err, re.MULTILINE)
    assert re.search(r"^two\.yaml:3:1: ", err, re.MULTILINE)


BAD = {
    "unknown key": HEAD + PHASE + "extra: 1\n",
    "duplicate key": HEAD + "name: y\n" + PHASE,
    "wrong type": HEAD + PHASE.replace("ready: 1", "ready: many"),
    "off for a boolean": HEAD
    + PHASE.replace("pods: {selector: a=b, ready: 1}", "apiservice: {name: v1.a, available: off}"),
    "no unit": HEAD + PHASE.replace("ready: 1", "ready: 1, within: 30"),
    "unknown component": HEAD + "cluster: {disable_components: [konectivity-server]}\n" + PHASE,
    "two phases with one name": HEAD + PHASE + PHASE.removeprefix("phases:\n"),
    "empty": "",
    "not yaml": "{[",
    "no text": b"\xff\xfe\x00",
    "too large": "#" * 10_000_000,
    "a bomb": "a: &a [x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 8)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ),
}


@pytest.mark.parametrize("verb", ["validate", "plan", "run"])
@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_usage_with_file_line_and_column_and_starts_nothing(run, verb, kind):
    content = BAD[kind]
    Path("bad.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = run(verb, "bad.yaml")
    assert (code, out) == (2, "")
    assert re.search(r"^bad\.yaml:\d+:\d+: \S", err, re.MULTILINE)
    assert not Path("runs").exists()


@pytest.mark.parametrize("verb", ["validate", "plan", "run"])
def test_a_scenario_that_is_not_there_gets_the_nearest_names(run, verb):
    code, out, err = run(verb, "konectivity-off")
    assert (code, out) == (2, "")
    assert "did you mean konnectivity-off" in err


def test_a_plan_says_what_would_be_built_and_starts_nothing(run, tmp_path):
    code, out, _ = run("plan", "konnectivity-off")
    assert code == 0
    for word in ("controller0", "worker1", "v1.32.3+k0s.0", "FailedDiscoveryCheck"):
        assert word in out
    assert not (tmp_path / "state").exists()
    assert not Path("runs").exists()


KERNEL = HEAD + PHASE.replace(
    "    expect", "    change: [{clock_step: {machine: worker0, by: 2m}}]\n    expect"
)


WITH_CONFLICTS = (
    "format: k0s-harness/1\nname: x\ntitle: With ${n}\nmatrix: {n: [1, 2]}\n"
    'cluster: {workers: "${n}", k0s: {spec: {konnectivity: {agentPort: 8133}}}}\n' + PHASE
)


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_what_will_collide_is_warned_of_with_its_place_and_is_no_mistake(run, verb):
    Path("s.yaml").write_text(WITH_CONFLICTS)
    code, _, err = run(verb, "s.yaml")
    assert code == 0
    (line,) = [each for each in err.splitlines() if "8133" in each]
    assert line.startswith("s.yaml:5:67: warning: port 8133 of konnectivity's agents is taken by ")


def test_every_variant_of_a_matrix_is_planned_and_counted(run):
    Path("s.yaml").write_text(WITH_CONFLICTS)
    _, out, _ = run("plan", "s.yaml")
    assert [line for line in out.splitlines() if line.startswith("x-")] == [
        "x-1: With 1",
        "x-2: With 2",
    ]
    assert "2 scenarios without a mistake" in run("validate", "s.yaml")[2]


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_change_of_the_kernel_is_refused_on_containers_with_its_line(run, verb):
    Path("clock.yaml").write_text(KERNEL)
    code, out, err = run(verb, "clock.yaml", "--provider", "docker")
    assert (code, out) == (2, "")
    assert re.search(r"clock\.yaml:6:\d+: .*reaches the kernel", err)


@pytest.mark.parametrize("verb", ["plan", "run", "doctor"])
def test_an_unknown_provider_is_usage_with_the_known_ones(run, verb):
    arguments = [] if verb == "doctor" else ["konnectivity-on"]
    code, _, err = run(verb, *arguments, "--provider", "vmware")
    assert code == 2
    assert "docker, libvirt, virtualbox" in err


def test_the_schema_is_json_and_the_committed_one(run):
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out)["$schema"].startswith("https://json-schema.org/")
    assert out == (PROJECT / "schema/scenario.schema.json").read_text()


def test_a_cluster_file_that_is_not_there_or_none_is_usage(run):
    Path("other.yaml").write_text("a: 1\n")
    for name in ("missing.yaml", "other.yaml"):
        code, out, err = run("diagnose", "--k0sctl", name)
        assert (code, out) == (2, "")
        assert name in err


@pytest.mark.parametrize("ending", [KeyboardInterrupt, InfrastructureError, HostLacksError])
def test_every_ending_has_its_exit_code(run, monkeypatch, ending):
    def end(_options):
        raise ending("Doing this", "that happened") if ending is not KeyboardInterrupt else ending

    monkeypatch.setattr("harness.cli.schema.command", end)
    code, _, err = run("schema")
    expected = {KeyboardInterrupt: 130, InfrastructureError: 4, HostLacksError: 3}[ending]
    assert code == expected
    assert ending is KeyboardInterrupt or "Doing this: that happened" in err


# --- scenarios through pytest, the engine replaced ---------------------------------------------


class FakeRun:
    """A run that ends as it is told, in whichever phase is entered."""

    shared_lab = None
    saved = ""

    def __init__(self, session, which, error):
        self._session = session
        self._name = which.path.stem
        self._error = error

    def enter(self, _phase):
        raise self._error

    def finish(self, _interrupted_by, *, hand_on=False):
        result = ScenarioResult(
            run_id=self._session.run_id,
            scenario=self._name,
            title="T",
            outcome=outcome_of((), self._error),
            started="2026-11-23T05:37:05+00:00",
            ended="2026-11-23T05:43:31+00:00",
            folder=self._session.folder / self._name,
            error=str(self._error),
        )
        self._session.on_verdict(result)
        return result


@pytest.fixture
def engine(monkeypatch):
    """How runs end, by scenario: `start` for those that do not begin, `enter` for the others."""
    ends = {}
    sessions = []

    def start(session, which):
        sessions.append(session)
        when, error = ends[which.path.stem]
        if when == "start":
            raise error
        return FakeRun(session, which, error)

    monkeypatch.setattr(RunSession, "_start", start)
    ends["sessions"] = sessions
    before = signal.getsignal(signal.SIGTERM)
    yield ends
    signal.signal(signal.SIGTERM, before)


LACKS = HostLacksError("Choosing a provider", "there is no docker", remedy="apt-get install it")
LOST = InfrastructureError("Making machines", "worker1 is lost")


@pytest.mark.parametrize(
    ("when", "error", "expected"), [("start", LACKS, 3), ("enter", LOST, 4), ("enter", LACKS, 3)]
)
def test_a_run_that_fails_ends_with_its_reason_and_its_code(run, engine, when, error, expected):
    engine["konnectivity-on"] = (when, error)
    code, out, err = run("run", "konnectivity-on")
    assert code == expected
    assert str(error) in out + err


def test_a_scenario_that_could_not_start_is_not_lost_beside_one_that_ran(run, engine):
    engine["konnectivity-on"] = ("enter", LOST)
    engine["konnectivity-off"] = ("start", LACKS)
    code, out, err = run("run", "konnectivity-on", "konnectivity-off")
    # Both are told; of two endings the one that nothing was seen of at all is the worse.
    assert code == 3
    assert "worker1 is lost" in out
    assert "there is no docker" in err


def test_an_interrupt_before_anything_began_is_told_as_one(run, engine):
    engine["konnectivity-on"] = ("start", KeyboardInterrupt())
    assert run("run", "konnectivity-on")[0] == 130


def test_words_that_match_no_expectation_are_usage(run, engine):
    code, _, err = run("run", "konnectivity-on", "-k", "nonsense")
    assert code == 2
    assert "no expectation matches -k nonsense" in err


def test_settings_keep_their_origin_through_pytest(run, engine, monkeypatch):
    monkeypatch.setenv("KEEP", "failure")
    engine["konnectivity-on"] = ("enter", LOST)
    run("run", "konnectivity-on", "--provider", "docker")
    (session,) = engine["sessions"]
    assert session.settings.origin["keep"] == "KEEP"
    assert session.settings.origin["provider"] == "--provider"
    assert session.settings.origin["runs_dir"] == "default"


@pytest.mark.parametrize(
    ("settings", "names", "jobs"),
    [
        ({}, ["konnectivity-on", "konnectivity-off"], 7),
        ({}, ["konnectivity-on", "apiservice-leads-nowhere"], 1),
        ({"JOBS": "1"}, ["konnectivity-on", "konnectivity-off"], 1),
        ({"JOBS": "4"}, ["konnectivity-on", "konnectivity-off"], 2),
        ({"JOBS": "4"}, ["konnectivity-on", "apiservice-leads-nowhere"], 1),
        ({"JOBS": "4", "FRESH": "1"}, ["konnectivity-on", "apiservice-leads-nowhere"], 2),
        ({"JOBS": "auto"}, ["konnectivity-on", "konnectivity-off"], 7),
    ],
)
def test_scenarios_are_shared_out_to_no_more_processes_than_they_need_labs(
    monkeypatch, capsys, settings, names, jobs
):
    monkeypatch.setattr(run_verb, "labs_at_once", lambda *_: (7, "7 processors"))
    scenarios = [load(SCENARIOS / f"{name}.yaml") for name in names]
    given = Settings.from_environment({"HOME": "/home/somebody", **settings})
    assert run_verb._jobs(scenarios, given) == jobs
    assert ("7 labs at once: 7 processors" in capsys.readouterr().err) is (jobs == 7)


def test_where_nobody_can_press_enter_nothing_is_started(run, engine, monkeypatch, tmp_path):
    monkeypatch.setattr(printing, "_TERMINAL", tmp_path / "none")
    code, _, err = run("run", "--pause-on-failure", "konnectivity-on")
    assert (code, engine["sessions"]) == (2, [])
    assert "--pause-on-failure: there is no terminal to wait on" in err


def test_what_did_not_meet_everything_last_time_is_run_again(tmp_path):
    report = json.loads((RECORDINGS / "run-konnectivity-off/report.json").read_text())
    for run_id, name, outcome in (
        ("20261101-000000-aaaa", "konnectivity-on", "not-met"),
        ("20261102-000000-bbbb", "konnectivity-on", "met"),
        ("20261102-000000-bbbb", "konnectivity-off", "not-met"),
    ):
        folder = tmp_path / run_id / name
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps({**report, "outcome": outcome}))
    (tmp_path / "20261103-000000-cccc/apiservice-leads-nowhere").mkdir(parents=True)
    names = (
        "konnectivity-on",
        "konnectivity-off",
        "apiservice-leads-nowhere",
        "route-to-services",
    )
    paths = [SCENARIOS / f"{name}.yaml" for name in names]
    failed = run_verb._failed_last(paths, tmp_path)
    assert [path.stem for path in failed] == ["konnectivity-off", "apiservice-leads-nowhere"]


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1000"])
def test_a_number_of_labs_that_is_none_is_wrong_usage(run, engine, jobs):
    code, _, err = run("run", "konnectivity-on", f"--jobs={jobs}")
    assert code == 2
    assert "from 1 to 64" in err


def test_a_host_runs_its_part_and_leaves_the_others_theirs(run, engine, tmp_path):
    both = ("konnectivity-on", "konnectivity-off")
    for name in both:
        engine[name] = ("start", LACKS)
    told = {}
    for part in ("1/2", "2/2"):
        code, _, err = run("run", *both, "--shard", part, "--runs", tmp_path / part[0])
        assert code == 3
        (planned,) = (tmp_path / part[0]).glob("*/planned.json")
        found = json.loads(planned.read_text())
        assert sorted(found["scenarios"]) == sorted(both)
        (name,) = found["not_started"]
        assert f"part {part[0]} of 2: runs 1 scenario ({name}), about " in err
        assert f"leaves 1 scenario ({({*both} - {name}).pop()}) to the others" in err
        told[name] = found["not_started"][name]["happened"]
    assert told == dict.fromkeys(both, "there is no docker")


def test_a_part_may_have_some_variants_of_a_file(run, engine, tmp_path):
    engine["konnectivity-turned-off"] = ("start", LACKS)
    found = []
    for part in range(1, 6):
        place = tmp_path / f"{part}"
        code, _, err = run(
            "run", "konnectivity-turned-off", "--shard", f"{part}/5", "--runs", place
        )
        found += [
            name
            for each in place.glob("*/planned.json")
            for name in json.loads(each.read_text())["not_started"]
        ]
        assert (code == 0) is ("nothing to run in this part" in err)
    loaded = load_all(SCENARIOS / "konnectivity-turned-off.yaml")
    assert sorted(found) == sorted(each.scenario.name for each in loaded)


def test_the_part_of_make_is_that_of_the_nightly(run, engine, monkeypatch, tmp_path):
    monkeypatch.setenv("SHARD", "40/40")
    code, out, err = run("nightly")
    assert (code, out) == (0, "")
    assert "part 40 of 40: nothing to run in this part" in err


@pytest.mark.parametrize(
    "part", ["0/2", "3/2", "2", "1/0", "a/b", "1/2/3", "-1/2", "1/99999", "²/3"]
)
def test_a_part_that_is_none_is_wrong_usage(run, engine, part):
    code, _, err = run("run", "konnectivity-on", f"--shard={part}")
    assert code == 2
    assert "K from 1 to N" in err


def test_words_that_match_nothing_in_a_part_are_usage_there(run, engine):
    code, _, err = run("run", "konnectivity-on", "--shard=1/1", "-k", "nonsense")
    assert code == 2
    assert "no expectation matches -k nonsense in this part" in err
