"""Machines on another host, which is this one behind an SSH server of the test's own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from harness.base.errors import HostLacksError
from harness.base.process import LocalRunner
from harness.host import subnets
from harness.lab import machine
from harness.providers.libvirt import forwards
from harness.providers.libvirt.forwards import Forwards
from harness.providers.libvirt.virsh import Libvirt
from harness.ssh.client import ParamikoRemote
from harness.ssh.remote import Dial

# Not on every user's PATH.
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
START_SECONDS = 20


@dataclass(frozen=True)
class Other:
    """The other host: a libvirt URI, and the file with the user's known hosts."""

    uri: str
    known_hosts: Path


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def other(tmp_path, monkeypatch, request):
    """An SSH server on a port of this host, that lets this user in by a key of the test's.

    The user's own SSH files are not touched: `ssh` on the PATH is one that has other ones.
    """
    if SSHD is None:
        pytest.skip("there is no sshd here")
    folder = tmp_path / "other"
    folder.mkdir()
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPidFile {folder}/pid\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin prohibit-password\n{getattr(request, 'param', '')}\n"
    )
    tried = subprocess.run([SSHD, "-t", "-f", config], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"sshd cannot be started here: {tried.stderr.strip()}")
    subprocess.run([SSHD, "-f", config, "-E", folder / "log"], check=True)
    known_hosts = folder / "known_hosts"
    key = " ".join((folder / "host.pub").read_text().split()[:2])
    known_hosts.write_text(f"[127.0.0.1]:{port} {key}\n")
    ssh = folder / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    ssh.chmod(0o755)
    (folder / "ssh_config").write_text(
        f"Host *\n  UserKnownHostsFile {known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
    )
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    until = time.monotonic() + START_SECONDS
    while not listens(port):
        assert time.monotonic() < until, (folder / "log").read_text()
        time.sleep(0.1)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    uri = f"qemu+ssh://{user}@127.0.0.1:{port}/system?keyfile={folder}/user"
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", uri)
    yield Other(uri, known_hosts)
    os.kill(int((folder / "pid").read_text()), signal.SIGTERM)


@pytest.fixture
def ways(other, tmp_path):
    """Ways through the other host, not yet open; they end with the test."""
    folder = tmp_path / "sockets"
    folder.mkdir(mode=0o700)
    yield Forwards(other.uri, folder=folder, mark={}, runner=LocalRunner())
    subprocess.run(
        ["ssh", "-F", "none", "-S", folder / forwards.SOCKET, "-O", "exit", "lab"],
        capture_output=True,
        check=False,
    )


def test_a_way_leads_through_the_other_host_and_is_restored_where_it_was(ways, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as there:
        target = ("127.0.0.1", there.getsockname()[1])
        ways.open()
        local = ways.forward(*target)

        def reached():
            with socket.create_connection(("127.0.0.1", local), timeout=10) as here:
                there.settimeout(10)
                with there.accept()[0] as answering:
                    answering.sendall(b"hello")
                return here.recv(5)

        assert reached() == b"hello"
        control = ["ssh", "-F", "none", "-S", tmp_path / "sockets" / forwards.SOCKET]
        subprocess.run([*control, "-O", "exit", "lab"], capture_output=True, check=True)
        assert not listens(local)
        ways.restore({local: target})
        assert reached() == b"hello"


def test_the_other_hosts_networks_are_asked_for(other):
    assert set(forwards.networks_of(other.uri, LocalRunner())) >= {
        network
        for network in subnets.host_networks(LocalRunner())
        # Other labs come and go meanwhile.
        if network.is_loopback
    }


def test_a_server_that_forwards_is_told_from_one_that_does_not(ways):
    ways.check(IPv4Network("127.0.0.0/24"))


@pytest.mark.parametrize("other", ["AllowTcpForwarding no"], indirect=True)
def test_a_server_that_forwards_nothing_is_the_hosts_lack(ways):
    with pytest.raises(HostLacksError, match="forwards no connections"):
        ways.check(IPv4Network("127.0.0.0/24"))


def test_an_unknown_host_key_is_the_hosts_lack_and_is_not_written_down(other, ways):
    other.known_hosts.write_text("")
    with pytest.raises(HostLacksError, match="Host key verification failed"):
        ways.open()
    assert other.known_hosts.read_text() == ""


@pytest.mark.machines("libvirt")
def test_a_killed_labs_machine_is_reached_through_the_other_host_until_it_is_removed(
    other, start_run, clean, left_behind, tmp_path
):
    run = start_run(words=("libvirt",))
    run.until_up()
    run.send(signal.SIGKILL)
    run.process.wait(timeout=30)

    folder = run.settings.labs_dir / run.run_id
    machines, isolated, _ = machine.load(folder)
    worker = machines["worker0"]
    assert worker.endpoint.address == "127.0.0.1"
    assert not isolated.host
    assert "another host" in str(isolated.host_reason)
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    assert run.run_id.replace("-", "_") not in tables.stdout

    remote = ParamikoRemote("worker0", worker.endpoint, folder / "known_hosts")
    assert remote.run(["hostname"], doing="Asking", deadline=60).stdout == "worker0\n"
    remote.put("text\n", "/opt/file")
    remote.get("/opt/file", tmp_path / "got")
    assert (tmp_path / "got").read_text() == "text\n"
    assert remote.dial(worker.address, 22, deadline=30).outcome is Dial.CONNECTED
    assert remote.dial(worker.address, 23, deadline=30).outcome is Dial.REFUSED
    remote.close()
    by_alias = subprocess.run(
        ["ssh", "-F", folder / "ssh_config", "worker0", "hostname"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert by_alias.stdout == "worker0\n"

    (removal,) = clean(run.settings)
    assert not removal.problems
    assert not Libvirt(LocalRunner()).domains(run.run_id)
    left = left_behind(run.run_id)
    # libvirt's logs of a machine lie on its host, where this run's user may not even look.
    assert {line for line in left if not line.startswith("libvirt file: ")} == set()
