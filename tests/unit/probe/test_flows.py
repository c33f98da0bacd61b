"""What came of flows: from what curl and kubectl said to the matrix, its table and its verdict."""

import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base.errors import ExitCode, UsageError
from harness.base.settings import Settings
from harness.cli.flows import exit_code, show_flows
from harness.cli.target import Target
from harness.evidence.reading import Reading
from harness.expectations.flows import Flows
from harness.expectations.sample import Match
from harness.probe import flows
from harness.probe.flow_cells import FlowCell, Payload
from harness.probe.flow_look import PROGRAM, parse_lines
from harness.probe.flows import FlowMatrix, FlowResult
from harness.report import flows as report
from harness.vocabulary.words import Flow, FlowOutcome, Role
from tests.unit.paths import UNIT

TEXTS = UNIT / "recordings" / "flows"
WORKS, REFUSED, TIMED_OUT, UNREACHABLE, FAILED, PARTIAL, NOT_MEASURED = (
    FlowOutcome.WORKS,
    FlowOutcome.REFUSED,
    FlowOutcome.TIMED_OUT,
    FlowOutcome.UNREACHABLE,
    FlowOutcome.FAILED,
    FlowOutcome.PARTIAL,
    FlowOutcome.NOT_MEASURED,
)


def reading(text, **more):
    fields = {"probe": "flows", "where": "worker0", "argv": ("sh",), "returncode": 0} | more
    return Reading(**{"at": "", "elapsed": 0.0, "duration": 0.1, "stdout": text} | fields)


SAID = parse_lines(reading((TEXTS / "tried.txt").read_text()))


def judged(name, payload=Payload.HTTPS):
    cell = FlowCell(Flow.NODE_TO_POD, "worker0", "host worker0", "x", "10.0.0.1", 1, payload)
    return flows.of_try(cell, SAID[name])


@pytest.mark.parametrize(
    ("name", "payload", "outcome", "stage"),
    [
        ("answered", Payload.HTTPS, WORKS, "payload"),
        ("closed", Payload.HTTPS, REFUSED, "connect"),
        ("no-route", Payload.HTTPS, UNREACHABLE, "connect"),
        ("network-unreachable", Payload.HTTPS, UNREACHABLE, "connect"),
        ("prohibit-route", Payload.HTTPS, UNREACHABLE, "connect"),
        ("blackhole-route", Payload.HTTPS, UNREACHABLE, "connect"),
        ("no-answer", Payload.HTTPS, TIMED_OUT, "connect"),
        ("silent", Payload.HTTPS, TIMED_OUT, "tls"),
        ("large-answer-lost", Payload.HTTPS, TIMED_OUT, "tls"),
        ("reset-in-tls", Payload.HTTPS, FAILED, "tls"),
        ("silent-after-tls", Payload.HTTPS, TIMED_OUT, "payload"),
        ("large-request-lost", Payload.HTTPS, TIMED_OUT, "payload"),
        ("hung-up", Payload.HTTPS, FAILED, "payload"),
        ("hung-up-grpc", Payload.GRPC, WORKS, "payload"),
        ("grpc", Payload.GRPC, WORKS, "payload"),
        ("silent-after-tls", Payload.GRPC, TIMED_OUT, "payload"),
        ("coredns", Payload.DNS, WORKS, "payload"),
        ("coredns-large-lost", Payload.DNS, TIMED_OUT, "payload"),
        ("coredns-no-answer", Payload.DNS, TIMED_OUT, "connect"),
        ("coredns-closed", Payload.DNS, REFUSED, "connect"),
    ],
)
def test_how_far_a_way_got_and_how_it_ended(name, payload, outcome, stage):
    found = judged(name, payload)
    assert (found.outcome, found.stage) == (outcome, stage)
    assert bool(found.words) == (outcome is not WORKS)


def test_a_pod_without_a_process_is_not_measured():
    found = judged("no-pod")
    assert (found.outcome, found.words) == (NOT_MEASURED, "no process of the pod runs here")


def test_a_pods_own_network_is_the_one_that_is_tried():
    # Host and pod were asked for the same address; only the pod's network had no route to it.
    said = parse_lines(reading((TEXTS / "in-pod.txt").read_text()))
    assert said["in-pod"][0] == "Immediate connect fail for 10.99.0.1: Network is unreachable"


