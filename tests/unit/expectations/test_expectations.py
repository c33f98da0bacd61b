"""How each kind of expectation sees what real clusters printed."""

from dataclasses import replace

import pytest

from harness.diagnose.judge import diagnose
from harness.expectations.apiservice import Apiservice
from harness.expectations.apply import Apply
from harness.expectations.diagnosis import Diagnosis
from harness.expectations.kind import SETTLE_SECONDS, Streamed
from harness.expectations.pods import Pods
from harness.expectations.sample import Match
from harness.expectations.top_nodes import TopNodes
from harness.probe.core import observe
from harness.vocabulary.words import ApiserviceReason, ApplyOutcome, Cause, MessageClass, TopOutcome

METRICS = "v1beta1.metrics.k8s.io"
WORKERS = ("worker0", "worker1")
AVAILABLE = Apiservice(name=METRICS, available=True)
UNAVAILABLE = Apiservice(name=METRICS, available=False)
DISCOVERY = Apiservice(
    name=METRICS, available=False, reason=ApiserviceReason.FAILED_DISCOVERY_CHECK
)
COMPLETE = TopNodes(outcome=TopOutcome.COMPLETE)
METRICS_SERVER = Pods(selector="k8s-app=metrics-server", ready=1)


@pytest.fixture
def reading(recording):
    """One reading of a recording by its probe."""

    def find(name, probe):
        return next(each for each in recording(f"konnectivity-off/{name}") if each.probe == probe)

    return find


@pytest.fixture
def states(recording):
    """The recorded states of the APIService by a word of their message."""

    def find(word):
        return next(
            each
            for each in recording("konnectivity-off/states")
            if each.probe == "apiservice" and word in each.stdout
        )

    return find


def seen(expectation, reading, nodes=WORKERS):
    return expectation.sample(observe(expectation.probe().parse, reading), nodes)


@pytest.mark.parametrize(
    ("expectation", "name", "match"),
    [
        (AVAILABLE, "repaired", Match.MATCH),
        (AVAILABLE, "broken", Match.MISMATCH),
        (UNAVAILABLE, "broken", Match.MATCH),
        (UNAVAILABLE, "repaired", Match.MISMATCH),
        (DISCOVERY, "broken", Match.MATCH),
        (DISCOVERY, "repaired", Match.MISMATCH),
    ],
)
def test_the_condition_is_compared_by_its_status(reading, expectation, name, match):
    found = seen(expectation, reading(name, "apiservice"))
    assert found.match is match
    assert found.state == ("True Passed" if name == "repaired" else "False FailedDiscoveryCheck")


def test_another_reason_is_another_failure(states):
    early = states("MissingEndpoints")
    assert seen(UNAVAILABLE, early).match is Match.MATCH
    assert seen(DISCOVERY, early).match is Match.MISMATCH
    assert seen(DISCOVERY, early).state == "False MissingEndpoints"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("context deadline exceeded", MessageClass.TIMED_OUT),
        ("request canceled while waiting", MessageClass.TIMED_OUT),
        ("No agent available", MessageClass.NO_AGENT),
    ],
)
def test_the_class_of_the_message_is_compared_where_it_is_given(states, word, expected):
    def wanting(name):
        return Apiservice(name=METRICS, available=False, message_class=name)

    for name in MessageClass:
        match = Match.MATCH if name is expected else Match.MISMATCH
        assert seen(wanting(name), states(word)).match is match, name


def test_messages_that_vary_are_one_state(states):
    texts = [states("context deadline exceeded"), states("request canceled while waiting")]
    found = [seen(DISCOVERY, each) for each in texts]
    assert found[0].text != found[1].text
    assert found[0].state == found[1].state


# What kubectl prints for an object that is not there, on any cluster.
NOT_FOUND = (
    f'Error from server (NotFound): apiservices.apiregistration.k8s.io "{METRICS}" not found'
)


@pytest.mark.parametrize("expectation", [AVAILABLE, UNAVAILABLE])
def test_an_apiservice_that_does_not_exist_is_neither_available_nor_unavailable(
    reading, expectation
):
    gone = replace(reading("broken", "apiservice"), returncode=1, stdout="", stderr=NOT_FOUND)
    found = seen(expectation, gone)
    assert found.match is Match.MISMATCH
    assert found.text == "the APIService does not exist"


