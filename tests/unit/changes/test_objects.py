"""Changes of objects: applied, scaled, restarted; and what counts as the same object."""

import json
from dataclasses import replace

import pytest

from harness.base.errors import InconclusiveError
from harness.changes import objects
from harness.changes.action import Before, Command
from harness.changes.addresses import Addresses
from harness.changes.delete import Delete
from harness.changes.manifest import Manifest
from harness.changes.restart_pods import RestartPods, parse_pods
from harness.changes.scale import Scale
from harness.evidence.reading import Reading
from tests.unit.paths import RECORDINGS

# None of these changes needs to know where anything is.
NOWHERE = Addresses(machines={}, workers=())
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "closed", "namespace": "kube-system"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
}
NOT_FOUND = 'Error from server (NotFound): deployments.apps "metrics-server" not found\n'


@pytest.fixture
def deployment():
    """metrics-server's Deployment, as a real cluster had it."""
    folder = RECORDINGS / "changes"
    return json.loads((folder / "deployment.json").read_text())


def answered(probe, item=None, stderr=""):
    """What kubectl answers: the object as JSON, or that there is none."""
    returncode = 1 if item is None else 0
    stdout = "" if item is None else json.dumps(item)
    return Reading(probe.name, probe.where, probe.argv, "", 0, 0, returncode, stdout, stderr)


def commands(steps):
    return [" ".join(step.argv) for step in steps if isinstance(step, Command)]


def applying(*items, were=()):
    change = Manifest(items)
    found = zip(change.looks(NOWHERE), were or [None] * len(items), strict=True)
    return change.action(NOWHERE, Before([answered(probe, was, NOT_FOUND) for probe, was in found]))


def test_what_was_not_there_is_deleted_again():
    action = applying(POLICY)
    assert commands(action.do) == ["kubectl apply -f -"]
    assert json.loads(action.do[0].stdin)["items"] == [POLICY]
    assert commands(action.undo) == ["kubectl delete --ignore-not-found --wait=false -f -"]
    gone = action.undo[-1]
    assert gone.wrong(None) is None
    assert gone.wrong(POLICY) == "NetworkPolicy kube-system/closed is still there"


def test_what_was_there_is_replaced_by_what_it_was(deployment):
    wanted = json.loads(json.dumps(deployment))
    wanted["spec"]["template"]["spec"]["hostNetwork"] = True
    action = applying(wanted, POLICY, were=(deployment, None))
    assert commands(action.undo) == [
        "kubectl delete --ignore-not-found --wait=false -f -",
        "kubectl replace -f -",
    ]
    (back,) = json.loads(action.undo[1].stdin)["items"]
    assert back["spec"] == deployment["spec"]
    # Without it the server takes the object whatever happened since.
    assert "resourceVersion" not in back["metadata"]
    # k0s leaves an object alone while this is its manifest's.
    checksum = "k0s.k0sproject.io/stack-checksum"
    annotations = deployment["metadata"]["annotations"]
    assert back["metadata"]["annotations"][checksum] == annotations[checksum]


def deleting(item, was):
    change = Delete((item,))
    (probe,) = change.looks(NOWHERE)
    return change.action(NOWHERE, Before([answered(probe, was, NOT_FOUND)]))


def test_what_is_deleted_is_made_again_as_it_was(deployment):
    named = {key: deployment[key] for key in ("apiVersion", "kind")}
    named["metadata"] = {key: deployment["metadata"][key] for key in ("name", "namespace")}
    action = deleting(named, deployment)
    assert commands(action.do) == ["kubectl delete --wait=false -f -"]
    assert json.loads(action.do[0].stdin)["items"] == [named]
    (gone,) = action.check
    assert gone.wrong(None) is None
    assert "is still there" in gone.wrong(deployment)
    create, back = action.undo
    assert create.argv == ("kubectl", "create", "-f", "-")
    (made,) = json.loads(create.stdin)["items"]
    assert made == objects.essence(deployment)
    assert 1 in create.accept, "its owner may have made it again"
    assert back.wrong(deployment) is None
    assert "there is no" in back.wrong(None)


def test_what_is_not_there_cannot_be_deleted():
    with pytest.raises(InconclusiveError, match="there is no NetworkPolicy kube-system/closed"):
        deleting(POLICY, None)


def test_an_object_took_effect_when_all_that_was_wished_for_is_there(deployment):
    (check,) = applying(POLICY).check
    assert check.probe.argv == (
        *("kubectl", "get", "NetworkPolicy.v1.networking.k8s.io", "closed"),
        *("-n", "kube-system", "-o", "json"),
    )
    live = {**POLICY, "metadata": {**POLICY["metadata"], "uid": "1", "generation": 1}}
    assert check.wrong(live) is None
    assert check.wrong(None) == "there is no NetworkPolicy kube-system/closed"
    live = {**POLICY, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}
    assert check.wrong(live) == "spec.policyTypes[0] is 'Egress', not 'Ingress'"


