"""The engine on a real run's readings, played back on a clock that only sleeps move.

The recording is of a run that ended met in both phases; what is changed in it afterwards must
change the verdict.
"""

from __future__ import annotations

import itertools
import re
import types
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network

import pytest

from harness.artifacts.pins import load_pins
from harness.base.errors import ExitCode, InfrastructureError
from harness.check.model import Verdict
from harness.cluster.k0sctl import ApplyFailedError, reason_of
from harness.diagnose import ladder
from harness.engine.background import Stage
from harness.engine.changes import Changes
from harness.engine.context import RunContext
from harness.engine.events import (
    PhaseEntered,
    StepEnded,
    StepId,
    StepProgress,
    TransitionSeen,
    VerdictReached,
)
from harness.engine.live import LiveCluster
from harness.engine.phases import Phases
from harness.engine.preconditions import presumed_by
from harness.engine.recorded import BesideExecutor, RecordedClock, RecordedProber, _key
from harness.engine.results import AppliedChange, Sums
from harness.engine.settling import PRECONDITIONS_SECONDS, PreconditionsUnmetError, Settling
from harness.engine.steps import Steps
from harness.engine.watch import PhaseWatch
from harness.expectations.kind import SETTLE_SECONDS
from harness.k0s import AGENT_PORT
from harness.plan.build import build
from harness.probe import told
from harness.providers.registry import provider
from harness.scenario.load import load, load_text
from harness.vocabulary.words import Cause
from tests.unit.paths import RECORDINGS, SCENARIOS

WORKERS = ("worker0", "worker1")
# Of the run, in seconds since it began: when `k0sctl apply` had ended, and when the preconditions
# of its two phases held.
APPLIED = (163.2, 309.5)
BROKEN_AT = 199.13
REPAIRED_AT = 311.62
METRICS = "v1beta1.metrics.k8s.io"
# Looks of the ladder that were added after the run was recorded.
NOT_RECORDED = {
    "apiserver_environment",
    "metrics",
    "apiserver_metrics",
    "deployment",
    "agents",
    "agent_pods",
    "csrs",
    "advertised",
    "policies",
    "apiservices",
    "namespaces",
    "autoscalers",
    "clock",
    "addresses",
    "cluster_cidr",
    "k0s_version",
    "api_connections",
    "metrics_server_log",
    "agent_log",
    "agent_figures",
    "konnectivity_processes",
    "konnectivity_log",
    "konnectivity_connections",
    "controller_leases",
    "metrics_role",
    "metrics_binding",
    "health",
    "payload",
    "dial",
    "agent_payload",
    "agent_server",
    "etcd_health",
    "connections_dropped",
    "kernel",
    "kubelet",
    "leases",
    "named_deployments",
    "named_endpoints",
    "named_pods",
    "named_policies",
    "named_service",
    "kubelet_process",
    "node_leases",
    "node_pods",
    "pod_events",
    "pod_after",
    "pod_log",
    "pod_metrics",
    "service_rules",
}


class ReplayProber(RecordedProber):
    """Answers with what was current then, however old; `change` may make another reading of it."""

    def __init__(self, clock, readings, change=lambda reading: reading):
        super().__init__(clock, readings)
        self._change = change
        self.rounds = []
        self.waited = []

    def wait_for(self, probe):
        self.waited.append(probe)
        super().wait_for(probe)

    def take(self, probes):
        found = super().take(probes)
        self.rounds.append([each.argv for each in found])
        return found

    def _together(self, probes, began):
        return tuple(self._current(probe, began) for probe in probes)

    def _current(self, probe, now):
        asked = self._asked.get(_key(probe.name, probe))
        if asked is None:
            assert probe.name.partition(":")[0] in NOT_RECORDED, f"{probe.name} was not recorded"
            return super()._together((probe,), now)[0]
        current = next((each for each in reversed(asked) if each.elapsed <= now), asked[0])
        return self._change(replace(current, elapsed=now))


def plan_of(loaded):
    return build(
        loaded,
        subnet=IPv4Network("192.168.56.0/24"),
        provider=provider("docker"),
        pins=load_pins(),
        arch="amd64",
    )


@pytest.fixture
def plan():
    return plan_of(load(SCENARIOS / "konnectivity-off.yaml"))


def plan_with(*expectations, phases=""):
    lines = "\n".join(f"      - {each}" for each in expectations)
    head = "format: k0s-harness/1\nname: x\ntitle: X\n"
    cluster = "cluster: {disable_components: [konnectivity-server]}\n"
    return plan_of(
        load_text(
            f"{head}{cluster}phases:\n  - name: only\n    expect:\n{lines}\n{phases}", "x.yaml"
        )
    )


