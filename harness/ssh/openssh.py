"""Machines of people's own clusters, through the OpenSSH client: it knows agents and bastions.

Nothing is written to a machine or to the user's known_hosts: an unknown host key is an error.
"""

from __future__ import annotations

import contextlib
import math
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import InfrastructureError
from harness.base.places import with_port
from harness.base.process import Runner
from harness.base.sayings import told
from harness.base.sayings.row import Of
from harness.base.telling import telling_sentence
from harness.ssh.arguments import CONNECT_SECONDS, SETTINGS
from harness.ssh.fair_semaphore import FairSemaphore
from harness.ssh.remote import Dial, DialResult, outcome_of_words
from harness.ssh.standing import SUDO, Standing, standing_of

# Beyond ten that have not yet proved who they are sshd turns away by chance (MaxStartups).
AT_ONCE = 10
# Those before take no longer than their deadlines; nobody waits for this one.
_AT_MOST = 3600.0
# Seconds for which a shared connection outlives the last command.
_PERSIST = 60
# ssh's own status for everything that is not the remote command's.
_SSH_FAILED = 255
# The remote end words it: `channel 0: open failed: connect failed: Connection refused`.
_OPEN_FAILED = re.compile(r"open failed: (?:connect failed|administratively prohibited): (.*)")
_ECHO = re.compile(r"Connection (?:closed|reset) by UNKNOWN port |kex_exchange_identification: ")


class OpenSSHRemote:
    """A machine that `ssh` reaches by `arguments` (options, then `user@host`).

    Connections are shared through a control socket in `sockets`, a folder (0700) of the caller's.
    Non-root users need password-less sudo, or doas, for what wants root. `gate` lets in who opens a
    connection: those who come the same way have one together.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        root: bool,
        sockets: Path,
        runner: Runner,
        gate: FairSemaphore | None = None,
    ) -> None:
        self._name = name
        self._become: Sequence[str] = () if root else SUDO
        self._runner = runner
        self._gate = gate or FairSemaphore(AT_ONCE)
        # When the shared connection was last known to be there.
        self._seen = -math.inf
        *self._options, self._destination = arguments
        # Of an option that is given twice ssh takes the first: the user's own come after ours.
        self._ssh = [
            "ssh",
            *SETTINGS,
            # The words of a failed dial are said at this level; a user may have set a lower one.
            *("-o", "LogLevel=INFO"),
            *("-o", "ControlMaster=auto"),
            *("-o", f"ControlPath={sockets}/%C"),
            *("-o", f"ControlPersist={_PERSIST}"),
            *self._options,
        ]

    @property
    def name(self) -> str:
        """Name of the machine: its address, as in the user's file."""
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
        """Run `argv` on the machine, as root with `sudo`; see `Remote.run`."""
        words = [*self._become, *argv] if sudo else list(argv)
        with self._opening():
            completed = self._runner.run(
                # After `--` ssh looks for no more options, not behind the destination either: a
                # second one would be the command's first word.
                [*self._ssh, "--", self._destination, shlex.join(words)],
                doing=doing,
                deadline=deadline,
                stdin=stdin,
                check=False,
            )
        if completed.returncode == _SSH_FAILED:
            raise self._unreached(completed.stderr.strip())
        self._seen = time.monotonic()
        if check and not completed.ok:
            raise CommandFailedError(doing, completed)
        return completed

    def stand(self, programs: Sequence[str], *, deadline: float) -> Standing:
        """Find out how to be root there, and which of the programs is there.

        Raises `InfrastructureError` where the machine cannot be reached. The first look: it opens
        the connection that the others share.
        """
        found = standing_of(self, programs, become=self._become, deadline=deadline)
        self._become = found.become
        return found

    @contextlib.contextmanager
    def _opening(self) -> Iterator[None]:
        """Wait for a turn where the command opens a connection, and give it back behind it."""
        if time.monotonic() - self._seen < _PERSIST / 2:
            yield
            return
        self._gate.acquire(_AT_MOST)
        try:
            yield
        finally:
            self._gate.release()

    def _unreached(self, said: str) -> InfrastructureError:
        """Return the error for a connection that ssh could not open, by its words."""
        by_hand = f"try it by hand: {shlex.join(['ssh', *self._options, '--', self._destination])}"
        known = told(said, Of.SSH)
        doing = f"Reaching {self._name} over SSH"
        if known is not None:
            # Banners are drawn with `@`, and the sentence says what they do.
            details = "\n".join(line for line in said.splitlines() if not line.startswith("@"))
            return InfrastructureError(
                doing, known.happened, details=details, remedy=f"{known.remedy}; {by_hand}"
            )
        # Of a bastion that is not reached ssh's last line says nothing; its own ssh has said why.
        telling = [line for line in said.splitlines() if not _ECHO.match(line)]
        happened = telling_sentence("\n".join(telling) or said) or "ssh said nothing"
        return InfrastructureError(doing, happened, remedy=by_hand)

    def dial(self, host: str, port: int, *, deadline: float) -> DialResult:
        """Have the machine's sshd open a connection to `host:port` (`ssh -W`), and close it."""
        doing = f"Dialling {with_port(host, port)} from {self._name}"
        self._connect(doing)
        began = time.monotonic()
        way = ["-W", with_port(host, port), "--", self._destination]
        try:
            completed = self._runner.run(
                [*self._ssh, *way], doing=doing, deadline=deadline, check=False
            )
            if not completed.ok:
                # Of a shared connection the master hears why, and says nothing.
                self._gate.acquire(_AT_MOST)
                try:
                    completed = self._runner.run(
                        ["ssh", "-o", "ControlPath=none", *self._ssh[1:], *way],
                        doing=doing,
                        deadline=deadline + CONNECT_SECONDS,
                        check=False,
                    )
                finally:
                    self._gate.release()
        except CommandFailedError as error:
            if not error.timed_out:
                raise
            return DialResult(Dial.TIMED_OUT, time.monotonic() - began, "no answer")
        return _dial_result(completed, self._name)

    def _connect(self, doing: str) -> None:
        """See to it that there is a shared connection: no dial is to cost the time for one."""
        asked = self._runner.run(
            [*self._ssh, "-O", "check", "--", self._destination],
            doing=doing,
            deadline=CONNECT_SECONDS,
            check=False,
        )
        if not asked.ok:
            self.run(["true"], doing=doing, deadline=2.0 * CONNECT_SECONDS)

    def close(self) -> None:
        """End the shared connection."""
        self._runner.run(
            [*self._ssh, "-O", "exit", "--", self._destination],
            doing="Closing SSH connections",
            deadline=CONNECT_SECONDS,
            check=False,
        )


def _dial_result(completed: Completed, machine: str) -> DialResult:
    """Return how the dial of `ssh -W` ended, from the words of the machine's sshd."""
    if completed.ok:
        return DialResult(Dial.CONNECTED, completed.duration, "")
    failed = _OPEN_FAILED.search(completed.stderr)
    words = failed.group(1).strip() if failed is not None else ""
    outcome = outcome_of_words(words)
    if outcome is None:
        raise InfrastructureError(
            f"Dialling from {machine} over SSH",
            completed.stderr.strip() or f"ssh ended with {completed.returncode}",
            remedy="sshd on the machine must allow TCP forwarding (AllowTcpForwarding)",
        )
    return DialResult(outcome, completed.duration, words)
