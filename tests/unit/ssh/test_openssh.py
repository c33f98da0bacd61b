"""People's own clusters through the OpenSSH client, on what ssh 9.2 really said."""

import shlex
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import paramiko
import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import InfrastructureError
from harness.base.process import LocalRunner
from harness.ssh.openssh import OpenSSHRemote
from harness.ssh.remote import Dial

# `ssh -W` through a lab's controller, 2026-11-23: OpenSSH_9.2p1 on both ends.
REFUSED = (
    "channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed\r\n"
)
# The same through a shared connection.
SHARED_REFUSED = "Stdio forwarding request failed: Session open refused by peer\r\n"
NO_ROUTE = "channel 0: open failed: connect failed: No route to host\r\nstdio forwarding failed\r\n"
UNKNOWN_KEY = "Host key verification failed.\r\n"
# ssh 9.2 with a key that has a passphrase, and no agent.
DENIED = "vagrant@192.168.56.10: Permission denied (publickey).\n"


class Ssh:
    """Answers every command with what was recorded, and keeps the command lines.

    `shared` says whether there is a shared connection; a dial through it fails without a reason.
    """

    def __init__(self, returncode=0, stdout="", stderr="", *, error=None, shared=True):
        self.answer = (returncode, stdout, stderr)
        self.error = error
        self.shared = shared
        self.commands = []

    def run(self, argv, **_):
        self.commands.append(list(argv))
        if "check" in argv:
            return Completed(tuple(argv), 0 if self.shared else 255, "", "", 0.1)
        if self.error is not None:
            raise self.error
        returncode, stdout, stderr = self.answer
        if "-W" in argv and returncode and "ControlPath=none" not in argv:
            return Completed(tuple(argv), returncode, "", SHARED_REFUSED, 0.1)
        return Completed(tuple(argv), returncode, stdout, stderr, 0.1)


def remote(ssh, *, user="vagrant"):
    return OpenSSHRemote(
        "192.168.56.10",
        ["-p", "2222", f"{user}@192.168.56.10"],
        root=user == "root",
        sockets=Path("/tmp/sockets"),
        runner=ssh,
    )


@pytest.mark.parametrize(
    ("stderr", "outcome"), [(REFUSED, Dial.REFUSED), (NO_ROUTE, Dial.UNREACHABLE)]
)
def test_a_dial_that_failed_is_told_by_the_words_of_the_machine(stderr, outcome):
    ssh = Ssh(255, stderr=stderr)
    assert remote(ssh).dial("192.168.56.11", 23, deadline=5).outcome is outcome
    # ssh takes an option's first value, so this one must stand before the shared connection's.
    command = ssh.commands[-1]
    assert command.index("ControlPath=none") < command.index("ControlPath=/tmp/sockets/%C")


def test_a_dial_that_opened_a_connection_is_connected():
    ssh = Ssh(0, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n")
    assert remote(ssh).dial("192.168.56.11", 22, deadline=5).outcome is Dial.CONNECTED
    assert [command[-3:] for command in ssh.commands] == [
        ["check", "--", "vagrant@192.168.56.10"],
        ["192.168.56.11:22", "--", "vagrant@192.168.56.10"],
    ]


def test_a_dial_is_made_when_the_connection_to_the_machine_is_there_already():
    ssh = Ssh(shared=False)
    remote(ssh).dial("192.168.56.11", 22, deadline=5)
    assert [command[-1] for command in ssh.commands[1:]] == ["true", "vagrant@192.168.56.10"]


def test_a_dial_without_an_answer_is_timed_out_at_its_deadline():
    late = CommandFailedError("Dialling", Completed(("ssh",), -2, "", "", 15.0), timed_out=True)
    assert remote(Ssh(error=late)).dial("10.96.0.1", 443, deadline=5).outcome is Dial.TIMED_OUT


def test_an_unknown_host_key_is_an_error_with_the_command_to_try_by_hand():
    with pytest.raises(InfrastructureError) as caught:
        remote(Ssh(255, stderr=UNKNOWN_KEY)).run(["true"], doing="Reaching", deadline=5)
    assert "Host key verification failed." in caught.value.text()
    assert "try it by hand: ssh -p 2222 -- vagrant@192.168.56.10" in caught.value.text()


def test_a_bastion_that_is_not_reached_is_why():
    # ssh 9.2, through a ProxyCommand, 2026-11-28.
    said = (
        "ssh: connect to host 127.0.0.1 port 42201: Connection refused\r\n"
        "kex_exchange_identification: Connection closed by remote host\r\n"
        "Connection closed by UNKNOWN port 65535\r\n"
    )
    with pytest.raises(InfrastructureError, match="port 42201: Connection refused"):
        remote(Ssh(255, stderr=said)).run(["true"], doing="Reaching", deadline=5)


def test_a_key_that_is_turned_down_may_be_a_locked_one():
    with pytest.raises(InfrastructureError) as caught:
        remote(Ssh(255, stderr=DENIED)).run(["true"], doing="Reaching", deadline=5)
    assert "Permission denied" in caught.value.text()
    assert "ssh-add it first" in caught.value.text()
    with pytest.raises(InfrastructureError) as caught:
        remote(Ssh(255, stderr=UNKNOWN_KEY)).run(["true"], doing="Reaching", deadline=5)
    assert "ssh-add" not in caught.value.text()


def test_only_what_wants_root_is_given_sudo_and_root_needs_none():
    ssh = Ssh()
    remote(ssh).run(["ss", "-Hltn"], doing="Reading", deadline=5)
    remote(ssh).run(["nft", "list", "tables"], doing="Reading", deadline=5, sudo=True)
    remote(ssh, user="root").run(["nft", "list"], doing="Reading", deadline=5, sudo=True)
    assert [command[-1] for command in ssh.commands] == [
        "ss -Hltn",
        "sudo -n nft list tables",
        "nft list",
    ]


def test_nobodys_known_hosts_is_written_and_nothing_is_asked():
    ssh = Ssh()
    remote(ssh).run(["true"], doing="Reaching", deadline=5)
    (command,) = ssh.commands
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(command)


class Machine(paramiko.ServerInterface):
    """Lets everybody in, and says back the command that it was given."""

    def check_auth_none(self, _username):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, _username):
        return "none"

    def check_channel_request(self, _kind, _number):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self._answer, args=[channel, command]).start()
        return True

    def _answer(self, channel, command):
        channel.sendall(command)
        channel.send_exit_status(0)
        channel.close()


@pytest.fixture
def sockets():
    # pytest's own folders are longer than the path of a socket may be.
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no OpenSSH client on this host")
@pytest.mark.parametrize("argv", [["true"], ["--", "x"], ["-n", "a b"], ["env", "A='$(b)'", "c"]])
def test_what_the_real_client_is_given_arrives_as_the_command_and_no_more(tmp_path, sockets, argv):
    key = paramiko.ECDSAKey.generate()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        served = []

        def serve():
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            transport.start_server(server=Machine())
            served.append(transport)

        thread = threading.Thread(target=serve)
        thread.start()
        known = tmp_path / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n")
        options = ("-F", "none", "-o", f"UserKnownHostsFile={known}", "-p", str(port))
        machine = OpenSSHRemote(
            "127.0.0.1",
            (*options, "root@127.0.0.1"),
            root=True,
            sockets=sockets,
            runner=LocalRunner(),
        )
        try:
            done = machine.run(argv, doing="Trying", deadline=20.0)
        finally:
            machine.close()
            thread.join()
            for transport in served:
                transport.close()
    assert shlex.split(done.stdout) == argv
