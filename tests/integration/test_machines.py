from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import testinfra

from harness.base.completed import CommandFailedError
from harness.base.process import LocalRunner
from harness.lab.kept import attach
from harness.providers.vagrant import Vagrant
from harness.ssh.remote import Dial

pytestmark = pytest.mark.machines


def run(lab, name, *argv, sudo=False, deadline=20):
    done = lab.remote(name).run(argv, doing="Looking", deadline=deadline, sudo=sudo)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def inside(lab):
    """Every machine as testinfra sees it, through OpenSSH with the run's own configuration."""
    return {
        name: testinfra.get_host(f"ssh://{name}?ssh_config={lab.ssh_config}&sudo=true")
        for name in lab.machines
    }


def test_a_lab_has_the_machines_that_were_asked_for(lab):
    assert set(lab.machines) == {"controller0", "worker0", "worker1"}
    containers = lab.record.provider == "docker"
    assert lab.substrate.startswith("three containers" if containers else "three VMs")
    vagrant = Vagrant(LocalRunner(), folder=lab.folder, provider=lab.record.provider, log=None)
    assert vagrant.states() == dict.fromkeys(lab.machines, "running")


def test_many_commands_at_once_on_one_connection_are_all_answered(lab):
    remote = lab.remote("controller0")
    # Short ones, which end while others begin: sshd once dropped the connection in one of 300.
    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = [
            *pool.map(
                lambda word: run(lab, remote.name, "echo", word, deadline=120), map(str, range(900))
            )
        ]
    assert answers == [str(word) for word in range(900)]


def test_every_step_is_timed(lab):
    assert all(seconds > 0 for seconds in lab.timings.values())
    assert len(lab.timings) == 4


def test_every_machine_has_two_interfaces_with_the_planned_addresses(lab):
    nat = lab.record.networks.nat.ipv4
    for name, machine in lab.machines.items():
        links = json.loads(run(lab, name, "ip", "-j", "-4", "address"))
        found = {
            link["ifname"]: address["local"]
            for link in links
            for address in link["addr_info"]
            if link["ifname"] != "lo"
        }
        assert set(found) == {"eth0", "eth1"}
        assert found[machine.private_interface] == machine.address
        offset = int(machine.address.rpartition(".")[2])
        assert found[machine.nat_interface] == str(nat[offset])
        (route,) = json.loads(run(lab, name, "ip", "-j", "route", "show", "default"))
        assert route["dev"] == machine.nat_interface


def test_names_identities_and_keys_differ_from_machine_to_machine(lab):
    assert [run(lab, name, "hostname") for name in lab.machines] == list(lab.machines)
    ids = {run(lab, name, "cat", "/etc/machine-id") for name in lab.machines}
    keys = {run(lab, name, "cat", "/etc/ssh/ssh_host_ed25519_key.pub") for name in lab.machines}
    assert len(ids) == len(keys) == 3
    assert "" not in ids


def test_a_machine_is_known_by_its_private_address_also_to_itself(lab):
    for name in lab.machines:
        for other, machine in lab.machines.items():
            assert run(lab, name, "getent", "ahostsv4", other).split()[0] == machine.address


def test_the_machines_boot_without_a_failed_unit(inside):
    for machine in inside.values():
        assert machine.run("systemctl is-system-running --wait").stdout.strip() == "running"
        assert machine.service("ssh").is_running


def test_testinfra_reads_facts_through_the_pinned_connection(inside, lab):
    controller = inside["controller0"]
    assert controller.user().name == "root"
    assert controller.interface("eth1").addresses[0] == lab.machines["controller0"].address
    assert controller.socket("tcp://0.0.0.0:22").is_listening
    resolver = controller.file("/etc/resolv.conf").content_string
    # A loopback resolver would make CoreDNS crash with "Loop detected".
    assert "nameserver" in resolver
    assert "127." not in resolver


def test_no_container_has_what_would_reach_the_hosts_kernel(lab):
    if lab.record.provider != "docker":
        pytest.skip("these machines have kernels of their own")
    for name in lab.machines:
        status = run(lab, name, "grep", "CapBnd", "/proc/1/status")
        bounding = int(status.split()[1], 16)
        for bit in (16, 17, 25):  # SYS_MODULE, SYS_RAWIO, SYS_TIME of capability.h
            assert not bounding >> bit & 1


