"""The bench: rounds, promises, what it hears of a run, its files, and the page they make."""

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from harness import cli
from harness.base.context import Context
from harness.base.errors import InfrastructureError, UsageError
from harness.base.process import LocalRunner
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.bench import bench, measure, model
from harness.bench.bench import Taken, Watch, usage_from, verdict_of
from harness.bench.measurements import (
    HALF_AN_HOUR,
    MEASUREMENTS,
    Measurement,
    Way,
    with_cluster,
    within_half_an_hour,
)
from harness.bench.model import BenchHost, FileUsed, Result, Sample
from harness.bench.page import page, section
from harness.bench.promises import Promise, differing
from harness.engine.events import StepEnded, StepId, StepProgress, StepStarted, TransitionSeen
from harness.engine.outcome import Outcome
from harness.engine.recorded_run import result_in
from harness.evidence.old_format import report_with_ids
from harness.report import json_report
from harness.report.terminal import Narrator
from harness.scenario.load import load_all_text
from harness.state.entries import LabEntry, LabState
from harness.testing import FakeClock
from tests.unit.paths import PROJECT

RUN = PROJECT / "tests/recordings/run-konnectivity-off"
REPORT = result_in(report_with_ids(json.loads((RUN / "report.json").read_text())), doing="")
TIMELINE = [json.loads(line) for line in (RUN / "timeline.jsonl").read_text().splitlines()]
# proc(5), of a bash with a blank in its name and of its children, on Linux 6.18.
STAT = (
    "28011 (a (b c) -sh) S 28005 28011 28011 0 -1 4194560 1196 35718 0 12 3 4 97 41 20 0 1 0 "
    "4152911 4571136 897 18446744073709551615 1 1 0 0 0 0 65536 4 65538 0 0 0 17 1 0 0 0 0 0"
)
STATUS = "Name:\ta (b c) -sh\nVmPeak:\t    4464 kB\nVmHWM:\t    3588 kB\nVmRSS:\t    3588 kB\n"
HOST = BenchHost("Debian GNU/Linux 12 (bookworm)", "6.18.44", "x86_64", 2, 24105)
COLD, JOBS = (next(each for each in MEASUREMENTS if each.name == name) for name in ("cold", "jobs"))


def result_of(measurement, *samples, **more):
    fields = {
        "began": REPORT.started,
        "commit": "4b61127d2508c1c2b44f39e34189debd07cbcc65",
        "changed": False,
        "host": HOST,
        "provider": REPORT.provider,
        "substrate": REPORT.substrate,
        "files": {
            each.kind: FileUsed(each.version, each.sha256, each.origin) for each in REPORT.artifacts
        },
        "scenarios": ("konnectivity-on",),
        "catalogue": 36,
    }
    return Result(measurement, **{**fields, **more}, samples=samples)


def sample(number, way, verdicts=None, **figures):
    return Sample(number, way, 0.4, figures, verdicts or {})


# Two pairs as the bench of this project saw them on a busy host and on a quiet one.
PAIRS = result_of(
    "cold",
    sample(1, "by-hand", available=74.2, teardown=13.5),
    sample(1, "harness", available=100.2, teardown=REPORT.timings["Teardown"]),
    sample(2, "harness", available=62.5, teardown=3.7),
    sample(2, "by-hand", available=59.0, teardown=12.8),
)


# --- rounds -----------------------------------------------------------------------------------


def test_every_second_round_goes_the_other_way_about():
    assert list(model.in_turn(["a", "b", "c"], 2)) == [
        *((1, "a"), (1, "b"), (1, "c")),
        *((2, "c"), (2, "b"), (2, "a")),
    ]


def test_ratios_are_of_pairs_of_one_round_whatever_their_order():
    assert PAIRS.ratios("available", "harness", "by-hand") == (100.2 / 74.2, 62.5 / 59.0)
    alone = replace(PAIRS, samples=PAIRS.samples[:3])
    assert len(alone.ratios("available", "harness", "by-hand")) == 1


def test_without_a_name_half_an_hour_is_enough_and_the_rest_is_left():
    taken, left = within_half_an_hour(None)
    assert {"start", "cold", "diagnose"} <= {each.name for each in taken}
    assert "jobs" in {each.name for each in left}
    assert sum(each.seconds(None) for each in taken) < HALF_AN_HOUR
    assert "cold" in {each.name for each in within_half_an_hour(30)[1]}


@pytest.fixture
def context(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "begun", lambda _: result_of("", scenarios=(), files={}))
    settings = Settings.from_environment({"HOME": str(tmp_path)})
    return Context(None, FakeClock(), settings)