def program(*words, seconds="1"):
    began = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", PROGRAM, "flows", seconds, *words],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return parse_lines(reading(done.stdout)), time.monotonic() - began


def test_the_program_tries_all_ways_at_once_within_its_bound():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        socket.create_server(("127.0.0.1", 0)) as closed,
    ):
        ports = silent.getsockname()[1], closed.getsockname()[1]
        closed.close()
        silents = [
            word
            for number in range(8)
            for word in (f"silent-{number}", "https", f"127.0.0.1:{ports[0]}", "-")
        ]
        said, seconds = program(
            *silents, "closed", "dns", f"127.0.0.1:{ports[1]}", "-", "pod", "https", "x:1", "f" * 64
        )
    assert said["closed"][-1] == "exit 7"
    assert said["pod"] == ("no process of the pod runs here",)
    assert {said[f"silent-{number}"][-1] for number in range(8)} == {"exit 28"}
    # One after another they would take eight seconds.
    assert seconds < 6


def test_hostile_words_stay_words():
    said, _ = program("$(touch x)", "https", "127.0.0.1:1/`id`", "-")
    assert set(said) == {"$(touch x)"}


# --- requests that the API server passes on


REQUEST = FlowCell(
    Flow.APISERVER_TO_SERVICE, "api", "API server", "metrics", request=("get", "--raw", "/apis/x")
)


def asked(stderr, condition="", **more):
    found = reading("", probe=f"flow:{REQUEST.label}", where="api", stderr=stderr, **more)
    return flows.of_request(REQUEST, found, condition)


def test_an_answer_of_the_api_server_works():
    assert asked("").outcome is WORKS


def test_an_unavailable_apiservice_is_told_by_its_condition():
    # The aggregator answers at once and does not dial; the APIService says what its last try was.
    words = (TEXTS / "kubectl-unavailable.txt").read_text()
    found = asked(words, "dial tcp 10.1.1.1:443: i/o timeout", returncode=1)
    assert found.outcome is TIMED_OUT
    assert found.words.endswith("the APIService: dial tcp 10.1.1.1:443: i/o timeout")
    assert asked(words, returncode=1).outcome is FAILED


def test_what_did_not_reach_the_api_server_is_not_measured():
    words = (TEXTS / "kubectl-refused.txt").read_text()
    assert asked(words, returncode=1).outcome is NOT_MEASURED
    lost = asked("", returncode=None, error="no SSH to controller0")
    assert (lost.outcome, lost.words) == (NOT_MEASURED, "no SSH to controller0")


def test_a_request_that_hangs_timed_out():
    words = (TEXTS / "kubectl-silent.txt").read_text()
    assert asked(words, returncode=1).outcome is TIMED_OUT


# --- the matrix


def way(flow, outcome, words="", source="host worker0"):
    seconds = 0.0 if outcome is NOT_MEASURED else 0.25
    return FlowResult(flow, source, "kubelet worker1", "10.0.0.1:1", outcome, "", seconds, words)


@pytest.mark.parametrize(
    ("outcomes", "whole"),
    [
        ((WORKS, WORKS), WORKS),
        ((WORKS, NOT_MEASURED), WORKS),
        ((WORKS, TIMED_OUT), PARTIAL),
        ((TIMED_OUT, TIMED_OUT), TIMED_OUT),
        ((REFUSED, TIMED_OUT), FAILED),
        ((NOT_MEASURED,), NOT_MEASURED),
        ((), NOT_MEASURED),
    ],
)
def test_what_a_flow_comes_to(outcomes, whole):
    matrix = FlowMatrix(tuple(way(Flow.NODE_TO_POD, each) for each in outcomes))
    assert matrix.outcome(Flow.NODE_TO_POD) is whole


def test_no_readings_are_a_matrix_in_which_nothing_is_measured():
    matrix = flows.parse([])
    assert set(matrix.outcomes.values()) == {NOT_MEASURED}
    assert exit_code(matrix) is ExitCode.INFRASTRUCTURE


