"""Every kind of change on a real cluster: it takes effect, is taken back, and is not just believed.

What a change is believed to do rests on its check. So each is also "made" without its commands, and
the check must notice that nothing happened: a scenario whose fault was silently not applied ends
inconclusive.
"""

import dataclasses

import pytest

from harness.base.errors import InconclusiveError
from harness.base.wait import SystemClock
from harness.changes import footprint
from harness.cluster.changer import Changer
from harness.cluster.prober import Prober
from harness.scenario.load import load_text

pytestmark = pytest.mark.k0s(scenario="konnectivity-on")

EXACT = {
    "route": "route: {machine: controller0, to: service-network, via: worker0}",
    "route-to-pods": "route: {machine: controller0, to: pods-on-worker1, via: worker1}",
    "blackhole": "blackhole_route: {machine: worker0, to: pods-on-worker1}",
    "firewall-drop": (
        "firewall: {machine: controller0, hook: input, protocol: tcp, port: 8132, answer: drop}"
    ),
    "firewall-reset": (
        "firewall: {machine: controller0, hook: input, protocol: tcp, port: 8132, answer: reset}"
    ),
    "firewall-forward": (
        "firewall: {machine: workers, hook: forward, source: pods-on-worker0,"
        " answer: admin-prohibited}"
    ),
    "firewall-of-a-machine": (
        "firewall: {machine: worker1, hook: input, source: worker0, answer: drop}"
    ),
    "nic-down": "nic_down: {machine: worker1, interface: eth0}",
    "mtu": "mtu: {machine: workers, interface: eth1, size: 1400}",
    "manifest": (
        "manifest: [{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy,"
        " metadata: {name: of-a-test, namespace: kube-system},"
        " spec: {podSelector: {matchLabels: {k8s-app: metrics-server}}, policyTypes: [Ingress]}}]"
    ),
    "scale": "scale: {workload: deployment/metrics-server, replicas: 0}",
    "restart": "restart_pods: {selector: k8s-app=metrics-server}",
}
kinds = pytest.mark.parametrize("text", EXACT.values(), ids=EXACT)


def change_of(text):
    """The change that a scenario's `text` is."""
    scenario = f"""
format: k0s-harness/1
name: one-change
title: One change
phases:
  - name: changed
    change: [{{{text}}}]
    expect: [top_nodes: {{outcome: complete}}]
"""
    return load_text(scenario, "one-change.yaml").scenario.phases[0].change[0]


@pytest.fixture
def changer(lab, cluster):
    """What makes changes on the lab of the test."""
    clock = SystemClock()
    remotes = {name: lab.remote(name) for name in lab.machines}
    prober = Prober(cluster.kubectl, remotes, clock, clock.monotonic())
    return Changer(
        cluster.plan,
        prober,
        remotes,
        cluster.kubectl,
        clock=clock,
        record=lambda _: None,
        started=clock.monotonic(),
    )


def settled(changer, before):
    """What differs from `before` once Kubernetes has had its time to come back."""
    clock = SystemClock()
    for _ in range(30):
        found = footprint.differences(before, changer.footprint())
        if not found:
            return ()
        clock.sleep(2)
    return found


@kinds
def test_a_change_takes_effect_and_is_taken_back_exactly(changer, text):
    before = changer.footprint()
    made = changer.make(change_of(text))
    changer.confirm(made)
    changer.undo(made)
    assert settled(changer, before) == ()


@kinds
def test_a_change_whose_commands_are_left_out_is_not_believed(changer, text, monkeypatch):
    change = change_of(text)
    real = type(change).action

    def without_commands(*args):
        return dataclasses.replace(real(*args), do=())

    monkeypatch.setattr(type(change), "action", without_commands)
    with pytest.raises(InconclusiveError):
        changer.make(change)