def measurement_of(*takes):
    ways = tuple(Way(name, name, take) for name, take in zip("ab", takes, strict=True))
    return Measurement("start", "T", ways, (), rounds=2, each=1, provider="", scenarios=())


def test_a_round_that_is_whole_is_kept_though_a_later_one_fails(context):
    kept = []
    counted = iter([1.0, 2.0, 3.0])

    def take(_):
        try:
            return Taken({"seconds": next(counted)}, {})
        except StopIteration:
            raise InfrastructureError("Measuring", "no more") from None

    with pytest.raises(InfrastructureError, match="no more"):
        measure.measure(measurement_of(take, take), 2, context, (), kept.append, warm_up=False)
    (only,) = kept
    assert [(each.round, each.way, each.figures) for each in only.samples] == [
        (1, "a", {"seconds": 1.0}),
        (1, "b", {"seconds": 2.0}),
    ]


def test_clusters_of_several_sizes_are_each_named_once(context):
    sizes = iter(["three", "five", "three", "five"])

    def take(work):
        work.results.append(replace(REPORT, substrate=f"{next(sizes)} containers"))
        return Taken({}, {})

    found = measure.measure(
        measurement_of(take, take), 2, context, (), lambda _: None, warm_up=False
    )
    assert found.substrate == "three containers; five containers"


def test_every_way_has_the_provider_of_its_measurement_whatever_is_set(context):
    settings = replace(context.settings, provider="libvirt")
    seen = []

    def take(work):
        seen.append(work.context.settings.provider)
        return Taken({}, {})

    on_docker = replace(measurement_of(take, take), provider="docker")
    told = replace(context, settings=settings)
    measure.measure(on_docker, 1, told, (), lambda _: None, warm_up=False)
    assert seen == ["docker", "docker"]


# --- what is heard of a run -------------------------------------------------------------------


def narrated():
    """Each line that the recorded run said on no terminal, with when it was."""
    stream = io.StringIO()
    narrate = Narrator(stream)
    for event in TIMELINE:
        match event:
            case {"event": "step-started", "title": title}:
                narrate(StepStarted(StepId.OBSERVE, title))
            case {"event": "step-progress", "text": text}:
                narrate(StepProgress(text))
            case {"event": "step-ended", "title": title, "seconds": seconds}:
                narrate(StepEnded(StepId.OBSERVE, title, seconds, ok=True))
            case {"event": "transition-seen", "elapsed": elapsed, "where": where, "text": text}:
                narrate(TransitionSeen(elapsed, where, text))
        yield from ((event["run_seconds"], line) for line in stream.getvalue().splitlines())
        stream.seek(0)
        stream.truncate()


def first(**wanted):
    return next(
        each["run_seconds"]
        for each in TIMELINE
        if each["event"] == "transition-seen"
        and all(each[name].startswith(text) for name, text in wanted.items())
    )


