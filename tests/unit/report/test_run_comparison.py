"""Two runs against each other: two real ones of one scenario, and what is changed of one here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.base.errors import ExitCode, UsageError
from harness.check.model import Verdict
from harness.cli.recorded import find_runs
from harness.diagnose.model import HopState
from harness.engine.outcome import Outcome
from harness.engine.replay import A_REPLAY
from harness.engine.results import SettingUsed
from harness.report.run_comparison import compare, document, text
from tests.unit.paths import DEMO, PROJECT, RECORDINGS

RECORDED = RECORDINGS / "run-konnectivity-off"


@pytest.fixture(scope="module")
def a():
    return find_runs(RECORDED, PROJECT).results[0]


@pytest.fixture(scope="module")
def b():
    return find_runs(DEMO, PROJECT).results[0]


def with_phase(run, index, **changes):
    phases = list(run.phases)
    phases[index] = replace(phases[index], **changes)
    return replace(run, phases=tuple(phases))


def with_verdict(run, verdict):
    first, *rest = run.phases[0].verdicts
    changed = replace(first, verdict=verdict, explanation="it was lost again")
    return with_phase(run, 0, verdicts=(changed, *rest))


def with_cause(run, cause):
    return with_phase(run, 0, diagnosis=replace(run.phases[0].diagnosis, cause=cause))


def one(a, b):
    (comparison,) = compare([a], [b]).comparisons
    return comparison


def rows(differences):
    return [(each.what, each.a, each.b) for each in differences]


def test_two_runs_with_other_addresses_and_times_are_the_same(a, b):
    compared = compare([a], [b])
    assert compared.exit_code is ExitCode.OK
    assert rows(compared.comparisons[0].results) == []
    assert rows(compared.comparisons[0].hops) == []
    assert text(compared).startswith("konnectivity-off: the same verdicts and causes\n")


def test_steps_have_their_seconds_and_how_many_times_as_long_the_second_took(a, b):
    times = {each.step: (each.a, each.b, each.ratio) for each in one(a, b).times}
    assert times["k0sctl apply"] == (74.0, 99.9, 1.35)
    assert times["the whole run"] == (287.0, 326.0, 1.14)
    assert times["of it cold start"] == (69.4, 102.2, 1.47)


def test_a_step_that_one_run_did_not_take_has_no_ratio(a, b):
    shorter = replace(b, timings={"k0sctl apply": 0.0})
    times = {each.step: (each.b, each.ratio) for each in one(a, shorter).times}
    assert times["Teardown"] == (None, None)
    ratios = {each.step: each.ratio for each in one(shorter, a).times}
    assert ratios["k0sctl apply"] is None


def test_another_verdict_is_a_difference_and_says_why(a, b):
    compared = compare([a], [replace(with_verdict(b, Verdict.NOT_MET), outcome=Outcome.NOT_MET)])
    assert compared.exit_code is ExitCode.NOT_MET
    assert rows(compared.comparisons[0].results) == [
        ("outcome", "met", "not-met"),
        ("broken: apiservice", "met", "not-met: it was lost again"),
    ]
    said = text(compared)
    assert said.startswith("konnectivity-off: verdicts or causes differ\n")
    assert "    B  not-met: it was lost again\n" in said


def test_another_cause_is_a_difference_though_all_was_met(a, b):
    compared = compare([a], [with_cause(b, "tunnel-down")])
    assert compared.exit_code is ExitCode.NOT_MET
    assert rows(compared.comparisons[0].results) == [
        ("broken: cause", "no-route-to-service-network", "tunnel-down")
    ]


def test_a_hop_in_another_state_is_shown_and_is_no_verdict(a, b):
    hops = b.phases[1].diagnosis.hops
    broken = replace(hops[0], state=HopState.NOT_SEEN, text="nobody looked")
    diagnosis = replace(b.phases[1].diagnosis, hops=(broken, *hops[1:]))
    compared = compare([a], [with_phase(b, 1, diagnosis=diagnosis)])
    assert compared.exit_code is ExitCode.OK
    ((what, left, right),) = rows(compared.comparisons[0].hops)
    assert what == "repaired: the API server"
    assert left.startswith("holds: ")
    assert right == "not seen: nobody looked"


def test_other_builds_versions_machines_and_settings_are_what_they_were_made_of(a, b):
    k0s = next(each for each in b.artifacts if each.kind == "k0s")
    others = tuple(each for each in b.artifacts if each is not k0s)
    other = replace(
        b,
        artifacts=(*others, replace(k0s, sha256="f" * 64, origin="official")),
        versions={**b.versions, "k0s": "v1.33.1+k0s.0"},
        substrate="three VMs",
        settings={**b.settings, "provider": SettingUsed("libvirt", "PROVIDER")},
    )
    comparison = one(a, other)
    differing = {each.what: each.b for each in comparison.made_of}
    assert differing["machines"] == "three VMs"
    assert differing["k0s"] == "v1.33.1+k0s.0"
    assert (
        "official release, checksum verified, sha256 ffffffffffffffff"
        in (differing["k0s, its file"])
    )
    assert "their machines differ: times say little" in comparison.notes


def test_a_phase_that_one_run_did_not_enter_is_one_difference(a, b):
    cut = replace(
        b, phases=b.phases[:1], not_entered=("repaired",), outcome=Outcome.INTERRUPTED, error="x"
    )
    assert rows(one(a, cut).results) == [
        ("outcome", "met", "interrupted: x"),
        ("phase repaired", "2 of 2 expectations met, cause: healthy", None),
    ]


def test_phases_that_neither_entered_are_named(a, b):
    first = [replace(run, phases=run.phases[:1], not_entered=("repaired",)) for run in (a, b)]
    comparison = one(*first)
    assert comparison.same
    assert comparison.notes == ("neither entered repaired, so nothing is said of it",)


def test_runs_that_judged_nothing_are_never_the_same(a, b):
    nothing = [replace(run, phases=(), outcome=Outcome.INFRASTRUCTURE) for run in (a, b)]
    compared = compare(nothing[:1], nothing[1:])
    assert compared.exit_code is ExitCode.INFRASTRUCTURE
    assert "konnectivity-off: neither run judged anything" in text(compared)
    assert document(compared)["comparisons"][0]["same"] is False


def test_runs_of_different_scenarios_are_refused(a, b):
    other = replace(b, scenario="konnectivity-on", scenario_sha256="0" * 64)
    with pytest.raises(UsageError, match="A of konnectivity-off, B of konnectivity-on"):
        compare([a], [other])


def test_two_scenarios_of_one_file_are_compared_and_it_says_so(a, b):
    variants = [
        replace(run, scenario=f"upgrade-{name}", scenario_sha256="1" * 64)
        for run, name in ((a, "1.32"), (b, "1.33"))
    ]
    assert one(*variants).notes == (
        "two scenarios of one file: A is upgrade-1.32, B is upgrade-1.33",
    )


def test_a_file_that_was_changed_in_between_is_named(a, b):
    changed = replace(b, scenario_sha256="2" * 64)
    assert "the scenario's file was changed between them" in " ".join(one(a, changed).notes)


def test_a_run_on_the_machines_of_another_has_no_cold_start(a, b):
    shared = replace(b, shared_lab="konnectivity-on")
    assert one(a, shared).notes == (
        "B had the machines of the scenario before it, so it has no cold start",
    )


def test_a_replay_is_named_as_one(a, b):
    replayed = replace(b, substrate=f"{A_REPLAY}run {b.run_id}")
    assert one(a, replayed).notes == (
        "a replay: B; the times are those of the run that was recorded",
    )


def test_the_runs_of_two_commands_are_paired_by_scenario(a, b):
    alone = replace(b, scenario="alone", run_id="another")
    compared = compare([a], [alone, b])
    assert [each.a.scenario for each in compared.comparisons] == ["konnectivity-off"]
    assert (compared.only_a, compared.only_b) == ((), ("alone",))
    assert compared.exit_code is ExitCode.NOT_MET
    assert text(compared).endswith("\n\nrun in B only: alone")


def test_as_json_it_has_all_that_is_printed(a, b):
    said = document(compare([a], [with_cause(b, "tunnel-down")]))
    assert (said["format"], said["exit_code"]) == ("k0s-harness-comparison/1", 1)
    (comparison,) = said["comparisons"]
    assert comparison["a"]["run_id"] == "20261123-164805-3219"
    assert comparison["results"] == (
        {"what": "broken: cause", "a": "no-route-to-service-network", "b": "tunnel-down"},
    )
    assert comparison["times"][0]["ratio"] == 1.14
