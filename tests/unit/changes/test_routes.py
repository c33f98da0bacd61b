"""Routes and blackholes: which prefixes, and what the kernel then does with a packet."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from harness.base.errors import InconclusiveError
from harness.changes import addresses, links, routes
from harness.changes.action import Before
from harness.changes.addresses import Addresses, SshWay
from harness.changes.blackhole_route import BlackholeRoute
from harness.changes.mtu import Mtu
from harness.changes.nic_down import NicDown
from harness.changes.route import Route

CLUSTER = Addresses(
    machines={
        "controller0": IPv4Address("192.168.57.10"),
        "worker0": IPv4Address("192.168.57.11"),
        "worker1": IPv4Address("192.168.57.12"),
    },
    workers=("worker0", "worker1"),
    services=IPv4Network("10.96.0.0/12"),
    pods=IPv4Network("10.244.0.0/16"),
    pods_on={
        "worker0": IPv4Network("10.244.0.0/24"),
        "worker1": IPv4Network("10.244.1.0/24"),
    },
    ssh={"worker0": SshWay(IPv4Address("192.168.57.1"), IPv4Address("192.168.57.11"), 22)},
)


@pytest.fixture
def read(recording):
    return recording("changes/routes")


@pytest.fixture
def before(read):
    return Before([read[0]])


def argvs(commands):
    return [" ".join(step.argv) for step in commands]


def blackhole(to, before, cluster=CLUSTER):
    return BlackholeRoute(machine="worker0", to=to).action(cluster, before)


def test_a_route_goes_through_the_other_machine_s_private_address_and_back(before):
    change = Route(machine="worker0", to="service-network", via="worker1")
    action = change.action(CLUSTER, before)
    assert argvs(action.do) == ["ip route add 10.96.0.0/12 via 192.168.57.12 proto static"]
    assert argvs(action.undo) == ["ip route del 10.96.0.0/12 via 192.168.57.12 proto static"]
    assert action.text == "route to 10.96.0.0/12 via 192.168.57.12 (worker1) on worker0"


def test_a_route_took_effect_when_the_kernel_takes_that_way(before, read):
    change = Route(machine="worker0", to="service-network", via="worker1")
    (check,) = change.action(CLUSTER, before).check
    routed, elsewhere = read[3], read[4]
    assert check.probe.argv == routed.argv
    assert check.wrong(routes.parse_taken(routed)) is None
    assert "via 172.30.64.1 dev eth0" in check.wrong(routes.parse_taken(elsewhere))


def test_a_network_that_has_a_route_is_not_routed_twice(before):
    change = Route(machine="worker0", to="pods-on-worker1", via="controller0")
    with pytest.raises(InconclusiveError, match="to that very network already"):
        change.action(CLUSTER, before)


def test_a_network_that_kube_router_routes_is_blackholed_by_its_halves(before, read):
    action = blackhole("pods-on-worker1", before)
    assert argvs(action.do) == [
        "ip route add blackhole 10.244.1.0/25 proto static",
        "ip route add blackhole 10.244.1.128/25 proto static",
    ]
    assert argvs(action.undo) == [
        "ip route del blackhole 10.244.1.128/25 proto static",
        "ip route del blackhole 10.244.1.0/25 proto static",
    ]
    assert [check.probe.argv for check in action.check] == [read[1].argv, read[2].argv]
    for check, reading in zip(action.check, read[1:3], strict=True):
        assert check.wrong(routes.parse_taken(reading)) is None
        assert "is sent via" in check.wrong(routes.parse_taken(read[3]))


def test_more_specific_routes_to_others_get_a_blackhole_too_and_own_pods_do_not(before):
    # 10.244.1.0/24 is kube-router's, 10.244.0.0/24 is kube-bridge's own.
    assert argvs(blackhole("pod-network", before).do) == [
        "ip route add blackhole 10.244.0.0/16 proto static",
        "ip route add blackhole 10.244.1.0/25 proto static",
        "ip route add blackhole 10.244.1.128/25 proto static",
    ]
    assert argvs(blackhole("pods-on-worker0", before).do) == [
        "ip route add blackhole 10.244.0.0/25 proto static",
        "ip route add blackhole 10.244.0.128/25 proto static",
    ]


def test_the_address_that_is_looked_up_has_no_more_specific_route(before):
    check = blackhole("pod-network", before).check[0]
    assert check.probe.argv[-1] == "10.244.2.0"


@pytest.mark.parametrize("to", ["192.168.57.0/24", "192.168.57.1", "0.0.0.0/0"])
def test_no_route_takes_the_harness_s_own_way_to_the_machine(to, before):
    with pytest.raises(InconclusiveError, match="own address"):
        blackhole(to, before)
    with pytest.raises(InconclusiveError, match="own address"):
        Route(machine="worker0", to=to, via="worker1").action(CLUSTER, before)


def test_what_was_not_read_before_is_a_sentence(read):
    with pytest.raises(InconclusiveError, match="it was not looked at"):
        blackhole("pod-network", Before([]))
    lost = replace(read[0], returncode=None, error="no answer from worker0")
    with pytest.raises(InconclusiveError, match="no answer from worker0"):
        blackhole("pod-network", Before([lost]))


def test_places_are_this_cluster_s_and_what_was_not_seen_is_said():
    resolve = addresses.resolve
    assert resolve("service-network", CLUSTER) == (IPv4Network("10.96.0.0/12"),)
    assert resolve("worker1", CLUSTER) == (IPv4Network("192.168.57.12/32"),)
    assert resolve("10.1.2.3", CLUSTER) == (IPv4Network("10.1.2.3/32"),)
    unseen = replace(CLUSTER, services=None, unread=("no kube-apiserver runs on controller0",))
    with pytest.raises(InconclusiveError, match="Services: no kube-apiserver runs"):
        resolve("service-network", unseen)
    with pytest.raises(InconclusiveError, match="worker4"):
        resolve("pods-on-worker4", CLUSTER)


def test_workers_are_all_of_them():
    assert addresses.machines("workers", CLUSTER) == ("worker0", "worker1")
    assert addresses.machines("worker1", CLUSTER) == ("worker1",)
    with pytest.raises(InconclusiveError, match="worker7"):
        addresses.machines("worker7", CLUSTER)


@pytest.fixture
def link(recording):
    """eth0 and its routes; down, and its routes; up again, and its routes."""
    return recording("changes/links")


def test_an_interface_comes_back_with_its_addresses_and_routes(link):
    change = NicDown(machine="worker0", interface="eth0")
    action = change.action(CLUSTER, Before(link[:2]))
    assert argvs(action.do) == ["ip link set dev eth0 down"]
    commands = [" ".join(step.argv) for step in action.undo if hasattr(step, "argv")]
    assert commands == [
        "ip link set dev eth0 up",
        "ip address replace 172.30.64.11/24 dev eth0 scope global broadcast 172.30.64.255",
        "ip route replace 172.30.99.0/24 via 172.30.98.1 dev eth0 table 77 onlink",
        "ip route replace default via 172.30.64.1 dev eth0",
        "ip route replace 10.10.0.0/16 via 172.30.64.5 dev eth0 proto static metric 100",
    ]


def test_an_interface_that_is_not_as_before_is_noticed(link):
    change = NicDown(machine="worker0", interface="eth0")
    action = change.action(CLUSTER, Before(link[:2]))
    up, routed, down, unrouted, up_again, routed_again = link
    (is_down,) = action.check
    assert is_down.wrong(links.parse_link(down)) is None
    assert is_down.wrong(links.parse_link(up)) == "eth0 of worker0 is up"
    link_back, routes_back = (step for step in action.undo if not hasattr(step, "argv"))
    assert link_back.wrong(links.parse_link(up_again)) is None
    assert link_back.wrong(links.parse_link(down)) is not None
    assert routes_back.wrong(links.parse_routes(routed_again)) is None
    assert routes_back.wrong(links.parse_routes(routed)) is None
    assert "differs" in routes_back.wrong(links.parse_routes(unrouted))


def test_the_only_interface_that_ssh_comes_in_by_stays_up(link):
    over_eth0 = SshWay(IPv4Address("172.30.64.1"), IPv4Address("172.30.64.11"), 22)
    cluster = replace(CLUSTER, ssh={"worker0": over_eth0})
    change = NicDown(machine="worker0", interface="eth0")
    with pytest.raises(InconclusiveError, match="through it alone"):
        change.action(cluster, Before(link[:2]))


def test_the_interface_that_ssh_comes_in_by_goes_down_by_the_second_way(link):
    over_eth0 = SshWay(IPv4Address("172.30.64.1"), IPv4Address("172.30.64.11"), 22)
    first = CLUSTER.ssh
    cluster = replace(CLUSTER, ssh={"worker0": over_eth0}, second_ssh=first)
    change = NicDown(machine="worker0", interface="eth0")
    assert change.action(cluster, Before(link[:2])).aside == {"worker0"}
    assert change.action(CLUSTER, Before(link[:2])).aside == frozenset()
    same = replace(cluster, second_ssh={"worker0": over_eth0})
    with pytest.raises(InconclusiveError, match="through it alone"):
        change.action(same, Before(link[:2]))


def test_an_mtu_goes_back_to_what_it_was_and_connections_are_opened_anew(link):
    change = Mtu(machine="worker0", interface="eth0", size=1200)
    action = change.action(CLUSTER, Before(link[:2]))
    assert argvs(action.do) == ["ip link set dev eth0 mtu 1200"]
    assert argvs(action.undo[:1]) == ["ip link set dev eth0 mtu 1500"]
    assert action.reconnect == ("worker0",)
    assert action.check[0].wrong(links.parse_link(link[0])) == "it is 1500"


def test_addresses_are_complete_once_every_worker_has_its_pods_network():
    assert CLUSTER.complete
    assert not replace(CLUSTER, unread=("no answer",)).complete
    assert not replace(CLUSTER, pods_on={"worker0": IPv4Network("10.244.0.0/24")}).complete
