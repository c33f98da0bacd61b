"""Changes: every kind is taken, and one that cannot be made is a sentence with its place."""

from __future__ import annotations

import pytest

from harness.changes import CHANGES
from harness.scenario.load import load_text
from harness.scenario.mistakes import ScenarioError

PODS = "{pods: {selector: a=b, ready: 1}}"
ONE_OF_EACH = {
    "enable_component": "coredns",
    "disable_component": "helm",
    "k0s_config": "{spec: {api: {extraArgs: {v: '4'}}}}",
    "environment": "{machine: workers, variables: {HTTPS_PROXY: 'http://10.0.0.1:3128'}}",
    "node_ip": "{machine: worker0, address: nat}",
    "route": "{machine: controller0, to: pods-on-worker1, via: worker1}",
    "blackhole_route": "{machine: worker0, to: 10.244.1.0/25}",
    "firewall": "{machine: worker0, hook: input, answer: reset, protocol: tcp, port: 10250}",
    "nic_down": "{machine: worker0, interface: eth1}",
    "mtu": "{machine: workers, interface: eth1, size: 1400}",
    "manifest": "[{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: null}]",
    "delete": "[{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: kube-system}}]",
    "scale": "{workload: deployment/metrics-server, replicas: 0}",
    "restart_pods": "{selector: k8s-app=metrics-server}",
    "remove_image": "{machine: worker0, image: metrics-server}",
    "clock_step": "{machine: worker0, by: 30m}",
    "load_module": "{machine: workers, name: nf_conntrack}",
    "undo": "earlier",
}


def text_with(kind: str, body: str, cluster: str = "{}") -> str:
    """A scenario whose line 12 is the change, in the phase that may have it."""
    earlier = (
        f"- name: earlier\n  change: [{{scale: {ONE_OF_EACH['scale']}}}]\n  expect: [{PODS}]\n"
        if kind != "environment"
        else "#\n#\n#\n"
    )
    return (
        f"format: k0s-harness/1\nname: x\ntitle: X\ncluster: {cluster}\nphases:\n{earlier}"
        f"- name: p\n  expect: [{PODS}]\n  change:\n  - {kind}: {body}\n"
    )


