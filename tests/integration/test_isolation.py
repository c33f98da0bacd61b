from __future__ import annotations

import json
import os
import socket
import subprocess
import threading

import pytest

from harness.base.process import LocalRunner
from harness.lab import isolation
from harness.ssh.remote import Dial

pytestmark = pytest.mark.machines

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the host layer needs root")


def dropped(lab, name):
    """Packets that a machine's own table dropped, by counter."""
    listed = lab.remote(name).run(
        ["nft", "-j", "list", "counters", "table", "inet", isolation.MACHINE_TABLE],
        doing="Reading the counters",
        deadline=10,
        sudo=True,
    )
    return counters(listed.stdout)


def dropped_on_host(lab):
    return counters(nft("-j", "list", "counters", "table", "inet", lab.record.nft_table))


def counters(text):
    return {
        entry["counter"]["name"]: entry["counter"]["packets"]
        for entry in json.loads(text)["nftables"]
        if "counter" in entry
    }


# An address of a documentation network (RFC 5737): the fixture below gives it an uplink.
OUTSIDE = "198.51.100.1"


@pytest.fixture
def uplink(lab):
    """An interface of this host by which `OUTSIDE` is reached, and a count of what leaves there.

    It counts last of all filters, and it is shown to count: this host's own packet is the first.
    """
    rules = """
    table inet k0s_harness_test {
        counter left { }
        chain out {
            type filter hook postrouting priority 300; policy accept;
            oifname "k5testup" ip daddr 198.51.100.0/24 counter name left
        }
    }
    """

    def left():
        listed = nft("-j", "list", "counters", "table", "inet", "k0s_harness_test")
        return counters(listed)["left"]

    def ip(*argv):
        subprocess.run(["ip", *argv], check=True, timeout=10)

    # A bridge without ports: every kernel that docker runs on has it, and nothing is behind it.
    ip("link", "add", "k5testup", "type", "bridge")
    try:
        ip("link", "set", "k5testup", "up")
        ip("address", "add", "198.51.100.2/24", "dev", "k5testup")
        ip("neighbour", "replace", OUTSIDE, "lladdr", "02:00:00:00:00:01", "dev", "k5testup")
        nft("-f", "-", text=rules)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(b"here", (OUTSIDE, 9))
        assert left() == 1, "the count does not count"
        yield lambda: left() - 1
        nft("delete", "table", "inet", "k0s_harness_test")
    finally:
        ip("link", "delete", "k5testup")


