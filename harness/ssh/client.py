"""The lab's own SSH client: paramiko, with the host keys that were pinned at creation.

One connection a machine is shared by all threads; a connection that died is opened again once, and
only before a command was sent, so that no command ever runs twice.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import paramiko

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import InfrastructureError
from harness.base.output import Kept
from harness.ssh.exchange import exchange
from harness.ssh.fair_semaphore import FairSemaphore
from harness.ssh.files import SshEndpoint
from harness.ssh.remote import Dial, DialResult, outcome_of_words

# A lab machine answers in milliseconds; a host that swaps may need seconds.
CONNECT_SECONDS = 15.0
# Opening a session on a live connection: the same, and a dead peer shows itself here.
OPEN_SECONDS = 15.0
# sshd lets one connection have ten sessions at once (MaxSessions); one is left for what ends.
SESSIONS = 9
# The machine ends a command this long after our own deadline, so that none is left running.
REMOTE_GRACE_SECONDS = 5
FILE_SECONDS = 60.0

# paramiko's own log repeats, with tracebacks, what is raised here as a sentence.
_SILENCED = logging.getLogger("paramiko")
_SILENCED.addHandler(logging.NullHandler())
_SILENCED.propagate = False


class HostKeyError(InfrastructureError):
    """A machine showed another key than the one taken from it at its creation."""


class _Transport(paramiko.Transport):
    """A transport that keeps what sshd says when it cannot open a channel, for each thread.

    paramiko logs those words ("Connection refused") and raises its own ("Connect failed"); and of
    two threads whose channels fail at once it may give one the other's exception.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # handed through
        super().__init__(*args, **kwargs)
        self._opening = threading.local()
        self._refusals: dict[int, str] = {}

    def refusal(self) -> str | None:
        """Return sshd's words for the channel that this thread failed to open, None without any."""
        return self._refusals.pop(self._opening.channel, None)

    def _next_channel(self) -> int:
        number: int = super()._next_channel()  # type: ignore[misc]
        self._opening.channel = number
        return number

    def _parse_channel_open_failure(self, message: paramiko.Message) -> None:
        number, _code, words = message.get_int(), message.get_int(), message.get_text()
        self._refusals[number] = words
        message.rewind()
        super()._parse_channel_open_failure(message)  # type: ignore[misc]


_INSTALL = """\
install -D --mode="$1" "$2" "$3"
status=$?
rm -f "$2"
exit "$status"
"""


