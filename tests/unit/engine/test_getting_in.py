"""Getting into people's own machines as k0sctl does: whose key, how many at once, as root how."""

import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import paramiko
import pytest

from harness.base.completed import Completed
from harness.base.errors import InfrastructureError, UsageError
from harness.base.process import LocalRunner
from harness.engine.access import existing_cluster
from harness.ssh.here import HereRemote
from harness.ssh.openssh import OpenSSHRemote
from harness.ssh.remote import Dial

HEAD = "apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\nspec:\n  hosts:\n"
STANDS = "k0s-harness stands: {}:/usr/local/bin/k0s\n"
SSH = shutil.which("ssh")
AGENT = shutil.which("ssh-agent")


class Ssh:
    """Answers for every machine, and counts how many connections are being opened on each way."""

    def __init__(self, how="root"):
        self.how = how
        self.lock = threading.Lock()
        self.open = {}
        self.most = {}
        self.commands = []

    def run(self, argv, **_):
        argv = list(argv)
        self.commands.append(argv)
        if "k0s-harness stands" not in argv[-1]:
            return Completed(tuple(argv), 0, "", "", 0.0)
        way = next((word for word in argv if word.startswith("ProxyCommand=")), argv[-2])
        with self.lock:
            self.open[way] = self.open.get(way, 0) + 1
            self.most[way] = max(self.most.get(way, 0), self.open[way])
        time.sleep(0.02)
        with self.lock:
            self.open[way] -= 1
        return Completed(tuple(argv), 0, STANDS.format(self.how), "", 0.0)


def write(tmp_path, *hosts):
    file = tmp_path / "k0sctl.yaml"
    file.write_text(HEAD + "".join(f"  - {host}\n" for host in hosts))
    return file


def test_ten_connections_at_once_are_opened_through_one_bastion(tmp_path):
    hosts = [
        f"{{role: {'worker' if n else 'controller'}, ssh: {{address: 10.0.{side}.{n},"
        f" bastion: {{address: 192.0.2.{side}}}}}}}"
        for side in (1, 2)
        for n in range(30)
    ]
    ssh = Ssh()
    with existing_cluster(ssh, write(tmp_path, *hosts), say=[].append) as found:
        assert len(found.remotes) == 60
    assert sorted(ssh.most.values()) == [10, 10]


def test_ten_connections_at_once_are_opened_to_one_host(tmp_path):
    hosts = [
        f"{{role: {'worker' if port else 'controller'}, ssh: {{address: 127.0.0.1,"
        f" port: {2200 + port}}}}}"
        for port in range(30)
    ]
    ssh = Ssh()
    with existing_cluster(ssh, write(tmp_path, *hosts), say=[].append):
        pass
    assert ssh.most == {"root@127.0.0.1": 10}


def test_what_a_connection_carries_waits_for_nobody_once_it_is_open(tmp_path):
    ssh = Ssh()
    file = write(tmp_path, "{role: controller, ssh: {address: 127.0.0.1}}")
    with existing_cluster(ssh, file, say=[].append) as found:
        (remote,) = found.remotes.values()
        # Nobody else could open one.
        for _ in range(10):
            remote._gate.acquire(1)
        remote.run(["true"], doing="Looking", deadline=1)
        for _ in range(10):
            remote._gate.release()


@pytest.mark.parametrize(
    ("how", "begins"),
    [("root", ""), ("sudo", "sudo -n "), ("doas", "doas -n "), ("none", "sudo -n ")],
)
def test_a_command_of_roots_begins_as_the_machine_has_it(tmp_path, how, begins):
    """Who is root by another name needs nothing, either."""
    ssh = Ssh(how)
    said = []
    file = write(tmp_path, "{role: controller, ssh: {address: 192.0.2.1, user: ops}}")
    with existing_cluster(ssh, file, say=said.append) as found:
        found.api.run(["get", "nodes"], doing="Looking", deadline=1, check=True)
    *_, asked, _ = ssh.commands
    assert asked[-1].startswith(f"{begins}env KUBECONFIG=")
    assert any("no password-less sudo or doas" in each for each in said) is (how == "none")


