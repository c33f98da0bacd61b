from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError
from harness.base.run_id import RunId
from harness.host.inotify import LIMIT_SYSCTL
from harness.lab import isolation, machine
from harness.lab.isolation import IsolationReport
from harness.lab.machine import Machine
from harness.providers import topology
from harness.providers.docker import sysctls
from harness.providers.docker.machines import dropped_capabilities
from harness.providers.registry import provider as provider_of
from harness.providers.topology import MachineSpec
from harness.ssh import files as ssh_files
from harness.ssh.files import SshEndpoint
from harness.state import records
from harness.state.networks import Network, Networks
from harness.vocabulary.words import Role
from tests.unit.paths import UNIT

RECORDED = UNIT / "recordings" / "lab"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMrMVdGHwFsVRHTLitZTy19ERfaxvq+t+nQwGUppX+vo"
NETWORKS = Networks(
    nat=Network("k5-abc123-nat", "k5-abc123n", "172.30.64.0/24"),
    private=Network("k5-abc123-private", "k5-abc123p", "192.168.56.0/24"),
)
SPECS = (
    MachineSpec("controller0", Role.CONTROLLER, "192.168.56.10"),
    MachineSpec("worker0", Role.WORKER, "192.168.56.11"),
)


def endpoints(port=22):
    return {
        spec.name: SshEndpoint(spec.address, port, "vagrant", Path("/a home/id")) for spec in SPECS
    }


def test_known_hosts_has_each_machine_by_alias_and_by_address():
    text = ssh_files.known_hosts({"controller0": KEY, "worker0": KEY}, endpoints())
    assert text.splitlines()[0] == f"controller0,192.168.56.10 {KEY}"
    other_port = ssh_files.known_hosts({"worker0": KEY}, endpoints(2222))
    assert other_port == f"worker0,[192.168.56.11]:2222 {KEY}\n"


@pytest.mark.parametrize("line", ["", "cat: no such file", "ssh-rsa AAAA host", "ssh-ed25519"])
def test_anything_but_an_ed25519_key_is_not_pinned(line):
    with pytest.raises(InfrastructureError, match="host key of worker0"):
        ssh_files.host_key(line, "worker0")


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no OpenSSH on this host")
def test_openssh_reads_the_configuration_as_it_is_meant(tmp_path):
    path = tmp_path / "ssh_config"
    path.write_text(
        ssh_files.ssh_config(endpoints(), Path("/a home/known_hosts"), Path("/tmp/k5.ssh"))
    )
    read = subprocess.run(
        ["ssh", "-G", "-F", str(path), "worker0"], capture_output=True, text=True, check=True
    )
    settings = dict(line.split(" ", 1) for line in read.stdout.splitlines() if " " in line)
    assert settings["hostname"] == "192.168.56.11"
    assert settings["user"] == "vagrant"
    assert settings["identityfile"] == "/a home/id"
    assert settings["userknownhostsfile"] == "/a home/known_hosts"
    assert settings["stricthostkeychecking"] == "true"
    assert settings["controlpath"] == "/tmp/k5.ssh/worker0"
    assert settings["hostkeyalgorithms"] == "ssh-ed25519"


def test_control_sockets_fit_into_a_sockets_address():
    # 107 bytes, of which ssh wants 17 for a temporary name (sun_path of unix(7)).
    assert len(f"{ssh_files.socket_dir('k5-abc123')}/controller0") + 17 < 107


def test_interfaces_are_told_apart_by_what_they_carry():
    links = json.loads((RECORDED / "ip-address.json").read_text())
    routes = json.loads((RECORDED / "ip-route-default.json").read_text())
    assert machine.interface_with(links, "192.168.57.11") == "eth1"
    assert machine.interface_with(links, "192.168.57.12") is None
    assert machine.default_interface(routes) == "eth0"
    assert machine.default_interface([]) is None
    assert machine.address_of(links, "eth0") == "172.30.65.11"
    assert machine.address_of(links, "eth2") == ""


def test_a_machines_name_is_its_private_address():
    lines = machine.hosts_file(SPECS).splitlines()
    assert "192.168.56.10 controller0" in lines
    assert not [line for line in lines if line.startswith("127.") and "controller0" in line]


def test_a_kept_labs_machines_are_read_back_as_they_were(tmp_path):
    machines = {
        spec.name: Machine(
            spec.name,
            spec.role,
            spec.address,
            endpoints()[spec.name],
            f"{spec.address}:6443",
            "eth0",
            "10.0.2.15",
            "eth1",
        )
        for spec in SPECS
    }
    report = IsolationReport(machines=True, host=False, host_reason="it needs root")
    machine.save(tmp_path, machines, report, 7.5)
    assert machine.load(tmp_path) == (machines, report, 7.5)
    (tmp_path / machine.SAVED).write_text("{}")
    with pytest.raises(InfrastructureError, match="not a lab's description"):
        machine.load(tmp_path)