def test_a_key_that_the_server_dropped_is_named(deployment):
    wanted = json.loads(json.dumps(deployment))
    wanted["spec"]["template"]["spec"]["hostNetwerk"] = True
    assert objects.missing(deployment, deployment) is None
    assert objects.missing(deployment, wanted) == (
        "spec.template.spec.hostNetwerk is None, not True"
    )


@pytest.mark.parametrize("zero", [False, 0, "", [], {}])
def test_what_the_server_leaves_out_has_its_zero_value(deployment, zero):
    wanted = {**deployment, "spec": {**deployment["spec"], "insecureSkipTLSVerify": zero}}
    assert objects.missing(deployment, wanted) is None
    paused = {**deployment, "spec": {**deployment["spec"], "paused": True}}
    wanted["spec"]["paused"] = zero
    assert objects.missing(paused, wanted) is not None


def test_an_object_is_the_same_whatever_the_server_counts(deployment):
    later = json.loads(json.dumps(deployment))
    later["metadata"].update(generation=5, resourceVersion="9999", uid="another")
    later["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    later["status"] = {}
    assert objects.essence(later) == objects.essence(deployment)
    later["spec"]["replicas"] = 0
    assert objects.essence(later) != objects.essence(deployment)


def test_an_object_that_is_back_but_not_the_same_is_noticed(deployment):
    back = applying(deployment, were=(deployment,)).undo[-1]
    assert back.wrong(deployment) is None
    assert back.wrong({**deployment, "spec": {}}) is not None
    more = json.loads(json.dumps(deployment))
    more["metadata"]["labels"]["left"] = "behind"
    assert "metadata.labels.left" in back.wrong(more)


def scaling(deployment, replicas):
    change = Scale(workload="deployment/metrics-server", replicas=replicas)
    (probe,) = change.looks(NOWHERE)
    return change.action(NOWHERE, Before([answered(probe, deployment)])), probe


def test_a_workload_is_scaled_and_gets_back_the_replicas_it_had(deployment):
    action, probe = scaling(deployment, 0)
    assert commands(action.do) == [
        "kubectl scale deployment/metrics-server -n kube-system --replicas=0"
    ]
    assert commands(action.undo) == [
        "kubectl scale deployment/metrics-server -n kube-system --replicas=1"
    ]
    now = probe.parse(answered(probe, deployment))
    (check,) = action.check
    assert check.wrong(now) == "deployment/metrics-server: 1 wanted, 1 there, 1 ready"
    assert check.wrong(replace(now, wanted=0, pods=0, ready=0)) is None
    # The controller has not seen the new number yet.
    assert check.wrong(replace(now, wanted=0, pods=0, ready=0, observed=False)) is not None
    back = action.undo[-1]
    assert back.wrong(now) is None
    assert back.wrong(replace(now, ready=0)) is not None


def test_a_workload_that_does_not_exist_is_a_sentence():
    change = Scale(workload="deployment/metrics-server", replicas=0)
    (probe,) = change.looks(NOWHERE)
    before = Before([answered(probe, stderr=NOT_FOUND)])
    with pytest.raises(InconclusiveError, match="no deployment/metrics-server in kube-system"):
        change.action(NOWHERE, before)


@pytest.fixture
def pods(recording):
    """The reading of metrics-server's one pod, from a real cluster."""
    change = RestartPods(selector="k8s-app=metrics-server")
    (probe,) = change.looks(NOWHERE)
    readings = recording("konnectivity-off/repaired")
    return next(each for each in readings if each.argv == probe.argv)


def restarting(reading):
    change = RestartPods(selector="k8s-app=metrics-server")
    return change.action(NOWHERE, Before([reading]))


def test_pods_are_restarted_when_new_ones_are_there_and_no_old_one(pods):
    action = restarting(pods)
    assert commands(action.do) == [
        "kubectl delete pods -n kube-system -l k8s-app=metrics-server --wait=false"
    ]
    assert action.undo == ()
    (old,) = parse_pods(pods)
    assert old.running
    assert old.controlled
    new = replace(old, uid="new", name="metrics-server-new")
    there = action.do[1]
    assert there.wrong((old,)) == f"{old.name} is still there"
    assert there.wrong((replace(old, ending=True), new)) == f"{old.name} is still there"
    assert there.wrong(()) == "0 of 1 new pods are there"
    assert there.wrong((new,)) is None


def test_new_pods_get_time_to_run_but_need_not(pods):
    running = restarting(pods).do[2]
    (old,) = parse_pods(pods)
    assert running.wrong((old,)) is None
    assert running.wrong((replace(old, running=False),)) == f"{old.name} does not run"
    assert not running.required


def test_no_pods_and_pods_that_nobody_would_make_again_are_not_restarted(pods):
    listed = json.loads(pods.stdout)
    nothing = replace(pods, stdout=json.dumps({**listed, "items": []}))
    with pytest.raises(InconclusiveError, match="there are none"):
        restarting(nothing)
    del listed["items"][0]["metadata"]["ownerReferences"]
    with pytest.raises(InconclusiveError, match="no controller would make"):
        restarting(replace(pods, stdout=json.dumps(listed)))
