"""Looking changes nothing: not on the machines, not in the API, and it needs no right to.

The walk up the hop ladder is taken as an identity that may only read, and everything that a change
could touch is compared before and after.
"""

import json

import pytest

from harness.base.wait import SystemClock
from harness.changes import footprint
from harness.cluster.changer import Changer
from harness.cluster.prober import Prober
from harness.diagnose import ladder
from harness.diagnose.judge import diagnose
from harness.vocabulary.words import Cause

pytestmark = pytest.mark.k0s(scenario="konnectivity-on")

READER = "k0s-harness-reader"
# Reading all objects but Secrets, and what the API server and the kubelets say of themselves.
ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": READER},
    "rules": [
        {"nonResourceURLs": ["*"], "verbs": ["get"]},
        {
            "apiGroups": [""],
            "resources": [
                "nodes",
                "nodes/proxy",
                "namespaces",
                "pods",
                "pods/log",
                "services",
                "services/proxy",
                "endpoints",
                "events",
            ],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": [
                "apiextensions.k8s.io",
                "apiregistration.k8s.io",
                "apps",
                "autoscaling",
                "certificates.k8s.io",
                "coordination.k8s.io",
                "crd.projectcalico.org",
                "discovery.k8s.io",
                "metrics.k8s.io",
                "networking.k8s.io",
                "rbac.authorization.k8s.io",
            ],
            "resources": ["*"],
            "verbs": ["get", "list", "watch"],
        },
    ],
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": READER},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": READER,
    },
    "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": READER}],
}
# Objects that nothing moves by itself while a cluster is at rest.
AT_REST = (
    "apiservices,configmaps,services,serviceaccounts,daemonsets,deployments,networkpolicies,"
    "clusterroles,clusterrolebindings,certificatesigningrequests,namespaces"
)


class AsReader:
    """kubectl as somebody who may only read."""

    def __init__(self, kubectl):
        self._kubectl = kubectl

    def run(self, args, **how):
        """Run `kubectl args` as that identity."""
        return self._kubectl.run(["--as", READER, *args], **how)


@pytest.fixture
def reader(kubectl):
    """kubectl as an identity that is there for the test only."""
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": [ROLE, BINDING]})
    kubectl.run(["apply", "-f", "-"], stdin=objects)
    yield AsReader(kubectl)
    kubectl.run(["delete", "-f", "-"], stdin=objects)


def versions(kubectl):
    """The resource version of every object that is at rest."""
    found = json.loads(kubectl("get", AT_REST, "-A", "-o", "json"))["items"]
    return {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each[
            "metadata"
        ]["resourceVersion"]
        for each in found
    }


def test_a_walk_up_the_ladder_needs_no_right_to_change_and_changes_nothing(
    lab, cluster, kubectl, reader
):
    clock = SystemClock()
    remotes = {name: lab.remote(name) for name in lab.machines}
    prober = Prober(reader, remotes, clock, clock.monotonic())
    changer = Changer(
        cluster.plan,
        Prober(kubectl, remotes, clock, clock.monotonic()),
        remotes,
        kubectl,
        clock=clock,
        record=lambda _: None,
        started=clock.monotonic(),
    )
    state, objects = changer.footprint(), versions(kubectl)

    began = clock.monotonic()
    readings = ladder.take(prober, ["controller0"], ["worker0", "worker1"], in_lab=True)
    seconds = clock.monotonic() - began

    assert footprint.differences(state, changer.footprint()) == ()
    assert versions(kubectl) == objects
    assert [each.argv for each in readings if "forbidden" in each.stderr.lower()] == []
    assert diagnose(readings).cause is Cause.HEALTHY
    assert seconds <= 15, f"the whole ladder took {seconds:.1f}s"
