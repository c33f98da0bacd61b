"""What `k0s-harness plan` prints."""

from __future__ import annotations

import inspect
from ipaddress import IPv4Network

import pytest

from harness.artifacts.pins import load_pins
from harness.changes import CHANGES
from harness.changes.kind import Change
from harness.expectations import EXPECTATIONS
from harness.expectations.kind import Expectation
from harness.plan.build import build
from harness.plan.show import describe
from harness.providers.registry import provider
from harness.scenario.load import load, load_text
from tests.unit.paths import SCENARIOS


def description(name: str, made_with: str = "docker") -> str:
    loaded = load(SCENARIOS / f"{name}.yaml")
    subnet = IPv4Network("172.31.77.0/24")
    return describe(
        build(loaded, subnet=subnet, provider=provider(made_with), pins=load_pins(), arch="amd64")
    )


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
    ("made_with", "substrate", "layer"),
    [
        ("docker", "3 containers sharing this host's kernel", "lab's bridges"),
        ("libvirt", "3 virtual machines (libvirt)", "lab's bridges and anything"),
        ("virtualbox", "3 virtual machines (VirtualBox)", "host-only"),
    ],
)
def test_what_stands_there_and_what_isolates_it_is_said_for_each_provider(
    made_with, substrate, layer
):
    text = description("konnectivity-on", made_with)
    assert substrate in text
    assert layer in text
    assert "packet filter table" in text
    assert ("not yet" in text) is (made_with != "docker")


def test_the_drop_in_for_containers_is_shown_for_containers_only():
    assert "restrict_oom_score_adj" in description("konnectivity-on")
    assert "restrict_oom_score_adj" not in description("konnectivity-on", "libvirt")


def test_an_expectation_for_other_releases_is_shown_as_left_out():
    text = (
        "format: k0s-harness/1\nname: x\ntitle: X\nphases:\n- name: p\n  expect:\n"
        "  - pods: {selector: a=b, ready: 1}\n"
        "  - pods: {selector: a=b, ready: 0, when: k0s >= 1.35.1}\n"
    )
    planned = build(
        load_text(text, "s.yaml"),
        subnet=IPv4Network("10.9.0.0/24"),
        provider=provider("docker"),
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
            "{diagnosis: {cause: tunnel-down, also: [clock-skew]}}",
            "diagnosis: tunnel-down, also clock-skew",
            "within 2m",
        ),
        (
            "{flows: {cells: {pod-to-node: works, controller-to-pod: timed-out}, hold: 45s}}",
            "flows: pod-to-node works, controller-to-pod timed-out",
            "within 2m, then holds 45s",
        ),
        ("{reachability: {whole: true}}", "new connections: all succeed", "within 2m"),
        ("{reachability: {whole: false}}", "new connections: only some succeed", "within 2m"),
        (
            "{apply: {outcome: refused, message_contains: no}}",
            "k0sctl apply: refused with 'no'",
            "within the deadline of k0sctl apply",
        ),
    ],
)
def test_an_expectation_is_said_in_words(entry, words, times):
    expectation, _ = parts(entry)
    assert expectation.describe() == words
    assert expectation.describe_times() == times


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("{disable_component: helm}", "turn helm off"),
        (
            "{k0s_config: {spec: {api: {extraArgs: {v: '4'}}, konnectivity: {agentPort: 9132}}}}",
            "configure k0s with spec.api.extraArgs.v=4, spec.konnectivity.agentPort=9132",
        ),
        (
            "{environment: {machine: workers, variables: {NO_PROXY: x}}}",
            "give k0s on workers the environment NO_PROXY=x",
        ),
        (
            "{node_ip: {machine: worker0, address: nat}}",
            "give the kubelet of worker0 its NAT address as node address",
        ),
        (
            "{route: {machine: controller0, to: service-network, via: worker0}}",
            "route service-network via worker0 on controller0",
        ),
        (
            "{blackhole_route: {machine: worker0, to: 10.244.1.0/25}}",
            "drop by a route what worker0 sends to 10.244.1.0/25",
        ),
        (
            (
                "{firewall: {machine: controller0, hook: input, answer: drop, interface: eth1,"
                " protocol: tcp, port: 8132, source: worker0, longer_than: 1200}}"
            ),
            (
                "drop tcp port 8132 from worker0 through eth1 longer than 1200 bytes on "
                "controller0 (input)"
            ),
        ),
        (
            (
                "{firewall: {machine: worker0, hook: forward, answer: admin-prohibited,"
                " destination: pod-network}}"
            ),
            "reject (admin-prohibited) to pod-network on worker0 (forward)",
        ),
        ("{nic_down: {machine: worker0, interface: eth1}}", "take eth1 of worker0 down"),
        (
            "{mtu: {machine: worker0, interface: eth1, size: 1400}}",
            "set the MTU of eth1 on worker0 to 1400",
        ),
        (
            (
                "{manifest: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}},"
                " {apiVersion: v1, kind: Pod, metadata: {name: b}}]}"
            ),
            "apply ConfigMap a, Pod b",
        ),
        (
            "{scale: {workload: deployment/metrics-server, replicas: 0}}",
            "scale deployment/metrics-server in kube-system to 0",
        ),
        ("{restart_pods: {selector: a=b}}", "restart the pods a=b in kube-system"),
        (
            "{remove_image: {machine: worker0, image: pause}}",
            "remove the image pause from worker0",
        ),
        ("{clock_step: {machine: worker0, by: 2m}}", "step the clock of worker0 by 2m"),
        (
            "{load_module: {machine: worker0, name: ip_vs}}",
            "load the kernel module ip_vs on worker0",
        ),
    ],
)
def test_a_change_is_said_in_words(change, words):
    _, made = parts("{pods: {selector: a=b, ready: 1}}", change)
    assert made.describe() == words


def test_every_kind_of_change_and_expectation_has_its_words():
    assert not any(inspect.isabstract(kind) for kind in (*CHANGES, *EXPECTATIONS))


PHASES = (
    "format: k0s-harness/1\nname: x\ntitle: X\nphases:\n"
    "- {name: a, expect: [{pods: {selector: a=b, ready: 1}}]}\n"
    "- name: b\n"
    "  change:\n"
    "  - k0s_config: {spec: {api: {extraArgs: {v: '4'}}}}\n"
    "  - route: {machine: controller0, to: pod-network, via: worker0}\n"
    "  expect: [{pods: {selector: a=b, ready: 1}}]\n"
    "- {name: c, change: [{undo: b}], expect: [{pods: {selector: a=b, ready: 1}}]}\n"
)


def test_each_phase_says_what_k0sctl_does_and_what_is_taken_back():
    planned = build(
        load_text(PHASES, "s.yaml"),
        subnet=IPv4Network("10.9.0.0/24"),
        provider=provider("docker"),
        pins=load_pins(),
        arch="amd64",
    )
    lines = describe(planned).splitlines()
    start = lines.index("Phases") + 1
    written = (
        "    k0sctl  writes k0s's configuration; "
        "the harness restarts k0s on the controller after it"
    )
    assert [line for line in lines[start : start + 12] if "expect" not in line][:8] == [
        "  a (line 5): no component disabled",
        "    k0sctl  deploys the cluster",
        "  b (line 6): no component disabled",
        "    change  configure k0s with spec.api.extraArgs.v=4; undo: exact",
        "    change  route pod-network via worker0 on controller0; undo: exact",
        written,
        "  c (line 11): no component disabled",
        "    change  take back what phase b changed; undo: exact",
    ]
    assert lines.count(written) == 2