def context_of(prober, clock, *, record=[].extend, emit=[].append, pace=1.0):
    return RunContext(
        prober=prober,
        clock=clock,
        started=0.0,
        steps=Steps(clock, emit),
        record=record,
        emit=emit,
        pace=pace,
        pool=lambda: BesideExecutor(clock),
    )


@dataclass
class Watched:
    """What a watch came to."""

    results: dict
    diagnosis: object
    clock: RecordedClock
    prober: ReplayProber
    events: list = field(default_factory=list)
    recorded: list = field(default_factory=list)

    def __getitem__(self, identifier):
        return self.results[identifier]


@pytest.fixture
def watched(recording, plan):
    """Watch one of the run's two phases, with `change` applied to each reading as it is taken."""

    def run(phase, change=lambda reading: reading, expectations=None, pace=1.0):
        opened = BROKEN_AT if phase == "broken" else REPAIRED_AT
        clock = RecordedClock(opened)
        prober = ReplayProber(clock, recording(f"konnectivity-off/watched-{phase}"), change)
        planned = next(each for each in plan.phases if each.name == phase)
        events, recorded = [], []
        found = PhaseWatch(
            context_of(prober, clock, record=recorded.extend, emit=events.append, pace=pace),
            Stage(
                controllers=("controller0",),
                workers=WORKERS,
                konnectivity=planned.konnectivity,
                opened=opened,
                endpoint_ready=BROKEN_AT - 0.05,
            ),
            expectations or planned.expectations,
        ).run()
        by_id = {each.id: each for each in found.results}
        return Watched(by_id, found.diagnosis, clock, prober, events, recorded)

    return run


@pytest.fixture
def one(recording):
    """One recorded reading: by recording, probe, and a word it holds."""

    def find(name, probe, word=""):
        return next(
            each
            for each in recording(f"konnectivity-off/{name}")
            if each.probe == probe and word in each.stdout
        )

    return find


@pytest.fixture
def lose(one):
    """Change readings into looks that failed, as one of the run's own did."""
    failed = one("failed-look", "listening")

    def losing(probe, begin=0.0, end=float("inf"), where=None):
        def change(reading):
            hit = reading.probe.startswith(probe) and begin <= reading.elapsed < end
            if hit and where in (None, reading.where):
                return replace(reading, returncode=None, stdout="", error=failed.error)
            return reading

        return change

    return losing


def showing(other, begin=0.0, end=float("inf")):
    """Change readings of the probe of `other` into `other`, from `begin` to `end`."""

    def change(reading):
        if reading.probe == other.probe and begin <= reading.elapsed < end:
            return replace(other, elapsed=reading.elapsed)
        return reading

    return change


def verdicts(found):
    return {name: each.verdict for name, each in found.results.items()}


def test_the_broken_phase_comes_to_the_verdicts_of_the_run(watched):
    found = watched("broken")
    assert {name: each.explanation for name, each in found.results.items()} == {
        "apiservice": "reached after 42s and held for 45s (16 looks)",
        "top_nodes": "reached after 42s",
        "pods": "reached after 0s",
        "diagnosis": "reached after 48s",
    }
    assert set(verdicts(found).values()) == {Verdict.MET}
    assert found.diagnosis.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK
    assert found["apiservice"].seconds == pytest.approx(87.3, abs=0.2)
    assert found.clock.at - BROKEN_AT == pytest.approx(87.3, abs=0.5)


def test_the_repaired_phase_comes_to_the_verdicts_of_the_run(watched):
    found = watched("repaired")
    assert set(verdicts(found).values()) == {Verdict.MET}
    assert found["top_nodes"].explanation == "reached after 27s"
    held = "reached after 27s and held for 45s (16 looks); "
    assert found["apiservice"].explanation.startswith(held)
    assert found["apiservice"].explanation.count("20 of 20 connections") == 4
    assert found.diagnosis.cause is Cause.HEALTHY
    assert found.clock.at - REPAIRED_AT == pytest.approx(72.2, abs=0.5)


def test_transitions_are_told_once_with_the_seconds_since_the_phase_opened(watched):
    found = watched("repaired")
    told = [each for each in found.events if isinstance(each, TransitionSeen)]
    assert [(each.where, round(each.elapsed)) for each in told] == [
        ("apiservice", 1),
        ("top_nodes", 1),
        ("apiservice", 27),
        ("top_nodes", 27),
    ]
    assert "No agent available" in told[0].text
    assert [round(each.elapsed) for each in found["apiservice"].transitions] == [1, 27]
    assert [each.id for each in found.events if isinstance(each, VerdictReached)] == [
        "top_nodes",
        "apiservice",
    ]


def test_everything_that_was_looked_at_is_recorded(watched):
    found = watched("repaired")
    asked = [argv for taken in found.prober.rounds for argv in taken]
    assert sorted(each.argv for each in found.recorded) == sorted(asked)
    assert any(each.probe.startswith("dial:") for each in found.recorded)