@pytest.mark.parametrize("expectation", [AVAILABLE, UNAVAILABLE])
def test_a_condition_that_is_unknown_is_neither_available_nor_unavailable(reading, expectation):
    healthy = reading("repaired", "apiservice")
    unknown = replace(
        healthy, stdout=healthy.stdout.replace('"status": "True"', '"status": "Unknown"')
    )
    assert unknown != healthy
    assert seen(expectation, unknown).match is Match.MISMATCH


@pytest.mark.parametrize(
    ("expectation", "probe"),
    [(AVAILABLE, "apiservice"), (COMPLETE, "top_nodes"), (METRICS_SERVER, "pods")],
)
def test_a_look_that_failed_is_a_gap_for_every_kind(reading, recording, expectation, probe):
    (failed,) = recording("konnectivity-off/failed-look")
    lost = replace(reading("repaired", probe), returncode=None, stdout="", error=failed.error)
    found = seen(expectation, lost)
    assert found.match is Match.GAP
    assert found.text == failed.error


def test_a_sample_stands_at_the_end_of_its_look(reading):
    taken = reading("broken", "apiservice")
    assert taken.duration > 0
    assert seen(AVAILABLE, taken).at == taken.elapsed + taken.duration


@pytest.mark.parametrize("outcome", list(TopOutcome))
def test_top_nodes_matches_its_own_outcome_and_no_other(reading, outcome):
    wanted = TopNodes(outcome=outcome)
    broken = seen(wanted, reading("broken", "top_nodes"))
    repaired = seen(wanted, reading("repaired", "top_nodes"))
    assert (broken.match is Match.MATCH) == (outcome is TopOutcome.API_NOT_AVAILABLE)
    assert (repaired.match is Match.MATCH) == (outcome is TopOutcome.COMPLETE)
    assert broken.text == "api-not-available: error: Metrics API not available"
    assert repaired.text == "complete: worker0, worker1"


def test_top_nodes_is_complete_only_with_a_row_for_every_node(reading):
    taken = reading("repaired", "top_nodes")
    assert seen(COMPLETE, taken, nodes=(*WORKERS, "worker2")).match is Match.MISMATCH
    named = TopNodes(outcome=TopOutcome.COMPLETE, nodes=("worker0", "worker1"))
    assert seen(named, taken, nodes=("never asked",)).match is Match.MATCH
    other = TopNodes(outcome=TopOutcome.COMPLETE, nodes=("worker0", "worker2"))
    assert seen(other, taken).match is Match.MISMATCH


def test_a_row_without_figures_is_partial_whatever_the_exit_status(reading):
    taken = reading("repaired", "top_nodes")
    *_, last = taken.stdout.strip().splitlines()
    # kubectl's own word for a node whose metrics are not there (metrics_printer.go).
    row = "worker1   <unknown>   <unknown>   <unknown>   <unknown>"
    partial = replace(taken, stdout=taken.stdout.replace(last, row))
    assert seen(COMPLETE, partial).match is Match.MISMATCH
    assert seen(COMPLETE, partial).text == "partial: worker0, worker1 (<unknown>: worker1)"
    assert seen(TopNodes(outcome=TopOutcome.PARTIAL), partial).match is Match.MATCH


def test_pods_are_counted_exactly(reading):
    taken = reading("broken", "pods")
    assert seen(METRICS_SERVER, taken).match is Match.MATCH
    assert seen(METRICS_SERVER, taken).text == "1 of 1 Ready"
    for ready in (0, 2):
        wanted = Pods(selector="k8s-app=metrics-server", ready=ready)
        assert seen(wanted, taken).match is Match.MISMATCH
    assert seen(METRICS_SERVER, reading("settling", "pods")).text == "0 of 1 Ready"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("broken", Cause.NO_ROUTE_TO_SERVICE_NETWORK),
        ("repaired", Cause.HEALTHY),
        ("settling", Cause.METRICS_SERVER_NOT_READY),
    ],
)
def test_a_diagnosis_matches_its_own_cause_and_no_other(recording, name, cause):
    found = diagnose(recording(f"konnectivity-off/{name}"))
    for wanted in Cause:
        judged = Diagnosis(cause=wanted).sample(found, at=7.0)
        assert judged.at == 7.0
        assert judged.match is (Match.MATCH if wanted is cause else Match.MISMATCH)
        assert judged.text.startswith(cause.value)


