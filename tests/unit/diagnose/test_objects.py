"""What counts is what the APIService leads to, and why its pod is not there or not Ready."""

from __future__ import annotations

import pytest

from harness.diagnose import last_words, subject
from harness.diagnose.facts import facts_from
from harness.diagnose.judge import diagnose
from harness.diagnose.model import Confidence, HopId
from harness.probe import apiservice, objects, workloads
from harness.vocabulary.words import Cause


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pods-not-admitted/1", "ResourceQuota inj of kube-system has no room for it"),
        ("pods-not-admitted/2", "PodSecurity restricted of namespace kube-system refuses it"),
        ("pods-not-admitted/3", "webhook inj.example.net stands in the way"),
        ("pod-not-scheduled/1", "kubectl taint node worker0 worker1 example.net/maintenance-"),
        ("controllers-stopped/1", "see why kube-controller-manager does not run"),
        ("pod-not-scheduled/2", "free room on the disk of worker0, worker1"),
        ("pod-not-started/1", "worker1 has no address left for pods"),
        ("metrics-server-forbidden/1", "RoleBinding kube-system/metrics-server-auth-reader"),
        ("apiserver-unreachable-from-pods/1", "on worker0: let pods (10.244.0.0/16) reach"),
    ],
)
def test_a_pod_that_is_not_there_or_not_ready_has_the_remedy_of_why(recording, name, says):
    found = diagnose(recording(f"diagnosis/{name}"))
    assert says in (found.remedy or "")


def test_a_metrics_server_that_is_none_of_k0ss_counts_where_the_apiservice_leads_to_it(recording):
    readings = recording("diagnosis/healthy/8")
    facts = facts_from(readings)
    assert (facts.led.namespace, facts.led.name) == ("monitoring", "ms-metrics-server")
    pods, endpoints = facts.one(workloads.PODS) or (), facts.one(workloads.ENDPOINTS) or ()
    assert [pod.namespace for pod in pods] == ["monitoring"]
    assert [each.port for each in endpoints] == [4443]
    without = diagnose(each for each in readings if each.probe != "apiservice")
    assert (without.cause, without.confidence) == (Cause.UNKNOWN, Confidence.LOW)


def test_why_no_pod_may_be_made_is_said_in_the_deployments_own_words(recording):
    found = diagnose(recording("diagnosis/pods-not-admitted/1"))
    words = 'pods "metrics-server-7669dcf6c6-h86pm" is forbidden: exceeded quota: inj, requested'
    assert any(words in fact for fact in found.facts)


def test_a_taint_on_every_node_is_no_matter_of_time(recording):
    # The walk was taken a minute after the pod was made: too soon for anything else to be a fault.
    found = diagnose(recording("diagnosis/pod-not-scheduled/1"))
    assert found.cause is Cause.POD_NOT_SCHEDULED
    assert "example.net/maintenance is on worker0, worker1" in found.facts


def test_the_last_words_of_a_pod_tell_what_it_lacked(recording):
    facts = facts_from(recording("diagnosis/metrics-server-forbidden/1"))
    found = last_words.forbidden(facts)
    assert found is not None
    assert found.resource == "configmaps"
    facts = facts_from(recording("diagnosis/apiserver-unreachable-from-pods/1"))
    assert last_words.unreached(facts) == ("10.96.0.1:443", "dial tcp 10.96.0.1:443: i/o timeout")


def test_a_pod_that_cannot_initialize_is_said_by_its_init_container(recording):
    """Its own containers only say PodInitializing meanwhile."""
    found = diagnose(recording("diagnosis/metrics-server-not-ready/2"))
    (shown,) = (hop.text for hop in found.hops if hop.id is HopId.BACKEND)
    assert "Pending CrashLoopBackOff init container prepare is not done; back-off" in shown
    assert any("kube-proxy:v1.32.3) ended with Error, 3" in each for each in found.facts)
    remedy = diagnose(recording("diagnosis/image-missing/2")).remedy or ""
    assert "get example.invalid/none:1 onto worker1" in remedy
    assert "init container prepare of its Deployment" in remedy
    assert "spec.images" not in remedy
    k0ss_own = diagnose(recording("diagnosis/image-missing/1")).remedy or ""
    assert "spec.images.metricsserver" in k0ss_own


def test_a_node_without_a_network_plugin_leads_to_the_pods_that_bring_it(recording):
    remedy = diagnose(recording("diagnosis/node-not-ready/2")).remedy or ""
    assert "spec.nodeName=worker0 (of kube-proxy, kube-router, calico-node)" in remedy
    assert "systemctl" not in remedy
    silent = diagnose(recording("diagnosis/node-not-ready/1")).remedy or ""
    assert silent == "on worker1: systemctl status k0sworker; journalctl -u k0sworker -n 50"


@pytest.mark.parametrize(
    "name", ["metrics-server-forbidden/1", "apiserver-unreachable-from-pods/1"]
)
def test_without_the_log_of_a_pod_that_crashes_nothing_is_said_of_why(recording, name):
    readings = recording(f"diagnosis/{name}")
    found = diagnose(each for each in readings if each.probe != "metrics_server_log")
    assert (found.cause, found.confidence) == (Cause.UNKNOWN, Confidence.LOW)


def test_what_was_edited_in_k0ss_manifest_is_named_and_taken_back_by_deleting_it(recording):
    readings = recording("diagnosis/metrics-server-not-ready/1")
    deployment = facts_from(readings).one(objects.DEPLOYMENT)
    assert deployment is not None
    path = "spec.template.spec.containers[0].readinessProbe.httpGet.path"
    assert f"{path} /nothing-here (k0s: /readyz)" in deployment.edited
    remedy = diagnose(readings).remedy or ""
    assert path in remedy
    assert remedy.index("delete deployment metrics-server") < remedy.index("touch /var/lib/k0s")


