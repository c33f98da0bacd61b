"""A recorded run judged again from its bundle: the same verdicts, or it says where not."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from dataclasses import replace

import pytest

from harness.base.errors import ExitCode, UsageError
from harness.check.model import Verdict
from harness.cli import main
from harness.cli.replay import REPLAY, replay_bundle
from harness.diagnose.judge import diagnose
from harness.engine.outcome import Outcome
from harness.engine.recorded import BesideExecutor, RecordedClock, RecordedProber
from harness.engine.replay import diagnose_again, replay
from harness.engine.timeline import RUN_SECONDS
from harness.evidence.bundle import read_bundle, write_bundle
from harness.evidence.recorder import OBSERVATIONS, Recorder
from harness.probe import apiservice
from harness.report import json_report
from harness.vocabulary.words import Cause
from tests.unit.paths import PROJECT
from tests.unit.recorded import lines, redacted
from tests.unit.recorded_run import ENTERED, MET, META, SCENARIO, events_of, readings_of


@pytest.fixture(scope="module")
def as_it_was(tmp_path_factory):
    """What the recorded run, nothing in it changed, was packed as and is replayed to."""
    return {}


@pytest.fixture
def bundle_of(tmp_path, recording, as_it_was):
    """Write a bundle of the recorded run, changed as told, and return its path."""

    def make(
        change=lambda reading: reading,
        *,
        events=None,
        scenario=SCENARIO,
        report=None,
        name=None,
        **meta,
    ):
        folder = tmp_path / f"run{len(list(tmp_path.glob('run*.tar.gz')))}"
        recorder = Recorder(folder)
        changed = (change(reading) for reading in readings_of(recording))
        kept = [reading for reading in changed if reading is not None]
        (folder / OBSERVATIONS).write_text(lines(kept))
        for event in events if events is not None else events_of():
            recorder.event(event)
        meta = {**META, "scenario": name or META["scenario"], **meta}
        known = {key: each for key, each in meta.items() if each is not None}
        recorder.write_json("meta.json", known)
        if scenario is not None:
            recorder.write_piece("plan/scenario.yaml", scenario)
        recorder.write_piece("nodes/controller0/routes.txt", "default dev eth0\n")
        if report is not None:
            recorder.write_piece("report.json", report)
        return write_bundle(folder, folder.with_suffix(".tar.gz"))

    def make_or_copy(*changed, **changes):
        if changed or changes:
            return make(*changed, **changes)
        if "bundle" not in as_it_was:
            as_it_was["bundle"] = make().read_bytes()
        path = tmp_path / f"run{len(list(tmp_path.glob('run*.tar.gz')))}.tar.gz"
        path.write_bytes(as_it_was["bundle"])
        return path

    return make_or_copy


@pytest.fixture
def replayed(bundle_of, as_it_was, tmp_path):
    def run(*changed, **changes):
        if changed or changes:
            return replay(read_bundle(bundle_of(*changed, **changes)), folder=tmp_path / "replayed")
        if "result" not in as_it_was:
            as_it_was["result"] = replay(read_bundle(bundle_of()), folder=tmp_path / "replayed")
        return as_it_was["result"]

    return run


def verdicts(found):
    return {
        (phase.name, each.id): each.verdict for phase in found.phases for each in phase.verdicts
    }


def test_a_replay_comes_to_the_verdicts_of_the_run_and_to_its_times(replayed):
    found = replayed()
    assert found.differences == ()
    assert found.notes == ()
    assert verdicts(found.result) == {
        (phase, name): Verdict.MET for phase, names in MET.items() for name in names
    }
    broken, repaired = found.result.phases
    said = {each.id: each.explanation for each in broken.verdicts}
    assert said["apiservice"] == "reached after 42s and held for 45s (16 looks)"
    assert said["diagnosis"] == "reached after 48s"
    assert broken.diagnosis.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK
    assert repaired.diagnosis.cause is Cause.HEALTHY
    assert repaired.verdicts[0].explanation.count("20 of 20 connections") == 4
    assert all(each.holds for phase in found.result.phases for each in phase.preconditions)


def test_a_replay_is_marked_as_one_of_which_run_when_and_on_what(replayed):
    result = replayed().result
    assert result.substrate == (
        "a replay, with nothing started, of run 20261123-053000-abcd of konnectivity-off, "
        "2026-11-23T05:30:00+00:00, on three containers sharing a kernel"
    )
    assert result.run_id == META["run_id"]
    assert result.started == META["started"]
    assert [each.origin for each in result.not_official] == ["own-build"]


def test_a_replay_is_the_same_every_time(bundle_of, tmp_path):
    bundle = read_bundle(bundle_of())
    first, second = (replay(bundle, folder=tmp_path) for _ in range(2))
    assert first == second


def test_a_replay_starts_no_program_and_opens_no_connection(bundle_of, tmp_path, monkeypatch):
    bundle = read_bundle(bundle_of())

    def refuse(*_args, **_kwargs):
        raise AssertionError("a replay starts nothing")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("time.sleep", refuse)
    assert replay(bundle, folder=tmp_path).result.outcome is Outcome.MET


def test_a_report_with_the_run_gives_its_outcome_and_is_compared(replayed, tmp_path):
    first = replayed()
    again = replayed(report=json_report.render(first.result))
    assert again.differences == ()
    assert again.result.outcome is Outcome.MET
    assert verdicts(again.result) == verdicts(first.result)


def test_a_verdict_that_the_run_did_not_come_to_is_named(replayed):
    found = replayed(events=list(events_of({("broken", "top_nodes"): "not-met"})))
    (difference,) = found.differences
    assert (difference.phase, difference.what, difference.run) == ("broken", "top_nodes", "not-met")
    assert difference.replay.startswith("met (reached after")


def test_a_cause_that_the_run_did_not_name_is_named(replayed):
    report = json.loads(json_report.render(replayed().result))
    report["phases"][0]["diagnosis"]["cause"] = "tunnel-down"
    found = replayed(report=json.dumps(report))
    assert [each.text() for each in found.differences] == [
        "broken/cause: the run said tunnel-down, the replay says no-route-to-service-network"
    ]


def test_readings_that_are_not_there_make_it_inconclusive_and_never_met(replayed):
    def lost(reading):
        gone = reading.probe == "apiservice" and 250 < reading.elapsed < 275
        return None if gone else reading

    found = replayed(lost)
    assert verdicts(found.result)["broken", "apiservice"] is Verdict.INCONCLUSIVE
    assert [each.what for each in found.differences] == ["apiservice"]


def test_readings_that_were_changed_change_the_verdict(replayed):
    def healed(reading):
        if reading.probe != "apiservice" or not 265 < reading.elapsed < 287:
            return reading
        text = re.sub(r'("reason":\s*)"FailedDiscoveryCheck"', r'\1"Passed"', reading.stdout)
        return replace(reading, stdout=re.sub(r'("status":\s*)"False"', r'\1"True"', text))

    found = replayed(healed)
    assert verdicts(found.result)["broken", "apiservice"] is Verdict.NOT_MET
    assert "flapping: held for" in found.result.phases[0].verdicts[0].explanation


def test_other_expectations_are_judged_from_the_same_evidence(replayed):
    other = SCENARIO.replace("cause: no-route-to-service-network", "cause: healthy")
    assert other != SCENARIO
    found = replayed(scenario=other)
    assert verdicts(found.result)["broken", "diagnosis"] is Verdict.NOT_MET
    assert found.result.outcome is Outcome.NOT_MET


def test_a_phase_that_was_cut_off_is_not_judged_and_said(replayed):
    events = [each for each in events_of() if each.get("id") != "apiservice"]
    found = replayed(events=events)
    assert found.result.phases == ()
    assert found.result.not_entered == ("broken", "repaired")
    assert [note.partition(" was ")[0] for note in found.notes] == [
        "phase broken",
        "phase repaired",
    ]


def test_a_phase_that_was_never_entered_stays_so(replayed):
    events = [each for each in events_of() if each[RUN_SECONDS] < ENTERED["repaired"]]
    events += [each for each in events_of() if each["event"] == "verdict-reached"][:4]
    found = replayed(events=events)
    assert [each.name for each in found.result.phases] == ["broken"]
    assert found.result.not_entered == ("repaired",)
    assert found.differences == ()


def test_preconditions_that_did_not_hold_do_not_hold_again(replayed):
    report = json.loads(json_report.render(replayed().result))
    for phase in report["phases"]:
        phase["verdicts"] = []
        phase["diagnosis"] = None
    del report["phases"][1]
    report |= {"outcome": "inconclusive", "error": "its preconditions do not hold"}
    events = [each for each in events_of() if each["event"] != "verdict-reached"][:3]

    def without(reading):
        return None if reading.probe == "endpoints" else reading

    found = replayed(without, events=events, report=json.dumps(report))
    assert found.differences == ()
    assert found.result.outcome is Outcome.INCONCLUSIVE
    (phase,) = found.result.phases
    assert phase.verdicts == ()
    assert "metrics-server is Ready" in [
        each.name for each in phase.preconditions if not each.holds
    ]


def test_a_refusal_is_judged_again(replayed):
    recorded = PROJECT / "tests/recordings/k0sctl/refused-unknown-field.log"
    said = re.search(r"unknown field .{0,4}enabled", recorded.read_text())
    assert said is not None
    at = {RUN_SECONDS: 50.0}
    text = 'Applying the cluster configuration: json: unknown field "enabled"'
    events = [
        {"event": "phase-entered", "name": "refused", **at},
        {"event": "step-ended", "title": "k0sctl apply", "ok": False, "text": text, **at},
        {"event": "verdict-reached", "id": "apply", "verdict": "met", **at},
    ]
    scenario = (PROJECT / "scenarios/article-config-refused.yaml").read_text()
    name = re.search(r"^  - name: (\S+)", scenario, re.MULTILINE)[1]
    events[0]["name"] = name
    found = replayed(events=events, scenario=scenario, name="article-config-refused")
    assert found.differences == ()
    (verdict,) = found.result.phases[0].verdicts
    assert verdict.verdict is Verdict.MET
    assert 'unknown field "enabled"' in verdict.observed_text


# --- what cannot be replayed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scenario": None}, "no scenario"),
        ({"scenario": "format: k0s-harness/1\n"}, "plan/scenario.yaml"),
        ({"scenario": "\x00"}, "plan/scenario.yaml"),
        ({"name": "konnectivity-on"}, "it is of konnectivity-on"),
        ({"events": []}, "when its phases began"),
        ({"subnet": None}, "where the machines were"),
        ({"subnet": 5}, "where the machines were"),
        ({"subnet": "10.0.0.0/30"}, "where the machines were"),
        ({"pace": 1e9}, "times slower"),
        ({"pace": "x"}, "pace"),
        ({"started": "yesterday"}, "when the run began"),
        ({"versions": {"k0s": "latest"}}, "names no k0s release"),
        ({"artifacts": [{"kind": 5}]}, "artifacts"),
        ({"report": "[]"}, "report.json"),
        ({"report": "[" * 9000}, "report.json"),
        ({"report": '{"outcome": "splendid"}'}, "its report is none"),
    ],
)
def test_a_bundle_that_cannot_be_judged_is_refused_with_a_sentence(replayed, changes, words):
    with pytest.raises(UsageError) as caught:
        replayed(**changes)
    assert words in caught.value.text()


# --- the verb -------------------------------------------------------------------------------------


def test_the_verb_prints_the_summary_and_ends_well_when_all_is_as_it_was(bundle_of, capsys):
    assert replay_bundle(bundle_of(), output=None) is ExitCode.OK
    told = capsys.readouterr()
    assert told.out.startswith(
        "**konnectivity-off: met** on a replay, with nothing started, of run"
    )
    assert "built from source, not the official release" in told.out
    assert "the replay came to what the run came to" in told.err


def test_the_verb_says_loudly_where_the_replay_differs(bundle_of, capsys):
    path = bundle_of(events=list(events_of({("repaired", "apiservice"): "not-met"})))
    assert replay_bundle(path, output=None) is ExitCode.NOT_MET
    told = capsys.readouterr().err
    assert "THE REPLAY CAME TO SOMETHING ELSE THAN THE RUN" in told
    assert "repaired/apiservice: the run said not-met, the replay says met" in told


def test_the_reports_and_the_evidence_are_written_where_it_was_said(bundle_of, tmp_path, capsys):
    path = bundle_of()
    output = tmp_path / "out"
    assert replay_bundle(path, output=output) is ExitCode.OK
    report = json.loads((output / "report.json").read_text())
    assert report["outcome"] == "met"
    assert report["substrate"].startswith("a replay, with nothing started, of run")
    assert (output / "summary.md").is_file()
    assert (output / "nodes/controller0/routes.txt").read_text() == "default dev eth0\n"
    about = json.loads((output / REPLAY).read_text())
    assert about["same"] is True
    assert about["replay_of"].startswith("run 20261123-053000-abcd of konnectivity-off")
    assert replay_bundle(path, output=output) is ExitCode.OK, "an earlier replay may be replaced"
    capsys.readouterr()


def test_a_folder_with_something_else_in_it_is_left_alone(bundle_of, tmp_path):
    output = tmp_path / "mine"
    output.mkdir()
    (output / "report.json").write_text("mine")
    with pytest.raises(UsageError, match="something else in it"):
        replay_bundle(bundle_of(), output=output)
    assert [each.name for each in output.iterdir()] == ["report.json"]


def test_a_bundle_without_a_scenario_gives_the_diagnosis_alone(bundle_of, capsys):
    path = bundle_of(scenario=None, events=[])
    assert replay_bundle(path, output=None) is ExitCode.OK
    told = capsys.readouterr().out
    assert told.startswith("a replay, with nothing started, of")
    assert "cause: healthy" in told


def test_what_a_terminal_would_obey_is_shown_and_not_obeyed(bundle_of, capsys):
    def painted(reading):
        if reading.probe != "top_nodes":
            return reading
        return replace(reading, stderr="\x1b]0;owned\x07\x1b[2J" + reading.stderr)

    replay_bundle(bundle_of(painted, substrate="\x1b[31mred"), output=None)
    told = capsys.readouterr()
    assert "owned" in told.err + told.out
    assert "\x1b" not in told.err + told.out
    # A hop shows the end of what its command said.
    assert main(["diagnose", "--bundle", str(bundle_of(painted)), "--phase", "broken"]) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_a_bundle_that_is_none_ends_as_wrong_usage(tmp_path, capsys):
    (tmp_path / "none.tar.gz").write_text("none")
    assert main(["replay", str(tmp_path / "none.tar.gz")]) == 2
    told = capsys.readouterr().err
    assert "it is not packed with gzip" in told
    assert "Traceback" not in told


# --- playing back ---------------------------------------------------------------------------------


def test_the_diagnosis_of_redacted_readings_is_that_of_the_raw_ones(recording):
    for name in ("broken", "repaired"):
        raw = recording(f"konnectivity-off/{name}")
        assert diagnose(map(redacted, raw)) == diagnose(raw)


def test_the_diagnosis_of_a_run_is_that_of_its_last_phase(bundle_of):
    assert diagnose_again(read_bundle(bundle_of())).cause is Cause.HEALTHY
    events = [each for each in events_of() if each[RUN_SECONDS] < ENTERED["repaired"]]
    broken = bundle_of(
        lambda each: each if each.elapsed < ENTERED["repaired"] else None, events=events
    )
    assert diagnose_again(read_bundle(broken)).cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK


def test_each_phase_of_a_run_can_be_asked_for_its_cause(bundle_of, capsys):
    bundle = str(bundle_of())
    for phase, code, cause in (
        ("broken", 1, "no-route-to-service-network"),
        ("repaired", 0, "healthy"),
    ):
        assert main(["diagnose", "--bundle", bundle, "--phase", phase]) == code
        assert f"cause: {cause}" in capsys.readouterr().out
    assert main(["diagnose", "--bundle", bundle, "--phase", "later"]) == 2
    assert "it has 'broken', 'repaired'" in capsys.readouterr().err
    assert main(["diagnose", "--phase", "broken"]) == 2
    assert "name its --bundle FILE" in capsys.readouterr().err


def test_a_look_gets_what_was_read_then_as_it_was_read(recording):
    readings = recording("konnectivity-off/watched-broken")
    wanted = [each for each in readings if each.probe == "apiservice"]
    clock = RecordedClock(wanted[3].elapsed - 0.4)
    found = RecordedProber(clock, readings).read(apiservice.look())
    assert found is wanted[3]
    assert clock.at == pytest.approx(found.elapsed + found.duration)


def test_a_look_that_nobody_took_is_a_gap_and_no_later_or_older_reading(recording):
    readings = recording("konnectivity-off/watched-broken")
    last = max(each.elapsed for each in readings)
    found = RecordedProber(RecordedClock(last + 60), readings).read(apiservice.look())
    assert found.failed
    assert "the recording has no look at apiservice" in found.error
    assert RecordedProber(RecordedClock(10.0), []).read(apiservice.look()).failed


def test_readings_of_the_next_phase_tell_nothing_of_this_one(recording):
    readings = recording("konnectivity-off/watched-repaired")
    first = next(each for each in readings if each.probe == "apiservice")
    prober = RecordedProber(RecordedClock(first.elapsed), readings)
    assert not prober.read(apiservice.look()).failed
    prober.show(0.0, first.elapsed)
    assert prober.read(apiservice.look()).failed


def test_work_beside_the_stream_has_a_time_of_its_own():
    clock = RecordedClock(100.0)
    pool = BesideExecutor(clock)

    def work():
        clock.sleep(7)
        return "done"

    later = pool.submit(work)
    assert clock.at == 100.0
    assert not later.done()
    clock.sleep(7)
    assert later.done()
    assert later.result() == "done"


def test_every_bundle_in_demo_is_small_and_replays_to_what_it_was():
    found = sorted((PROJECT / "demo").glob("*.tar.gz"))
    assert [each.name for each in found] == ["konnectivity-off.tar.gz"]
    for path in found:
        assert path.stat().st_size < 300_000
        bundle = read_bundle(path)
        assert bundle.manifest.scenario == "konnectivity-off"
        replayed = replay(bundle, folder=path)
        assert replayed.differences == ()
        assert replayed.notes == ()
        assert replayed.result.not_entered == ()
        assert replayed.result.outcome is Outcome.MET
