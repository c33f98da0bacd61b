"""Which flows are tried: ends are what is there, and what cannot be tried says why."""

from collections import Counter
from dataclasses import replace

import pytest

from harness.evidence.reading import Reading
from harness.probe.flow_cells import Payload
from harness.probe.flow_facts import (
    FlowFacts,
    MachineEnd,
    PodEnd,
    ServiceEnd,
    facts_from,
    first_probes,
)
from harness.probe.flow_look import AT_ONCE, probes
from harness.probe.flow_plan import plan
from harness.probe.workloads import Node
from harness.vocabulary.words import Flow, Role
from tests.unit.paths import UNIT

TEXTS = UNIT / "recordings" / "flows"
TOOLS = frozenset({"curl", "nsenter"})


def pod(name, app, node, address, *, host_network=False, namespace="kube-system"):
    containers = {app: f"{name}-id"}
    return PodEnd(namespace, name, app, node, address, host_network, True, False, containers)


def machine(name, role, address, tools=TOOLS):
    return MachineEnd(name, role, name, frozenset({address}), tools)


METRICS = pod("metrics-server-x", "metrics-server", "worker0", "10.244.0.4")
DNS0 = pod("coredns-a", "kube-dns", "worker0", "10.244.0.2")
DNS1 = pod("coredns-b", "kube-dns", "worker1", "10.244.1.2")
ROUTER = pod("kube-router-y", "kube-router", "worker0", "172.31.1.11", host_network=True)
CLUSTER = FlowFacts(
    nodes=(
        Node("worker0", True, ("172.31.1.11",), "10.244.0.0/24"),
        Node("worker1", True, ("172.31.1.12",), "10.244.1.0/24"),
    ),
    pods=(DNS0, DNS1, ROUTER, METRICS),
    services=(
        ServiceEnd("kube-dns", "10.96.0.10", 53),
        ServiceEnd("metrics-server", "10.100.1.2", 443),
    ),
    servers=("172.31.1.10:6443",),
    machines=(
        machine("controller0", Role.CONTROLLER, "172.31.1.10"),
        machine("worker0", Role.WORKER, "172.31.1.11"),
        machine("worker1", Role.WORKER, "172.31.1.12"),
    ),
    unread=(),
)


def ways(facts, flow):
    return [(cell.origin, cell.target) for cell in plan(facts) if cell.flow is flow]


def cells(facts, flow):
    return [cell for cell in plan(facts) if cell.flow is flow]


def test_every_flow_of_a_plain_cluster_is_tried_from_each_of_its_places():
    assert all(ways(CLUSTER, flow) for flow in Flow)
    assert not [
        cell
        for cell in plan(CLUSTER)
        if cell.missing and cell.flow is not Flow.APISERVER_TO_KUBELET
    ]
    assert ways(CLUSTER, Flow.POD_TO_POD_SAME_NODE) == [
        ("coredns@worker0", "metrics-server@worker0"),
        ("metrics-server@worker0", "coredns@worker0"),
    ]
    assert ways(CLUSTER, Flow.POD_TO_POD_ACROSS_NODES) == [
        ("coredns@worker0", "coredns@worker1"),
        ("coredns@worker1", "metrics-server@worker0"),
        ("coredns@worker1", "coredns@worker0"),
    ]
    assert ways(CLUSTER, Flow.POD_TO_CLUSTER_IP) == [
        ("coredns@worker0", "Service metrics-server"),
        ("coredns@worker1", "Service metrics-server"),
    ]
    assert ways(CLUSTER, Flow.CONTROLLER_TO_CLUSTER_IP) == [
        ("host controller0", "Service metrics-server")
    ]
    assert ways(CLUSTER, Flow.WORKER_TO_KONNECTIVITY) == [
        ("host worker0", "konnectivity controller0"),
        ("host worker1", "konnectivity controller0"),
    ]