MATRIX = FlowMatrix(
    (
        way(Flow.NODE_TO_POD, WORKS),
        way(Flow.NODE_TO_CLUSTER_IP, REFUSED, "connect to 10.0.0.1 port 1 failed: refused"),
        way(Flow.POD_TO_NODE, NOT_MEASURED, "no such pod", source=""),
    )
)


def expect(**cells):
    named = {name.replace("_", "-"): outcome.replace("_", "-") for name, outcome in cells.items()}
    return Flows.model_validate(
        {"cells": {Flow(name): FlowOutcome(outcome) for name, outcome in named.items()}}
    )


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        ({"node_to_pod": "works", "node_to_cluster_ip": "refused"}, Match.MATCH),
        ({"node_to_pod": "works", "node_to_cluster_ip": "works"}, Match.MISMATCH),
        ({"node_to_pod": "works", "pod_to_node": "works"}, Match.GAP),
        ({"pod_to_node": "works", "node_to_pod": "refused"}, Match.MISMATCH),
        ({"pod_to_node": "not_measured"}, Match.MATCH),
    ],
)
def test_an_expectation_is_a_match_a_mismatch_or_a_gap(cells, match):
    sample = expect(**cells).sample(MATRIX, 12.5)
    assert (sample.match, sample.at) == (match, 12.5)


def test_a_mismatch_says_which_way_and_why():
    sample = expect(node_to_cluster_ip="works").sample(MATRIX, 1.0)
    assert sample.text == (
        "node-to-cluster-ip: refused (host worker0 to kubelet worker1: "
        "connect to 10.0.0.1 port 1 failed: refused)"
    )
    assert sample.state == "node-to-cluster-ip: refused"


def test_what_does_not_work_decides_the_exit_code_before_what_was_not_seen():
    assert exit_code(MATRIX) is ExitCode.NOT_MET
    fine = FlowMatrix((way(Flow.NODE_TO_POD, WORKS),))
    assert exit_code(fine) is ExitCode.OK
    assert exit_code(replace(fine, unread=("no SSH",))) is ExitCode.INFRASTRUCTURE


class Recorded:
    """A prober whose cluster is recorded, and whose ways all end as one that was recorded."""

    def __init__(self, nodes, ending):
        self.texts = {
            "flow_pods": (TEXTS / "pods.txt").read_text(),
            "flow_services": (TEXTS / "services.txt").read_text(),
            "flow_machine": (TEXTS / "machine.txt").read_text(),
        }
        self.nodes = nodes
        self.ending = "\t".join(SAID[ending])
        self.rounds = []

    def take(self, probes):
        wanted = tuple(probes)
        self.rounds.append(wanted)
        return tuple(self.read(probe) for probe in wanted)

    def read(self, probe):
        if probe.name == "nodes":
            return self.nodes
        lost = {"returncode": None, "error": "not recorded"}
        text = self.texts.get(probe.name.partition(":")[0])
        if probe.name == "flows":
            text = "".join(f"cell {label}\t{self.ending}\n" for label in probe.argv[5::4])
        more = {} if text is not None else lost
        return reading(text or "", probe=probe.name, where=probe.where, argv=probe.argv, **more)


def test_a_matrix_is_measured_in_two_rounds_and_read_from_its_readings_alone(recording):
    nodes = next(each for each in recording("konnectivity-off/broken") if each.probe == "nodes")
    prober = Recorded(nodes, "no-route")
    matrix = flows.parse(flows.measure(prober, {"w1.example": Role.WORKER}))
    assert len(prober.rounds) == 2
    (cell,) = matrix.of(Flow.NODE_TO_POD)
    assert (cell.source, cell.address) == ("host worker1", "10.244.0.4:10250")
    assert (cell.outcome, cell.words) == (
        UNREACHABLE,
        "Immediate connect fail for 10.78.0.1: No route to host",
    )
    # What was not recorded is said, and nothing is made of it.
    assert matrix.unread == ("not recorded",)
    assert matrix.outcome(Flow.WORKER_TO_APISERVER) is NOT_MEASURED
    assert matrix.outcome(Flow.APISERVER_TO_KUBELET) is NOT_MEASURED