@pytest.fixture
def judged(recording):
    """Watch one expectation of a phase of calico-on-the-nat-interface on recorded rounds."""
    phases = plan_of(load(SCENARIOS / "calico-on-the-nat-interface.yaml")).phases

    def run(phase, expectation, rounds, *, opened, endpoint_ready):
        clock = RecordedClock(opened)
        recorded = []
        watch = PhaseWatch(
            context_of(RecordedProber(clock, recording(rounds)), clock, record=recorded.extend),
            Stage(
                ("controller0",),
                WORKERS,
                konnectivity=True,
                opened=opened,
                endpoint_ready=endpoint_ready,
            ),
            [each for each in phases[phase].expectations if each.id == expectation],
        )
        (found,) = watch.run().results
        return found, recorded

    return run


def test_a_state_holds_from_the_first_look_after_the_round_that_found_the_way_whole(judged):
    """Run 20261125-225903-7090: that round began as a look ended, 39 s after the phase."""
    found, _ = judged(
        1, "apiservice", "calico-on-nat/whole-later", opened=153.7, endpoint_ready=112.5
    )
    assert found.verdict is Verdict.MET
    assert found.explanation.startswith("reached after 42s and held for 45s (17 looks); 20 of 20")


def test_a_busy_hosts_late_looks_belong_to_the_look_they_were_taken_with(recording):
    """Run 20261125-224047-2062: beside two other labs the last two of four began 1.5 s late."""
    readings = recording("busy-host/late-looks")
    clock = RecordedClock(265.11)
    found = RecordedProber(clock, readings).take(ladder.way_probes("controller0"))
    assert [(each.probe, each.elapsed) for each in found if not each.failed] == [
        ("service", 266.031),
        ("endpoints", 266.628),
        ("apiserver_flags", 266.469),
        ("tunnel", 266.627),
    ]
    assert clock.at == pytest.approx(266.81, abs=0.01)


@pytest.mark.parametrize(
    ("began", "looked"),
    [
        pytest.param(263.5, 266.031, id="told after 2.5 s"),
        pytest.param(264.9, 264.9, id="looked at once"),
        pytest.param(250.0, 250.0, id="looked much later"),
    ],
)
def test_a_replay_looks_when_the_run_had_been_told_that_there_is_something_new(
    recording, began, looked
):
    clock = RecordedClock(began)
    prober = RecordedProber(clock, recording("busy-host/late-looks"))
    prober.wait_for(told.until("service", "apiservice/x", seconds=3))
    assert clock.at == looked


def test_an_api_that_becomes_available_is_seen_when_it_is_told_and_a_failure_is_looked_for_at_once(
    watched,
):
    waited = {}
    for phase in ("broken", "repaired"):
        found = watched(phase)
        waited[phase] = [each.argv[:3] for each in found.prober.waited]
    wait = ("kubectl", "wait", f"apiservice/{METRICS}")
    assert waited == {"broken": [], "repaired": [wait]}


@pytest.mark.parametrize(
    ("at", "changed", "waits"),
    [
        pytest.param(REPAIRED_AT, False, False, id="as it was left"),
        pytest.param(REPAIRED_AT, True, True, id="changed"),
        pytest.param(APPLIED[1], False, True, id="on its way"),
    ],
)
def test_only_a_cluster_that_is_as_it_was_is_looked_at_without_waiting_to_be_told(
    phases, plan, at, changed, waits
):
    made, _ = phases()
    made.context.clock.at = at
    changes = (AppliedChange("turn konnectivity-server on", 1.0, at, ""),) if changed else ()
    made.means.bring_about = lambda _phase, _timing: (changes, None)
    made.enter(plan.phases[1])
    told_of = [each.argv[2] for each in made.context.prober.waited]
    assert (f"apiservice/{METRICS}" in told_of) is waits


def test_a_look_that_was_not_taken_gets_nothing_from_the_next_one(recording):
    prober = RecordedProber(RecordedClock(283.0), recording("busy-host/late-looks"))
    found = prober.take(ladder.way_probes("controller0"))
    assert all(each.failed for each in found)


def test_a_round_without_an_endpoint_says_nothing_of_the_way_and_another_is_made(judged):
    """Run 20261125-225903-7090: four rounds were refused before metrics-server was Ready."""
    found, recorded = judged(
        0, "reachability", "calico-on-nat/rounds", opened=89.556, endpoint_ready=89.556
    )
    assert found.verdict is Verdict.MET
    assert "0 of 3 connections from worker0 to 10.244.235.132:10250 opened" in found.explanation
    refused = [each for each in recorded if "refused" in each.stdout and "dial:" in each.probe]
    assert len({round(each.elapsed) for each in refused}) >= 3