def test_each_way_is_tried_as_what_listens_there_wants_it():
    by_target = {cell.target: cell for cell in plan(CLUSTER)}
    dns = by_target["coredns@worker1"]
    assert (dns.address, dns.port, dns.payload, dns.tls) == ("10.244.1.2", 53, Payload.DNS, False)
    kubelet = by_target["kubelet worker1"]
    assert (kubelet.address, kubelet.port, kubelet.tls) == ("172.31.1.12", 10250, True)
    service = by_target["Service metrics-server"]
    assert (service.address, service.port, service.tls) == ("10.100.1.2", 443, True)
    server = by_target["API server controller0"]
    assert (server.address, server.port) == ("172.31.1.10", 6443)
    agents = by_target["konnectivity controller0"]
    assert (agents.address, agents.port, agents.payload) == ("172.31.1.10", 8132, Payload.GRPC)


def test_labels_tell_all_ways_apart():
    tried = [cell.label for cell in plan(CLUSTER) if not cell.missing]
    assert Counter(tried).most_common(1)[0][1] == 1
    assert not any(label.split()[1:] for label in tried)


def test_pods_on_the_machines_network_are_no_pod_ends():
    origins = {cell.origin for cell in plan(CLUSTER)} | {cell.target for cell in plan(CLUSTER)}
    assert not [each for each in origins if "kube-router" in each]


def test_a_pod_does_not_try_the_service_it_stands_behind():
    alone = replace(CLUSTER, pods=(METRICS, DNS1))
    assert ways(alone, Flow.POD_TO_CLUSTER_IP) == [
        ("metrics-server@worker0", "Service kube-dns"),
        ("coredns@worker1", "Service metrics-server"),
    ]


def test_without_a_ready_metrics_server_the_dns_service_stands_in():
    unready = replace(CLUSTER, pods=(replace(METRICS, ready=False), DNS0, DNS1))
    assert ways(unready, Flow.NODE_TO_CLUSTER_IP)[0] == ("host worker0", "Service kube-dns")
    (cell,) = cells(unready, Flow.APISERVER_TO_SERVICE)
    assert cell.missing == "metrics-server has no Ready pod"


def test_one_pod_a_cluster_leaves_the_pod_flows_unmeasured_with_the_reason():
    (cell,) = cells(replace(CLUSTER, pods=(METRICS,)), Flow.POD_TO_POD_SAME_NODE)
    assert cell.missing == "no node has two pods with a network of their own, one of them listening"


def test_exec_is_tried_only_in_a_pod_that_is_known_to_have_a_program():
    tried = {
        cell.target: cell
        for cell in cells(CLUSTER, Flow.APISERVER_TO_KUBELET)
        if "exec" in cell.target
    }
    assert tried["kubelet worker0, exec"].request[-3:] == ("kube-router", "--", "true")
    assert tried["kubelet worker1, exec"].missing == (
        "no pod here is known to have a program for exec"
    )


def test_a_machine_without_curl_or_nsenter_is_not_tried_from():
    bare = machine("worker1", Role.WORKER, "172.31.1.12", frozenset({"curl"}))
    facts = replace(CLUSTER, machines=(*CLUSTER.machines[:2], bare))
    missing = {cell.missing for cell in plan(facts) if cell.source == "worker1" and cell.containers}
    assert missing == {"there is no nsenter on this machine"}
    assert not [cell for cell in cells(facts, Flow.NODE_TO_POD) if cell.missing]


def test_what_could_not_be_read_is_the_reason_of_flows_without_a_way():
    facts = FlowFacts(None, None, None, None, (), ("kubectl said no",))
    assert {cell.missing for cell in plan(facts)} == {"kubectl said no"}


def test_a_controller_that_is_a_worker_too_is_tried_from_as_both():
    both = machine("controller0", Role.CONTROLLER_WORKER, "172.31.1.10")
    node = Node("controller0", True, ("172.31.1.10",), "10.244.2.0/24")
    facts = replace(CLUSTER, nodes=(*CLUSTER.nodes, node), machines=(both, *CLUSTER.machines[1:]))
    for flow in (Flow.NODE_TO_CLUSTER_IP, Flow.CONTROLLER_TO_CLUSTER_IP):
        assert ("host controller0", "Service metrics-server") in ways(facts, flow)
    # Its own API server is no way between machines.
    assert ("host controller0", "API server controller0") not in ways(
        facts, Flow.WORKER_TO_APISERVER
    )


