"""A network provider is one value in one list; rules, plans and diagnoses know it by that."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from harness import cni
from harness.artifacts.pins import load_pins
from harness.base.errors import UsageError
from harness.changes import footprint
from harness.cni import Cni, NodeAddress
from harness.diagnose.judge import diagnose
from harness.plan.build import build
from harness.plan.config import cluster_config
from harness.plan.conflicts import conflicts
from harness.probe import workloads
from harness.providers.registry import provider
from harness.scenario.load import load_text
from harness.vocabulary.words import Cause

HEAD = "format: k0s-harness/1\nname: x\ntitle: X\n"
PODS = "expect: [{pods: {selector: a=b, ready: 1}}]"
WEFT = Cni(
    "weft",
    "Weft",
    daemonset="weft-agent",
    own_blocks=True,
    node_address=NodeAddress(
        "weft.example.org/found", ("spec", "network", "weft", "find"), "nic:{}", "towards:{}"
    ),
    interfaces=("weft",),
    route_protocols=frozenset({"99"}),
    between_nodes="UDP 7777",
    mtu="spec.network.weft.packet",
    when_slow={"patience": "10m"},
)


@pytest.fixture(autouse=True)
def weft():
    cni.CNIS.append(WEFT)
    yield
    cni.CNIS.remove(WEFT)


@pytest.fixture
def with_weft():
    def load(spec="{network: {provider: weft}}", phase=PODS):
        return load_text(
            f"{HEAD}cluster: {{k0s: {{spec: {spec}}}}}\nphases: [{{name: p, {phase}}}]",
            "s.yaml",
        )

    return load


def test_its_rules_are_rules_of_a_scenario(with_weft):
    route = "{route: {machine: controller0, to: pods-on-worker1, via: worker1}}"
    with pytest.raises(UsageError) as caught:
        with_weft(phase=f"change: [{route}], {PODS}")
    assert "`pods-on-worker1` is not known with Weft: it gives" in caught.value.text()
    with pytest.raises(UsageError) as caught:
        with_weft("{network: {provider: weft, weft: {find: 'nic:eth0'}}}")
    assert "the harness sets `spec.network.weft.find` to the private" in caught.value.text()


def test_a_plan_gives_it_the_private_interface_and_warns_of_settings_that_it_ignores(with_weft):
    loaded = with_weft("{network: {provider: weft, kuberouter: {mtu: 1400}}}")
    plan = build(
        loaded,
        subnet=IPv4Network("172.31.77.0/24"),
        provider=provider("docker"),
        pins=load_pins(),
        arch="amd64",
    )
    config = cluster_config(plan, plan.start, with_bundle=True, slow_machines=True)
    assert config["spec"]["network"]["weft"] == {"find": "nic:eth1", "patience": "10m"}
    (warning,) = conflicts(loaded, private=IPv4Network("172.31.77.0/24"), nat=(), host=())
    assert "settings of kuberouter have no effect: the network provider is weft" in str(warning)


def test_a_diagnosis_names_it_and_its_setting(recording):
    found = diagnose(
        replace(
            each,
            stdout=each.stdout.replace("projectcalico.org/IPv4Address", "weft.example.org/found"),
        )
        for each in recording("diagnosis/node-addresses-wrong/2")
    )
    assert found.cause is Cause.NODE_ADDRESSES_WRONG
    assert "Weft uses 10.0.2.15 on worker1 and not its InternalIP" in str(found.facts)
    assert found.remedies == ("spec.network.weft.find: nic:eth1, then restart weft-agent",)


def test_remedies_that_name_every_provider_name_it(recording):
    (found,) = [
        each
        for each in diagnose(recording("diagnosis/cross-node-traffic-cut/1")).remedies
        if "wants" in each
    ]
    assert found.endswith("Calico UDP 4789, Weft UDP 7777")
    (found,) = [
        each
        for each in diagnose(recording("diagnosis/large-packets-lost/1")).remedies
        if "set it" in each
    ]
    assert "spec.network.weft.packet, or spec.network.calico.mtu, or kuberouter" in found


def test_what_it_makes_on_machines_is_no_part_of_a_footprint(recording):
    routes = next(each for each in recording("changes/footprint-before") if each.probe == "routes")
    theirs = replace(routes, stdout=routes.stdout.replace('"protocol":"17"', '"protocol":"99"'))
    assert '"99"' in theirs.stdout
    assert footprint.parse_routes(theirs) == footprint.parse_routes(routes)


def test_its_pods_are_waited_for_before_a_footprint_is_taken(recording):
    look = next(each for each in recording("plugins/settling") if each.probe == "plugins")
    renamed = replace(look, stdout=look.stdout.replace("kube-router", "weft-agent"))
    assert "weft-agent" in {each.name for each in workloads.parse_plugins(renamed)}


def test_of_a_provider_that_nobody_knows_nothing_is_presumed(with_weft):
    with_weft("{network: {provider: loom}}")
    assert cni.of_config({"spec": {"network": {"provider": "loom"}}}) is cni.CUSTOM
    assert cni.of_config({}) is cni.KUBE_ROUTER