def test_the_topology_gives_each_machine_both_addresses():
    data = json.loads(
        topology.topology(
            records.make_record(
                run_id=RunId("k5-abc123"),
                scenario="unit",
                provider="docker",
                labs_dir=Path("/s"),
                machines=(),
                private=NETWORKS.private.ipv4,
                nat=NETWORKS.nat.ipv4,
                created=datetime(2026, 11, 28, tzinfo=UTC),
            ),
            SPECS,
            public_key=KEY,
            boot_seconds=120,
            of_provider={"image": "k0s-harness/node:1"},
        )
    )
    assert [(one["address"], one["nat_address"]) for one in data["machines"]] == [
        ("192.168.56.10", "172.30.64.10"),
        ("192.168.56.11", "172.30.64.11"),
    ]
    assert data["image"] == "k0s-harness/node:1"
    assert data["networks"]["nat"]["gateway"] == "172.30.64.1"


def test_each_layer_of_isolation_has_a_sentence_also_where_it_does_not_hold():
    lines = IsolationReport(machines=True, host=False, host_reason="it needs root").lines()
    assert set(lines) == {"machines", "host"}
    assert "it needs root" in lines["host"]
    assert "VirtualBox" in str(provider_of("virtualbox").host_layer_reason())


def test_containers_never_get_what_would_reach_the_hosts_kernel():
    assert {"SYS_TIME", "SYS_MODULE", "SYS_RAWIO"} <= set(dropped_capabilities())


def test_the_counters_that_are_read_are_those_the_rules_make():
    listed = json.loads((RECORDED / "nft-counters.json").read_text())["nftables"]
    names = {entry["counter"]["name"] for entry in listed if "counter" in entry}
    rules = isolation.machine_rules("eth0")
    assert names == {
        isolation.COUNTER_SERVICES,
        isolation.COUNTER_PODS,
        isolation.COUNTER_NAMES,
        isolation.COUNTER_OTHER,
    }
    assert all(f"counter name {name} drop" in rules for name in names)


@pytest.mark.parametrize(
    ("provider", "count", "words"),
    [
        ("docker", 3, "three containers sharing this host's kernel"),
        ("docker", 1, "one container sharing this host's kernel"),
        ("libvirt", 3, "three VMs"),
    ],
)
def test_containers_are_never_called_vms(provider, count, words):
    assert provider_of(provider).describe(count) == words


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 90_000,
        "[]",
        "{}",
        '{"machines": [1]}',
        '{"machines": {}, "pace": "x"}',
        '{"pace": 1, "isolation": {"machines": 1, "host": true}, "machines": []}',
        "\xff",
    ],
)
def test_a_damaged_description_of_a_lab_is_a_sentence(tmp_path, text):
    (tmp_path / machine.SAVED).write_text(text)
    with pytest.raises(InfrastructureError, match="this is not a lab's description"):
        machine.load(tmp_path)