def test_what_has_its_verdict_is_not_looked_at_any_more(watched):
    found = watched("broken")
    stream = [taken for taken in found.prober.rounds if len(taken) <= 3]
    pods = [taken for taken in stream if any("pods" in argv for argv in taken)]
    assert len(pods) == 1


def test_two_expectations_of_one_object_cost_one_look(watched):
    twice = plan_with(
        f"apiservice: {{name: {METRICS}, available: false, hold: 45s}}",
        f"apiservice: {{name: {METRICS}, available: false, reason: FailedDiscoveryCheck}}",
    )
    found = watched("broken", expectations=twice.phases[0].expectations)
    assert set(verdicts(found)) == {"apiservice", "apiservice-2"}
    assert set(verdicts(found).values()) == {Verdict.MET}
    stream = [taken for taken in found.prober.rounds if len(taken) <= 3]
    assert all(len(set(taken)) == len(taken) for taken in stream)


def test_a_blind_spot_of_twenty_seconds_in_a_hold_is_inconclusive(watched, lose):
    found = watched("broken", lose("apiservice", 255, 275))
    assert found["apiservice"].verdict is Verdict.INCONCLUSIVE
    assert "nothing could be read for" in found["apiservice"].explanation
    assert found["top_nodes"].verdict is Verdict.MET
    assert found["diagnosis"].verdict is Verdict.MET


def test_a_blind_spot_of_a_few_seconds_ends_no_hold(watched, lose):
    found = watched("broken", lose("apiservice", 255, 264))
    assert found["apiservice"].verdict is Verdict.MET
    assert any("no SSH to controller0" in each.text for each in found["apiservice"].transitions)


def test_an_apiservice_that_nobody_can_read_is_inconclusive_and_not_unmet(watched, lose):
    found = watched("repaired", lose("apiservice"))
    assert found["apiservice"].verdict is Verdict.INCONCLUSIVE


def test_a_failure_that_is_gone_is_changed_behaviour_and_not_met(watched, one):
    found = watched("broken", showing(one("repaired", "apiservice"), begin=205))
    assert found["apiservice"].verdict is Verdict.NOT_MET
    assert found["apiservice"].explanation.startswith("CHANGED BEHAVIOUR")
    assert "not reached within 120s" in found["apiservice"].explanation
    assert found["apiservice"].observed_text == "True Passed all checks passed"


def test_another_failure_than_the_expected_one_is_not_met_and_no_changed_behaviour(watched, one):
    early = one("states", "apiservice", "MissingEndpoints")
    found = watched("broken", showing(early))
    assert found["apiservice"].verdict is Verdict.NOT_MET
    assert "CHANGED" not in found["apiservice"].explanation
    assert "MissingEndpoints" in found["apiservice"].explanation


def test_a_failure_that_heals_in_the_middle_of_its_hold_is_not_met(watched, one):
    found = watched("broken", showing(one("repaired", "apiservice"), begin=265))
    assert found["apiservice"].verdict is Verdict.NOT_MET
    assert "flapping: held for" in found["apiservice"].explanation


def test_the_failure_of_a_cluster_that_has_not_settled_proves_nothing(watched, one):
    found = watched("broken", showing(one("repaired", "apiservice"), begin=235))
    # It failed for 35 seconds before, for the expected reason too.
    assert found["apiservice"].verdict is Verdict.NOT_MET


def test_one_lapse_in_the_hold_is_flapping_and_not_met(watched, one):
    lapse = one("states", "apiservice", "No agent available")
    found = watched("repaired", showing(lapse, 361, 364))
    assert found["apiservice"].verdict is Verdict.NOT_MET
    assert found["apiservice"].explanation.startswith("flapping: held for 21s of 45s, then: False")
    assert found["top_nodes"].verdict is Verdict.MET


def test_a_worker_that_reaches_nothing_makes_it_partial_and_not_met(watched, one):
    lost = one("watched-broken", "dial:10.109.145.162:443")

    def cut_off(reading):
        if reading.probe.startswith("dial:") and reading.where == "worker1":
            # Three lost connections end a round.
            return replace(reading, stdout=lost.stdout * 3, duration=3 * lost.duration)
        return reading

    found = watched("repaired", cut_off)
    assert found["apiservice"].verdict is Verdict.NOT_MET
    assert "partial: 0 of 3 connections" in found["apiservice"].explanation
    assert "(3 timed-out)" in found["apiservice"].explanation
    assert "worker0" not in found["apiservice"].explanation


def test_a_worker_that_could_not_be_asked_is_no_proof_that_the_way_is_whole(watched, lose):
    found = watched("repaired", lose("dial:", where="worker1"))
    assert found["apiservice"].verdict is Verdict.INCONCLUSIVE
    assert "no SSH" in found["apiservice"].explanation


