"""Agents that go to a balancer on their own machine (node-local load balancing).

No lab has Envoy's image. The walks are of agents whose server's port was closed, with the address
that they were given renamed to the balancer's.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.diagnose import findings, mesh
from harness.diagnose.facts import facts_from
from harness.diagnose.judge import diagnose
from harness.probe import https
from harness.vocabulary.words import Cause

SERVER, BALANCER = "192.168.59.10:8132", "localhost:7132"


def renamed(each):
    host, _, port = SERVER.partition(":")
    if each.probe == "agents":
        text = each.stdout.replace(f"--proxy-server-host={host}", "--proxy-server-host=localhost")
        return replace(
            each, stdout=text.replace("--proxy-server-port=8132", "--proxy-server-port=7132")
        )
    argv = tuple(
        "localhost" if word == host else "7132" if word == port else word.replace(SERVER, BALANCER)
        for word in each.argv
    )
    return replace(each, probe=each.probe.replace(SERVER, BALANCER), argv=argv)


@pytest.fixture
def closed(recording):
    """Refused at once, as where nothing listens."""
    return [renamed(each) for each in recording("diagnosis/agents-cannot-connect/2")]


def test_a_worker_on_which_nothing_listens_wants_its_k0s_restarted(closed):
    assert findings.server_target(facts_from(closed)) == ("localhost", 7132)
    found = diagnose(closed)
    assert found.cause == Cause.AGENTS_CANNOT_CONNECT
    remedy = found.remedy or ""
    assert "nothing takes connections at localhost:7132" in remedy
    assert "systemctl restart k0sworker" in remedy
    assert "api.address" not in remedy


def test_a_balancer_that_reaches_no_controller_wants_the_controllers_port_opened(closed, recording):
    stuck = next(
        each
        for each in recording("diagnosis/large-packets-lost/1")
        if each.probe.startswith(https.PAYLOAD.name) and not https.parse_payload(each).tls
    )
    opened = {
        each.where: each.stdout
        for each in recording("diagnosis/healthy/1")
        if each.probe.startswith("dial:") and each.probe.endswith(":8132")
    }
    walk = []
    for each in closed:
        if each.probe == f"dial:{BALANCER}":
            walk.append(replace(each, stdout=opened[each.where]))
        elif each.probe == f"agent_server:{BALANCER}":
            # It takes the connection, and answers nothing.
            kept = {"stdout": stuck.stdout, "stderr": stuck.stderr, "duration": stuck.duration}
            walk.append(replace(each, returncode=stuck.returncode, **kept))
        else:
            walk.append(each)
    facts = facts_from(walk)
    assert mesh.behind_balancer(facts)
    assert all(each.all_connected for each in findings.server_dials(facts).values())
    found = diagnose(walk)
    assert found.cause == Cause.AGENTS_CANNOT_CONNECT
    remedy = found.remedy or ""
    assert "the balancer at localhost:7132" in remedy
    assert "open TCP 8132" in remedy
    assert "restart k0sworker" not in remedy
