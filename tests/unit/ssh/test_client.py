"""The lab's SSH client where a connection dies under several threads at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError
from harness.ssh import client as ssh
from harness.ssh.client import ParamikoRemote
from harness.ssh.files import SshEndpoint


class Transport(ssh._Transport):
    """A connection that is dead without knowing it yet, or a live one."""

    def __init__(self, open_session):
        self.open_session = open_session
        self.closed = False

    def is_active(self):
        return not self.closed

    def close(self):
        self.closed = True


class Client:
    def __init__(self, transport):
        self.transport = transport

    def get_transport(self):
        return self.transport

    def close(self):
        self.transport.close()


@pytest.fixture
def remote():
    endpoint = SshEndpoint("192.168.56.11", 22, "vagrant", Path("/state/id"))
    return ParamikoRemote("worker0", endpoint, Path("/state/known_hosts"))


def test_a_thread_closes_the_connection_that_failed_it_and_no_later_one(remote, monkeypatch):
    both_failed = threading.Barrier(2)
    first_is_back = threading.Event()
    order = iter(range(2))

    def die(**_):
        # Both threads ask the dead connection; the second learns of it only when the first has
        # opened the next one. Seen under load, 2026-11-23: that next one was closed, too.
        late = next(order) == 1
        both_failed.wait(timeout=10)
        if late:
            first_is_back.wait(timeout=10)
        raise EOFError

    dead, live = Transport(die), Transport(lambda **_: first_is_back.set() or "a session")
    clients = [Client(dead), Client(live)]
    monkeypatch.setattr(remote, "_connect", lambda *_: clients.pop(0))
    with ThreadPoolExecutor(2) as pool:
        sessions = [pool.submit(remote._open_session, "Asking", 5.0) for _ in range(2)]
        assert [each.result(timeout=20) for each in sessions] == ["a session", "a session"]
    assert dead.closed
    assert not live.closed


def test_a_machine_that_was_just_gone_costs_the_deadline_and_no_more(remote, monkeypatch):
    # Seen 2026-11-23: 10 s for a session on the dead connection and nine more for a new one.
    waited = []

    def die(timeout):
        waited.append(timeout)
        raise EOFError

    def refuse(doing, deadline):
        waited.append(deadline)
        raise InfrastructureError(doing, "timed out")

    remote._client = Client(Transport(die))
    monkeypatch.setattr(remote, "_connect", refuse)
    with pytest.raises(InfrastructureError):
        remote.run(["true"], doing="Reading from worker0", deadline=10.0)
    assert waited == [5.0, 5.0]


def test_a_channel_whose_connection_is_gone_closes_without_an_error():
    class Gone:
        def close(self):
            raise EOFError

    ssh._close(Gone())
