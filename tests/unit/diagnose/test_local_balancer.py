"""Agents that go to a balancer on their own machine (node-local load balancing)."""

from __future__ import annotations

import pytest

from harness.diagnose import findings, mesh
from harness.diagnose.facts import facts_from
from harness.diagnose.judge import diagnose
from harness.vocabulary.words import Cause


def test_a_worker_on_which_nothing_listens_wants_its_k0s_restarted(recording):
    closed = recording("diagnosis/agents-cannot-connect/4")
    assert findings.server_target(facts_from(closed)) == ("localhost", 7132)
    remedy = diagnose(closed).remedy or ""
    assert "nothing takes connections at localhost:7132 of worker0, worker1" in remedy
    assert "systemctl restart k0sworker" in remedy
    assert "api.address" not in remedy


@pytest.mark.parametrize("walk", ["5", "6"], ids=["drop", "reject"])
def test_a_balancer_that_reaches_no_controller_wants_the_controllers_port_opened(walk, recording):
    readings = recording(f"diagnosis/agents-cannot-connect/{walk}")
    facts = facts_from(readings)
    assert mesh.behind_balancer(facts)
    # The balancer takes connections all the same.
    assert all(each.all_connected for each in findings.server_dials(facts).values())
    remedy = diagnose(readings).remedy or ""
    assert "the balancer at localhost:7132" in remedy
    assert "on controller0 open TCP 8132 for the workers (192.168.57.10:8132)" in remedy
    assert "restart k0sworker" not in remedy


def test_an_agent_that_could_not_connect_again_is_no_half_open_one(recording):
    """The port was closed ten seconds before, and the server still counts one agent."""
    readings = recording("diagnosis/agents-cannot-connect/8")
    assert mesh.half_open(facts_from(readings))
    remedy = diagnose(readings).remedy or ""
    assert "open TCP 8132" in remedy
    assert "delete pod" not in remedy


def test_agents_that_are_replaced_do_not_settle_where_nothing_takes_the_new_ones(recording):
    found = diagnose(recording("diagnosis/agents-cannot-connect/7"))
    assert found.cause == Cause.AGENTS_CANNOT_CONNECT
    assert "systemctl restart k0sworker" in (found.remedy or "")


def test_a_balancer_that_hands_nothing_on_where_a_controller_is_reached_is_restarted(recording):
    door = "dial:192.168.57.10:8132"
    opened = {each.where: each for each in recording("diagnosis/healthy/9") if each.probe == door}
    found = diagnose(
        opened[each.where] if each.probe == door else each
        for each in recording("diagnosis/agents-cannot-connect/6")
    )
    assert found.cause == Cause.AGENTS_CANNOT_CONNECT
    assert "hands nothing on, though a controller is reached" in (found.remedy or "")
    assert "open TCP" not in (found.remedy or "")
