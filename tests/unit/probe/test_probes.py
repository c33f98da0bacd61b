"""Probes read what real clusters printed."""

from dataclasses import replace

import pytest

from harness.evidence.reading import Reading
from harness.k0s import ADMIN_PORT, AGENT_PORT
from harness.probe import (
    apiservice,
    controlplane,
    dials,
    https,
    isolation,
    metrics_data,
    nodelogs,
    routing,
    top_nodes,
    workloads,
)
from harness.probe.core import UnreadableError, observe
from harness.vocabulary.words import TopOutcome
from tests.unit.paths import RECORDINGS


@pytest.fixture
def reading(recording):
    """One reading of a recording, by its probe and, where several machines were asked, machine."""

    def find(name, probe, where=None):
        return next(
            each
            for each in recording(f"konnectivity-off/{name}")
            if each.probe == probe and where in (None, each.where)
        )

    return find


def test_the_condition_is_read_with_reason_and_message(reading):
    state = apiservice.parse(reading("broken", "apiservice"))
    assert state.available is False
    assert state.brief() == "False FailedDiscoveryCheck"
    assert "https://10.109.145.162:443/apis/metrics.k8s.io/v1beta1" in state.message
    assert apiservice.parse(reading("repaired", "apiservice")).text() == (
        "True Passed all checks passed"
    )


def test_top_nodes_fails_without_konnectivity_and_lists_both_workers_with_it(reading):
    assert top_nodes.parse(reading("broken", "top_nodes")).outcome is TopOutcome.API_NOT_AVAILABLE
    top = top_nodes.parse(reading("repaired", "top_nodes"))
    assert top.outcome is TopOutcome.COMPLETE
    assert top.nodes == ("worker0", "worker1")


def test_a_failed_look_is_no_value(reading):
    failed = replace(reading("broken", "apiservice"), returncode=None, error="no answer")
    observation = observe(apiservice.parse, failed)
    assert observation.value is None
    assert observation.problem == "no answer"


def test_an_error_of_no_known_kind_is_no_outcome_of_top_nodes(reading):
    said = replace(reading("broken", "top_nodes"), stderr="error: something else")
    with pytest.raises(UnreadableError, match="something else"):
        top_nodes.parse(said)


def test_a_ready_pod_and_its_service_and_endpoint_are_read(reading):
    (pod,) = workloads.parse_pods(reading("broken", "pods"))
    assert (pod.ready, pod.phase, pod.node, pod.address) == (
        True,
        "Running",
        "worker1",
        "10.244.0.4",
    )
    service = workloads.parse_service(reading("broken", "service"))
    assert (service.cluster_ip, service.port) == ("10.109.145.162", 443)
    (endpoint,) = workloads.parse_endpoints(reading("broken", "endpoints"))
    assert (endpoint.address, endpoint.port, endpoint.node) == ("10.244.0.4", 10250, "worker1")


def test_a_pending_pod_is_not_ready_and_no_endpoint(reading):
    (pod,) = workloads.parse_pods(reading("settling", "pods"))
    assert not pod.ready
    assert workloads.parse_endpoints(reading("settling", "endpoints")) == ()


def test_nodes_have_their_private_addresses(reading):
    nodes = workloads.parse_nodes(reading("broken", "nodes"))
    assert [(node.name, node.ready, node.addresses) for node in nodes] == [
        ("worker0", True, ("192.168.56.11",)),
        ("worker1", True, ("192.168.56.12",)),
    ]


def test_the_egress_selector_is_seen_in_the_api_servers_arguments(reading):
    off = controlplane.parse_flags(reading("broken", "apiserver_flags"))
    on = controlplane.parse_flags(reading("repaired", "apiserver_flags"))
    assert (off.egress_selector, on.egress_selector) == (False, True)
    assert off.aggregator_routing is False
    assert off.service_cidr == "10.96.0.0/12"


def test_the_agents_port_is_listened_on_only_with_konnectivity(reading):
    off = controlplane.parse_sockets(reading("broken", "listening"))
    on = controlplane.parse_sockets(reading("repaired", "listening"))
    assert 6443 in off & on
    assert on - off >= {AGENT_PORT, ADMIN_PORT, 8092}


def test_the_tunnels_server_counts_its_agents(reading):
    assert controlplane.parse_tunnel(reading("repaired", "tunnel")) == controlplane.TunnelServer(
        listening=True, agents=2, dial_failures=10, failures_by_reason=(("no_agent", 10),)
    )
    assert not controlplane.parse_tunnel(reading("broken", "tunnel")).listening


def test_the_default_route_is_told_from_a_route_of_its_own(reading):
    route = routing.parse(reading("broken", "route:10.109.145.162"))
    assert not route.own
    assert route.text() == "10.109.145.162 goes by the default route via 172.30.64.1 dev eth0"


def test_rounds_of_connections_are_counted(reading):
    lost = dials.parse(reading("broken", "dial:10.109.145.162:443"))
    assert lost.text() == (
        "0 of 1 connections from controller0 to 10.109.145.162:443 opened (1 timed-out)"
    )
    made = dials.parse(reading("repaired", "dial:10.109.145.162:443", where="worker0"))
    assert (made.tried, made.connected, made.all_connected) == (20, 20, True)


