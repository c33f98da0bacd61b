"""The diagnosis, on what real clusters said."""

import re
from dataclasses import replace

import pytest

from harness.base.errors import ExitCode, InfrastructureError, UsageError
from harness.diagnose import ladder, subject
from harness.diagnose.facts import facts_from
from harness.diagnose.judge import diagnose
from harness.diagnose.messages import classify
from harness.diagnose.model import HOP_NAMES, Confidence, HopId, HopState
from harness.probe import apiservice, https
from harness.probe.core import API
from harness.vocabulary.words import Cause, MessageClass


def test_without_konnectivity_the_missing_route_is_named_with_its_proof(recording):
    found = diagnose(recording("konnectivity-off/broken"))
    assert found.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK
    assert found.confidence is Confidence.HIGH
    assert found.broken is not None
    assert found.broken.id is HopId.ROUTE
    assert "10.109.145.162 goes by the default route via 172.30.64.1 dev eth0" in str(found.facts)
    assert "0 of 1 connections from controller0 to 10.109.145.162:443 opened" in str(found.facts)


def test_the_remedy_has_the_addresses_of_this_cluster(recording):
    remedy = diagnose(recording("konnectivity-off/broken")).remedy
    assert remedy is not None
    assert "ip route add 10.96.0.0/12 via 192.168.56.11" in remedy


def test_the_labs_own_packet_filter_is_evidence_and_never_the_cause(recording):
    readings = recording("konnectivity-off/broken")
    found = diagnose(readings)
    assert any("408 packets left the controller" in fact for fact in found.facts)
    without = diagnose(each for each in readings if each.probe != "isolation")
    assert (without.cause, without.confidence) == (found.cause, found.confidence)


def test_a_repaired_cluster_is_healthy_and_what_was_not_looked_at_is_said(recording):
    found = diagnose(recording("konnectivity-off/repaired"))
    assert found.cause is Cause.HEALTHY
    assert found.first_broken_hop is None
    unseen = [hop.id for hop in found.hops if hop.state is HopState.NOT_SEEN]
    assert set(unseen) <= {HopId.ALIVE, HopId.SCRAPING, HopId.LARGE, HopId.OTHERS}
    assert {hop.state for hop in found.hops if hop.id not in unseen} == {HopState.HOLDS}
    # The recording is of a walk that did not look at metrics-server from its own node yet.
    assert found.confidence is Confidence.LOW
    assert [text.partition(":")[0] for text in found.not_seen] == [
        *(HOP_NAMES[each] for each in unseen[:-1]),
        "whether the machines' clocks agree",
    ]
    assert "2 agents connected, 2 nodes" in str(found.facts)


def test_a_metrics_server_that_is_still_pending_is_named_first(recording):
    found = diagnose(recording("konnectivity-off/settling"))
    assert found.cause is Cause.METRICS_SERVER_NOT_READY
    assert found.broken is not None
    assert found.broken.id is HopId.BACKEND


def test_agents_that_cannot_connect_are_named_although_their_pods_run(recording):
    found = diagnose(recording("konnectivity-faults/agents-rejected"))
    assert found.cause is Cause.TUNNEL_DOWN
    assert found.confidence is Confidence.HIGH
    assert found.broken is not None
    assert found.broken.id is HopId.TUNNEL
    assert "0 agents connected, 2 nodes" in str(found.facts)
    (condition,) = [hop for hop in found.hops if hop.id is HopId.CONDITION]
    assert condition.text.startswith("(no-agent) False FailedDiscoveryCheck")
    assert condition.text.endswith("No agent available")
    assert "No agent available" in condition.raw


def test_nothing_seen_gives_no_cause():
    found = diagnose(())
    assert found.cause is Cause.UNKNOWN
    assert found.confidence is Confidence.LOW


@pytest.mark.parametrize(
    "name",
    ["konnectivity-off/broken", "konnectivity-off/repaired", "konnectivity-faults/agents-rejected"],
)
def test_a_missing_piece_of_evidence_never_gives_another_cause(recording, name):
    readings = recording(name)
    whole = diagnose(readings)
    for missing in readings:
        found = diagnose(each for each in readings if each is not missing)
        assert found.cause in {whole.cause, Cause.UNKNOWN}, missing.probe
        if found.cause is Cause.UNKNOWN:
            assert found.confidence is Confidence.LOW