def mistakes_in(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_text(text, "s.yaml")
    return [str(mistake) for mistake in caught.value.mistakes]


def test_there_is_an_example_of_every_kind():
    assert set(ONE_OF_EACH) == {model.kind for model in CHANGES}


@pytest.mark.parametrize(("kind", "body"), ONE_OF_EACH.items())
def test_every_kind_of_change_is_taken(kind, body):
    loaded = load_text(text_with(kind, body, "{disable_components: [coredns]}"), "s.yaml")
    (change,) = loaded.scenario.phases[-1].change
    assert change.kind == kind
    assert change.undo in {"exact", "none"}


@pytest.mark.parametrize(
    "kind", [kind for kind, body in ONE_OF_EACH.items() if "machine: " in body]
)
def test_a_machine_that_is_not_there_is_a_mistake_in_every_kind(kind):
    body = ONE_OF_EACH[kind].replace("machine: workers", "machine: worker0")
    body = body.replace("machine: controller0", "machine: worker0")
    found = mistakes_in(text_with(kind, body.replace("machine: worker0", "machine: worker7")))
    column = len(f"  - {kind}: {{machine: ") + 1
    assert f"s.yaml:12:{column}: there is no machine `worker7`; did you mean `worker1`?" in found


MISTAKES = [
    (
        "route",
        "{machine: worker, to: pod-network, via: worker0}",
        ["12:22: there is no machine `worker`; did you mean `workers`?"],
    ),
    (
        "route",
        "{machine: controller0, to: pods-on-worker5, via: worker0}",
        ["12:39: `pods-on-worker5` is nowhere: this cluster has controller0, worker0, worker1"],
    ),
    (
        "route",
        "{machine: controller0, to: worker4, via: worker0}",
        ["12:39: `worker4` is nowhere: this cluster has controller0, worker0, worker1"],
    ),
    (
        "route",
        "{machine: controller0, to: pod-network, via: controller0}",
        ["12:57: `controller0` would send to itself: the route leads nowhere"],
    ),
    (
        "route",
        "{machine: workers, to: service-network, via: worker1}",
        ["12:57: `worker1` would send to itself: the route leads nowhere"],
    ),
    (
        "route",
        "{machine: controller0, to: pod-network, via: workers}",
        ["12:57: a route goes through one machine; name it"],
    ),
    (
        "route",
        "{machine: worker0, to: pods-on-worker0, via: worker1}",
        ["12:35: `pods-on-worker0` needs no route on the pods' own machine"],
    ),
    (
        "blackhole_route",
        "{machine: worker1, to: worker1}",
        ["12:45: `worker1` needs no route on the machine itself"],
    ),
    (
        "blackhole_route",
        "{machine: worker1, to: 10.96.0.1/12}",
        ["12:45: `10.96.0.1/12` is an address inside a network; write 10.96.0.0/12"],
    ),
    (
        "route",
        "{machine: worker0, to: 0.0.0.0/0, via: worker1}",
        ["12:35: no cluster's packets go to `0.0.0.0/0`; name a network that some do"],
    ),
    (
        "route",
        "{machine: worker0, to: 127.0.0.1, via: worker1}",
        ["12:35: no cluster's packets go to `127.0.0.1`; name a network that some do"],
    ),
    (
        "route",
        "{machine: worker0, to: 10.0.0.256, via: worker1}",
        [
            (
                "12:35: `to`: `10.0.0.256` is not a place: service-network, pod-network, "
                "pods-on-worker0, a machine, an IPv4 address or a network, as in 10.96.0.0/12"
            )
        ],
    ),
    (
        "node_ip",
        "{machine: controller0, address: nat}",
        [
            (
                "12:24: `controller0` runs no kubelet: name a worker, or set "
                "`cluster.controller_role: controller+worker`"
            )
        ],
    ),
    (
        "remove_image",
        "{machine: controller0, image: pause}",
        [
            (
                "12:29: `controller0` runs no kubelet: name a worker, or set "
                "`cluster.controller_role: controller+worker`"
            )
        ],
    ),
    (
        "node_ip",
        "{machine: worker0, address: 10.0.2.15}",
        ["12:42: `address`: write `nat`, not `10.0.2.15`"],
    ),
    (
        "firewall",
        "{machine: worker0, hook: input, answer: drop, port: 10250}",
        ["12:67: a port belongs to a protocol: say `protocol: tcp` or `udp`"],
    ),
    (
        "firewall",
        "{machine: worker0, hook: input, answer: drop, protocol: tcp, port: 65536}",
        ["12:82: `port`: 65536 is more than 65535"],
    ),
    (
        "firewall",
        "{machine: worker0, hook: forward, answer: reset, source: pod-network}",
        ["12:57: only tcp has resets: say `protocol: tcp`, or another answer"],
    ),
    (
        "firewall",
        "{machine: worker0, hook: forward, answer: drop, protocol: udp, longer_than: 1200}",
        ["12:91: only tcp fits its packets to what gets through: `protocol: tcp`"],
    ),
    (
        "firewall",
        "{machine: worker0, hook: output, answer: drop}",
        [
            (
                "12:5: nothing limits this `firewall`; it would cut the harness itself off, which "
                "comes in by SSH (port 22)"
            )
        ],
    ),
    (
        "firewall",
        "{machine: worker0, hook: input, answer: drop, protocol: tcp, port: 22}",
        [
            (
                "12:82: choose another port; it would cut the harness itself off, which comes in "
                "by SSH (port 22)"
            )
        ],
    ),
    (
        "firewall",
        "{machine: worker0, hook: inputs, answer: rejct, protocol: tcp}",
        [
            "12:40: unknown hook `inputs`; did you mean `input`?",
            "12:56: unknown answer `rejct`; did you mean `reset`?",
        ],
    ),
    (
        "nic_down",
        "{machine: controller0, interface: eth1}",
        [
            "12:49: the harness asks `controller0` everything through eth1; take a worker's down",
        ],
    ),
    (
        "mtu",
        "{machine: worker0, interface: eth1, size: 100}",
        ["12:52: `size`: 100 is less than 576"],
    ),
    (
        "scale",
        "{workload: daemonset/x, replicas: 1}",
        [
            (
                "12:23: `workload`: `daemonset/x` is not a workload that has replicas, as in "
                "deployment/metrics-server"
            )
        ],
    ),
    (
        "environment",
        "{machine: worker0, variables: {1X: a, Y: 1}}",
        [
            "12:53: `1X` is not the name of an environment variable",
            "12:59: `Y`: write text, not `1`; in quotes if it is meant to look like a number",
        ],
    ),
    (
        "environment",
        "{machine: worker0, variables: {}}",
        ["12:37: `variables`: the mapping is empty; it needs at least one entry"],
    ),
    (
        "manifest",
        '"apiVersion: v1"',
        ["12:15: `manifest`: write a list (`[…]` or `- …`), not `apiVersion: v1`"],
    ),
    (
        "manifest",
        "[]",
        ["12:5: `manifest`: the list is empty; it needs at least one entry"],
    ),
    (
        "manifest",
        "[{kind: Pod, metadata: {name: 1}}]",
        [
            "12:16: the object lacks `apiVersion`, as text",
            "12:16: the object lacks `metadata.name`, as text",
        ],
    ),
    (
        "manifest",
        "[{apiVersion: v1, kind: Secret, metadata: {name: x}}]",
        ["12:39: secrets are never part of a lab: nothing reads or keeps them"],
    ),
    (
        "manifest",
        "[{apiVersion: v1, kind: List, metadata: {name: x}, items: [{kind: Secret}]}]",
        ["12:16: write each object of a list as an entry of its own (`- …`)"],
    ),
    (
        "manifest",
        "[{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: off}}]",
        [
            (
                "12:81: `off` is not text to every YAML reader: write true, false or a plain "
                "number, or put it in quotes"
            )
        ],
    ),
    ("manifest", "", ["12:14: `manifest` has no value; remove the key or give it one"]),
    (
        "k0s_config",
        "{}",
        ["12:5: `k0s_config`: the mapping is empty; it needs at least one entry"],
    ),
    (
        "k0s_config",
        "{spec: {telemetry: {enabled: true}}}",
        [
            (
                "12:46: the harness sets `spec.telemetry.enabled` to false, because nothing a lab "
                "does may leave the host; no scenario may change that"
            )
        ],
    ),
    (
        "k0s_config",
        "{api: {port: 6444}}",
        ["12:18: a ClusterConfig has no `api` at its top; its settings stand under `spec`"],
    ),
    (
        "k0s_config",
        "{spec: {network: {provider: calico}}}",
        [
            (
                "12:45: k0s cannot change the network provider of a running cluster; set it under "
                "`cluster.k0s`"
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ("kind", "body", "expected"), MISTAKES, ids=[m[0] + m[1] for m in MISTAKES]
)
def test_a_change_that_cannot_be_made_is_a_sentence_with_its_place(kind, body, expected):
    assert mistakes_in(text_with(kind, body)) == [f"s.yaml:{line}" for line in expected]


def test_a_controller_with_a_kubelet_may_be_given_what_needs_one():
    cluster = "{controller_role: controller+worker}"
    body = "{machine: controller0, address: nat}"
    assert load_text(text_with("node_ip", body, cluster), "s.yaml").scenario.phases


@pytest.mark.parametrize("place", ["pods-on-worker1"])
def test_with_calico_the_pods_of_one_worker_are_no_network(place):
    cluster = "{k0s: {spec: {network: {provider: calico}}}}"
    body = f"{{machine: controller0, to: {place}, via: worker1}}"
    assert mistakes_in(text_with("route", body, cluster)) == [
        (
            "s.yaml:12:39: `pods-on-worker1` is not known with Calico: it gives pods addresses "
            "from blocks of its own, not from the node's podCIDR. Write pod-network instead"
        )
    ]


def test_a_value_that_a_change_breaks_on_purpose_is_taken():
    body = "{spec: {api: {address: 10.0.2.15}}}"
    text = text_with("k0s_config", body, "{break: [spec.api.address]}")
    assert load_text(text, "s.yaml").scenario.cluster.break_ == ("spec.api.address",)


def undoing(*changes: str) -> str:
    phases = "".join(
        f"- name: p{number}\n  change: [{change}]\n  expect: [{PODS}]\n"
        for number, change in enumerate(changes)
    )
    return f"format: k0s-harness/1\nname: x\ntitle: X\nphases:\n{phases}"


ROUTE = "{route: {machine: controller0, to: service-network, via: worker0}}"
MTU = "{mtu: {machine: worker0, interface: eth1, size: 1400}}"


def test_an_undo_may_be_followed_by_other_changes():
    loaded = load_text(undoing(ROUTE, f"{{undo: p0}}, {MTU}"), "s.yaml")
    assert [change.kind for change in loaded.scenario.phases[1].change] == ["undo", "mtu"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([ROUTE, "{undo: p00}"], ["9:19: there is no phase `p00`; did you mean `p0`?"]),
        ([ROUTE, "{undo: p2}", MTU], ["9:19: `p2` comes later"]),
        ([ROUTE, "{undo: p1}"], ["9:19: a phase cannot undo itself"]),
        ([ROUTE, "{undo: p0}", "{undo: p0}"], ["12:19: `p0` is already undone on line 9"]),
        (
            [ROUTE, "{undo: p0}", "{undo: p1}"],
            ["12:19: `p1` itself has an `undo`: make those changes again instead"],
        ),
        (["", "{undo: p0}"], ["9:19: `p0` changes nothing"]),
        (
            [f"{ROUTE}, {{disable_component: helm}}", "{undo: p0}"],
            [
                (
                    "9:19: `p0` cannot be undone: `disable_component` leaves something behind "
                    "(undo: none)"
                )
            ],
        ),
        (
            [ROUTE, f"{MTU}, {{undo: p0}}"],
            ["9:75: `undo` stands before a phase's other changes, which it does not undo"],
        ),
        (
            [ROUTE, MTU, "{undo: p0}"],
            ["12:19: `p1` came after `p0` and still stands: undo it first"],
        ),
        (
            [ROUTE, "{undo: p0}, {disable_component: helm}"],
            ["9:24: `disable_component` cannot stand beside `undo`: give it a phase of its own"],
        ),
        (
            ["", "{environment: {machine: worker0, variables: {A: b}}}"],
            [
                (
                    "9:12: k0sctl gives k0s its environment when it installs it: only the first "
                    "phase can have `environment`"
                )
            ],
        ),
        ([ROUTE, "{undo: [p0]}"], ['9:13: `undo`: write text, not `["p0"]`']),
    ],
)
def test_an_undo_that_cannot_be_made_is_a_sentence_with_its_place(changes, expected):
    found = mistakes_in(undoing(*changes))
    assert [line.removeprefix("s.yaml:") for line in found] == expected


def test_an_undo_past_a_phase_whose_name_is_no_text_is_a_mistake_and_no_crash():
    text = undoing(ROUTE, MTU, "{undo: p0}").replace("name: p1", "name: [p1]")
    assert mistakes_in(text) == ['s.yaml:8:3: `name`: write text, not `["p1"]`']
