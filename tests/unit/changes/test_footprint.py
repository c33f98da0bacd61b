"""What `undo: exact` promises is compared fact by fact, and what Kubernetes moves is not."""

import json
from dataclasses import replace

import pytest

from harness.changes import footprint
from harness.changes.footprint import Footprint
from harness.evidence.reading import Reading
from harness.probe.core import UnreadableError

PARSERS = {
    "rules": footprint.parse_rules,
    "routes": footprint.parse_routes,
    "policies": footprint.parse_policies,
    "links": footprint.parse_links,
}


def of(readings):
    facts = {}
    for reading in readings:
        facts.update(PARSERS[reading.probe](reading))
    return Footprint(facts)


@pytest.fixture
def before(recording):
    return recording("changes/footprint-before")


@pytest.fixture
def changed(recording):
    return recording("changes/footprint-changed")


@pytest.fixture
def after(recording):
    return recording("changes/footprint-after")


def test_changes_are_seen_in_sentences(before, changed):
    sentences = footprint.differences(of(before), of(changed))
    table = "k0s_harness_fault_1"
    assert f"worker0: nftables table inet {table} was not there before" in sentences
    assert "worker0: interface eth1 is not as before" in sentences
    new_routes = [each for each in sentences if ": route " in each]
    assert new_routes == [
        "worker0: route blackhole 10.244.1.0/25 was not there before",
        "worker0: route blackhole 10.244.1.128/25 was not there before",
        "worker0: route unicast 10.96.0.0/12 via 192.168.57.12 dev eth1 was not there before",
    ]
    rest = [each for each in sentences if table not in each and each not in new_routes]
    assert rest == ["worker0: interface eth1 is not as before"]


def test_what_was_taken_back_leaves_no_difference(before, after):
    assert before != after
    assert footprint.differences(of(before), of(after)) == ()


def test_what_is_gone_is_a_difference_too(before, changed):
    sentences = footprint.differences(of(changed), of(before))
    assert "worker0: route blackhole 10.244.1.0/25 is gone" in sentences


def test_the_harness_s_own_isolation_counts_and_its_counters_do_not(before):
    names = " ".join(name for _, _, name in of(before).facts)
    assert "k0s_harness_lab" in names
    assert not any('"packets"' in value for value in of(before).facts.values())


def test_chains_and_routes_of_plugins_never_count(before):
    text = before[0].stdout + before[1].stdout + before[3].stdout
    assert "KUBE-SERVICES" in text
    assert '"protocol":"17"' in text
    assert '"kube-bridge"' in text
    facts = of(before).facts
    assert not any("KUBE-" in name or "KUBE-" in value for (_, _, name), value in facts.items())
    interfaces = {name for _, kind, name in facts if kind == "interface"}
    # pv was the other end of the pod's interface: in a cluster it is in the pod.
    assert interfaces == {"lo", "eth0", "eth1", "pv"}
    routes = {name for _, kind, name in facts if kind == "route"}
    assert not any("10.244." in each for each in routes)
    assert any(each.startswith("unicast default via 172.30.64.1") for each in routes)


def test_rules_that_only_changed_their_place_are_the_same(before):
    rules = before[0]
    listed = json.loads(rules.stdout)
    turned = [listed["nftables"][0], *reversed(listed["nftables"][1:])]
    other = replace(rules, stdout=json.dumps({"nftables": turned}))
    assert footprint.parse_rules(other) == footprint.parse_rules(rules)


def programs(text):
    reading = Reading("programs", "controller0", ("ps",), "", 0, 0, 0, text)
    return footprint.parse_programs(reading)


def test_arguments_are_compared_without_their_order_and_commands_are_no_services(recording):
    flags = next(
        each
        for each in recording("konnectivity-faults/agents-rejected")
        if each.probe == "apiserver_flags"
    )
    program, *arguments = flags.stdout.split()
    turned = " ".join([program, *reversed(arguments)])
    assert programs(turned) == programs(flags.stdout)
    assert programs(f"{turned}\n/usr/local/bin/k0s status -o json\n") == programs(flags.stdout)
    fewer = " ".join([program, *arguments[1:]])
    assert programs(fewer) != programs(flags.stdout)


def test_a_machine_without_any_of_its_programs_was_not_read():
    reading = Reading("programs", "controller0", ("ps",), "", 0, 0, 1)
    with pytest.raises(UnreadableError):
        footprint.parse_programs(reading)
