"""Agents times konnectivity servers.

Walks of a cluster with two controllers are in the table of causes. What that cluster did not show
is composed here: the second controller's readings are real ones of the controller of another walk,
renamed: machine, address and server id, and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from harness.diagnose import findings, ladder, mesh, settling
from harness.diagnose.facts import facts_from
from harness.diagnose.judge import diagnose
from harness.diagnose.model import Confidence, HopId, HopState
from harness.probe import controlplane, konnectivity
from harness.vocabulary.words import Cause
from tests.unit.diagnose import pasted
from tests.unit.paths import RECORDINGS

DIAGNOSIS = RECORDINGS / "diagnosis"
WHOLE = "diagnosis/healthy/4"
ADDRESS, SECOND = "192.168.57.10", "192.168.57.13"


def of(readings, probe, where="controller0"):
    return next(each for each in readings if (each.probe, each.where) == (probe, where))


@pytest.fixture
def whole(recording):
    return list(recording(WHOLE))


@pytest.fixture
def second(whole, recording):
    """A second controller like the first, with the figures of a server that has no agent."""
    none = of(recording("diagnosis/agents-cannot-connect/1"), "tunnel")
    server_id = facts_from(whole).on(konnectivity.PROCESSES)["controller0"][0].server_id

    def readings(*, agents=0):
        taken = []
        for each in whole:
            if each.where != "controller0" or ":" in each.probe:
                continue
            text = each.stdout.replace(server_id, server_id[::-1]).replace(ADDRESS, SECOND)
            if each.probe == "tunnel" and not agents:
                text = none.stdout
            taken.append(replace(each, where="controller1", stdout=text))
        return taken

    return readings


def hop(found, wanted):
    return next(each for each in found.hops if each.id is wanted)


def test_one_controller_has_no_hop_for_others(whole):
    found = diagnose(whole)
    assert (found.cause, found.confidence) == (Cause.HEALTHY, Confidence.HIGH)
    assert HopId.MESH not in {each.id for each in found.hops}


def test_two_controllers_with_all_agents_are_healthy(whole, second):
    found = diagnose([*whole, *second(agents=2)])
    assert (found.cause, found.confidence) == (Cause.HEALTHY, Confidence.HIGH)
    assert "controller1 has 2 of 2 agents" in hop(found, HopId.MESH).text


def test_a_controller_without_the_agents_of_another_is_named_with_what_can_be_done(whole, second):
    found = diagnose([*whole, *second()])
    assert (found.cause, found.confidence) == (
        Cause.AGENTS_REACH_TOO_FEW_SERVERS,
        Confidence.HIGH,
    )
    assert found.broken is not None
    assert found.broken.id is HopId.MESH
    assert "controller0 has 2 of 2 agents; controller1 has 0 of 2 agents" in str(found.facts)
    assert found.also == ()
    remedy = found.remedy or ""
    for way in ("nodeLocalLoadBalancing", "TCP 6443, 8132", "konnectivity.externalAddress", "CPLB"):
        assert way in remedy
    assert "open TCP 8132" not in remedy


def test_it_is_the_same_seen_from_the_controller_that_has_none(whole, second):
    swapped = {"controller0": "controller1", "controller1": "controller0"}
    walk = [
        replace(each, where=swapped.get(each.where, each.where)) for each in [*whole, *second()]
    ]
    walk.sort(key=lambda each: each.where != "controller0")
    facts = facts_from(walk)
    assert facts.of_controller(controlplane.TUNNEL).agents == 0
    found = diagnose(walk)
    assert found.cause == Cause.AGENTS_REACH_TOO_FEW_SERVERS
    assert found.also == ()


def test_a_controller_of_which_nothing_was_seen_lowers_the_confidence(whole, second):
    only_flags = [each for each in second() if each.probe in {"apiserver_flags", "clock"}]
    found = diagnose([*whole, *only_flags])
    assert found.cause in {Cause.AGENTS_REACH_TOO_FEW_SERVERS, Cause.UNKNOWN}
    assert found.confidence is Confidence.LOW
    assert "not seen: controller1" in hop(found, HopId.MESH).text


@pytest.mark.parametrize("cause", [Cause.AGENTS_CANNOT_CONNECT, Cause.AGENT_MISSING])
def test_no_single_missing_reading_of_two_controllers_blames_the_agents(whole, second, cause):
    walk = [*whole, *second()]
    for missing in walk:
        found = diagnose(each for each in walk if each is not missing)
        assert found.cause != cause, f"without {missing.probe} on {missing.where}"


def test_controllers_that_are_configured_unequally_are_said_to_be(whole, second):
    other = [
        replace(each, stdout=each.stdout.replace("10.96.0.0/12", "10.112.0.0/12"))
        if each.probe == "apiserver_flags"
        else each
        for each in second(agents=2)
    ]
    facts = facts_from([*whole, *other])
    assert mesh.differences(facts) == (
        "the Service CIDR: 10.96.0.0/12 on controller0, 10.112.0.0/12 on controller1",
    )
    found = diagnose([*whole, *other])
    assert hop(found, HopId.MESH).state is HopState.BROKEN
    assert found.cause == Cause.CONTROLLERS_DIFFER
    assert "10.112.0.0/12 on controller1" in str(found.facts)


def test_controllers_of_two_releases_are_healthy_while_they_are_updated(whole, second):
    other = [
        replace(each, stdout=each.stdout.replace("v1.32.3", "v1.32.4"))
        if each.probe == "k0s_version"
        else each
        for each in second(agents=2)
    ]
    found = diagnose([*whole, *other])
    assert (found.cause, found.confidence) == (Cause.HEALTHY, Confidence.HIGH)
    assert "v1.32.4+k0s.0 on controller1" in hop(found, HopId.MESH).text


@pytest.fixture
def one_of_two(recording):
    """A real cluster with two controllers, as who knows of the first one sees it."""
    walk = recording("diagnosis/agents-reach-too-few-servers/1")
    return [each for each in walk if each.where != "192.168.56.12"]


def test_a_controller_that_is_known_by_its_lease_alone_is_not_seen(one_of_two):
    facts = facts_from(one_of_two)
    assert set(mesh.strange_leases(facts)) == {"worker1"}
    assert mesh.ghosts(facts) == {}
    found = diagnose(one_of_two)
    assert found.cause == Cause.AGENTS_REACH_TOO_FEW_SERVERS
    assert found.confidence is Confidence.LOW
    assert "not seen: worker1" in hop(found, HopId.MESH).text


def test_a_lease_that_nobody_renews_is_said_and_makes_nothing_ill(one_of_two):
    (leases,) = [each for each in one_of_two if each.probe == "controller_leases"]
    renewed = facts_from(one_of_two).one(konnectivity.LEASES)
    (gone,) = [each for each in renewed if each.name == "worker1"]
    at = datetime.fromtimestamp(gone.renewed, UTC)
    earlier = at - timedelta(seconds=45)
    # The same lease, last renewed 45 seconds before: it is in force for 60.
    text = leases.stdout.replace(f"{at:%H:%M:%S}", f"{earlier:%H:%M:%S}")
    found = diagnose(replace(e, stdout=text) if e is leases else e for e in one_of_two)
    assert (found.cause, found.confidence) == (Cause.HEALTHY, Confidence.HIGH)
    assert "lease k0s-ctrl-worker1 is in force" in hop(found, HopId.MESH).text


def test_each_controller_is_dialled_where_there_are_several(whole, second):
    facts = facts_from([*whole, *second()])
    looks = ladder.second_probes(["controller0", "controller1"], ["worker0"], facts)
    assert f"dial:{SECOND}:8132" in {each.name for each in looks}


def test_loopback_is_where_a_balancer_of_the_machine_s_own_listens():
    assert all(map(findings.is_loopback, ("localhost", "127.0.0.1", "::1", "[::1]")))
    assert not any(map(findings.is_loopback, ("192.168.57.10", "k0s.example.net")))


def edited(walk, probe, old, new):
    (reading,) = [each for each in walk if (each.probe, each.where) == (probe, "controller0")]
    assert old in reading.stdout
    return [
        replace(each, stdout=each.stdout.replace(old, new)) if each is reading else each
        for each in walk
    ]


def test_a_server_that_k0s_did_not_start_is_named_with_its_process(whole):
    # 490 is the server and 344 is k0s; 1 is the parent of what has lost its own.
    found = diagnose(edited(whole, "konnectivity_processes", "    490     344", "    490       1"))
    assert found.cause == Cause.TUNNEL_DOWN
    assert found.also == ()
    assert "kill 490" in (found.remedy or "")


def test_an_agent_that_was_cut_off_on_one_side_only_is_named_with_its_pod(whole):
    # What the server had left of worker1, 192.168.57.12: no connection, and one agent less.
    walk = edited(whole, "tunnel", "ready_backend_connections 2", "ready_backend_connections 1")
    walk = edited(walk, "konnectivity_connections", "192.168.57.12", "192.168.57.10")
    assert mesh.half_open(facts_from(walk)) == ("worker1",)
    found = diagnose(walk)
    assert found.cause == Cause.AGENT_MISSING
    assert "spec.nodeName=worker1" in (found.remedy or "")
    assert "delete pod -l k8s-app=konnectivity-agent" in (found.remedy or "")
    assert "8132" not in (found.remedy or "")


def test_an_agent_that_says_it_cannot_connect_has_noticed_and_is_not_half_open():
    # Its figures of before, and its log and the server's of now.
    before, now = (
        pasted.of_one_lab(DIAGNOSIS / f"{name}.jsonl")
        for name in ("certificate-not-trusted/1", "agents-turned-away/1")
    )
    later = {("tunnel", "controller0"), ("agent_log", "worker0"), ("agent_log", "worker1")}
    kept = [each for each in before if (each.probe, each.where) not in later]
    walk = [*kept, *(each for each in now if (each.probe, each.where) in later)]
    facts = facts_from(walk)
    assert all(each.servers for each in facts.on(konnectivity.AGENT).values())
    assert facts.on(controlplane.TUNNEL)["controller0"].agents == 0
    assert mesh.half_open(facts) == ()


def with_lease(walk, change):
    """Return a walk in which controller1's lease has been changed."""
    (leases,) = [each for each in walk if each.probe == "controller_leases"]
    listed = json.loads(leases.stdout)
    (spec,) = [
        each["spec"]
        for each in listed["items"]
        if each["metadata"]["name"] == "k0s-ctrl-controller1"
    ]
    change(spec)
    text = json.dumps(listed)
    return [replace(each, stdout=text) if each is leases else each for each in walk]