def test_evidence_that_the_cause_rests_on_lowers_the_confidence_when_it_is_missing(recording):
    readings = recording("konnectivity-off/broken")
    found = diagnose(each for each in readings if not each.probe.startswith("dial:10.109"))
    assert found.cause is Cause.NO_ROUTE_TO_SERVICE_NETWORK
    assert found.confidence is Confidence.LOW
    assert any(text.startswith(HOP_NAMES[HopId.DIAL]) for text in found.not_seen)


def test_messages_of_a_failed_discovery_check_fall_into_classes(recording):
    seen = {
        state.reason: set()
        for reading in recording("konnectivity-off/states")
        if reading.probe == "apiservice" and (state := apiservice.parse(reading))
    }
    for reading in recording("konnectivity-off/states"):
        if reading.probe == "apiservice":
            state = apiservice.parse(reading)
            seen[state.reason].add(classify(state.message))
    assert seen["FailedDiscoveryCheck"] == {MessageClass.TIMED_OUT, MessageClass.NO_AGENT}


# Texts quoted in the project's measured notes and in the threads that messages.py names.
@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("dial tcp 10.110.84.73:443: connect: connection refused", MessageClass.REFUSED),
        ("dial tcp 10.97.131.110:443: connect: no route to host", MessageClass.NO_ROUTE),
        ("No agent available", MessageClass.NO_AGENT),
        ("something nobody has seen yet", MessageClass.UNKNOWN),
    ],
)
def test_known_texts_have_their_class_and_unknown_ones_say_so(message, expected):
    assert classify(message) is expected


IN_POD = r'nsenter -t "\$\(pgrep -o -x (proxy-agent|metrics-server)\)" -n'
FILLED = r"-H \"X-Fill: \$\(head -c 8000 /dev/zero \| tr '\\0' x\)\""
# Every program that the ladder starts on a machine, and what it may be told to do there.
READS_ONLY = (
    r"date \+%s\.%N",
    r"ip -json address",
    r"ip -json -details route show match [\d.]+",
    r"ps -C kube-(apiserver|controller-manager) -o args= -ww",
    (
        r"sh -c pid=\$\(pgrep -xo kube-apiserver\) \|\| exit 3\n"
        r"environment=\$\(tr '\\0' '\\n' <\"/proc/\$pid/environ\"\) \|\| exit 4\n"
        r"printf '%s\\n' \"\$environment\" \| grep -iE '\^\(https\|no\)_proxy=' \|\n"
        r" +sed -E 's#=\(\[a-z\]\+://\)\?\.\*@#=\\1#'\n"
    ),
    r"ss -Hltn",
    r"ss -Htn state established \( sport = :8132 \)",
    r"ps -C konnectivity-server,k0s -o pid=,ppid=,etimes=,args= -ww",
    r"ps -C kubelet -o etimes=",
    (
        r"sh -c if command -v journalctl >/dev/null; then\n"
        r" +journalctl -u k0scontroller -o short-unix --no-pager --since=-4min\nelse\n"
        r" +tail -q -n 4000 /var/log/k0scontroller.err /var/log/k0scontroller.log\n"
        r"fi 2>/dev/null \| grep component=konnectivity \| grep -vE '[^']+' \| tail -n 30\n"
    ),
    rf"sh -c {IN_POD} curl -sS --max-time 3 http://127.0.0.1:8093/metrics \| grep -E '[^']+'",
    r"ss -Htn state established \( dport = :6443 \)",
    r"k0s version",
    r"nft -j list counters table inet k0s_harness_lab",
    r"curl -sS --max-time 5 http://127\.0\.0\.1:8133/metrics",
    r"curl -sSk --max-time 5 -w  %\{http_code\}\\n https://\S+/livez https://\S+/readyz",
    r"sh -c tail -q -n 60 /var/log/pods/kube-system_metrics-server-\*/\*/\*\.log",
    r"sh -c grep -hE '[^']+' /var/log/pods/kube-system_konnectivity-agent-\S+ \| tail -n 30",
    rf"sh -c ({IN_POD} )?curl -sSk --max-time 5 -o /dev/null -w '[^']+' {FILLED} https://\S+/livez",
    r"dial \S+ \d+ \d+",
    # Programs of several lines, which are told here by their beginning; they only read and print.
    r"sh -c cd /proc/sys/net \|\| exit 1\ngrep -Hs (?s:.*)\ntrue\n",
    r"sh -c cut -d ' ' -f 1 /proc/uptime\ndmesg \| grep '[^']+' \| tail -n 1\ntrue\n",
    r"sh -c args=\$\(ps -C kube-apiserver -o args= -ww (?s:.*)/health\"\n",
    r"sh -c \naddress=\$1\ncase .*\npgrep -x kube-proxy (?s:.*)\ntrue\n service_rules [\da-f.:]+",
)
ASKS_ONLY = r"kubectl (get|top) .*"


