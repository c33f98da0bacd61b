"""What a phase presumes, judged on what real clusters printed; unmet is never a failure."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from harness.engine.preconditions import Presumed
from harness.engine.preconditions import endpoint_is_ready
from harness.engine.preconditions import judge
from harness.engine.preconditions import probes
from harness.probe.controlplane import CONFIG
from harness.scenario.reserved import ConfigLeaf

NODES = "nodes are Ready"
ADDRESSES = "node addresses are distinct and on the private network"
OFF = "konnectivity is off"
ON = "konnectivity is on"
METRICS_SERVER = "metrics-server is Ready"
CONFIGURED = "k0s has the given configuration"

WITHOUT = Presumed(
    controller="controller0",
    workers=("worker0", "worker1"),
    network=IPv4Network("192.168.56.0/24"),
    konnectivity=False,
    metrics_server=True,
)
WITH = replace(WITHOUT, konnectivity=True)


@pytest.fixture
def readings(recording):
    """The readings of one look at the preconditions, by the recording they are in."""

    def take(name):
        wanted = {(each.where, each.argv) for each in probes(WITHOUT)}
        found = {
            (each.where, each.argv): each
            for each in recording(f"konnectivity-off/{name}")
            if (each.where, each.argv) in wanted
        }
        assert len(found) == len(wanted)
        return list(found.values())

    return take


def standing(presumed, readings):
    return {each.name: each.holds for each in judge(presumed, readings)}


def texts(presumed, readings):
    return {each.name: each.text for each in judge(presumed, readings)}


def changed(readings, probe, old, new):
    """The readings with one text in one of them replaced, wherever it stands in it."""
    found = [
        replace(each, stdout=each.stdout.replace(old, new)) if each.probe == probe else each
        for each in readings
    ]
    assert found != readings
    return found


@pytest.mark.parametrize(("presumed", "name"), [(WITHOUT, "broken"), (WITH, "repaired")])
def test_all_hold_where_the_cluster_is_as_declared(readings, presumed, name):
    found = standing(presumed, readings(name))
    konnectivity = ON if presumed.konnectivity else OFF
    assert found == dict.fromkeys([NODES, ADDRESSES, konnectivity, METRICS_SERVER], True)


@pytest.mark.parametrize(
    ("presumed", "name", "text"),
    [
        (WITH, "broken", "the API server has no egress selector, port 8132 is not listened on"),
        (WITHOUT, "repaired", "the API server has an egress selector, port 8132 is listened on"),
    ],
)
def test_konnectivity_that_is_not_as_declared_does_not_hold(readings, presumed, name, text):
    konnectivity = ON if presumed.konnectivity else OFF
    assert standing(presumed, readings(name))[konnectivity] is False
    assert texts(presumed, readings(name))[konnectivity] == text


@pytest.mark.parametrize("presumed", [WITH, WITHOUT])
def test_konnectivity_that_is_half_on_is_neither_on_nor_off(readings, presumed):
    half = [each for each in readings("repaired") if each.probe != "listening"]
    half += [each for each in readings("broken") if each.probe == "listening"]
    konnectivity = ON if presumed.konnectivity else OFF
    assert standing(presumed, half)[konnectivity] is False


def test_nodes_on_another_network_do_not_hold(readings):
    elsewhere = replace(WITHOUT, network=IPv4Network("192.168.57.0/24"))
    found = standing(elsewhere, readings("broken"))
    assert found[ADDRESSES] is False
    assert found[NODES] is True
    assert texts(elsewhere, readings("broken"))[ADDRESSES] == (
        "192.168.56.11, 192.168.56.12 in 192.168.57.0/24"
    )


def test_two_nodes_with_one_address_do_not_hold(readings):
    same = changed(readings("broken"), "nodes", "192.168.56.12", "192.168.56.11")
    assert standing(WITHOUT, same)[ADDRESSES] is False


def test_a_node_that_is_missing_or_not_of_this_lab_does_not_hold(readings):
    three = replace(WITHOUT, workers=("worker0", "worker1", "worker2"))
    assert standing(three, readings("broken"))[NODES] is False
    assert texts(three, readings("broken"))[NODES] == "2 of 3: worker0, worker1"
    other = changed(readings("broken"), "nodes", '"worker1"', '"stranger"')
    assert standing(WITHOUT, other)[NODES] is False


def test_a_node_that_is_not_ready_does_not_hold(readings):
    # A condition's members stand in this order in what the API server prints.
    ready = '"status": "True",\n                        "type": "Ready"'
    down = changed(readings("broken"), "nodes", ready, ready.replace("True", "Unknown"))
    assert standing(WITHOUT, down)[NODES] is False
    assert texts(WITHOUT, down)[NODES] == "0 of 2: none"


def test_a_metrics_server_that_is_pending_does_not_hold(readings):
    found = standing(WITHOUT, readings("settling"))
    assert found[METRICS_SERVER] is False
    assert "Pending, 0 endpoints" in texts(WITHOUT, readings("settling"))[METRICS_SERVER]


def test_a_ready_pod_without_an_endpoint_does_not_hold(readings):
    mixed = [each for each in readings("broken") if each.probe != "endpoints"]
    mixed += [each for each in readings("settling") if each.probe == "endpoints"]
    assert standing(WITHOUT, mixed)[METRICS_SERVER] is False


def test_a_phase_that_does_not_presume_a_metrics_server_does_not_ask_for_it(readings):
    without = replace(WITHOUT, metrics_server=False)
    assert METRICS_SERVER not in standing(without, readings("settling"))


@pytest.mark.parametrize(
    ("probe", "names"),
    [
        ("nodes", {NODES, ADDRESSES}),
        ("apiserver_flags", {OFF}),
        ("listening", {OFF}),
        ("endpoints", {METRICS_SERVER}),
    ],
)
def test_what_was_not_seen_neither_holds_nor_fails(readings, recording, probe, names):
    (failed,) = recording("konnectivity-off/failed-look")
    lost = [
        replace(each, returncode=None, stdout="", error=failed.error)
        if each.probe == probe
        else each
        for each in readings("broken")
    ]
    found = standing(WITHOUT, lost)
    assert {name for name, holds in found.items() if holds is None} == names
    assert all(texts(WITHOUT, lost)[name] == failed.error for name in names)


def test_nothing_looked_at_holds_nowhere():
    assert set(standing(WITHOUT, ()).values()) == {None}


def test_the_endpoint_is_ready_once_it_is_and_unknown_where_it_was_not_seen(readings):
    assert endpoint_is_ready(readings("broken")) is True
    assert endpoint_is_ready(readings("settling")) is False
    assert endpoint_is_ready(()) is None


GIVEN = replace(WITHOUT, config=(ConfigLeaf(("spec", "network", "provider"), "calico"),))


def test_the_configuration_is_read_back_only_where_the_scenario_gives_one():
    assert not any(each.name == CONFIG for each in probes(WITHOUT))
    assert any(each.name == CONFIG for each in probes(GIVEN))
    assert CONFIGURED not in standing(WITHOUT, ())
    assert standing(GIVEN, ())[CONFIGURED] is None


@pytest.mark.parametrize(
    ("said", "holds", "text"),
    [
        ('{"ClusterConfig": {"spec": {"network": {"provider": "calico"}}}}', True, "1 values"),
        (
            '{"ClusterConfig": {"spec": {"network": {"provider": "kuberouter"}}}}',
            False,
            "k0s dropped spec.network.provider",
        ),
        ('{"ClusterConfig": {"spec": {}}}', False, "k0s dropped spec.network.provider"),
        ('{"ClusterConfig": null}', None, "k0s status on controller0 names no ClusterConfig"),
    ],
)
def test_a_value_that_k0s_dropped_does_not_hold_and_is_named(readings, said, holds, text):
    probe = next(each for each in probes(GIVEN) if each.name == CONFIG)
    some = readings("broken")
    asked = replace(some[0], probe=probe.name, where=probe.where, argv=probe.argv, stdout=said)
    assert standing(GIVEN, [*some, asked])[CONFIGURED] is holds
    assert texts(GIVEN, [*some, asked])[CONFIGURED] == text
