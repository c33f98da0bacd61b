"""What real controllers and workers said of konnectivity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.probe import konnectivity, rbac
from harness.probe.core import UnreadableError


@pytest.fixture
def reading(recording):
    def find(probe, where):
        walk = recording("diagnosis/healthy/4")
        return next(each for each in walk if (each.probe, each.where) == (probe, where))

    return find


def test_the_server_that_k0s_started_is_its_own(reading):
    look = reading("konnectivity_processes", "controller0")
    (server,) = konnectivity.parse_processes(look)
    assert (server.pid, server.owned, server.count, server.port) == (490, True, 1, 8132)
    assert len(server.server_id) == 32


def test_a_server_whose_parent_is_no_k0s_is_not_its_own(reading):
    look = reading("konnectivity_processes", "controller0")
    # As ps shows one whose parent has ended: 344 is k0s here.
    orphan = replace(look, stdout=look.stdout.replace("    490     344", "    490       1"))
    (server,) = konnectivity.parse_processes(orphan)
    assert server.owned is False
    (line,) = [each for each in orphan.stdout.splitlines() if "konnectivity-server " in each]
    alone = replace(look, stdout=line)
    assert [each.owned for each in konnectivity.parse_processes(alone)] == [None]


def test_the_lease_of_a_controller_is_held_by_its_server(reading):
    (lease,) = konnectivity.parse_leases(reading("controller_leases", "api"))
    (server,) = konnectivity.parse_processes(reading("konnectivity_processes", "controller0"))
    assert (lease.name, lease.holder, lease.seconds) == ("controller0", server.server_id, 60)
    assert lease.renewed > lease.acquired > 0


def test_agents_count_the_servers_that_they_hold(reading):
    figures = konnectivity.parse_figures(reading("agent_figures", "worker0"))
    assert (figures.servers, figures.known) == (1, 1)
    with pytest.raises(UnreadableError, match="failed to parse pid"):
        konnectivity.parse_figures(
            replace(
                reading("agent_figures", "worker0"),
                stdout="",
                stderr="nsenter: failed to parse pid: ''",
                returncode=1,
            )
        )


def test_the_server_has_a_connection_from_each_worker(reading):
    look = reading("konnectivity_connections", "controller0")
    assert konnectivity.parse_connections(look) == {"192.168.57.11", "192.168.57.12"}


def test_a_server_that_turned_nobody_away_says_so(reading):
    log = konnectivity.parse_log(reading("konnectivity_log", "controller0"))
    assert log.lines > 10
    assert log.refused == ()


def test_metrics_server_s_role_has_what_a_scrape_wants(reading):
    assert rbac.parse_role(reading("metrics_role", "api")) == rbac.Role(True, reads_kubelets=True)
    binding = rbac.parse_binding(reading("metrics_binding", "api"))
    assert binding.accounts == ("kube-system/metrics-server",)