@pytest.mark.parametrize("name", ["konnectivity-off/broken", "konnectivity-off/repaired"])
def test_the_ladder_runs_nothing_that_changes_a_machine_or_the_cluster(recording, name):
    facts = facts_from(recording(name))
    hosts = ("controller0", "worker0", "worker1")
    probes = [
        *ladder.first_probes(hosts[:1], hosts, in_lab=True),
        *ladder.second_probes(hosts[:1], hosts, facts),
    ]
    assert len(probes) > 50
    for probe in probes:
        command = " ".join(probe.argv)
        allowed = (ASKS_ONLY,) if probe.where == API else READS_ONLY
        assert any(re.fullmatch(each, command) for each in allowed), command
        assert "secret" not in command
        assert "configmap" not in command


def test_two_rounds_of_looks_and_the_pod_once_more_are_all_that_a_walk_takes(recording):
    readings = {(each.probe, each.where): each for each in recording("konnectivity-off/broken")}
    rounds = []

    class Recorded:
        def take(self, probes):
            wanted = tuple(probes)
            rounds.append(wanted)
            return tuple(
                readings[each.name, each.where]
                for each in wanted
                if (each.name, each.where) in readings
            )

    ladder.take(Recorded(), ("controller0",), ("worker0", "worker1"), in_lab=True)
    first, second, last = rounds
    assert [each.name for each in last] == ["pod_after:kube-system/metrics-server-7669dcf6c6-q4mdw"]
    names = [(each.name, each.where) for each in (*first, *second)]
    assert len(names) == len(set(names))
    assert ("health:10.244.0.4", "worker1") in names
    assert ("dial:10.109.145.162:443", "worker0") in names
    # Konnectivity is off: nothing is asked of agents, and the controller's own way counts.
    assert not any(name.startswith("agent_payload") for name, _ in names)
    assert ("dial:10.109.145.162:443", "controller0") in names


def test_a_controller_is_not_made_to_wait_for_pods_that_it_reaches_through_konnectivity(recording):
    facts = facts_from(recording("diagnosis/healthy/1"))
    looks = ladder.second_probes(("controller0",), ("worker0",), facts)
    dialled = {each.where for each in looks if each.name.startswith("dial:")}
    assert dialled == {"worker0"}


def test_a_cluster_that_is_not_k0s_is_said_and_not_diagnosed(recording):
    readings = [
        replace(each, stdout=each.stdout.replace("+k0s", "")) if each.probe == "nodes" else each
        for each in recording("konnectivity-off/repaired")
    ]
    problem = subject.problem(facts_from(readings))
    assert isinstance(problem, UsageError)
    assert "not a k0s cluster: its nodes run v1.32.3" in str(problem)
    assert subject.problem(facts_from(recording("konnectivity-off/repaired"))) is None


def test_a_host_without_k0s_is_said_and_not_diagnosed(recording):
    (nodes,) = [each for each in recording("konnectivity-off/broken") if each.probe == "nodes"]
    # The words of bash 5.2, which OpenSSH starts.
    said = "bash: line 1: k0s: command not found\n"
    gone = {"returncode": 127, "stdout": "", "stderr": said}
    argv = ("k0s", "version")
    readings = [
        replace(nodes, probe="k0s_version", where="10.0.0.1", argv=argv, **gone),
        replace(nodes, **gone),
    ]
    problem = subject.problem(facts_from(readings))
    assert isinstance(problem, UsageError)
    assert "there is no k0s on" in str(problem)


def test_readings_of_something_else_are_no_ground_for_a_diagnosis(recording):
    assert isinstance(subject.problem(facts_from(())), UsageError)
    (failed,) = recording("konnectivity-off/failed-look")
    problem = subject.problem(facts_from([replace(failed, probe="nodes", where="api")]))
    assert isinstance(problem, InfrastructureError)
    assert problem.exit_code is ExitCode.INFRASTRUCTURE


def test_two_causes_at_once_are_both_named(recording):
    readings = [each for each in recording("konnectivity-off/broken") if each.probe != "pods"]
    (pending,) = [each for each in recording("konnectivity-off/settling") if each.probe == "pods"]
    # The same cluster, its pod still Pending, and long enough for that to be a fault.
    late = [replace(each, at="2026-11-23T05:59:00.000+00:00") for each in (*readings, pending)]
    found = diagnose(late)
    assert found.cause is Cause.METRICS_SERVER_NOT_READY
    assert found.also == (Cause.NO_ROUTE_TO_SERVICE_NETWORK,)


