"""testinfra on the machines of real clusters: services, ports, routes, process arguments."""

import pytest

on = pytest.mark.k0s(scenario="konnectivity-on")
off = pytest.mark.k0s(scenario="konnectivity-off", phase="broken")
both = pytest.mark.parametrize(
    "konnectivity",
    [pytest.param(True, marks=on), pytest.param(False, marks=off)],
    ids=["on", "off"],
)
AGENT_PORT = 8132


@both
def test_k0s_runs_as_the_role_says(controller, workers, konnectivity):
    assert controller.service("k0scontroller").is_running
    assert not controller.service("k0sworker").is_running
    assert len(workers) == 2
    assert all(worker.service("k0sworker").is_running for worker in workers)


@both
def test_the_agents_port_is_listened_on_only_with_konnectivity(controller, konnectivity):
    assert controller.socket("tcp://6443").is_listening
    assert controller.socket(f"tcp://{AGENT_PORT}").is_listening is konnectivity


@both
def test_the_api_server_has_an_egress_selector_only_with_konnectivity(controller, konnectivity):
    apiserver = controller.process.get(comm="kube-apiserver")
    assert ("--egress-selector-config-file" in apiserver.args) is konnectivity


@both
def test_the_controller_has_no_route_into_the_cluster(controller, konnectivity):
    routes = controller.check_output("ip route")
    assert "default via" in routes
    assert "10.244." not in routes
    assert "10.96." not in routes


@both
def test_the_workers_route_each_others_pods(workers, lab, konnectivity):
    for worker, other in zip(workers, reversed(workers), strict=True):
        address = lab.machines[other.check_output("hostname")].address
        assert f"via {address}" in worker.check_output("ip route")


@on
def test_agents_are_connected_from_every_worker(controller, kubectl):
    established = controller.check_output(f"ss -Htn state established 'sport = :{AGENT_PORT}'")
    assert len(established.splitlines()) == 2
