"""What k0sctl is told in each phase, and what it does about it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.artifacts.pins import load_pins
from harness.changes.deployment import k0sctl_steps
from harness.plan.build import build
from harness.plan.k0sctl import render
from harness.plan.model import Plan
from harness.providers.registry import provider
from harness.scenario.load import load_text
from harness.scenario.mistakes import ScenarioError
from harness.vocabulary.words import Component, Role

PODS = "{pods: {selector: a=b, ready: 1}}"


@dataclass(frozen=True)
class Endpoint:
    address: str
    key_path: Path = Path("/state/key")
    port: int = 22
    user: str = "vagrant"


def plan(*changes: str, cluster: str = "{}") -> Plan:
    phases = "".join(
        f"- name: p{number}\n  change: [{change}]\n  expect: [{PODS}]\n"
        for number, change in enumerate(changes)
    )
    text = f"format: k0s-harness/1\nname: x\ntitle: X\ncluster: {cluster}\nphases:\n{phases}"
    return build(
        load_text(text, "s.yaml"),
        subnet=IPv4Network("172.31.77.0/24"),
        provider=provider("docker"),
        pins=load_pins(),
        arch="amd64",
    )


def hosts(planned: Plan, phase: int = -1, **more: Any) -> list[dict[str, Any]]:
    text = render(
        planned,
        endpoints={machine.name: Endpoint(machine.address) for machine in planned.machines},
        deployment=planned.phases[phase].deployment,
        binary=Path("/cache/k0s"),
        bundle=Path("/cache/bundle"),
        **more,
    )
    document: dict[str, Any] = yaml.safe_load(text)
    result: list[dict[str, Any]] = document["spec"]["hosts"]
    return result


def test_each_phase_has_the_configuration_that_the_changes_before_it_made():
    planned = plan(
        "",
        "{k0s_config: {spec: {api: {extraArgs: {v: '4'}}}}}",
        "{k0s_config: {spec: {api: {extraArgs: {v: '5', w: '1'}}}}}",
        cluster="{k0s: {spec: {konnectivity: {agentPort: 9132}}}}",
    )
    konnectivity = {"agentPort": 9132}
    assert [phase.deployment.fragment["spec"] for phase in planned.phases] == [
        {"konnectivity": konnectivity},
        {"konnectivity": konnectivity, "api": {"extraArgs": {"v": "4"}}},
        {"konnectivity": konnectivity, "api": {"extraArgs": {"v": "5", "w": "1"}}},
    ]
    assert [each.dotted for each in planned.phases[1].deployment.config_leaves] == [
        "spec.konnectivity.agentPort",
        "spec.api.extraArgs.v",
    ]


def test_undoing_a_configuration_brings_the_one_before_it_back():
    planned = plan(
        "{k0s_config: {spec: {api: {extraArgs: {v: '4'}}}}}",
        "{k0s_config: {spec: {api: {extraArgs: {v: '5'}}}}}",
        "{undo: p1}",
        "{undo: p0}",
    )
    fragments = [phase.deployment.fragment for phase in planned.phases]
    assert fragments[2] == fragments[0]
    assert fragments[3] == {}


def test_actions_on_machines_are_no_part_of_what_k0sctl_is_told():
    planned = plan("", "{route: {machine: controller0, to: pod-network, via: worker0}}")
    before, after = (phase.deployment for phase in planned.phases)
    assert before == after
    assert k0sctl_steps(before, after) == ()


def test_an_environment_reaches_the_machines_it_names_and_grows():
    first = "{environment: {machine: workers, variables: {A: '1'}}}"
    second = "{environment: {machine: worker1, variables: {B: 'x y'}}}"
    planned = plan(f"{first}, {second}", "")
    for phase in (0, 1):
        controller, *workers = hosts(planned, phase)
        assert "environment" not in controller
        assert [each["environment"] for each in workers] == [{"A": "1"}, {"A": "1", "B": "x y"}]


def test_an_environment_is_there_before_the_first_change_since_k0sctl_gives_it_when_it_installs():
    planned = plan(
        "{environment: {machine: worker0, variables: {A: '1'}}}, "
        "{node_ip: {machine: worker1, address: nat}}"
    )
    assert planned.start.environment == {"worker0": {"A": "1"}}
    assert planned.start.nat_node_ips == frozenset()


def test_a_kubelet_on_the_nat_network_gets_the_address_that_the_run_found():
    planned = plan("", "{node_ip: {machine: worker1, address: nat}}")
    addresses = {"worker1": "10.0.2.15"}
    assert all("installFlags" not in host for host in hosts(planned, 0))
    flags = [host.get("installFlags") for host in hosts(planned, nat_addresses=addresses)]
    assert flags == [None, None, ["--kubelet-extra-args=--node-ip=10.0.2.15"]]
    assert k0sctl_steps(*(phase.deployment for phase in planned.phases)) == (
        "reinstalls worker1 with its NAT address as --node-ip",
    )


def test_a_controller_that_is_a_node_has_what_pods_need_and_no_taint():
    planned = plan("", cluster="{controller_role: controller+worker, workers: 1}")
    controller, worker = hosts(planned, restrict_oom_score=True)
    assert controller["role"] == "controller+worker"
    assert controller["noTaints"] is True
    assert controller["files"] == worker["files"]
    assert len(controller["files"]) == 2
    assert "noTaints" not in worker
    assert planned.controller.role is Role.CONTROLLER_WORKER
    assert [machine.name for machine in planned.workers] == ["controller0", "worker0"]


def test_a_controller_that_is_a_node_keeps_both_kinds_of_flags():
    planned = plan(
        "{node_ip: {machine: controller0, address: nat}}",
        cluster="{controller_role: controller+worker, disable_components: [helm]}",
    )
    controller = hosts(planned, nat_addresses={"controller0": "10.0.2.15"})[0]
    assert controller["installFlags"] == [
        "--disable-components=helm",
        "--kubelet-extra-args=--node-ip=10.0.2.15",
    ]


def test_what_k0sctl_does_from_phase_to_phase_is_said():
    planned = plan("", "{disable_component: helm}", "{enable_component: helm}")
    first, second, third = (phase.deployment for phase in planned.phases)
    assert k0sctl_steps(None, first) == ("deploys the cluster",)
    assert k0sctl_steps(first, second) == ("reinstalls the controller with helm disabled",)
    assert k0sctl_steps(second, third) == ("reinstalls the controller with nothing disabled",)
    assert second.disabled_components == {Component.HELM}


@pytest.mark.parametrize("to", ["172.31.77.0/24", "172.31.77.12", "172.16.0.0/12"])
def test_a_route_into_the_machines_own_network_is_refused_with_its_line(to):
    with pytest.raises(ScenarioError) as caught:
        plan(f"{{blackhole_route: {{machine: worker0, to: {to}}}}}")
    assert [str(each) for each in caught.value.mistakes] == [
        f"s.yaml:7:53: `{to}` is in the machines' own network 172.31.77.0/24; name the machine"
    ]
