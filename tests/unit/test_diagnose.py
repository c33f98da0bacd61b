"""The diagnosis, on what real clusters said."""

import pytest

from harness.diagnose import ladder
from harness.diagnose.causes import diagnose
from harness.diagnose.messages import classify
from harness.diagnose.model import Confidence
from harness.diagnose.model import HopState
from harness.probe import apiservice
from harness.scenario.words import Cause
from harness.scenario.words import MessageClass


def test_without_konnectivity_the_missing_route_is_named_with_its_proof(recording):
    found = diagnose(recording("konnectivity-off/broken"))
    assert found.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK
    assert found.confidence is Confidence.HIGH
    assert found.first_broken_hop == ladder.ROUTE
    assert "10.109.145.162 goes by the default route via 172.30.64.1 dev eth0" in str(found.facts)
    assert "0 of 1 connections from controller0 to 10.109.145.162:443 opened" in str(found.facts)


def test_the_remedy_has_the_addresses_of_this_cluster(recording):
    remedy = diagnose(recording("konnectivity-off/broken")).remedy
    assert remedy is not None
    assert "ip route add 10.96.0.0/12 via 192.168.56.11" in remedy


def test_the_labs_own_packet_filter_is_evidence_and_never_the_cause(recording):
    readings = recording("konnectivity-off/broken")
    found = diagnose(readings)
    assert any("408 packets left the controller" in fact for fact in found.facts)
    without = diagnose(each for each in readings if each.probe != "isolation")
    assert (without.cause, without.confidence) == (found.cause, found.confidence)


def test_a_repaired_cluster_is_healthy_with_every_hop_holding(recording):
    found = diagnose(recording("konnectivity-off/repaired"))
    assert found.cause is Cause.HEALTHY
    assert found.confidence is Confidence.HIGH
    assert found.first_broken_hop is None
    assert {hop.state for hop in found.hops} == {HopState.HOLDS}
    assert "2 agents connected, 2 nodes" in str(found.facts)


def test_a_metrics_server_that_is_still_pending_is_named_first(recording):
    found = diagnose(recording("konnectivity-off/settling"))
    assert found.cause is Cause.METRICS_SERVER_NOT_READY
    assert found.first_broken_hop == ladder.BACKEND


def test_agents_that_cannot_connect_are_named_although_their_pods_run(recording):
    found = diagnose(recording("konnectivity-faults/agents-rejected"))
    assert found.cause is Cause.TUNNEL_DOWN
    assert found.confidence is Confidence.HIGH
    assert found.first_broken_hop == ladder.TUNNEL
    assert "0 agents connected, 2 nodes" in str(found.facts)
    assert found.hops[-1].text.endswith("No agent available")


def test_nothing_seen_gives_no_cause():
    found = diagnose(())
    assert found.cause is Cause.UNKNOWN
    assert found.confidence is Confidence.LOW


@pytest.mark.parametrize(
    "name",
    ["konnectivity-off/broken", "konnectivity-off/repaired", "konnectivity-faults/agents-rejected"],
)
def test_a_missing_piece_of_evidence_never_gives_another_cause(recording, name):
    readings = recording(name)
    whole = diagnose(readings)
    for missing in readings:
        found = diagnose(each for each in readings if each is not missing)
        assert found.cause in {whole.cause, Cause.UNKNOWN}, missing.probe
        if found.cause is Cause.UNKNOWN:
            assert found.confidence is Confidence.LOW


def test_evidence_that_the_cause_rests_on_lowers_the_confidence_when_it_is_missing(recording):
    readings = recording("konnectivity-off/broken")
    found = diagnose(each for each in readings if not each.probe.startswith("dial:10.109"))
    assert found.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK
    assert found.confidence is Confidence.LOW
    assert any(text.startswith(ladder.DIAL) for text in found.not_seen)


def test_messages_of_a_failed_discovery_check_fall_into_classes(recording):
    seen = {
        state.reason: set()
        for reading in recording("konnectivity-off/states")
        if reading.probe == "apiservice" and (state := apiservice.parse(reading))
    }
    for reading in recording("konnectivity-off/states"):
        if reading.probe == "apiservice":
            state = apiservice.parse(reading)
            seen[state.reason].add(classify(state.message))
    assert seen["FailedDiscoveryCheck"] == {MessageClass.TIMED_OUT, MessageClass.NO_AGENT}


# Texts quoted in the project's measured notes and in the threads that messages.py names.
@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("dial tcp 10.110.84.73:443: connect: connection refused", MessageClass.REFUSED),
        ("dial tcp 10.97.131.110:443: connect: no route to host", MessageClass.NO_ROUTE),
        ("No agent available", MessageClass.NO_AGENT),
        ("something nobody has seen yet", MessageClass.UNKNOWN),
    ],
)
def test_known_texts_have_their_class_and_unknown_ones_say_so(message, expected):
    assert classify(message) is expected