@pytest.mark.parametrize("probe", ["service", "endpoints", "tunnel"])
def test_a_path_that_is_not_known_is_no_proof_that_the_way_is_whole(watched, lose, probe):
    found = watched("repaired", lose(probe))
    assert found["apiservice"].verdict is Verdict.INCONCLUSIVE
    assert "not every connection could be tried" in found["apiservice"].explanation


def test_failed_dials_that_the_server_counts_during_the_hold_make_it_partial(watched):
    name = r"konnectivity_network_proxy_server_dial_failure_count\S*"
    metric = re.compile(rf"^({name} )(\d+)$", re.MULTILINE)

    def growing(reading):
        if reading.probe == "tunnel" and reading.elapsed > 370:
            more = metric.sub(lambda m: f"{m[1]}{int(m[2]) + 5}", reading.stdout, count=1)
            assert more != reading.stdout
            return replace(reading, stdout=more)
        return reading

    found = watched("repaired", growing)
    assert found["apiservice"].verdict is Verdict.NOT_MET
    assert "counted 5 failed dials" in found["apiservice"].explanation


def test_a_slow_round_of_connections_keeps_the_verdict_open_until_it_ends(watched):
    def slow(reading):
        if reading.probe.startswith("dial:") and reading.where in WORKERS:
            return replace(reading, duration=60.0)
        return reading

    found = watched("repaired", slow)
    assert found["apiservice"].verdict is Verdict.MET
    assert found.clock.at - REPAIRED_AT > 27 + 60


def test_metrics_of_one_node_only_are_not_met_within_the_bound(watched):
    def partial(reading):
        if reading.probe == "top_nodes" and reading.returncode == 0:
            *rows, _ = reading.stdout.strip().splitlines()
            return replace(reading, stdout="\n".join(rows) + "\n")
        return reading

    found = watched("repaired", partial)
    assert found["top_nodes"].verdict is Verdict.NOT_MET
    assert "not reached within 120s; last seen: complete: worker0" in found["top_nodes"].explanation
    assert found["apiservice"].verdict is Verdict.MET


def test_a_cluster_that_is_not_healthy_is_told_why_and_not_that_nobody_looked(watched):
    hoped = plan_with(
        f"apiservice: {{name: {METRICS}, available: true, hold: 45s}}",
        "diagnosis: {cause: healthy}",
    )
    found = watched("broken", expectations=hoped.phases[0].expectations)
    assert found["apiservice"].verdict is Verdict.NOT_MET
    assert found["diagnosis"].verdict is Verdict.NOT_MET
    assert "no-route-to-service-network" in found["diagnosis"].observed_text
    assert found.diagnosis.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK


def test_every_phase_of_the_metrics_api_is_diagnosed_also_when_nothing_expects_it(watched):
    failing = plan_with(f"apiservice: {{name: {METRICS}, available: true, within: 10s}}")
    found = watched("broken", expectations=failing.phases[0].expectations)
    assert found["apiservice"].verdict is Verdict.NOT_MET
    assert found.diagnosis.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK


def test_slow_machines_lengthen_the_bound_and_never_the_hold(watched, one):
    late = showing(one("states", "apiservice", "No agent available"), end=REPAIRED_AT + 150)
    assert watched("repaired", late)["apiservice"].verdict is Verdict.NOT_MET
    slow = watched("repaired", late, pace=2.0)
    assert slow["apiservice"].verdict is Verdict.MET
    assert "held for 45s" in slow["apiservice"].explanation


@pytest.mark.parametrize(("pace", "meanwhile"), [(1.0, True), (5.0, False)])
@pytest.mark.parametrize(("phase", "began"), [("broken", BROKEN_AT), ("repaired", REPAIRED_AT)])
def test_slow_machines_are_not_walked_up_while_a_state_has_to_hold(
    watched, phase, began, pace, meanwhile
):
    found = watched(phase, pace=pace)
    walks = [reading.elapsed for reading in found.recorded if reading.probe == "policies"]
    held = max(found[state].seconds for state in ("apiservice", "top_nodes"))
    assert walks
    assert (min(walks) - began < held) is meanwhile
    assert found.diagnosis is not None


@pytest.mark.parametrize(("pace", "verdict"), [(1.0, Verdict.NOT_MET), (5.0, Verdict.MET)])
@pytest.mark.parametrize("phase", ["broken", "repaired"])
def test_a_hold_begins_anew_where_slow_machines_lost_metrics_server(
    watched, one, phase, pace, verdict
):
    opened = BROKEN_AT if phase == "broken" else REPAIRED_AT
    gone = showing(one("states", "apiservice", "MissingEndpoints"), opened + 60, opened + 70)
    found = watched(phase, gone, pace=pace)["apiservice"]
    assert found.verdict is verdict
    assert [each.text for each in found.transitions if "MissingEndpoints" in each.text]
    if verdict is Verdict.MET:
        assert "held for 45s" in found.explanation
        assert found.seconds > 70 + 45
    else:
        assert "flapping" in found.explanation