class Proc:
    """The host's sysctls as files in a folder."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        monkeypatch.setattr(sysctls, "PROC", folder)
        monkeypatch.setattr(sysctls.os, "geteuid", lambda: 0)
        for name in sysctls.NAMES:
            self.set(name, "0")
        self.set(LIMIT_SYSCTL, "1024")

    def set(self, name, value):
        path = self.folder / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")

    def get(self, name):
        return (self.folder / name.replace(".", "/")).read_text().strip()


@pytest.fixture
def proc(tmp_path, monkeypatch):
    return Proc(tmp_path / "proc", monkeypatch)


def test_sysctls_are_put_back_and_forgotten(proc, tmp_path):
    sysctls.record(tmp_path)
    proc.set("vm.overcommit_memory", "1")
    assert sysctls.restore(tmp_path, None) == {"vm.overcommit_memory": "0"}
    assert proc.get("vm.overcommit_memory") == "0"
    assert sysctls.restore(tmp_path, None) == {}
    assert not sysctls.reference_path(tmp_path).exists()


def test_a_second_lab_does_not_take_a_kubelets_values_for_the_hosts(proc, tmp_path):
    sysctls.record(tmp_path)
    proc.set("kernel.panic", "10")
    sysctls.record(tmp_path)
    sysctls.restore(tmp_path, None)
    assert proc.get("kernel.panic") == "0"


def test_inotify_instances_are_allowed_while_a_lab_is_there_and_the_limit_is_put_back(
    proc, tmp_path
):
    proc.set(LIMIT_SYSCTL, "128")
    sysctls.record(tmp_path)
    assert proc.get(LIMIT_SYSCTL) == "1024"
    assert sysctls.restore(tmp_path, None) == {LIMIT_SYSCTL: "128"}
    assert proc.get(LIMIT_SYSCTL) == "128"


def test_a_higher_limit_of_inotify_instances_stays(proc, tmp_path):
    proc.set(LIMIT_SYSCTL, "8192")
    sysctls.record(tmp_path)
    assert proc.get(LIMIT_SYSCTL) == "8192"


def test_a_limit_that_an_older_harness_did_not_write_down_is_put_back_as_well(proc, tmp_path):
    proc.set(LIMIT_SYSCTL, "128")
    sysctls.reference_path(tmp_path).write_text('{"kernel.panic": "0"}')
    sysctls.record(tmp_path)
    assert proc.get(LIMIT_SYSCTL) == "1024"
    sysctls.record(tmp_path)
    assert sysctls.restore(tmp_path, None) == {LIMIT_SYSCTL: "128"}


def test_a_limit_that_could_not_be_put_back_is_not_raised(proc, tmp_path):
    proc.set(LIMIT_SYSCTL, "128")
    sysctls.reference_path(tmp_path).write_text("no JSON")
    sysctls.record(tmp_path)
    assert proc.get(LIMIT_SYSCTL) == "128"


def test_a_sysctl_this_kernel_lacks_is_left_alone(proc, tmp_path):
    (proc.folder / "kernel" / "panic_on_oops").unlink()
    sysctls.record(tmp_path)
    assert sysctls.restore(tmp_path, None) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel.core_pattern", "|/any/program"),
        ("../../../../tmp/any", "1"),
        ("/tmp/any", "1"),
        ("", "1"),
        ("vm.panic_on_oom", "1\n2"),
        ("vm.panic_on_oom", "0x1"),
        ("vm.panic_on_oom", ""),
        ("vm.panic_on_oom", 1),
        ("vm.panic_on_oom", None),
        ("vm.panic_on_oom", ["1"]),
        ("vm.panic_on_oom", "9" * 30),
    ],
)
def test_what_a_reference_should_not_say_is_a_sentence_and_the_rest_is_put_back(
    proc, tmp_path, name, value
):
    proc.set("kernel.core_pattern", "core")
    proc.set("kernel.panic", "10")
    said = {name: value, "kernel.panic": "0"}
    sysctls.reference_path(tmp_path).write_text(json.dumps(said))
    with pytest.raises(InfrastructureError, match="said what none ever says"):
        sysctls.restore(tmp_path, None)
    assert proc.get("kernel.panic") == "0"
    assert proc.get("kernel.core_pattern") == "core"
    assert proc.get("vm.panic_on_oom") == "0"
    assert sysctls.restore(tmp_path, None) == {}


@pytest.mark.parametrize("kind", ["a link", "a pipe", "another user's", "too large"])
def test_a_reference_that_is_not_this_users_own_is_not_gone_by(proc, tmp_path, kind, monkeypatch):
    path = sysctls.reference_path(tmp_path)
    proc.set("kernel.panic", "10")
    text = json.dumps({"kernel.panic": "0"})
    if kind == "a link":
        (tmp_path / "theirs").write_text(text)
        path.symlink_to(tmp_path / "theirs")
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path.write_text(text + " " * (100_000 if kind == "too large" else 0))
    if kind == "another user's":
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(InfrastructureError, match="Putting this host's sysctls back"):
        sysctls.restore(tmp_path, None)
    assert proc.get("kernel.panic") == "10"
    assert os.path.lexists(path)
    # Neither is it written over by the next lab.
    before = path.lstat()
    sysctls.record(tmp_path)
    assert path.lstat() == before


def test_a_reference_is_written_where_a_link_was_laid_and_not_through_it(proc, tmp_path):
    (tmp_path / "theirs").write_text("precious")
    (tmp_path / "host-sysctls.new").symlink_to(tmp_path / "theirs")
    sysctls.record(tmp_path)
    assert (tmp_path / "theirs").read_text() == "precious"
    assert json.loads(sysctls.reference_path(tmp_path).read_text())["kernel.panic"] == "0"


def test_a_value_that_the_kernel_refuses_stays_and_the_rest_is_put_back(
    proc, tmp_path, monkeypatch
):
    proc.set("kernel.panic", "10")
    proc.set("vm.overcommit_memory", "1")
    wanted = {"vm.overcommit_memory": "99", "kernel.panic": "0"}
    sysctls.reference_path(tmp_path).write_text(json.dumps(wanted))
    real = sysctls._proc
    monkeypatch.setattr(
        sysctls, "_proc", lambda name: real(name) / "x" if "over" in name else real(name)
    )
    with pytest.raises(InfrastructureError, match=r"these stay changed: vm\.overcommit_memory"):
        sysctls.restore(tmp_path, None)
    assert proc.get("kernel.panic") == "0"


def test_a_damaged_reference_is_reported_once(proc, tmp_path):
    sysctls.reference_path(tmp_path).write_text("{")
    with pytest.raises(InfrastructureError, match="could not be read"):
        sysctls.restore(tmp_path, None)
    assert sysctls.restore(tmp_path, None) == {}
