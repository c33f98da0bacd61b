"""Machines of people's own clusters, through the OpenSSH client: it knows agents and bastions.

Nothing is written to a machine or to the user's known_hosts: an unknown host key is an error.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from harness.base.errors import InfrastructureError
from harness.base.process import CommandFailedError, Completed, Runner
from harness.ssh.arguments import CONNECT_SECONDS, SETTINGS
from harness.ssh.remote import Dial, DialResult, outcome_of_words

# ssh's own status for everything that is not the remote command's.
_SSH_FAILED = 255
# The remote end words it: `channel 0: open failed: connect failed: Connection refused`.
_OPEN_FAILED = re.compile(r"open failed: (?:connect failed|administratively prohibited): (.*)")


class OpenSSHRemote:
    """A machine that `ssh` reaches by `arguments` (options, then `user@host`).

    Connections are shared through a control socket in `sockets`, a folder (0700) of the caller's.
    Non-root users need password-less sudo for what wants root.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], *, root: bool, sockets: Path, runner: Runner
    ) -> None:
        self._name = name
        self._root = root
        self._runner = runner
        *self._options, self._destination = arguments
        # Of an option that is given twice ssh takes the first: the user's own come after ours.
        self._ssh = [
            "ssh",
            *SETTINGS,
            # The words of a failed dial are said at this level; a user may have set a lower one.
            *("-o", "LogLevel=INFO"),
            *("-o", "ControlMaster=auto"),
            *("-o", f"ControlPath={sockets}/%C"),
            *("-o", "ControlPersist=60"),
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
        words = ["sudo", "-n", *argv] if sudo and not self._root else list(argv)
        completed = self._runner.run(
            # After `--` ssh looks for no more options, not behind the destination either: a second
            # one would be the command's first word.
            [*self._ssh, "--", self._destination, shlex.join(words)],
            doing=doing,
            deadline=deadline,
            stdin=stdin,
            check=False,
        )
        if completed.returncode == _SSH_FAILED:
            said = completed.stderr.strip()
            remedy = (
                f"try it by hand: {shlex.join(['ssh', *self._options, '--', self._destination])}"
            )
            if "Permission denied" in said:
                # ssh asks for nothing here, so of a locked key it only says this.
                remedy += "; its key may have a passphrase: ssh-add it first"
            raise InfrastructureError(
                f"Reaching {self._name} over SSH",
                said.splitlines()[-1] if said else "failed",
                remedy=remedy,
            )
        if check and not completed.ok:
            raise CommandFailedError(doing, completed)
        return completed

    def dial(self, host: str, port: int, *, deadline: float) -> DialResult:
        """Have the machine's sshd open a connection to `host:port` (`ssh -W`), and close it."""
        doing = f"Dialling {host}:{port} from {self._name}"
        self._connect(doing)
        began = time.monotonic()
        way = ["-W", f"{host}:{port}", "--", self._destination]
        try:
            completed = self._runner.run(
                [*self._ssh, *way], doing=doing, deadline=deadline, check=False
            )
            if not completed.ok:
                # Of a shared connection the master hears why, and says nothing.
                completed = self._runner.run(
                    ["ssh", "-o", "ControlPath=none", *self._ssh[1:], *way],
                    doing=doing,
                    deadline=deadline + CONNECT_SECONDS,
                    check=False,
                )
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
