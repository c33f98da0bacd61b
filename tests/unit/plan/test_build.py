"""From a scenario to a plan: machines, phases, gates, and what a provider cannot do."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from harness.artifacts.pins import load_pins
from harness.base.errors import ExitCode
from harness.plan.build import build
from harness.plan.model import Plan
from harness.providers.registry import provider
from harness.scenario.load import load, load_text
from harness.scenario.mistakes import ScenarioError
from harness.vocabulary.version import K0sVersion
from harness.vocabulary.words import Component, Role
from tests.unit.paths import SCENARIOS

SUBNET = IPv4Network("172.31.77.0/24")
HEAD = "format: k0s-harness/1\nname: x\ntitle: X\n"
PODS = "{pods: {selector: a=b, ready: 1}}"


def plan(text: str, name: str = "docker") -> Plan:
    return build(
        load_text(text, "s.yaml"),
        subnet=SUBNET,
        provider=provider(name),
        pins=load_pins(),
        arch="amd64",
    )


def konnectivity_off() -> Plan:
    return build(
        load(SCENARIOS / "konnectivity-off.yaml"),
        subnet=SUBNET,
        provider=provider("docker"),
        pins=load_pins(),
        arch="arm64",
    )


def test_machines_are_one_controller_and_the_workers_each_with_an_address_of_its_own():
    planned = konnectivity_off()
    assert [(each.name, each.role, each.address) for each in planned.machines] == [
        ("controller0", Role.CONTROLLER, "172.31.77.10"),
        ("worker0", Role.WORKER, "172.31.77.11"),
        ("worker1", Role.WORKER, "172.31.77.12"),
    ]
    assert planned.controller.name == "controller0"
    assert [each.name for each in planned.workers] == ["worker0", "worker1"]
    assert planned.memory_mib == 3 * 2048


def test_several_controllers_come_before_the_workers_and_the_first_is_asked():
    planned = plan(
        f"{HEAD}cluster: {{controllers: 3, workers: 1}}\nphases: [{{name: p, expect: [{PODS}]}}]\n"
    )
    assert [(each.name, each.role, each.cpus) for each in planned.machines] == [
        ("controller0", Role.CONTROLLER, 2),
        ("controller1", Role.CONTROLLER, 2),
        ("controller2", Role.CONTROLLER, 2),
        ("worker0", Role.WORKER, 1),
    ]
    assert planned.controllers == planned.machines[:3]
    assert planned.controller.name == "controller0"
    assert [each.name for each in planned.workers] == ["worker0"]


def test_artifacts_are_those_of_the_release_and_the_processor():
    planned = konnectivity_off()
    assert planned.k0s_version == K0sVersion(1, 32, 3)
    assert [each.file_name for each in planned.artifacts] == [
        "k0sctl-linux-arm64",
        "kubectl",
        "k0s-v1.32.3+k0s.0-arm64",
        "k0s-airgap-bundle-v1.32.3+k0s.0-arm64",
    ]


def test_phases_carry_the_state_that_the_changes_before_them_made():
    broken, repaired = konnectivity_off().phases
    assert broken.disabled_components == {Component.KONNECTIVITY_SERVER}
    assert (broken.konnectivity, repaired.konnectivity) == (False, True)
    assert repaired.disabled_components == frozenset()
    assert [each.kind for each in repaired.changes] == ["enable_component"]


def test_expectations_have_names_unique_in_their_phase_and_their_lines():
    planned = plan(
        f"{HEAD}phases:\n- name: p\n  expect:\n  - {PODS}\n  - diagnosis: {{cause: healthy}}\n"
        f"  - {PODS}\n  - {PODS}\n- name: q\n  expect: [{PODS}]\n"
    )
    first, second = planned.phases
    assert [(each.id, each.line) for each in first.expectations] == [
        ("pods", 7),
        ("diagnosis", 8),
        ("pods-2", 9),
        ("pods-3", 10),
    ]
    assert [each.id for each in second.expectations] == ["pods"]


GATED = (
    HEAD
    + "cluster: {version: VERSION}\nphases:\n- name: p\n  expect:\n"
    + '  - pods: {selector: a=b, ready: 0, when: "k0s < 1.35.1"}\n'
    + '  - pods: {selector: a=b, ready: 1, when: "k0s >= 1.35.1"}\n'
    + f"  - {PODS}\n"
)


@pytest.mark.parametrize(
    ("version", "kept", "skipped"),
    [
        ("v1.32.3+k0s.0", ["pods", "pods-3"], ["pods-2"]),
        ("v1.35.1+k0s.0", ["pods-2", "pods-3"], ["pods"]),
    ],
)
def test_an_expectation_for_other_releases_is_left_out_and_listed(version, kept, skipped):
    (phase,) = plan(GATED.replace("VERSION", version)).phases
    assert [each.id for each in phase.expectations] == kept
    assert [each.id for each in phase.skipped] == skipped


def test_a_plan_without_a_single_expectation_is_a_mistake_and_never_a_pass():
    text = (
        f"{HEAD}phases:\n- name: p\n  expect:\n"
        '  - pods: {selector: a=b, ready: 1, when: "k0s >= 1.35.1"}\n'
    )
    with pytest.raises(ScenarioError) as caught:
        plan(text)
    assert [str(each) for each in caught.value.mistakes] == [
        "s.yaml:6:3: on k0s v1.32.3+k0s.0 no expectation is left: see `when`"
    ]


KERNEL = (
    f"{HEAD}phases:\n- name: p\n  change:\n  - clock_step: {{machine: worker0, by: 2m}}\n"
    f"  - load_module: {{machine: controller0, name: nf_conntrack}}\n  expect: [{PODS}]\n"
)


def test_changes_that_reach_the_kernel_are_refused_on_docker_each_with_its_line():
    with pytest.raises(ScenarioError) as caught:
        plan(KERNEL)
    assert caught.value.exit_code is ExitCode.USAGE
    assert [str(each) for each in caught.value.mistakes] == [
        (
            f"s.yaml:{line}:5: `{kind}` reaches the kernel, which containers share with this host; "
            "it needs virtual machines: PROVIDER=libvirt or PROVIDER=virtualbox"
        )
        for line, kind in ((7, "clock_step"), (8, "load_module"))
    ]


@pytest.mark.parametrize("name", ["libvirt", "virtualbox"])
def test_virtual_machines_have_kernels_of_their_own_to_change(name):
    (phase,) = plan(KERNEL, name).phases
    assert [change.kind for change in phase.changes] == ["clock_step", "load_module"]


def test_every_value_given_to_k0s_is_listed_to_be_read_back():
    text = (
        f"{HEAD}phases: [{{name: p, expect: [{PODS}]}}]\n"
        "cluster: {k0s: {spec: {api: {extraArgs: {v: '4'}}, network: {podCIDR: 10.1.0.0/16},\n"
        "  extensions: {}, workerProfiles: [{name: a}]}}}\n"
    )
    deployment = plan(text).phases[0].deployment
    assert [(each.dotted, each.value) for each in deployment.config_leaves] == [
        ("spec.api.extraArgs.v", "4"),
        ("spec.network.podCIDR", "10.1.0.0/16"),
        ("spec.extensions", {}),
        ("spec.workerProfiles", [{"name": "a"}]),
    ]


def test_without_a_fragment_there_is_nothing_to_read_back():
    assert konnectivity_off().phases[0].deployment.config_leaves == ()
