"""What a machine is given and says over SSH has its deadline and its limits, whatever it does."""

import socket
import threading
import time

import paramiko
import pytest

from harness.base import output
from harness.base.output import Kept
from harness.ssh.exchange import exchange

PATIENCE_SECONDS = 5.0


class Machine(paramiko.ServerInterface):
    """A machine whose one command is a function that gets its channel."""

    def __init__(self, command):
        self.command = command
        self.asked = threading.Event()

    def check_auth_none(self, _username):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, _kind, _number):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, _command):
        threading.Thread(target=self._run, args=[channel], daemon=True).start()
        return True

    def _run(self, channel):
        # paramiko's own answer to the question comes first.
        self.asked.wait(PATIENCE_SECONDS)
        try:
            channel.send_exit_status(self.command(channel))
            channel.close()
        except (OSError, EOFError):
            # The other side has gone.
            return


@pytest.fixture(scope="module")
def host_key():
    return paramiko.ECDSAKey.generate()


@pytest.fixture
def channel_to(host_key):
    """Open a channel to a machine whose command is as given, and start the command."""
    transports = []

    def opened(command):
        ours, theirs = socket.socketpair()
        machine = Machine(command)
        server = paramiko.Transport(theirs)
        server.add_server_key(host_key)
        server.start_server(event=threading.Event(), server=machine)
        client = paramiko.Transport(ours)
        transports.extend([client, server])
        client.start_client(timeout=PATIENCE_SECONDS)
        client.auth_none("vagrant")
        channel = client.open_session(timeout=PATIENCE_SECONDS)
        channel.exec_command("it")
        machine.asked.set()
        return channel

    yield opened
    for transport in transports:
        transport.close()


def say_and_end(channel):
    channel.sendall(b"out\n")
    channel.sendall_stderr(b"err\n")
    return 3


def hand_back(channel):
    while chunk := channel.recv(65536):
        channel.sendall(chunk)
    return 0


def read_nothing(channel):
    time.sleep(60)
    return 0


def end_at_once(channel):
    return 0


def write_without_end(channel):
    while True:
        channel.sendall(b"y\n" * 8000)
        channel.sendall_stderr(b"y\n" * 8000)


def taken(channel, stdin, deadline):
    out, err = Kept(), Kept()
    began = time.monotonic()
    finished = exchange(channel, stdin, out, err, began + deadline)
    assert time.monotonic() - began < deadline + PATIENCE_SECONDS
    return finished, out, err


def test_both_streams_and_the_status_are_taken(channel_to):
    channel = channel_to(say_and_end)
    finished, out, err = taken(channel, None, 10.0)
    assert (finished, out.text, err.text) == (True, "out\n", "err\n")
    assert channel.recv_exit_status() == 3


def test_more_than_a_window_is_handed_over_while_as_much_comes_back(channel_to):
    # paramiko's windows are 2 MB: who only sends waits for one that is waited for.
    given = "0123456789abcde\n" * 400_000
    finished, out, _ = taken(channel_to(hand_back), given, 30.0)
    assert finished
    assert out.text == given


@pytest.mark.parametrize("command", [read_nothing, write_without_end])
def test_the_deadline_holds_whatever_the_machine_does(channel_to, command):
    finished, _, _ = taken(channel_to(command), "x" * 3_000_000, 0.5)
    assert not finished


def test_a_command_that_reads_nothing_and_ends_is_no_error(channel_to):
    channel = channel_to(end_at_once)
    finished, _, _ = taken(channel, "x" * 3_000_000, 10.0)
    assert finished
    assert channel.recv_exit_status() == 0


def test_what_is_kept_has_its_limit(channel_to, monkeypatch):
    monkeypatch.setattr(output, "_HEAD_BYTES", 1000)
    monkeypatch.setattr(output, "_TAIL_BYTES", 3000)
    _, out, err = taken(channel_to(write_without_end), None, 0.5)
    for kept in (out, err):
        assert kept.left_out > 0
        assert len(kept.text) < 200_000
        assert "k0s-harness left out" in kept.text