class ParamikoRemote:
    """A machine of the lab over SSH; see `harness.ssh.remote.Remote` for what the methods do."""

    def __init__(self, name: str, endpoint: SshEndpoint, known_hosts: Path) -> None:
        self._name = name
        self._endpoint = endpoint
        self._known_hosts = known_hosts
        self._lock = threading.Lock()
        self._sessions = FairSemaphore(SESSIONS)
        self._client: paramiko.SSHClient | None = None

    @property
    def name(self) -> str:
        """Name of the machine in the lab."""
        return self._name

    def run(
        self,
        argv: Sequence[str],
        *,
        doing: str,
        deadline: float,
        sudo: bool = False,
        stdin: str | None = None,
        check: bool = True,
    ) -> Completed:
        """Run `argv` on the machine and return both streams, as far as they are kept.

        Raises `CommandFailedError` past the deadline and, with `check`, for a status other than 0;
        `InfrastructureError` when there is no connection.
        """
        started = time.monotonic()
        until = started + deadline
        out, err = Kept(), Kept()
        with self._session(doing, deadline) as channel:
            try:
                channel.settimeout(deadline)
                command = self._command(argv, deadline, sudo=sudo)
                if stdin is None:
                    # Not by an EOF of ours: paramiko may send that after it has answered the other
                    # side's end, and sshd drops the whole connection for it (seen 2026-11-23:
                    # "ieof packet referred to nonexistent channel").
                    channel.exec_command(f"{command} </dev/null")
                else:
                    channel.exec_command(command)
                finished = exchange(channel, stdin, out, err, until)
            except (paramiko.SSHException, OSError, EOFError) as problem:
                raise self._lost(doing, problem) from problem
            status = channel.recv_exit_status() if finished else -1
        completed = Completed(
            tuple(argv),
            status,
            out.text,
            err.text,
            time.monotonic() - started,
            out.left_out + err.left_out,
        )
        if finished and status == -1:
            raise self._lost(doing, EOFError("the connection ended before the command did"))
        if not finished or (check and not completed.ok):
            raise CommandFailedError(f"{doing} on {self._name}", completed, timed_out=not finished)
        return completed

    def put(self, text: str, path: str, *, mode: int = 0o644, sudo: bool = True) -> None:
        """Write `text` to `path`, through a temporary file that `install` puts in place."""
        doing = f"Writing {path} on {self._name}"
        temporary = f"/tmp/.harness-{threading.get_ident()}-{time.monotonic_ns()}"  # noqa: S108  # the machine's
        with self._sftp(doing) as sftp, sftp.open(temporary, "wx") as file:
            file.chmod(0o600)
            file.write(text.encode())
        self.run(
            ["sh", "-c", _INSTALL, "sh", f"{mode:04o}", temporary, path],
            doing=doing,
            deadline=FILE_SECONDS,
            sudo=sudo,
        )

    def get(self, path: str, local: Path) -> None:
        """Copy the machine's file `path`, as far as the user may read it, to `local`."""
        with self._sftp(f"Reading {path} of {self._name}") as sftp:
            sftp.get(path, str(local))

    def dial(self, host: str, port: int, *, deadline: float) -> DialResult:
        """Open a new TCP connection to `host:port` from the machine and close it again.

        The machine's sshd dials; its words decide between refused, unreachable and timed out.
        """
        doing = f"Dialling {host}:{port} from {self._name}"
        transport = self._transport(doing)
        started = time.monotonic()
        try:
            channel = transport.open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=deadline
            )
        except (paramiko.SSHException, EOFError, OSError) as problem:
            seconds = time.monotonic() - started
            words = transport.refusal()
            if words is not None:
                return DialResult(_dial_outcome(doing, words), seconds, words)
            if transport.is_active() and seconds >= deadline:
                return DialResult(Dial.TIMED_OUT, seconds, f"no answer within {deadline:g}s")
            raise self._lost(doing, problem) from problem
        _close(channel)
        return DialResult(Dial.CONNECTED, time.monotonic() - started, "connected")

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _command(self, argv: Sequence[str], deadline: float, *, sudo: bool) -> str:
        bound = ["timeout", f"--kill-after={REMOTE_GRACE_SECONDS}"]
        bound += [f"{deadline + REMOTE_GRACE_SECONDS:.0f}"]
        elevate = ["sudo", "-n", "--"] if sudo else []
        return shlex.join([*elevate, *bound, *argv])

    @contextlib.contextmanager
    def _session(self, doing: str, deadline: float) -> Iterator[paramiko.Channel]:
        """Yield a session channel, one of as many at once as sshd has for a connection."""
        if not self._sessions.acquire(timeout=deadline):
            raise InfrastructureError(
                doing, f"{SESSIONS} other commands were busy on {self._name} for {deadline:.0f}s"
            )
        try:
            with _closing(self._open_session(doing, deadline)) as channel:
                yield channel
        finally:
            self._sessions.release()

    def _open_session(self, doing: str, deadline: float) -> paramiko.Channel:
        """Open a session, on a new connection where the present one is dead.

        Half of the deadline is for each: with all of it for the first, and 15 s for the second, a
        machine that was just gone cost a walk of 15 s another nine (2026-11-23).
        """
        half = deadline / 2
        transport = self._transport(doing, half)
        try:
            return transport.open_session(timeout=min(half, OPEN_SECONDS))
        except (paramiko.SSHException, EOFError, OSError):
            # Nothing was sent yet, so one new connection is safe. Only the one that failed is
            # closed: another thread may have opened the next one and be at work on it.
            transport.close()
        try:
            transport = self._transport(doing, half)
            return transport.open_session(timeout=min(half, OPEN_SECONDS))
        except (paramiko.SSHException, EOFError, OSError) as problem:
            raise self._lost(doing, problem) from problem

    @contextlib.contextmanager
    def _sftp(self, doing: str) -> Iterator[paramiko.SFTPClient]:
        with self._session(doing, FILE_SECONDS) as channel:
            try:
                channel.settimeout(FILE_SECONDS)
                channel.invoke_subsystem("sftp")
                with contextlib.closing(paramiko.SFTPClient(channel)) as sftp:
                    yield sftp
            except (paramiko.SSHException, EOFError, OSError) as problem:
                words = str(problem) or type(problem).__name__
                raise InfrastructureError(doing, words) from problem

    def _transport(self, doing: str, deadline: float = CONNECT_SECONDS) -> _Transport:
        with self._lock:
            transport = self._client.get_transport() if self._client is not None else None
            if transport is None or not transport.is_active():
                self._client = self._connect(doing, min(deadline, CONNECT_SECONDS))
                transport = self._client.get_transport()
            assert isinstance(transport, _Transport)
            return transport

    def _connect(self, doing: str, deadline: float) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.load_host_keys(str(self._known_hosts))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        endpoint = self._endpoint
        try:
            dialled = socket.create_connection((endpoint.address, endpoint.port), deadline)
            client.connect(
                # The alias, for which the key is pinned whichever of its addresses is dialled.
                self._name,
                username=endpoint.user,
                sock=dialled,
                key_filename=str(endpoint.key_path),
                allow_agent=False,
                look_for_keys=False,
                timeout=deadline,
                banner_timeout=deadline,
                auth_timeout=deadline,
                channel_timeout=OPEN_SECONDS,
                transport_factory=_Transport,
            )
        except paramiko.BadHostKeyException:
            client.close()
            raise HostKeyError(
                doing,
                f"{self._name} ({endpoint.place}) shows another host key than the one taken "
                "from it at its creation",
                remedy="something else answers at that address: destroy the lab and start again",
                where=self._known_hosts,
            ) from None
        except (paramiko.SSHException, EOFError, OSError) as problem:
            client.close()
            raise self._lost(doing, problem) from problem
        transport = client.get_transport()
        assert transport is not None
        assert isinstance(transport.sock, socket.socket)
        # 14 -> 3 ms for each command.
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def _lost(self, doing: str, problem: BaseException) -> InfrastructureError:
        words = str(problem) or type(problem).__name__
        return InfrastructureError(
            doing, f"no SSH to {self._name} ({self._endpoint.place}): {words}"
        )


def _dial_outcome(doing: str, words: str) -> Dial:
    outcome = outcome_of_words(words)
    if outcome is None:
        raise InfrastructureError(doing, f"sshd says: {words}")
    return outcome


@contextlib.contextmanager
def _closing(channel: paramiko.Channel) -> Iterator[paramiko.Channel]:
    try:
        yield channel
    finally:
        _close(channel)


def _close(channel: paramiko.Channel) -> None:
    # Closing says goodbye over the connection, and fails where that is gone (EOFError seen under
    # load, 2026-11-23): what the channel was for has been done by then, or has failed by itself.
    with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
        channel.close()