def test_k0ss_own_objects_are_as_it_applied_them(recording):
    facts = facts_from(recording("diagnosis/healthy/1"))
    found = [facts.one(apiservice.PROBE), facts.one(workloads.SERVICE)]
    assert [(each.by_k0s, each.edited) for each in found if each is not None] == [(True, ())] * 2


def test_who_may_not_look_is_told_the_rights_that_lack(recording):
    problem = subject.problem(facts_from(recording("ladder/may-not-look")))
    assert problem is not None
    assert "system:serviceaccount:default:inj-viewer may not look" in str(problem)
    assert "lacks the rights to get apiservices.apiregistration.k8s.io" in str(problem)
    assert "list nodes" in str(problem)


def test_an_edited_apiservice_is_deleted_before_k0s_applies_it_again(recording):
    for name in ("apiservice-leads-nowhere/1", "certificate-not-trusted/1"):
        remedy = diagnose(recording(f"diagnosis/{name}")).remedies
        assert remedy[0] == "kubectl delete apiservice v1beta1.metrics.k8s.io"
        assert remedy[1].endswith("touch /var/lib/k0s/manifests/metricserver/*")


def test_tokens_that_the_api_server_does_not_accept_are_one_cause(recording):
    # Agents and metrics-server are turned away at once: the issuer of all tokens was changed.
    found = diagnose(recording("diagnosis/agents-turned-away/2"))
    assert (found.cause, found.also) == (Cause.AGENTS_TURNED_AWAY, ())
    assert "the API server's service-account-issuer is https://k8s.example.net" in found.facts
    assert any("metrics-server's token is not accepted either" in each for each in found.facts)


@pytest.mark.parametrize(
    ("walk", "said"), [("3", "something without TLS"), ("4", "HTTP 502"), ("5", "HTTP 426")]
)
def test_what_answers_agents_in_the_servers_place_has_to_hand_them_on(walk, said, recording):
    remedy = diagnose(recording(f"diagnosis/agents-turned-away/{walk}")).remedy or ""
    assert f"({said}) is no konnectivity server: let the balancer or proxy there hand" in remedy
    assert "clocks" not in remedy


@pytest.mark.parametrize(
    ("walk", "says"),
    [
        ("2", "answer with HTTP 404, which a kubelet does not say of its metrics: see what else"),
        ("3", "answer with HTTP 500: look there for why with journalctl -u k0sworker"),
        ("4", "bound to ServiceAccount monitoring/metrics-server the verb get on nodes/metrics"),
    ],
    ids=["404", "500", "403 of another's"],
)
def test_what_kubelets_answer_decides_where_to_look(walk, says, recording):
    found = diagnose(recording(f"diagnosis/kubelets-refuse-metrics-server/{walk}"))
    assert says in (found.remedy or "")


def test_a_refusal_of_which_the_log_says_nothing_more_is_not_named_with_confidence(recording):
    # Taken 16 s after the kubelets answered again: the log has no line for a scrape that went well.
    found = diagnose(recording("mended/refusal-just-over"))
    assert (found.cause, found.confidence) == (Cause.UNKNOWN, Confidence.LOW)


def test_why_a_kubelet_starts_no_container_is_said_in_its_own_words(recording):
    readings = recording("diagnosis/pod-not-started/1")
    said = "the kubelet of worker1 says FailedCreatePodSandBox: (combined from similar events): "
    assert any(each.startswith(said) for each in diagnose(readings).facts)
    without = diagnose(each for each in readings if not each.probe.startswith("pod_events"))
    assert (without.cause, without.confidence) == (Cause.METRICS_SERVER_NOT_READY, Confidence.LOW)
    assert "what the kubelet of worker1 says of its pod (Events)" in without.not_seen


def test_a_pod_whose_first_start_had_to_wait_is_starting(recording):
    # It was made three minutes ago, and its container has run for seconds.
    assert diagnose(recording("diagnosis/settling/4")).cause is Cause.SETTLING


def test_what_makes_pods_is_not_said_to_run_while_its_lease_is_lost(recording):
    found = diagnose(recording("mended/controller-manager-just-stopped"))
    assert (found.cause, found.confidence) == (Cause.UNKNOWN, Confidence.LOW)
    assert diagnose(recording("diagnosis/controllers-stopped/1")).also == ()


def test_a_webhook_that_no_agent_leads_to_is_the_tunnels_fault(recording):
    found = diagnose(recording("diagnosis/agents-cannot-connect/3"))
    assert (found.cause, found.also) == (Cause.AGENTS_CANNOT_CONNECT, ())
    assert any('failed calling webhook "inj.example.net"' in each for each in found.facts)


def test_a_konnectivity_server_that_is_none_of_k0ss_is_named_with_its_process(recording):
    found = diagnose(recording("diagnosis/tunnel-down/2"))
    assert found.remedies[0].startswith("process 34684 on controller0 is a konnectivity-server")


def test_a_pod_of_which_no_scheduler_has_said_anything_settles_only_where_one_runs(recording):
    readings = recording("mended/scheduler-stopped")
    found = diagnose(readings)
    assert (found.cause, found.confidence) == (Cause.CONTROLLERS_STOPPED, Confidence.HIGH)
    assert "see why kube-scheduler does not run" in (found.remedy or "")
    without = diagnose(each for each in readings if not each.probe.startswith("leases"))
    assert (without.cause, without.confidence) == (Cause.UNKNOWN, Confidence.LOW)