def earlier(spec, key, seconds):
    spec[key] = (datetime.fromisoformat(spec[key]) - timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("walk", ["9", "10"], ids=["judged", "other"])
def test_a_controller_that_came_back_has_servers_started_again_on_every_one(walk, recording):
    readings = recording(f"diagnosis/settling/{walk}")
    assert diagnose(readings).cause == Cause.SETTLING
    # Taken two minutes earlier, and renewed since.
    walked = with_lease(readings, lambda spec: earlier(spec, "acquireTime", 120))
    assert settling.restarted(facts_from(walked)) is False
    assert diagnose(walked).cause == (Cause.TUNNEL_DOWN if walk == "10" else Cause.UNKNOWN)


@pytest.mark.parametrize(
    ("seconds", "holder", "settles"),
    [(20, "", True), (200, "", False), (80, "somebody", True), (200, "somebody", False)],
    ids=["given up", "given up long ago", "ran out", "ran out long ago"],
)
def test_a_controller_that_went_has_servers_started_again(seconds, holder, settles, recording):
    def gone(spec):
        spec["holderIdentity"] = holder
        earlier(spec, "renewTime", seconds)
        earlier(spec, "acquireTime", 1000)

    walk = with_lease(recording("diagnosis/settling/10"), gone)
    assert settling.restarted(facts_from(walk)) is settles


def test_an_agent_that_was_told_of_one_server_is_made_anew_by_its_pod(recording):
    """Both controllers are reached, and the other agent has found them through its balancer."""
    walk = recording("diagnosis/agents-reach-too-few-servers/3")
    assert mesh.misled(facts_from(walk)) == {"worker1": 1}
    found = diagnose(walk)
    remedy = found.remedy or ""
    assert "the agent on worker1 was told of 1 of 2 servers" in remedy
    assert "field-selector spec.nodeName=worker1" in remedy
    assert "k0sworker" not in remedy


def test_two_controllers_behind_a_balancer_on_each_worker_are_healthy(recording):
    walk = recording("diagnosis/healthy/12")
    facts = facts_from(walk)
    assert mesh.behind_balancer(facts)
    assert mesh.servers(facts) == {"controller0": 2, "controller1": 2}
    assert mesh.misled(facts) == {}