def nft(*argv, text=None):
    done = subprocess.run(
        ["nft", *argv], input=text, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout


@pytest.fixture
def open_door(lab):
    """Take the machine layer of worker0 away, so that the host layer is what is left to prove."""
    remote = lab.remote("worker0")

    def change(*argv, text=None):
        remote.run(["nft", *argv], doing="Changing", deadline=10, sudo=True, stdin=text)

    change("delete", "table", "inet", isolation.MACHINE_TABLE)
    yield remote
    change("-f", "-", text=isolation.machine_rules(lab.machines["worker0"].nat_interface))


@pytest.fixture
def service_on_host(lab):
    """Something that answers on every address of this host."""
    with socket.create_server(("", 0)) as server:

        def answer():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_what_a_machine_sends_to_the_service_network_is_dropped_and_counted(lab):
    remote = lab.remote("controller0")
    before = dropped(lab, "controller0")
    assert remote.dial("10.96.0.1", 443, deadline=1.5).outcome is Dial.TIMED_OUT
    assert remote.dial("10.244.7.7", 10250, deadline=1.5).outcome is Dial.TIMED_OUT
    assert remote.dial(OUTSIDE, 80, deadline=1.5).outcome is Dial.TIMED_OUT
    after = dropped(lab, "controller0")
    for counter in (
        isolation.COUNTER_SERVICES,
        isolation.COUNTER_PODS,
        isolation.COUNTER_OTHER,
    ):
        assert after[counter] > before[counter], counter


def test_a_machine_reaches_the_others_while_it_is_isolated(lab):
    for name in lab.machines:
        for machine in lab.machines.values():
            assert lab.remote(name).dial(machine.address, 22, deadline=5).outcome is Dial.CONNECTED


def test_no_name_of_the_outside_is_resolved(lab):
    remote = lab.remote("worker0")
    before = dropped(lab, "worker0")[isolation.COUNTER_NAMES]
    done = remote.run(
        ["getent", "hosts", "example.org"], doing="Resolving", deadline=20, check=False
    )
    assert done.stdout == ""
    assert dropped(lab, "worker0")[isolation.COUNTER_NAMES] > before


@needs_root
def test_both_layers_are_reported(lab):
    assert lab.isolation.machines
    assert lab.isolation.host


@needs_root
def test_a_service_of_the_host_is_out_of_reach_by_both_networks(lab, open_door, service_on_host):
    before = dropped_on_host(lab)[isolation.COUNTER_INPUT]
    # It is there: the host itself gets an answer by the very same address.
    for network in (lab.record.networks.nat, lab.record.networks.private):
        socket.create_connection((network.gateway, service_on_host), timeout=5).close()
        dialled = open_door.dial(network.gateway, service_on_host, deadline=1.5)
        assert dialled.outcome is Dial.TIMED_OUT
    assert dropped_on_host(lab)[isolation.COUNTER_INPUT] >= before + 2


@needs_root
def test_nothing_passes_the_host_even_where_the_machine_lets_it_out(lab, open_door, uplink):
    before = dropped_on_host(lab)[isolation.COUNTER_FORWARD]
    assert open_door.dial(OUTSIDE, 443, deadline=1.5).outcome is Dial.TIMED_OUT
    assert dropped_on_host(lab)[isolation.COUNTER_FORWARD] > before
    assert uplink() == 0


@needs_root
def test_the_machine_layer_alone_lets_nothing_reach_the_host(lab, uplink):
    before = dropped_on_host(lab)[isolation.COUNTER_FORWARD]
    assert lab.remote("worker1").dial(OUTSIDE, 443, deadline=1.5).outcome is Dial.TIMED_OUT
    assert dropped_on_host(lab)[isolation.COUNTER_FORWARD] == before
    assert uplink() == 0


@needs_root
def test_without_either_layer_the_same_packet_would_leave(lab, open_door, uplink):
    """Shows that the layers are what stops it, and not that there was no way out anyway."""
    if lab.record.provider == "libvirt":
        pytest.skip("libvirt itself lets nothing out of a network without <forward>")
    nft("delete", "table", "inet", lab.record.nft_table)
    try:
        open_door.dial(OUTSIDE, 443, deadline=1.5)
        assert uplink() > 0
    finally:
        table = lab.record.nft_table
        isolation.install_on_host(
            LocalRunner(), table, lab.record.networks, mark=lab.record.mark_of(table)
        )


def test_packets_with_a_pods_address_pass_between_workers(lab):
    """kube-router sends pods' packets as they are inside one subnet; a filtering bridge drops them.

    Each worker gets an address as a pod there has, and a route to the other's, as kube-router sets.
    """
    pods = {"worker0": "10.244.0.2", "worker1": "10.244.1.2"}

    def ip(name, *argv):
        lab.remote(name).run(["ip", *argv], doing="Changing", deadline=20, sudo=True)

    others = {"worker0": "worker1", "worker1": "worker0"}
    for name, other in others.items():
        ip(name, "address", "add", f"{pods[name]}/32", "dev", "lo")
        ip(name, "route", "add", pods[other], "via", lab.machines[other].address, "dev", "eth1",
           "src", pods[name])  # fmt: skip
    try:
        for name, other in others.items():
            said = lab.remote(name).run(
                [
                    "timeout",
                    "10",
                    "bash",
                    "-c",
                    f"exec 3<>/dev/tcp/{pods[other]}/22; head -c 4 <&3",
                ],
                doing="Dialling with a pod's address",
                deadline=30,
                check=False,
            )
            assert said.stdout == "SSH-", said.stderr
    finally:
        for name, other in others.items():
            ip(name, "route", "del", pods[other])
            ip(name, "address", "del", f"{pods[name]}/32", "dev", "lo")