# --- entering phases ------------------------------------------------------------------------------


class FakeCluster:
    """A cluster whose `k0sctl apply` ends at a given time, or refuses."""

    def __init__(self, clock, ends, error=None):
        self._clock = clock
        self._ends = iter(ends)
        self._error = error
        self.applied = []
        # Its API server answers whenever it is asked whether it does.
        self.kubectl = types.SimpleNamespace(run=lambda _args: "ok")

    @property
    def deployed(self):
        return self.applied[-1] if self.applied else None

    def apply(self, deployment, *, may_fail, joining, on_phase):
        on_phase("Connect to hosts")
        self.may_fail = may_fail
        self.joining = joining
        self._clock.at = next(self._ends)
        if self._error is not None:
            raise self._error
        self.applied.append(deployment)


class NoChanger:
    """Changes no machine: these scenarios change k0sctl.yaml only."""


@pytest.fixture
def phases(recording, plan):
    """The run's own two phases from the end of its first apply on; `events` has what was told."""

    def make(change=lambda reading: reading, *, of=plan, error=None, ends=APPLIED):
        clock = RecordedClock(130.0)
        names = ("settling", "watched-broken", "watched-repaired")
        readings = [each for name in names for each in recording(f"konnectivity-off/{name}")]
        events = []
        context = context_of(ReplayProber(clock, readings, change), clock, emit=events.append)
        settling = Settling(context)
        cluster = FakeCluster(clock, ends, error)
        live = LiveCluster(context, of, cluster, Changes(NoChanger(), clock), settling)
        return Phases(context, of, live, settling), events

    return make


def test_restored_machines_settle_until_the_aggregator_has_looked_again(recording, plan):
    """What the API says of a cluster that was put back is older than that at first."""
    names = ("settling", "watched-broken")
    readings = [each for name in names for each in recording(f"konnectivity-off/{name}")]
    opened = {}
    for restored in (False, True):
        clock = RecordedClock(BROKEN_AT)
        context = context_of(ReplayProber(clock, readings), clock)
        settling = Settling(context, restored=restored)
        _, opened[restored] = settling.wait("a phase", presumed_by(plan, plan.phases[0]))
    assert opened[False] < BROKEN_AT + 2
    assert BROKEN_AT + SETTLE_SECONDS <= opened[True] < BROKEN_AT + SETTLE_SECONDS + 2


def test_restored_machines_settle_anew_from_each_change_of_the_condition(recording, plan):
    """It was True right after a restore, and lapsed for some seconds 50 s later."""
    names = ("settling", "watched-repaired")
    readings = [each for name in names for each in recording(f"konnectivity-off/{name}")]
    clock = RecordedClock(REPAIRED_AT)
    context = context_of(ReplayProber(clock, readings), clock)
    presumed = presumed_by(plan, plan.phases[1])
    _, opened = Settling(context, restored=True).wait("a phase", presumed)
    # The stream's look 27 s later was the first one that said True.
    assert opened == pytest.approx(REPAIRED_AT + 27 + SETTLE_SECONDS, abs=2)


def test_the_whole_run_comes_to_its_verdicts_again(phases, plan):
    made, events = phases()
    broken, repaired = (made.enter(phase) for phase in plan.phases)
    assert {each.verdict for each in (*broken.verdicts, *repaired.verdicts)} == {Verdict.MET}
    assert [each.id for each in broken.verdicts] == ["apiservice", "top_nodes", "pods", "diagnosis"]
    assert all(each.holds for each in (*broken.preconditions, *repaired.preconditions))
    assert broken.diagnosis.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK
    assert [each.text for each in repaired.changes] == ["turn konnectivity-server on"]
    assert made.means.cluster.applied == [phase.deployment for phase in plan.phases]
    assert [each.name for each in events if isinstance(each, PhaseEntered)] == [
        "broken",
        "repaired",
    ]


def test_a_phase_that_failed_is_told_before_the_next_one_and_no_other(phases, plan, lose):
    made, _ = phases()
    told = []
    made.on_failure = told.append
    for phase in plan.phases:
        made.enter(phase)
    assert told == []
    made, _ = phases(lose("apiservice"))
    made.on_failure = told.append
    made.enter(plan.phases[0])
    assert told == ["broken"]


