"""What the nodes' own state, etcd's and the age of what is shown make of a diagnosis."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.diagnose.judge import diagnose
from harness.diagnose.model import Confidence, HopId, HopState
from harness.probe import nodestate, service_rules
from harness.vocabulary.words import Cause

# As etcd 3.5.18 of k0s v1.32.3 said it at its quota (2026-11-28).
FULL = '{"health":"false","reason":"ALARM NOSPACE"}'
WELL = '{"health":"true","reason":""}'
TRANSLATED = "diagnosis/cluster-ip-not-translated/1"


@pytest.fixture
def whole(recording):
    """A healthy cluster."""
    return recording("diagnosis/healthy/7")


def edited(walk, probe, old, new, where=None):
    """The walk with other words in one look."""
    changed = [
        replace(each, stdout=each.stdout.replace(old, new))
        if each.probe == probe and where in (None, each.where)
        else each
        for each in walk
    ]
    assert changed != list(walk), f"{probe} says no {old}"
    return changed


def without(walk, probe):
    return [each for each in walk if each.probe.partition(":")[0] != probe]


def an_hour_before(walk):
    """The walk with Leases that were renewed an hour before it."""
    return edited(walk, "node_leases", 'renewTime":"2026-11-28T13:', 'renewTime":"2026-11-28T12:')


def hop(found, name):
    return next(each for each in found.hops if each.id is name)


def test_the_cluster_that_the_rest_is_made_of_is_healthy(whole):
    found = diagnose(whole)
    assert (found.cause, found.confidence) == (Cause.HEALTHY, Confidence.HIGH)


@pytest.mark.parametrize("probe", ["kernel", "etcd_health", "node_leases", "service_rules"])
def test_a_look_that_older_recordings_have_not_costs_no_confidence(whole, probe):
    found = diagnose(without(whole, probe))
    assert (found.cause, found.confidence) == (Cause.HEALTHY, Confidence.HIGH)


def test_an_alarm_of_etcd_is_named_with_what_takes_it_away(whole):
    found = diagnose(edited(whole, "etcd_health", WELL, FULL))
    assert (found.cause, found.confidence) == (Cause.NOTHING_CAN_BE_WRITTEN, Confidence.HIGH)
    assert "etcd on controller0 says NOSPACE" in found.facts[0]
    assert "alarm disarm" in str(found.remedy)


def test_a_node_that_is_ready_and_was_not_heard_of_for_long_makes_no_healthy_cluster(whole):
    found = diagnose(an_hour_before(whole))
    # etcd is well: then it is not known why nobody marks them.
    assert (found.cause, found.confidence) == (Cause.UNKNOWN, Confidence.LOW)
    assert found.broken is not None
    assert found.broken.id is HopId.NODES
    assert "is Ready, and was last heard of" in found.broken.text


def test_nodes_that_are_all_silent_and_ready_show_that_nothing_is_written(whole):
    found = diagnose(without(an_hour_before(whole), "etcd_health"))
    assert (found.cause, found.confidence) == (Cause.NOTHING_CAN_BE_WRITTEN, Confidence.LOW)
    assert found.not_seen == ("why nothing is written: etcd told no alarm",)


def test_a_node_that_forwards_nothing_is_named_with_the_setting(whole):
    found = diagnose(edited(whole, "kernel", "ip_forward:1", "ip_forward:0", "worker1"))
    assert (found.cause, found.confidence) == (Cause.PACKETS_NOT_FORWARDED, Confidence.HIGH)
    assert "on worker1: sysctl -w net.ipv4.ip_forward=1" in str(found.remedy)


def test_an_interface_counts_only_where_the_cluster_goes_through_it(whole):
    head = "ipv4/ip_forward:1\n"
    still = f"{head}ipv4/conf/{{}}/forwarding:0\n"
    other = diagnose(edited(whole, "kernel", head, still.format("eth7"), "worker1"))
    assert other.cause is Cause.HEALTHY
    bridge = diagnose(edited(whole, "kernel", head, still.format("kube-bridge"), "worker1"))
    assert bridge.cause is Cause.PACKETS_NOT_FORWARDED


@pytest.mark.parametrize(("most", "cause"), [("64", "connection-table-full"), ("9999", "healthy")])
def test_a_table_of_connections_that_is_full_is_named(whole, most, cause):
    found = diagnose(edited(whole, "kernel", "max:262144", f"max:{most}", "worker0"))
    assert (found.cause, found.confidence) == (cause, Confidence.HIGH)


# As the kernel of an emulated worker said it while nf_conntrack_max was 64.
DROPPED = "1389.23\n[ 1390.706413] nf_conntrack: nf_conntrack: table full, dropping packet\n"


@pytest.mark.parametrize(
    ("uptime", "most", "cause"),
    [
        pytest.param("1389.23", "250", "connection-table-full", id="a moment ago"),
        pytest.param("1489.23", "250", "healthy", id="long ago"),
        pytest.param("1389.23", "9999", "healthy", id="another machine's, of one kernel"),
    ],
)
def test_a_table_that_has_some_room_again_is_full_where_the_kernel_just_dropped_a_packet(
    whole, uptime, most, cause
):
    """What ends a connection makes room for one that begins, and the next packet is lost."""
    walk = edited(whole, "kernel", "max:262144", f"max:{most}", "worker0")
    kernel = next(each for each in walk if each.probe == "kernel" and each.where == "worker0")
    said = DROPPED.replace("1389.23", uptime)
    dropped = replace(kernel, probe="connections_dropped", stdout=said)
    found = diagnose([*walk, dropped])
    assert (found.cause, found.confidence) == (cause, Confidence.HIGH)


@pytest.mark.parametrize(("said", "ago"), [(DROPPED, 0.0), ("1537.35\n", None)])
def test_the_kernel_says_when_it_last_dropped_a_packet_or_that_it_never_did(recording, said, ago):
    reading = next(each for each in recording(TRANSLATED) if each.probe == "kernel")
    assert nodestate.parse_dropped(replace(reading, stdout=said)) == ago


def rules_of(walk, worker="worker0"):
    return next(
        service_rules.parse(each)
        for each in walk
        if each.probe.startswith("service_rules:") and each.where == worker
    )


def test_rules_of_another_backend_are_told_from_kube_proxys(recording):
    found = rules_of(recording(TRANSLATED))
    assert found.proxy
    assert found.asked
    assert len(found.leads_to) == 1
    assert {each.partition(":")[0] for each in found.foreign} == {"iptables-legacy -t nat"}
    assert "--to-destination 10.244.9.9:10250" in found.foreign[0]


def only(walk, kept):
    """The walk whose workers have those lines of rules only."""
    return [
        replace(each, stdout="".join(f"{x}\n" for x in each.stdout.splitlines() if kept(x)))
        if each.probe.startswith("service_rules:")
        else each
        for each in walk
    ]


def test_rules_that_kube_proxy_never_wrote_or_left_are_named(recording):
    walk = recording(TRANSLATED)
    none = diagnose(only(walk, lambda line: line.startswith(("runs", "asked"))))
    assert (none.cause, none.confidence) == (Cause.CLUSTER_IP_NOT_TRANSLATED, Confidence.HIGH)
    assert "kube-proxy runs and has no rule for it" in str(none.facts)
    gone = diagnose(only(walk, lambda line: line.startswith("asked")))
    assert "no kube-proxy runs" in str(gone.facts)
    assert "delete pod -l k8s-app=kube-proxy" in str(gone.remedy)


def test_rules_that_are_right_leave_it_to_something_else(recording):
    right = only(recording(TRANSLATED), lambda line: not line.startswith("legacy"))
    assert diagnose(right).cause is Cause.UNKNOWN
    unasked = only(recording(TRANSLATED), lambda line: line == "runs kube-proxy")
    assert (diagnose(unasked).cause, diagnose(unasked).confidence) == (
        Cause.UNKNOWN,
        Confidence.LOW,
    )


def test_where_kube_proxy_writes_no_iptables_its_rules_are_not_missed(recording):
    walk = only(recording(TRANSLATED), lambda line: line.startswith(("runs", "asked")))
    for mode in ("mode ipvs", "mode nftables"):
        told = [
            replace(each, stdout=f"{mode}\n{each.stdout}")
            if each.probe.startswith("service_rules:")
            else each
            for each in walk
        ]
        assert not rules_of(told).asked
        assert diagnose(told).cause is Cause.UNKNOWN


def test_a_pod_that_its_own_node_does_not_reach_is_told_from_one_that_is_ill(recording):
    walk = recording("diagnosis/pod-unreachable-from-own-node/1")
    found = diagnose(walk)
    assert found.cause is Cause.POD_UNREACHABLE_FROM_OWN_NODE
    assert hop(found, HopId.ALIVE).state is HopState.BROKEN
    # One answer at home, and it is something else.
    answered = [
        replace(each, stdout="ok 200\nok 200\n", returncode=0, stderr="")
        if each.probe.startswith("health:")
        else each
        for each in walk
    ]
    assert diagnose(answered).cause is not Cause.POD_UNREACHABLE_FROM_OWN_NODE
    # Without anybody who gets there it is not to be told.
    alone = [each for each in walk if "10250" not in each.probe or each.where == "worker1"]
    alone = [each for each in alone if not each.probe.startswith("agent_payload")]
    assert diagnose(alone).cause is not Cause.POD_UNREACHABLE_FROM_OWN_NODE


def test_what_the_kernel_does_not_have_is_no_fault(recording):
    reading = next(each for each in recording(TRANSLATED) if each.probe == "kernel")
    plain = nodestate.parse_kernel(replace(reading, stdout="ipv4/ip_forward:1\n"))
    assert plain == nodestate.Kernel(forwards=True)
    assert not plain.full


def test_another_store_than_etcd_says_nothing(recording):
    reading = next(each for each in recording(TRANSLATED) if each.probe == "etcd_health")
    disk = reading.stdout.partition("{")[0]
    store = nodestate.parse_store(replace(reading, stdout=disk))
    assert store.healthy is None
    assert store.disk == nodestate.parse_store(reading).disk


def test_a_way_that_a_busy_machine_had_no_time_for_makes_no_healthy_cluster(whole):
    late = [
        replace(
            each,
            stdout="000 0 0.000000\n",
            stderr="curl: (28) Connection timed out after 5001 milliseconds\n",
            returncode=28,
            duration=8.2,
        )
        if each.probe.startswith("agent_payload:10.244") and each.where == "worker0"
        else each
        for each in whole
    ]
    found = diagnose(late)
    assert (found.cause, found.confidence) == (Cause.UNKNOWN, Confidence.LOW)
    assert "worker0 is too busy to tell" in found.not_seen[0]


def test_pods_that_are_cut_off_while_workers_are_not_name_the_cloud_and_the_overlay(recording):
    found = diagnose(recording("diagnosis/cross-node-traffic-cut/2"))
    assert found.cause is Cause.CROSS_NODE_TRAFFIC_CUT
    remedy = str(found.remedy)
    assert "workers get there and their pods do not" in remedy
    assert "source/destination check" in remedy
    assert "kube-router: overlay-type: full in spec.network.kuberouter.extraArgs" in remedy