def test_a_command_with_much_on_both_streams_does_not_hang(lab, patience):
    done = lab.remote("worker0").run(
        ["sh", "-c", "head -c 8000000 /dev/zero >&2; head -c 8000000 /dev/zero; exit 7"],
        doing="Flooding",
        deadline=60 * patience,
        check=False,
    )
    assert (len(done.stdout), len(done.stderr), done.returncode) == (8_000_000, 8_000_000, 7)


def test_a_command_past_its_deadline_is_an_error_that_quotes_what_it_wrote(lab, patience):
    started = time.monotonic()
    with pytest.raises(CommandFailedError) as failed:
        lab.remote("worker0").run(
            ["sh", "-c", "echo begun; exec sleep 60"], doing="Sleeping", deadline=1.5 * patience
        )
    assert time.monotonic() - started < 5 * patience
    assert failed.value.timed_out
    assert failed.value.completed.stdout == "begun\n"


def test_standard_input_and_files_arrive_whole(lab, tmp_path, patience):
    remote = lab.remote("worker1")
    text = "a line with ünïcödé\n" * 20_000
    done = remote.run(["sha256sum"], doing="Summing", deadline=20 * patience, stdin=text)
    remote.put(text, "/opt/a folder/file", mode=0o640)
    stat = ("stat", "--format=%U %a", "/opt/a folder/file")
    assert run(lab, "worker1", *stat, sudo=True) == "root 640"
    summed = run(lab, "worker1", "sha256sum", "/opt/a folder/file", sudo=True)
    assert summed.split()[0] == done.stdout.split()[0]
    run(lab, "worker1", "chmod", "0644", "/opt/a folder/file", sudo=True)
    remote.get("/opt/a folder/file", tmp_path / "file")
    assert (tmp_path / "file").read_text() == text
    run(lab, "worker1", "rm", "-r", "/opt/a folder", sudo=True)
    assert run(lab, "worker1", "find", "/tmp", "-name", ".harness-*") == ""


def test_a_dial_says_how_the_machine_saw_it_end(lab):
    remote = lab.remote("controller0")
    there = lab.machines["worker0"].address
    nobody = str(lab.subnet[99])
    assert remote.dial(there, 22, deadline=5).outcome is Dial.CONNECTED
    assert remote.dial(there, 23, deadline=5).outcome is Dial.REFUSED
    assert remote.dial(nobody, 22, deadline=10).outcome is Dial.UNREACHABLE
    late = remote.dial("10.96.0.1", 443, deadline=1.5)
    assert late.outcome is Dial.TIMED_OUT
    assert 1.5 <= late.seconds < 3


def test_threads_share_one_machine_and_each_gets_its_own_answer(lab):
    remote = lab.remote("worker0")
    address = lab.machines["worker1"].address
    together = threading.Barrier(8)

    def ask(number):
        together.wait(timeout=30)
        said = remote.run(["echo", str(number)], doing="Asking", deadline=30).stdout
        port = 22 if number % 2 else 23
        return said, remote.dial(address, port, deadline=10).outcome

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert [said for said, _ in answers] == [f"{number}\n" for number in range(8)]
    assert [how for _, how in answers] == [Dial.REFUSED, Dial.CONNECTED] * 4


def test_a_connection_that_died_is_opened_again(lab, patience):
    remote = lab.remote("worker1")
    run(lab, "worker1", "true")
    # Every sshd session of the machine ends, this one too, a moment after the answer.
    remote.run(
        ["systemd-run", "--quiet", "sh", "-c", "sleep 1; pkill -f '^sshd: vagrant'"],
        doing="Cutting",
        deadline=20,
        sudo=True,
    )
    time.sleep(3 * patience)
    assert run(lab, "worker1", "hostname") == "worker1"


def test_a_live_lab_cannot_be_attached_to(lab, host):
    with pytest.raises(Exception, match="no lab of that name is kept"):
        attach(host, lab.run_id)