def test_a_lab_and_a_file_at_once_are_a_mistake():
    with pytest.raises(UsageError, match="not both"):
        show_flows(Settings.from_environment({}, {}), Target("k5-x", Path("k0sctl.yaml")))


# --- what a cluster does not live on


def looked_at_from_a_controller(recording, folder):
    """Return the matrix where no way works, with the API server's flags of a recorded walk."""
    walk = recording(folder)
    nodes = next(each for each in walk if each.probe == "nodes")
    flags = next(each for each in walk if each.probe == "apiserver_flags")
    prober = Recorded(nodes, "no-answer")
    prober.texts["apiserver_flags"] = flags.stdout
    roles = {"worker1": Role.WORKER, "controller0": Role.CONTROLLER}
    return flows.parse(flows.measure(prober, roles))


def test_with_konnectivity_a_controller_need_not_reach_pods_and_cluster_ips(recording):
    matrix = looked_at_from_a_controller(recording, "diagnosis/healthy/1")
    for flow in (Flow.CONTROLLER_TO_POD, Flow.CONTROLLER_TO_CLUSTER_IP):
        # An expectation of it sees what it always saw.
        assert matrix.outcome(flow) is TIMED_OUT
        assert "through konnectivity" in matrix.unneeded(flow)
    assert {each.flow for each in matrix.broken} & {Flow.NODE_TO_POD, Flow.NODE_TO_CLUSTER_IP}
    assert not {each.flow for each in matrix.broken} & {
        Flow.CONTROLLER_TO_POD,
        Flow.CONTROLLER_TO_CLUSTER_IP,
    }


def test_without_konnectivity_a_controller_has_to_reach_them(recording):
    matrix = looked_at_from_a_controller(recording, "konnectivity-off/broken")
    broken = {each.flow for each in matrix.broken}
    assert {Flow.CONTROLLER_TO_POD, Flow.CONTROLLER_TO_CLUSTER_IP} <= broken


def test_what_is_not_needed_does_not_count_and_is_said_to_be_so():
    why = "the API server dials through konnectivity"
    lost = replace(way(Flow.CONTROLLER_TO_POD, TIMED_OUT), unneeded=why)
    matrix = FlowMatrix((way(Flow.NODE_TO_POD, WORKS), lost))
    assert exit_code(matrix) is ExitCode.OK
    text = report.text(matrix)
    assert "timed-out, not needed" in text
    assert f"    not needed: {why}" in text
    assert report.document(matrix)["not_needed"] == {"controller-to-pod": why}
    # One way of the flow that has to work and does not is enough.
    both = FlowMatrix((*matrix.cells, way(Flow.CONTROLLER_TO_POD, REFUSED)))
    assert exit_code(both) is ExitCode.NOT_MET
    assert both.unneeded(Flow.CONTROLLER_TO_POD) == ""


# --- the table


def test_the_table_is_at_most_a_hundred_columns_wide_and_names_every_flow():
    long = "x" * 300
    matrix = FlowMatrix(
        (replace(way(Flow.NODE_TO_POD, TIMED_OUT, f"{long} {long}"), source=long, target=long),),
        unread=(f"kubectl {long}",),
    )
    lines = report.text(matrix).splitlines()
    assert max(map(len, lines)) <= 100
    assert all(any(line.startswith(flow) for line in lines) for flow in Flow)


def test_the_table_says_how_far_a_broken_way_got_and_why_one_was_not_measured():
    broken = replace(way(Flow.NODE_TO_POD, TIMED_OUT, "curl: (28) it"), stage="payload")
    text = report.text(FlowMatrix((broken, way(Flow.POD_TO_NODE, NOT_MEASURED, "no such pod", ""))))
    row, words = text[text.index("  host worker0") :].splitlines()[:2]
    assert row.split()[-3:] == ["timed-out", "(request)", "0.25"]
    assert words == "    curl: (28) it"
    assert "    no such pod" in text


def test_the_json_form_has_every_way_and_every_flow():
    document = report.document(MATRIX)
    assert set(document["flows"]) == {str(flow) for flow in Flow}
    assert document["ways"][1]["outcome"] == "refused"
    assert len(document["ways"]) == 3