@pytest.mark.parametrize(
    ("also", "found", "match"),
    [
        ({}, (), Match.MATCH),
        ({}, (Cause.CLOCK_SKEW,), Match.MATCH),
        ({"also": (Cause.CLOCK_SKEW,)}, (Cause.CLOCK_SKEW,), Match.MATCH),
        ({"also": (Cause.CLOCK_SKEW,)}, (Cause.AGENT_MISSING, Cause.CLOCK_SKEW), Match.MATCH),
        ({"also": (Cause.CLOCK_SKEW,)}, (), Match.MISMATCH),
        (
            {"also": (Cause.CLOCK_SKEW, Cause.AGENT_MISSING)},
            (Cause.CLOCK_SKEW,),
            Match.MISMATCH,
        ),
    ],
)
def test_second_causes_that_are_expected_must_all_be_named(recording, also, found, match):
    diagnosed = replace(diagnose(recording("konnectivity-off/broken")), also=found)
    wanted = Diagnosis(cause=diagnosed.cause, **also)
    judged = wanted.sample(diagnosed, at=7.0)
    assert judged.match is match
    assert all(f", also {each}" in judged.text for each in found)
    # A second cause alone is not the first one.
    other = Diagnosis(cause=Cause.CLOCK_SKEW)
    assert other.sample(diagnosed, at=7.0).match is Match.MISMATCH


@pytest.mark.parametrize(
    ("expectation", "seconds"),
    [
        (UNAVAILABLE, SETTLE_SECONDS),
        (DISCOVERY, SETTLE_SECONDS),
        (AVAILABLE, 0.0),
        (TopNodes(outcome=TopOutcome.API_NOT_AVAILABLE), SETTLE_SECONDS),
        (TopNodes(outcome=TopOutcome.SERVICE_UNAVAILABLE), SETTLE_SECONDS),
        (COMPLETE, 0.0),
        (METRICS_SERVER, 0.0),
        (Diagnosis(cause=Cause.NO_ROUTE_TO_SERVICE_NETWORK), SETTLE_SECONDS),
        (Diagnosis(cause=Cause.HEALTHY), 0.0),
    ],
)
def test_what_a_young_cluster_shows_as_well_counts_only_once_it_has_settled(expectation, seconds):
    assert expectation.settle_seconds == seconds


def test_the_settling_outlasts_a_resync_and_the_probe_of_the_aggregator():
    assert SETTLE_SECONDS == 40.0


def test_each_kind_that_is_a_stream_has_the_probe_of_what_it_names():
    named = Apiservice(name="v1beta1.example.test", available=True)
    asked = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.example.test"
    assert named.probe().argv == ("kubectl", "get", "--raw", asked)
    assert COMPLETE.probe().argv == ("kubectl", "top", "nodes")
    elsewhere = Pods(selector="app=x", namespace="default", ready=0)
    asked = "/api/v1/namespaces/default/pods?labelSelector=app%3Dx"
    assert elsewhere.probe().argv == ("kubectl", "get", "--raw", asked)
    assert not isinstance(Diagnosis(cause=Cause.HEALTHY), Streamed)
    assert not isinstance(Apply(outcome=ApplyOutcome.REFUSED), Streamed)


def test_only_expectations_of_the_metrics_api_presume_a_metrics_server():
    presuming = [AVAILABLE, COMPLETE, Diagnosis(cause=Cause.HEALTHY)]
    assert all(each.presumes_metrics_server for each in presuming)
    others = [METRICS_SERVER, Apply(outcome=ApplyOutcome.APPLIED)]
    assert not any(each.presumes_metrics_server for each in others)
