"""k0sctl.yaml: what k0sctl and k0s are told, and what a scenario may change of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.artifacts.pins import load_pins
from harness.plan.build import build
from harness.plan.k0sctl import CONTAINERD_DROP_IN, render
from harness.plan.model import Plan
from harness.providers.registry import provider
from harness.scenario.load import load_text
from harness.vocabulary.words import Component

BUNDLE = Path("/cache/k0s-airgap-bundle")


@dataclass(frozen=True)
class Endpoint:
    address: str
    key_path: Path = Path("/state/key")
    port: int = 22
    user: str = "vagrant"


def plan(cluster: str = "{}") -> Plan:
    text = (
        f"format: k0s-harness/1\nname: x\ntitle: X\ncluster: {cluster}\n"
        "phases: [{name: p, expect: [{pods: {selector: a=b, ready: 1}}]}]\n"
    )
    return build(
        load_text(text, "s.yaml"),
        subnet=IPv4Network("172.31.77.0/24"),
        provider=provider("docker"),
        pins=load_pins(),
        arch="amd64",
    )


def rendered(
    cluster: str = "{}",
    *,
    disabled: Iterable[Component] = (),
    bundle: Path | None = BUNDLE,
    **more: Any,
) -> str:
    planned = plan(cluster)
    return render(
        planned,
        endpoints={machine.name: Endpoint(machine.address) for machine in planned.machines},
        deployment=replace(planned.phases[0].deployment, disabled_components=frozenset(disabled)),
        binary=Path("/cache/k0s"),
        bundle=bundle,
        **more,
    )


def spec(*arguments: Any, **more: Any) -> dict[str, Any]:
    document = yaml.safe_load(rendered(*arguments, **more))
    assert document["apiVersion"] == "k0sctl.k0sproject.io/v1beta1"
    assert document["kind"] == "Cluster"
    result: dict[str, Any] = document["spec"]
    return result


def config(*arguments: Any, **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = spec(*arguments, **more)["k0s"]["config"]
    return result


def test_every_host_is_reached_and_addressed_on_the_private_network():
    hosts = spec()["hosts"]
    assert [host["role"] for host in hosts] == ["controller", "worker", "worker"]
    assert [host["privateAddress"] for host in hosts] == [
        "172.31.77.10",
        "172.31.77.11",
        "172.31.77.12",
    ]
    assert hosts[1]["ssh"] == {
        "address": "172.31.77.11",
        "port": 22,
        "user": "vagrant",
        "keyPath": "/state/key",
    }


def test_the_verified_binary_is_uploaded_to_every_machine():
    for host in spec()["hosts"]:
        assert (host["uploadBinary"], host["k0sBinaryPath"]) == (True, "/cache/k0s")
        assert "useExistingK0s" not in host


def test_machines_that_were_made_with_k0s_keep_it_and_pull_nothing():
    result = spec(use_existing_k0s=True, bundle=None)
    for host in result["hosts"]:
        assert host["useExistingK0s"] is True
        assert not {"uploadBinary", "k0sBinaryPath", "files"} & set(host)
    assert result["k0s"]["config"]["spec"]["images"] == {"default_pull_policy": "Never"}


def test_images_come_from_the_bundle_on_the_workers_and_are_never_pulled():
    result = spec()
    assert "files" not in result["hosts"][0]
    for worker in result["hosts"][1:]:
        assert worker["files"] == [
            {
                "name": "image bundle",
                "src": str(BUNDLE),
                "dstDir": "/var/lib/k0s/images/",
                "perm": "0644",
            }
        ]
    assert result["k0s"]["config"]["spec"]["images"] == {"default_pull_policy": "Never"}


def test_without_a_bundle_the_pull_policy_is_left_to_k0s():
    assert "images" not in config(bundle=None)["spec"]


def test_containers_get_the_drop_in_without_which_their_pods_do_not_start():
    workers = spec(restrict_oom_score=True)["hosts"][1:]
    for worker in workers:
        drop_in = worker["files"][0]
        assert drop_in["dst"] == "/etc/k0s/containerd.d/restrict-oom-score.toml"
        assert drop_in["data"] == CONTAINERD_DROP_IN


def test_components_are_disabled_by_a_flag_of_the_controller_alone():
    disabled = {Component.METRICS_SERVER, Component.KONNECTIVITY_SERVER}
    hosts = spec(disabled=disabled)["hosts"]
    assert hosts[0]["installFlags"] == ["--disable-components=konnectivity-server,metrics-server"]
    assert all("installFlags" not in host for host in hosts[1:])


def test_a_phase_without_disabled_components_has_no_flag():
    assert all("installFlags" not in host for host in spec()["hosts"])


def test_the_api_has_the_private_address_and_telemetry_is_off():
    result = config()
    assert (result["apiVersion"], result["kind"]) == ("k0s.k0sproject.io/v1beta1", "ClusterConfig")
    assert result["spec"]["api"] == {"address": "172.31.77.10", "sans": ["172.31.77.10"]}
    assert result["spec"]["telemetry"] == {"enabled": False}
    assert spec()["k0s"]["version"] == "v1.32.3+k0s.0"
    assert spec()["k0s"]["dynamicConfig"] is False


def test_each_of_several_controllers_has_the_api_at_its_own_private_address():
    api = config("{controllers: 2, workers: 1}")["spec"]["api"]
    assert api == {"onlyBindToAddress": True, "sans": ["172.31.77.10", "172.31.77.11"]}


def test_every_controller_gets_the_flags_of_a_controller():
    hosts = spec("{controllers: 2, workers: 1}", disabled=[Component.HELM])["hosts"]
    flags = ["--disable-components=helm"]
    assert [host.get("installFlags") for host in hosts] == [flags, flags, None]


def test_a_fragment_is_merged_key_by_key_and_lists_replace():
    result = config(
        "{k0s: {spec: {api: {extraArgs: {enable-aggregator-routing: 'true'}},"
        " network: {podCIDR: 10.1.0.0/16}}}}"
    )
    assert result["spec"]["api"] == {
        "address": "172.31.77.10",
        "sans": ["172.31.77.10"],
        "extraArgs": {"enable-aggregator-routing": "true"},
    }
    assert result["spec"]["network"] == {"podCIDR": "10.1.0.0/16"}


def test_a_value_broken_on_purpose_wins_over_the_harness():
    result = config("{k0s: {spec: {api: {address: 10.0.2.15}}}, break: [spec.api.address]}")
    assert result["spec"]["api"]["address"] == "10.0.2.15"


def test_calico_is_told_the_private_interface_unless_broken_on_purpose():
    calico = "{spec: {network: {provider: calico, calico: {mode: vxlan}}}}"
    assert config(f"{{k0s: {calico}}}")["spec"]["network"]["calico"] == {
        "ipAutodetectionMethod": "interface=eth1",
        "mode": "vxlan",
    }
    broken = calico.replace("mode: vxlan", "ipAutodetectionMethod: interface=eth0")
    path = "spec.network.calico.ipAutodetectionMethod"
    result = config(f"{{k0s: {broken}, break: [{path}]}}")
    assert result["spec"]["network"]["calico"] == {"ipAutodetectionMethod": "interface=eth0"}


def test_without_calico_nothing_is_said_of_it():
    assert "network" not in config()["spec"]


def test_kube_router_on_slow_machines_is_patient_and_else_as_k0s_has_it():
    wait = {"cache-sync-timeout": "10m"}
    defaults = {"autoMTU": True, "metricsPort": 8080, "hairpin": "Enabled"}
    network = config(slow_machines=True)["spec"]["network"]
    assert network == {"kuberouter": {**defaults, "extraArgs": wait}}
    own = "{spec: {network: {kuberouter: {hairpin: Allowed, extraArgs: {v: '2'}}}}}"
    network = config(f"{{k0s: {own}}}", slow_machines=True)["spec"]["network"]
    assert network["kuberouter"] == {
        **defaults,
        "hairpin": "Allowed",
        "extraArgs": {**wait, "v": "2"},
    }
    calico = config("{k0s: {spec: {network: {provider: calico}}}}", slow_machines=True)
    assert "kuberouter" not in calico["spec"]["network"]


def test_rendering_twice_does_not_change_the_plan():
    planned = plan("{k0s: {spec: {network: {provider: calico}}}}")
    before = repr(planned)
    endpoints = {machine.name: Endpoint(machine.address) for machine in planned.machines}
    texts = {
        render(
            planned,
            endpoints=endpoints,
            deployment=planned.phases[0].deployment,
            binary=Path("/k0s"),
            bundle=BUNDLE,
        )
        for _ in range(2)
    }
    assert len(texts) == 1
    assert repr(planned) == before


def test_dollar_signs_reach_k0s_and_not_the_environment_of_k0sctl():
    assert "value: a$$HOME" in rendered("{k0s: {spec: {api: {extraArgs: {value: a$HOME}}}}}")


@pytest.mark.parametrize(
    "value", ["1e3", "0o17", "0x1f", "12:30", "off", "y", "010", "null", "1_0"]
)
def test_text_stays_text_to_every_yaml_reader(value):
    text = rendered(f"{{k0s: {{spec: {{api: {{extraArgs: {{x: '{value}'}}}}}}}}}}")
    assert f"x: '{value}'\n" in text


def test_addresses_and_versions_are_written_plainly():
    text = rendered()
    assert "privateAddress: 172.31.77.10\n" in text
    assert "version: v1.32.3+k0s.0\n" in text