def test_the_labs_filter_counts_what_left_by_destination(reading):
    counted = isolation.parse(reading("broken", "isolation"))
    assert counted["service_network"] == 408
    assert counted["other"] == 0


LADDER = RECORDINGS / "ladder"


def printed(probe, stdout, stderr="", returncode=0):
    at = "2026-11-23T06:36:10.000+00:00"
    return Reading(probe.name, probe.where, probe.argv, at, 0.0, 0.2, returncode, stdout, stderr)


def test_scrapes_that_failed_are_read_from_the_log_on_the_node():
    probe = nodelogs.METRICS_SERVER.on("worker1")
    log = nodelogs.parse_metrics_server(printed(probe, (LADDER / "metrics-server.log").read_text()))
    assert [(each.target, each.why) for each in log.scrapes] == [
        (
            "worker0",
            'Get "https://192.168.56.11:10250/metrics/resource": context deadline exceeded',
        )
    ] * 2
    assert log.scrapes[1].at - log.scrapes[0].at == 15.0


def test_an_agents_connections_and_failed_dials_are_read_from_its_log():
    probe = nodelogs.AGENT.on("worker1")
    log = nodelogs.parse_agent(printed(probe, (LADDER / "konnectivity-agent.log").read_text()))
    assert log.connecting == ()
    assert [(each.target, each.why) for each in log.dialling] == [
        ("10.108.186.239:443", "dial tcp 10.108.186.239:443: i/o timeout")
    ]
    assert "Connect to server" in log.lines[0].text


@pytest.fixture
def look(recording):
    """One recorded look from a machine, by the start of its probe's name and of what it printed."""

    def find(probe, printed=""):
        (found,) = [
            each
            for each in recording("ladder/looks")
            if each.probe.startswith(probe) and each.stdout.startswith(printed)
        ]
        return found

    return find


def test_a_worker_without_the_pod_has_an_empty_log_and_no_gap(look):
    found = observe(nodelogs.parse_metrics_server, look("metrics_server_log"))
    assert found.value == nodelogs.MetricsServerLog((), ())


# What curl printed of metrics-server, of a path that loses full-size packets (before and after TLS
# was up), of one that loses all, and of a Service that a NetworkPolicy rejects.
@pytest.mark.parametrize(
    ("probe", "printed", "came"),
    [
        ("payload:10.96.79.232", "200", (True, True, True, False)),
        ("payload:10.96.79.232", "000", (True, False, False, False)),
        ("kubelet:192.168.58.11", "000", (True, True, False, False)),
        ("payload:10.108.211.84", "000", (False, False, False, False)),
        ("payload:10.103.243.179", "000", (False, False, False, True)),
    ],
)
def test_how_far_a_large_request_came_is_read_from_curl(look, probe, printed, came):
    found = https.parse_payload(look(probe, printed))
    assert (found.connected, found.tls, found.answered, found.refused) == came
    assert found.target.startswith(probe.partition(":")[2])


def test_a_request_that_timed_out_on_a_busy_machine_tells_nothing(recording):
    asked = [
        each
        for each in recording("mended/busy-workers")
        if each.probe.startswith(("payload:", "agent_payload:"))
    ]
    values = [observe(https.parse_payload, each).value for each in asked]
    # One who is turned down was, however long it took to ask.
    assert [value is not None for value in values] == [each.returncode == 7 for each in asked]
    assert {value.refused for value in values if value is not None} == {True}


def test_a_server_that_a_busy_machine_had_no_time_to_ask_is_not_called_dead(look):
    timed_out = replace(
        look("health:10.244.0.3"), returncode=28, stdout=" 000\n 000\n", duration=12.0
    )
    assert "worker1 is too busy to tell" in (observe(https.parse_health, timed_out).problem or "")
    # Twice curl's own 5 s is what two requests without an answer take.
    in_time = replace(timed_out, duration=10.2)
    assert observe(https.parse_health, in_time).value == https.Health(0, 0, (), "")


def test_the_health_of_a_server_is_both_statuses_and_what_failed(look):
    found = https.parse_health(look("health:10.244.0.3"))
    assert (found.livez, found.readyz, found.failing) == (200, 200, ())
    found = https.parse_health(look("health:10.244.0.7"))
    assert (found.livez, found.readyz, found.failing) == (200, 500, ("metric-storage-ready",))


# dash's words, and those of the timeout of coreutils 9.1.
@pytest.mark.parametrize(
    "said",
    [
        "dash: 1: curl: not found\n",
        "timeout: failed to run command 'curl': No such file or directory\n",
    ],
)
def test_no_curl_is_a_gap_and_no_sick_server(look, said):
    gone = replace(look("health:10.244.0.3"), returncode=127, stdout="", stderr=said)
    assert observe(https.parse_health, gone).problem == "there is no curl on worker1"


def test_a_metrics_api_without_an_answer_is_a_value_and_no_gap(recording):
    (reading,) = recording("ladder/no-answer")
    found = metrics_data.parse(reading)
    assert not found.answered
    assert "Client.Timeout exceeded" in found.text


def test_when_a_node_became_ready_is_read(recording):
    facts = {each.probe: each for each in recording("konnectivity-off/repaired")}
    nodes = workloads.parse_nodes(facts["nodes"])
    assert all(node.ready_since >= node.created > 0 for node in nodes)