def test_k0s_is_run_where_the_machine_has_it(tmp_path):
    class Flatcar(Ssh):
        def run(self, argv, **more):
            done = super().run(argv, **more)
            out = done.stdout.replace("/usr/local/bin/k0s", "/opt/bin/k0s")
            return Completed(done.argv, 0, out, "", 0.0)

    ssh = Flatcar("sudo")
    file = write(tmp_path, "{role: controller, ssh: {address: 192.0.2.1, user: core}}")
    with existing_cluster(ssh, file, say=[].append) as found:
        found.api.run(["get", "nodes"], doing="Looking", deadline=1, check=True)
    assert "/usr/local/bin/k0s /opt/bin/k0s" in ssh.commands[0][-1]
    assert "/opt/bin/k0s kubectl" in ssh.commands[1][-1]


def test_a_socket_has_room_whatever_tmpdir_says(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("long" * 30)))
    ssh = Ssh()
    file = write(tmp_path, "{role: controller, ssh: {address: 192.0.2.1}}")
    with existing_cluster(ssh, file, say=[].append):
        pass
    (path,) = {
        word.removeprefix("ControlPath=")
        for command in ssh.commands
        for word in command
        if word.startswith("ControlPath=/")
    }
    # ssh writes 40 characters for %C and, while it makes the socket, 17 behind it; macOS has 103.
    assert len(path.replace("%C", "c" * 40)) + 17 <= 103


def test_an_ipv6_host_and_an_ipv6_target_stand_in_brackets_where_a_port_follows(tmp_path):
    ssh = Ssh()
    hosts = (
        "{role: controller, ssh: {address: '2001:db8::1'}}",
        "{role: worker, ssh: {address: '2001:db8::2', port: 2201}}",
        "{role: worker, ssh: {address: '2001:db8::2', port: 2202}}",
    )
    with existing_cluster(ssh, write(tmp_path, *hosts), say=[].append) as found:
        assert list(found.remotes) == ["2001:db8::1", "[2001:db8::2]:2201", "[2001:db8::2]:2202"]
        found.remotes["2001:db8::1"].dial("fd00::10", 10250, deadline=1)
        dialled = ssh.commands[-1]
    assert dialled[dialled.index("-W") :] == ["-W", "[fd00::10]:10250", "--", "root@2001:db8::1"]


# ---- this machine


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A PATH with a shell and what the test makes of `id`, `sudo` and `doas`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to("/bin/sh")

    def make(name, body):
        program = folder / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return str(program)

    monkeypatch.setenv("PATH", str(folder))
    return make


def test_who_is_not_root_here_runs_by_sudo_then_by_doas(programs):
    here = HereRemote("localhost", runner=LocalRunner())
    programs("id", "echo 1000")
    programs("sudo", "echo sudo: a password is required >&2; exit 1")
    assert not here.stand(["/nowhere/k0s"], deadline=5).is_root
    programs("doas", 'shift; exec "$@"')
    k0s = programs("k0s", "echo $*")
    found = here.stand(["/nowhere/k0s", k0s], deadline=5)
    assert (found.become, found.program) == (("doas", "-n"), k0s)
    assert here.run([k0s, "a b"], doing="Looking", deadline=5, sudo=True).stdout == "a b\n"
    programs("sudo", '[ "$2" = -l ] && exit 0; shift; exec "$@"')
    assert here.stand([k0s], deadline=5).become == ("sudo", "-n")
    programs("id", "echo 0")
    assert here.stand([k0s], deadline=5).become == ()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_dial_from_here_is_told_by_its_end(address):
    here = HereRemote("localhost", runner=LocalRunner())
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip("this host has no IPv6")
    port = listener.getsockname()[1]
    with listener:
        assert here.dial(address, port, deadline=5).outcome is Dial.CONNECTED
    assert here.dial(address, port, deadline=5).outcome is Dial.REFUSED