def test_a_large_cluster_is_not_tried_pair_by_pair():
    count = 40
    nodes = tuple(Node(f"n{i}", True, (f"172.31.1.{i}",), f"10.244.{i}.0/24") for i in range(count))
    facts = replace(
        CLUSTER,
        nodes=nodes,
        pods=tuple(pod(f"dns-{i}", "kube-dns", f"n{i}", f"10.244.{i}.2") for i in range(count)),
        machines=tuple(machine(f"n{i}", Role.WORKER, f"172.31.1.{i}") for i in range(count)),
    )
    targets = Counter(cell.target for cell in cells(facts, Flow.POD_TO_NODE))
    assert len(targets) == count
    assert set(targets.values()) == {6}


def test_one_program_a_machine_and_one_request_each():
    looks = probes(plan(CLUSTER), pace=5)
    assert [look.where for look in looks[:3]] == ["worker0", "worker1", "controller0"]
    assert all(look.where == "api" for look in looks[3:])
    assert all(look.sudo for look in looks[:3])
    # A slow machine has more time, but not without bound.
    assert looks[0].argv[4] == "15"
    assert len(looks[3:]) <= 2 * AT_ONCE


@pytest.mark.parametrize("word", ["10.100.1.2", "metrics-server-x-id"])
def test_nothing_of_a_cluster_is_written_into_the_program(word):
    for look in probes(plan(CLUSTER))[:3]:
        assert word not in look.argv[2]


def read(name, text, where="api", **more):
    return Reading(name, where, ("x",), "", 0.0, 0.1, 0, text, **more)


def test_facts_are_read_from_what_kubectl_and_a_machine_print(recording):
    nodes = next(each for each in recording("konnectivity-off/broken") if each.probe == "nodes")
    facts = facts_from(
        [
            nodes,
            read("flow_pods", (TEXTS / "pods.txt").read_text()),
            read("flow_services", (TEXTS / "services.txt").read_text()),
            read("flow_machine:worker", (TEXTS / "machine.txt").read_text(), "w1.example"),
        ]
    )
    pending, running = facts.pods
    assert (pending.is_end, pending.ready, running.is_end, running.ready) == (
        False,
        False,
        True,
        True,
    )
    assert running.address == "10.244.0.4"
    assert running.containers == {
        "metrics-server": "d9461204e665808595be61bed2bf4bc2a0af058f74b8a478f0986964ebc3e566"
    }
    assert facts.services == (ServiceEnd("metrics-server", "10.109.145.162", 443),)
    (machine_,) = facts.machines
    assert machine_ == MachineEnd(
        "w1.example", Role.WORKER, "worker1", frozenset({"192.168.56.12"}), TOOLS
    )
    # The machine goes by another name than its Node; its address says which it is.
    assert [node.name for node in facts.nodes if facts.machine_of(node)] == ["worker1"]


def test_pods_are_asked_for_without_their_environment():
    (pods,) = [probe for probe in first_probes({}) if probe.name == "flow_pods"]
    assert pods.argv[-1].startswith("jsonpath=")
    assert "spec.containers" not in pods.argv[-1]


def test_a_table_of_another_width_is_a_gap():
    facts = facts_from([read("flow_pods", "kube-system\tx\n")])
    assert facts.pods is None
    assert "2 columns instead of 10" in facts.unread[0]


@pytest.mark.parametrize(
    ("tunnelled", "unneeded"),
    [
        ({}, set()),
        ({"controller0": True}, {Flow.CONTROLLER_TO_POD, Flow.CONTROLLER_TO_CLUSTER_IP}),
        ({"controller0": False}, {Flow.WORKER_TO_KONNECTIVITY}),
    ],
)
def test_konnectivity_decides_which_ways_a_cluster_lives_on(tunnelled, unneeded):
    cells = plan(replace(CLUSTER, tunnelled=tunnelled))
    assert {cell.flow for cell in cells if cell.unneeded} == unneeded
