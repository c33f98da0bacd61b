"""What `k0s-harness plan` prints."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from harness.artifacts.pins import load_pins
from harness.plan.build import build
from harness.plan.show import describe
from harness.plan.show import describe_change
from harness.plan.show import describe_expectation
from harness.plan.show import describe_times
from harness.scenario.load import load
from harness.scenario.load import load_text
from harness.scenario.model import Change
from harness.scenario.model import Expectation
from harness.settings import ProviderName

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def description(name: str, provider: ProviderName = ProviderName.DOCKER) -> str:
    loaded = load(SCENARIOS / f"{name}.yaml")
    subnet = IPv4Network("172.31.77.0/24")
    return describe(build(loaded, subnet=subnet, provider=provider, pins=load_pins(), arch="amd64"))


def parts(entry: str, change: str = "{disable_component: helm}") -> tuple[Expectation, Change]:
    text = (
        "format: k0s-harness/1\nname: x\ntitle: X\n"
        f"phases: [{{name: p, change: [{change}], expect: [{entry}]}}]\n"
    )
    (phase,) = load_text(text, "s.yaml").scenario.phases
    return phase.expect[0], phase.change[0]


def test_a_plan_shows_machines_network_isolation_artifacts_phases_and_k0sctl_yaml():
    lines = description("konnectivity-off").splitlines()
    for expected in (
        "  worker1      worker      172.31.77.12    1 CPU, 2048 MiB",
        "  eth1  private network 172.31.77.0/24: the cluster, and SSH from this host",
        "  bundle   v1.32.3+k0s.0    k0s-airgap-bundle-v1.32.3+k0s.0-amd64",
        "  broken (line 10): konnectivity-server disabled",
        (
            "    expect  apiservice   APIService v1beta1.metrics.k8s.io: Available=False, "
            "reason FailedDiscoveryCheck; within 2m, then holds 45s (line 12)"
        ),
        "    change  turn konnectivity-server on; undo: none",
        "          - --disable-components=konnectivity-server",
        "          keyPath: <key of worker0, made with it>",
        "        k0sBinaryPath: <verified k0s-v1.32.3+k0s.0-amd64>",
    ):
        assert expected in lines


@pytest.mark.parametrize(
    ("provider", "substrate", "layer"),
    [
        (ProviderName.DOCKER, "3 containers sharing this host's kernel", "lab's bridges"),
        (ProviderName.LIBVIRT, "3 virtual machines (libvirt)", "libvirt forwards nothing"),
        (ProviderName.VIRTUALBOX, "3 virtual machines (VirtualBox)", "host-only"),
    ],
)
def test_what_stands_there_and_what_isolates_it_is_said_for_each_provider(
    provider, substrate, layer
):
    text = description("konnectivity-on", provider)
    assert substrate in text
    assert layer in text
    assert "packet filter table" in text
    assert ("not yet run on real VMs" in text) is (provider is not ProviderName.DOCKER)


def test_the_drop_in_for_containers_is_shown_for_containers_only():
    assert "restrict_oom_score_adj" in description("konnectivity-on")
    assert "restrict_oom_score_adj" not in description("konnectivity-on", ProviderName.LIBVIRT)


def test_an_expectation_for_other_releases_is_shown_as_left_out():
    text = (
        "format: k0s-harness/1\nname: x\ntitle: X\nphases:\n- name: p\n  expect:\n"
        "  - pods: {selector: a=b, ready: 1}\n"
        "  - pods: {selector: a=b, ready: 0, when: k0s >= 1.35.1}\n"
    )
    planned = build(
        load_text(text, "s.yaml"),
        subnet=IPv4Network("10.9.0.0/24"),
        provider=ProviderName.DOCKER,
        pins=load_pins(),
        arch="amd64",
    )
    assert (
        "    left out, for `k0s >= 1.35.1` does not hold: pods-2       "
        "pods a=b in kube-system: 0 Ready; within 2m (line 8)"
    ) in describe(planned).splitlines()


@pytest.mark.parametrize(
    ("entry", "words", "times"),
    [
        (
            "{apiservice: {name: v1.x, available: false, message_class: timed-out, hold: 0s}}",
            "APIService v1.x: Available=False, message class timed-out",
            "within 2m",
        ),
        (
            "{top_nodes: {outcome: partial, nodes: [worker1], within: 90s, hold: 10s}}",
            "kubectl top nodes: partial, rows for worker1",
            "within 1m30s, then holds 10s",
        ),
        ("{diagnosis: {cause: healthy}}", "diagnosis: healthy", "within 2m"),
        (
            "{apply: {outcome: refused, message_contains: no}}",
            "k0sctl apply: refused with 'no'",
            "within the deadline of k0sctl apply",
        ),
    ],
)
def test_an_expectation_is_said_in_words(entry, words, times):
    expectation, _ = parts(entry)
    assert describe_expectation(expectation) == words
    assert describe_times(expectation) == times


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("{disable_component: helm}", "turn helm off"),
        ("{clock_step: {machine: worker0, by: 2m}}", "step the clock of worker0 by 2m"),
        (
            "{load_module: {machine: worker0, name: ip_vs}}",
            "load the kernel module ip_vs on worker0",
        ),
    ],
)
def test_a_change_is_said_in_words(change, words):
    _, made = parts("{pods: {selector: a=b, ready: 1}}", change)
    assert describe_change(made) == words