def test_localhost_is_looked_at_without_ssh(tmp_path, programs):
    """k0s in the one place that wants nobody's word is not there, so that nothing is run."""
    file = write(tmp_path, "{role: controller, localhost: {enabled: true}}")
    programs("id", "echo 0")
    with existing_cluster(LocalRunner(), file, say=[].append) as found:
        assert list(found.remotes) == ["localhost"]
        assert isinstance(found.remotes["localhost"], HereRemote)


@pytest.mark.parametrize("key", ["k0sInstallPath: /srv/k0s", "dataDir: /srv/data"])
def test_what_a_file_would_run_here_as_root_wants_the_persons_word(tmp_path, key):
    file = write(tmp_path, f"{{role: controller, localhost: {{enabled: true}}, {key}}}")
    with (
        pytest.raises(UsageError, match="run a program on this machine") as caught,
        existing_cluster(Ssh(), file, say=[].append),
    ):
        pass
    assert key.partition(":")[0] in caught.value.text()


# ---- the real client, a server of our own, an agent with six keys


class Picky(paramiko.ServerInterface):
    """Lets in whoever has the one key, and notes which keys were offered."""

    def __init__(self, key):
        self.key = key
        self.offered = []

    def check_auth_publickey(self, _username, key):
        self.offered.append(key.get_fingerprint())
        return paramiko.AUTH_SUCCESSFUL if key == self.key else paramiko.AUTH_FAILED

    def get_allowed_auths(self, _username):
        return "publickey"

    def check_channel_request(self, _kind, _number):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, _command):
        threading.Thread(target=self._answer, args=[channel]).start()
        return True

    def _answer(self, channel):
        channel.sendall(STANDS.format("root").encode())
        channel.send_exit_status(0)
        channel.close()


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """An agent with six keys, none of which lets anybody in."""
    socket_path = tmp_path / "agent"
    if len(str(socket_path)) > 100:
        pytest.skip("the path of the agent's socket is too long")
    process = subprocess.Popen([AGENT, "-D", "-a", socket_path], stdout=subprocess.DEVNULL)
    while not socket_path.exists():
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket_path))
    for number in range(6):
        key = tmp_path / f"other{number}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        subprocess.run(["ssh-add", "-q", key], check=True)
    yield
    process.terminate()
    process.wait()


@pytest.mark.skipif(SSH is None or AGENT is None, reason="there is no OpenSSH on this host")
@pytest.mark.usefixtures("agent")
def test_the_key_of_the_file_is_offered_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    host_key, user_key = (paramiko.ECDSAKey.generate() for _ in range(2))
    user_key.write_private_key_file(str(tmp_path / "key"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = Picky(user_key)

        def serve():
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transport.add_server_key(host_key)
            transport.start_server(server=server)

        threading.Thread(target=serve, daemon=True).start()
        known = tmp_path / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {host_key.get_name()} {host_key.get_base64()}\n")
        monkeypatch.setitem(os.environ, "SSH_KNOWN_HOSTS", str(known))
        file = write(
            tmp_path,
            f"{{role: controller, ssh: {{address: 127.0.0.1, port: {port}, user: ops,"
            f" keyPath: {tmp_path}/key}}}}",
        )
        with existing_cluster(LocalRunner(), file, say=[].append) as found:
            assert isinstance(found.remotes["127.0.0.1"], OpenSSHRemote)
    assert set(server.offered) == {user_key.get_fingerprint()}


def test_a_key_that_is_not_there_is_said_with_its_path():
    class Denied:
        def run(self, argv, **_):
            # ssh 9.2, 2026-11-28.
            said = (
                "Warning: Identity file ./no-such-key not accessible: No such file or directory.\n"
                "ops@127.0.0.1: Permission denied (publickey).\n"
            )
            return Completed(tuple(argv), 255, "", said, 0.0)

    remote = OpenSSHRemote("a", ["ops@a"], root=False, sockets=Path("/tmp/s"), runner=Denied())
    with pytest.raises(InfrastructureError) as caught:
        remote.run(["true"], doing="Looking", deadline=1)
    assert "the key ./no-such-key cannot be read (No such file" in caught.value.text()
    assert "ssh-add" not in caught.value.text()