def test_what_preconditions_wait_for_is_told_on_change(phases, plan):
    made, events = phases()
    made.enter(plan.phases[0])
    told = [each.text for each in events if isinstance(each, StepProgress)]
    waiting = [text for text in told if text.startswith("metrics-server is Ready")]
    assert len(waiting) == 1
    assert "Pending, 0 endpoints" in waiting[0]
    assert [each.step for each in events if isinstance(each, StepEnded)] == [
        StepId.APPLY,
        StepId.PRECONDITIONS,
        StepId.OBSERVE,
    ]


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ("endpoints", "metrics-server is Ready: "),
        ("listening", "konnectivity is off: "),
        ("nodes", "nodes are Ready: "),
    ],
)
def test_preconditions_that_cannot_be_seen_make_the_phase_inconclusive(
    phases, plan, lose, probe, words
):
    made, _ = phases(lose(probe))
    with pytest.raises(PreconditionsUnmetError) as caught:
        made.enter(plan.phases[0])
    assert "inconclusive, its preconditions do not hold" in caught.value.text()
    assert f"{words}Reading listening on controller0: no SSH" in caught.value.text()
    assert caught.value.exit_code is ExitCode.INFRASTRUCTURE
    assert made.context.clock.at - APPLIED[0] >= PRECONDITIONS_SECONDS


def test_konnectivity_that_did_not_come_makes_the_phase_inconclusive_and_not_unmet(phases, plan):
    # The second apply ends as well as the first, and the API server stays as it is.
    def unchanged(reading):
        if reading.probe == "apiserver_flags":
            words = reading.stdout.split(" ")
            kept = [word for word in words if not word.startswith("--egress-selector")]
            return replace(reading, stdout=" ".join(kept))
        return reading

    made, _ = phases(unchanged)
    made.enter(plan.phases[0])
    with pytest.raises(PreconditionsUnmetError) as caught:
        made.enter(plan.phases[1])
    assert "konnectivity is on: the API server has no egress selector" in caught.value.text()
    assert f"port {AGENT_PORT} is listened on" in caught.value.text()


def test_what_is_there_already_is_not_applied_again(phases):
    twice = plan_with(
        "pods: {selector: k8s-app=metrics-server, ready: 1}",
        phases="  - name: again\n    expect:\n"
        "      - pods: {selector: k8s-app=metrics-server, ready: 1}\n",
    )
    made, _ = phases(of=twice)
    for phase in twice.phases:
        made.enter(phase)
    assert len(made.means.cluster.applied) == 1


def test_a_cluster_settles_again_when_its_endpoint_was_gone(phases, one):
    two = plan_with(
        "pods: {selector: k8s-app=metrics-server, ready: 1}",
        phases="  - name: after\n    expect:\n"
        f"      - apiservice: {{name: {METRICS}, available: false, hold: 45s}}\n",
    )
    ready = showing(one("broken", "endpoints"), end=190)
    gone = showing(one("settling", "endpoints"), begin=190, end=220)
    made, _ = phases(lambda reading: gone(ready(reading)), of=two)
    made.enter(two.phases[0])
    (verdict,) = made.enter(two.phases[1]).verdicts
    assert verdict.verdict is Verdict.MET
    reached = re.match(r"reached after (\d+)s", verdict.explanation)
    assert 40 <= int(reached[1]) <= 45


@pytest.fixture
def refusal(tmp_path):
    """The reason of tests/recordings/k0sctl, as k0sctl's own error carries it."""
    recorded = RECORDINGS / "k0sctl/refused-unknown-field.log"
    reason = re.search(r'spec: .*?unknown field .*?"enabled\\?"', recorded.read_text())
    text = reason[0] if reason else 'unknown field "enabled"'
    return ApplyFailedError(text.replace('\\"', '"'), tmp_path / "k0sctl.log")


def test_a_refusal_that_is_expected_is_met_and_starts_no_watch(phases, refusal):
    refused = plan_of(load(SCENARIOS / "article-config-refused.yaml"))
    made, events = phases(of=refused, error=refusal)
    result = made.enter(refused.phases[0])
    (verdict,) = result.verdicts
    assert verdict.verdict is Verdict.MET
    assert 'unknown field "enabled"' in verdict.observed_text
    assert result.preconditions == ()
    assert any(isinstance(each, VerdictReached) for each in events)


def test_a_refusal_in_other_words_is_not_the_expected_one(phases, tmp_path):
    refused = plan_of(load(SCENARIOS / "article-config-refused.yaml"))
    other = ApplyFailedError("spec: validation failed: no hosts", tmp_path / "k0sctl.log")
    made, _ = phases(of=refused, error=other)
    (verdict,) = made.enter(refused.phases[0]).verdicts
    assert verdict.verdict is Verdict.NOT_MET
    assert "no hosts" in verdict.observed_text


def test_a_configuration_that_is_taken_where_a_refusal_is_expected_is_not_met(phases):
    refused = plan_of(load(SCENARIOS / "article-config-refused.yaml"))
    made, _ = phases(of=refused)
    (verdict,) = made.enter(refused.phases[0]).verdicts
    assert verdict.verdict is Verdict.NOT_MET
    assert verdict.observed_text == "applied"