def test_what_was_ruled_out_is_said_with_the_fact_against_it(recording):
    found = diagnose(recording("konnectivity-off/broken"))
    assert any(
        text.startswith("not metrics-server itself: Ready: metrics-server-")
        for text in found.ruled_out
    )
    assert found.link == "https://github.com/k0sproject/k0s/issues/5781"
    assert found.check_again == (
        "on controller0: ip -json -details route show match 10.109.145.162"
    )


def test_scrapes_that_failed_before_the_figures_that_are_served_are_no_cause(recording):
    readings = recording("mended/kubelets-port-opened")
    (log,) = [
        each for each in readings if (each.probe, each.where) == ("metrics_server_log", "worker0")
    ]
    assert "Failed to scrape node" in log.stdout
    assert diagnose(readings).cause is Cause.HEALTHY
    # With no figures but kubectl's table, which has no times, the same.
    without = [each for each in readings if each.probe != "metrics"]
    assert diagnose(without).cause is Cause.HEALTHY


def test_what_only_a_log_tells_is_named_without_confidence(recording):
    # The port was opened two seconds before, and nobody asked from metrics-server's pod.
    found = diagnose(recording("mended/one-port-opened"))
    assert found.cause is Cause.NODE_NOT_SCRAPED
    assert found.confidence is Confidence.LOW
    assert found.not_seen == ("whether metrics-server's pod reaches worker0's kubelet now",)


def test_a_node_that_has_just_come_back_is_settling_and_no_agent_is_missing(recording):
    found = diagnose(recording("mended/worker-back"))
    assert found.cause is Cause.SETTLING
    assert found.look_again is not None
    assert found.look_again.startswith("in 60 seconds, at 12:30:")


def test_a_node_that_stays_and_has_no_agent_is_named(recording):
    readings = recording("mended/worker-back")
    an_hour_ago = [
        replace(each, stdout=each.stdout.replace("2026-11-23T12:29:15Z", "2026-11-23T11:29:15Z"))
        if each.probe == "nodes"
        else each
        for each in readings
    ]
    found = diagnose(an_hour_ago)
    # The agents' own way to their server was not asked then, and the API server is not young.
    assert found.cause is Cause.AGENT_MISSING
    assert found.also == (Cause.NODE_NOT_SCRAPED,)


def test_a_machine_that_has_just_gone_makes_no_healthy_cluster(recording):
    found = diagnose(recording("mended/worker-just-gone"))
    assert found.cause is Cause.UNKNOWN
    assert found.broken is not None
    assert found.broken.id is HopId.DATA
    assert found.not_seen == ("nothing was seen on worker1's machine",)


def test_requests_that_a_busy_machine_had_no_time_for_are_no_lost_packets(recording):
    readings = recording("mended/busy-workers")
    found = diagnose(readings)
    assert (found.cause, found.confidence) == (Cause.UNKNOWN, Confidence.LOW)
    (reason,) = found.not_seen
    assert reason.startswith(
        f"{HOP_NAMES[HopId.LARGE]}: worker0 is too busy to tell: curl took 9 s there"
    )
    # Had they ended when curl's own time was over, they would have been.
    in_time = [
        replace(each, duration=min(each.duration, https.SECONDS + https.LATE_SECONDS))
        for each in readings
    ]
    assert diagnose(in_time).cause is Cause.LARGE_PACKETS_LOST


def test_a_controller_on_which_nothing_ends_says_nothing_of_its_api_server(recording):
    readings = recording("mended/controller-without-time")
    assert (diagnose(readings).cause, diagnose(readings).confidence) == (
        Cause.UNKNOWN,
        Confidence.LOW,
    )
    # Where what asks only the machine ends, it is the API server that does not answer.
    answering = [
        replace(each, error=None, returncode=0) if each.where == "controller0" else each
        for each in readings
    ]
    assert diagnose(answering).cause is Cause.APISERVER_UNREACHABLE


def test_a_dial_that_sshd_has_no_words_for_is_told_by_curl(recording):
    readings = recording("diagnosis/no-route-to-service-network/3")
    found = diagnose(readings)
    assert "caught by the route 10.96.0.0/13 (blackhole)" in str(found.facts)
    assert found.confidence is Confidence.HIGH
    without = diagnose(each for each in readings if not each.probe.startswith("payload"))
    assert without.confidence is Confidence.LOW