def test_the_first_observation_and_the_first_available_are_heard(monkeypatch):
    used = iter([bench.Usage(1.0, 2.0, 60.0), bench.Usage(3.0, 8.0, 61.0)] * 2)
    monkeypatch.setattr(bench, "_usage", lambda _: next(used))
    clock, said = FakeClock(), []
    watch = Watch(clock, said.append)
    began = clock.monotonic()
    for at, line in narrated():
        clock.sleep(began + at - clock.monotonic())
        watch.hear(line)
    assert len(said) == len(list(narrated()))
    assert watch.figures["observed"] == pytest.approx(first())
    assert watch.figures["available"] == pytest.approx(first(where="apiservice", text="True"))
    took = REPORT.timings["Observe repaired"]
    assert watch.figures["cpu"] == pytest.approx(2.0 / took, rel=0.01)
    assert watch.figures["cpu_with_programs"] == pytest.approx(6.0 / took, rel=0.01)
    assert watch.figures["memory"] == 61.0


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A program in place of `k0s-harness`: it says what a run said, leaves its report.

    Return what gives it another outcome.
    """
    said = tmp_path / "said"
    lines = (line for _, line in narrated())
    said.write_text("".join(f"{line}\n" for line in lines))
    report = tmp_path / "report.json"
    report.write_text(json_report.render(REPORT))
    program = tmp_path / "k0s-harness"
    program.write_text(
        "#!/bin/sh\nset -e\n"
        'echo "$0 $* ($PROVIDER, $JOBS)" >&2\n'
        f"cat {said} >&2\n"
        'mkdir -p "$K0S_HARNESS_RUNS/run/scenario"\n'
        f'cp {report} "$K0S_HARNESS_RUNS/run/scenario/"\n'
    )
    program.chmod(0o700)
    monkeypatch.setattr(bench, "PROGRAM", str(program))
    monkeypatch.setenv("JOBS", "3")
    monkeypatch.setattr(bench, "CHECKOUT", tmp_path)
    return lambda outcome: report.write_text(json_report.render(replace(REPORT, outcome=outcome)))


def bench_in(folder, said):
    settings = Settings.from_environment(
        {"HOME": str(folder), "K0S_HARNESS_RUNS": str(folder / "runs")}
    )
    return bench.Bench(Context(LocalRunner(), SystemClock(), settings, said.append), "docker", ())


def test_a_run_is_timed_and_its_report_is_found(tmp_path, command):
    said = []
    run = bench_in(tmp_path, said).run("--fresh", "x.yaml")
    # What the environment says of jobs is not what the way says.
    assert said[0].endswith("k0s-harness run --fresh x.yaml (docker, )")
    assert [each.run_id for each in run.results] == [REPORT.run_id]
    taken = run.taken("seconds", "observed", "available", "teardown")
    assert taken.verdicts == {"konnectivity-off": verdict_of(REPORT)}
    assert taken.figures["teardown"] == REPORT.timings["Teardown"]
    assert 0 < taken.figures["observed"] < taken.figures["available"] < taken.figures["seconds"]


def test_a_run_that_did_not_meet_is_no_measurement(tmp_path, command):
    command(Outcome.NOT_MET)
    with pytest.raises(InfrastructureError, match="konnectivity-off came to not-met"):
        bench_in(tmp_path, []).run("x.yaml")


def test_a_command_without_a_report_is_told_with_its_words(tmp_path, command):
    Path(bench.PROGRAM).write_text("#!/bin/sh\necho no space >&2\nexit 3\n")
    with pytest.raises(InfrastructureError, match="exit status 3"):
        bench_in(tmp_path, []).run("x.yaml")


def test_only_the_labs_that_a_command_made_are_removed_after_it(tmp_path, command, monkeypatch):
    labs = [RunId("k5-aaaaaa"), RunId("k5-bbbbbb"), RunId("k5-cccccc")]
    work = bench_in(tmp_path, [])
    # One that was there before, its own, and one that somebody else makes meanwhile.
    entries = [
        LabEntry(each, LabState.KEPT, "", SimpleNamespace(pid=pid))
        for each, pid in zip(labs, (4711, 4711, 1), strict=True)
    ]
    monkeypatch.setattr(bench, "own_labs", lambda _: labs[:1])
    monkeypatch.setattr(bench, "in_folder", lambda *_: entries)
    monkeypatch.setattr(bench, "_child", lambda: 4711)
    work.run("x.yaml")
    assert work.kept == labs[1:2]


def test_what_a_process_used_is_read_behind_its_name():
    assert usage_from(STAT, STATUS, 100) == (0.07, 1.45, 3.588)
    # A process that has ended has no memory any more.
    assert usage_from(STAT, "Name:\tsh\nState:\tZ (zombie)\n", 100) is None


def test_what_the_program_that_is_listened_to_uses_is_read(tmp_path):
    heard = tmp_path / "heard"
    used = []

    def hear(_):
        used.append(bench._usage(bench._child()))
        heard.touch()

    wait = 'echo line; until [ -e "$0" ]; do sleep 0.05; done'
    LocalRunner().run(["sh", "-c", wait, str(heard)], doing="x", deadline=60, on_line=hear)
    assert used[0].memory > 0.5


def test_what_a_scenario_came_to_has_its_causes():
    assert verdict_of(REPORT) == "met (no-route-to-service-network, healthy)"


def test_a_figure_that_was_not_seen_is_an_error():
    with pytest.raises(InfrastructureError, match="did not show: available"):
        bench.Run({"seconds": 1.0}, (REPORT,)).taken("seconds", "available")


@pytest.mark.parametrize("cluster", [{"workers": 4}, {"workers": 6}, {"controllers": 3}], ids=str)
def test_the_scenario_with_more_machines_is_a_scenario(cluster):
    text = with_cluster((PROJECT / "scenarios/konnectivity-on.yaml").read_text(), **cluster)
    (loaded,) = load_all_text(text, "konnectivity-on.yaml")
    (name, count), workers = *cluster.items(), loaded.scenario.cluster.workers
    assert getattr(loaded.scenario.cluster, name) == count
    assert f"- worker{workers - 1}\n" in text
    assert f"worker{workers}" not in text


# --- promises ---------------------------------------------------------------------------------


def test_a_promise_is_judged_by_the_median_of_its_pairs_or_values():
    ratio = Promise("", "available", "harness", 0.65, "by-hand").seen(PAIRS)
    assert (round(ratio.median, 2), ratio.count) == (1.2, 2)
    assert Promise("", "teardown", "harness", 5).seen(PAIRS).median == pytest.approx(4.65)
    assert Promise("", "memory", "harness", 150).seen(PAIRS) is None


def test_a_part_of_the_catalogue_shows_nothing_of_the_whole():
    part = result_of("jobs", sample(1, "jobs-1", seconds=900.0))
    whole = Promise("", "seconds", "jobs-1", 4800, whole=True)
    assert whole.seen(part) is None
    assert whole.seen(replace(part, catalogue=1)).median == 900.0


def test_scenarios_that_came_to_something_else_are_named():
    same, other = {"x": "met (healthy)"}, {"x": "met (healthy)", "y": "met"}
    jobs = result_of("jobs", sample(1, "jobs-1", same), sample(1, "jobs-2", other))
    assert differing(jobs) == ()
    other["x"] = "met (tunnel-down)"
    assert differing(jobs) == ("x",)
    assert "**not the same** of x" in section(JOBS, jobs)


# --- files and the page -----------------------------------------------------------------------


def test_a_result_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "cold.json"
    path.write_text(model.text_of(PAIRS))
    assert model.read_results(tmp_path) == {"cold": PAIRS}


@pytest.mark.parametrize(
    "change",
    [
        {"format": "k0s-harness-bench/2"},
        {"unknown": 1},
        {"samples": [{"round": 1}]},
        {"catalogue": "36"},
        {"host": None},
    ],
)
def test_what_is_no_result_is_refused(tmp_path, change):
    path = tmp_path / "cold.json"
    path.write_text(json.dumps({**model.document(PAIRS), **change}))
    with pytest.raises(UsageError, match=r"cold\.json"):
        model.read_result(path)


def test_the_committed_schema_is_the_one_the_model_makes_and_results_keep_to_it():
    schema = json.loads((PROJECT / "schema/bench.schema.json").read_text())
    assert schema == model.json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    for each in (PAIRS, *model.read_results(PROJECT / "docs/bench").values()):
        assert [error.message for error in validator.iter_errors(model.document(each))] == []


def test_the_page_is_the_one_that_the_files_make():
    """Where not: `k0s-harness bench --draw`."""
    drawn = page(model.read_results(PROJECT / "docs/bench"))
    assert (PROJECT / "docs/performance.md").read_text() == drawn


def test_the_page_claims_nothing_that_no_file_holds():
    rows = [line for line in page({}).splitlines() if "not measured |" in line]
    assert len(rows) == sum(len(each.promises) for each in MEASUREMENTS)


def test_the_page_says_what_is_kept_and_what_is_not():
    text = page({"cold": PAIRS})
    assert "| cold start, of by hand | 0.65 | 1.20 (1.06 to 1.35) | **no** | 0.4 to 0.4 |" in text
    assert "| teardown | 5.0s | 4.7s (3.7s to 5.6s) | yes | 0.4 to 0.4 |" in text
    assert "| the harness | 81s | 1.20 | 100s, 62s | " in text
    assert "files: own-build" in text


def test_a_part_of_the_catalogue_is_said_beside_its_figure():
    jobs = [sample(1, f"jobs-{count}", seconds=900.0 / count) for count in (1, 2, 3)]
    text = page({"jobs": result_of("jobs", *jobs)})
    assert "| 0.50, 1 of 36 scenarios | yes |" in text
    assert "Scenarios: konnectivity-on." in text


# --- the verb ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["colt"], "did you mean `cold`?"),
        (["cold", "scenarios/konnectivity-on.yaml"], "only jobs takes scenarios"),
        (["cold", "--rounds", "0"], "0 rounds are none"),
    ],
)
def test_a_wrong_word_is_a_usage_error_and_nothing_is_started(words, said, capsys, monkeypatch):
    monkeypatch.chdir(PROJECT)
    assert cli.main(["bench", *words]) == 2
    assert said in capsys.readouterr().err


def test_the_page_is_drawn_of_the_folder_beside_it(tmp_path, monkeypatch):
    Path(tmp_path, "docs/bench").mkdir(parents=True)
    Path(tmp_path, "docs/bench/cold.json").write_text(model.text_of(PAIRS))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["bench", "--draw"]) == 0
    assert Path("docs/performance.md").read_text() == page({"cold": PAIRS})


def test_a_small_ratio_reads_differently_from_the_promise_that_it_just_misses():
    promise = Promise("", "observed", "reused", 0.05, "cold")
    assert [promise.shown(each) for each in (0.05, 0.054, 0.7)] == ["0.050", "0.054", "0.70"]