def test_a_failed_apply_is_no_refusal_even_where_one_is_expected(phases, tmp_path):
    refused = plan_of(load(SCENARIOS / "article-config-refused.yaml"))
    failed = ApplyFailedError("not connected: connection reset", tmp_path / "k0sctl.log")
    made, _ = phases(of=refused, error=failed)
    with pytest.raises(ApplyFailedError, match="connection reset"):
        made.enter(refused.phases[0])


@pytest.fixture
def unjoined(tmp_path):
    """How k0sctl gave up in tests/recordings/k0sctl, as its own error carries it."""
    recorded = RECORDINGS / "k0sctl/failed-connectivity-check.log"
    return ApplyFailedError(reason_of(recorded.read_text()), tmp_path / "k0sctl.log")


def test_a_failure_that_is_expected_is_met_after_k0sctls_own_patience(phases, unjoined):
    failing = plan_of(load(SCENARIOS / "api-address-on-the-nat-interface.yaml"))
    made, _ = phases(of=failing, error=unjoined)
    result = made.enter(failing.phases[0])
    (verdict,) = result.verdicts
    assert verdict.verdict is Verdict.MET
    assert verdict.observed_text.startswith("failed: failed on 2 hosts: ")
    assert "connectivity check failed: context deadline exceeded" in verdict.observed_text
    assert made.means.cluster.may_fail is True
    assert made.means.cluster.joining is False
    assert result.sums == Sums(cold_start=pytest.approx(APPLIED[0] - 130.0))


def test_new_nodes_are_waited_for_here_where_the_end_of_k0sctl_is_not_judged(phases, plan):
    made, events = phases()
    made.enter(plan.phases[0])
    assert made.means.cluster.joining is True
    assert "Wait for the nodes" in [each.text for each in events if isinstance(each, StepProgress)]
    # Only new ones: k0sctl changes what is there as it does for everybody.
    made.enter(plan.phases[1])
    assert made.means.cluster.joining is False


def test_new_nodes_that_take_long_are_told_with_what_they_say(phases, plan, recording):
    (unready,) = (each for each in recording("diagnosis/node-not-ready/1") if each.probe == "nodes")
    made, events = phases(
        lambda each: replace(each, stdout=unready.stdout) if each.probe == "nodes" else each
    )
    with pytest.raises(PreconditionsUnmetError, match="worker1: NodeStatusUnknown: Kubelet"):
        made.enter(plan.phases[0])
    while_applied = itertools.takewhile(lambda each: not isinstance(each, StepEnded), events)
    texts = [each.text for each in while_applied if isinstance(each, StepProgress)]
    assert texts[-2] == "Wait for the nodes"
    assert texts[-1].startswith("nodes are Ready: 1 of 2: worker0; worker1: NodeStatusUnknown: ")


def test_new_nodes_that_take_no_longer_than_usual_are_not_told(phases, plan):
    made, events = phases()
    made.enter(plan.phases[0])
    texts = [each.text for each in events if isinstance(each, StepProgress)]
    assert not [text for text in texts if text.startswith("nodes are Ready")]


@pytest.mark.parametrize(
    ("reason", "observed"),
    [
        ("not connected: connection reset", "failed: not connected"),
        ("spec: validation failed: no hosts", "refused: spec"),
    ],
)
def test_an_apply_that_fails_otherwise_is_not_the_expected_failure(
    phases, tmp_path, reason, observed
):
    failing = plan_of(load(SCENARIOS / "api-address-on-the-nat-interface.yaml"))
    made, _ = phases(of=failing, error=ApplyFailedError(reason, tmp_path / "k0sctl.log"))
    (verdict,) = made.enter(failing.phases[0]).verdicts
    assert verdict.verdict is Verdict.NOT_MET
    assert verdict.observed_text.startswith(observed)


def test_a_refusal_that_nothing_expects_ends_the_run(phases, plan, refusal):
    made, events = phases(error=refusal)
    with pytest.raises(InfrastructureError, match="unknown field") as caught:
        made.enter(plan.phases[0])
    assert caught.value.exit_code is ExitCode.INFRASTRUCTURE
    (ended,) = [each for each in events if isinstance(each, StepEnded)]
    assert not ended.ok
    assert "unknown field" in ended.text


def test_what_a_refusal_kept_from_being_watched_has_a_verdict_too(phases, refusal):
    both = plan_with(
        "apply: {outcome: applied}",
        "pods: {selector: k8s-app=metrics-server, ready: 1}",
    )
    made, _ = phases(of=both, error=refusal)
    applied, pods = made.enter(both.phases[0]).verdicts
    assert applied.verdict is Verdict.NOT_MET
    assert (pods.id, pods.verdict) == ("pods", Verdict.INCONCLUSIVE)
    assert "unknown field" in pods.explanation