def test_an_agent_whose_own_pod_is_kept_from_the_server_is_seen(recording):
    readings = [
        each
        for each in recording("diagnosis/agents-cannot-connect/1")
        if not (each.probe.startswith("dial:") and each.probe.endswith(":8132"))
    ]
    found = diagnose(readings)
    assert found.cause is Cause.AGENTS_CANNOT_CONNECT
    assert "the agent on worker0 does not connect to 192.168.59.10:8132" in str(found.facts)


def test_agents_that_are_on_their_way_back_are_settling(recording):
    found = diagnose(recording("diagnosis/settling/1"))
    assert found.cause is Cause.SETTLING
    assert found.broken is not None
    assert found.broken.id is HopId.TUNNEL
    assert "1 agents connected, 2 nodes" in str(found.facts)


def test_agents_that_are_rolled_out_are_settling_and_stuck_ones_are_not(recording):
    readings = recording("diagnosis/settling/2")
    assert diagnose(readings).cause is Cause.SETTLING
    # The same DaemonSet, written to an hour before as its pods were, and still not rolled out.
    long_ago = [
        replace(each, stdout=each.stdout.replace("2026-11-23T13:1", "2026-11-23T12:1"))
        if each.probe in {"agents", "agent_pods"}
        else each
        for each in readings
    ]
    assert diagnose(long_ago).cause is Cause.AGENT_MISSING


def test_an_agent_that_has_just_begun_need_not_be_connected_yet(recording):
    # Its container was started in the second in which the server was asked for its agents.
    found = diagnose(recording("mended/agent-just-begun"))
    assert (found.cause, found.confidence) == (Cause.SETTLING, Confidence.HIGH)


def test_one_kubelet_that_was_not_asked_makes_no_other_cause_of_all_that_fail(recording):
    readings = recording("diagnosis/kubelet-unreachable-from-pods/1")
    without = [each for each in readings if each.probe != "kubelet:192.168.59.12:10250"]
    found = diagnose(without)
    assert found.cause in {Cause.KUBELET_UNREACHABLE_FROM_PODS, Cause.UNKNOWN}
    assert found.confidence is Confidence.LOW


def test_figures_of_a_node_whose_clock_is_ahead_make_no_others_old(recording):
    readings = recording("diagnosis/clock-skew/1")
    for unseen in (None, "worker0", "worker1"):
        found = diagnose(each for each in readings if (each.probe, each.where) != ("clock", unseen))
        (figures,) = [hop for hop in found.hops if hop.id is HopId.DATA]
        assert figures.state is HopState.HOLDS, unseen


def test_figures_that_are_old_by_their_own_nodes_clock_are_missing(recording):
    readings = recording("diagnosis/clock-skew/1")
    later = [
        replace(each, stdout=each.stdout.replace("T02:", "T00:"))
        if each.probe == "metrics"
        else each
        for each in readings
    ]
    (figures,) = [hop for hop in diagnose(later).hops if hop.id is HopId.DATA]
    assert figures.text == "no fresh figures of worker1"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_pod_that_ended_during_a_walk_is_no_way_that_is_cut(recording, number):
    readings = recording(f"mended/pod-killed-{number}")
    found = diagnose(readings)
    assert (found.cause, found.confidence) == (Cause.SETTLING, Confidence.LOW)
    (seen,) = (each for each in found.not_seen if each.startswith("the way to a pod that stays"))
    assert "was Ready when the looks began" in seen


def test_where_the_pod_was_not_seen_again_nothing_is_sure_that_requests_to_it_tell(recording):
    gone = [
        replace(each, error="Unable to connect to the server", stdout="")
        if each.probe.startswith("pod_after:")
        else each
        for each in recording("mended/pod-killed-1")
    ]
    found = diagnose(gone)
    assert found.confidence is Confidence.LOW
    assert "whether metrics-server's pod stayed" in found.not_seen


def test_a_pod_that_answers_again_at_a_walks_end_is_no_way_that_is_cut(recording):
    readings = recording("mended/pod-started-again")
    found = diagnose(readings)
    assert (found.cause, found.confidence) == (Cause.SETTLING, Confidence.LOW)
    assert (
        "the way to a pod that stays: 10.244.0.2:10250 refused connections from worker0, worker1, "
        "and then took one from worker1"
    ) in found.not_seen
