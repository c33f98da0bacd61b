"""This machine itself, as k0sctl's `localhost`: commands run without ssh, dials are its own."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import InfrastructureError
from harness.base.process import Runner
from harness.ssh.remote import Dial, DialResult
from harness.ssh.standing import SUDO, Standing, standing_of

_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})


class HereRemote:
    """This machine; what wants root is run by `sudo` or `doas`, unless root runs all of it."""

    def __init__(self, name: str, *, runner: Runner) -> None:
        self.name = name
        self._runner = runner
        self._become: Sequence[str] = SUDO

    def stand(self, programs: Sequence[str], *, deadline: float) -> Standing:
        """Find out how to be root, and which of the programs is there."""
        found = standing_of(self, programs, become=self._become, deadline=deadline)
        self._become = found.become
        return found

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
        """Run `argv` here, as root with `sudo`; see `Remote.run`."""
        words = [*self._become, *argv] if sudo else list(argv)
        completed = self._runner.run(
            words, doing=doing, deadline=deadline, stdin=stdin, check=False
        )
        if check and not completed.ok:
            raise CommandFailedError(doing, completed)
        return completed

    def dial(self, host: str, port: int, *, deadline: float) -> DialResult:
        """Open a connection to `host:port` from here, and close it."""
        began = time.monotonic()
        try:
            socket.create_connection((host, port), timeout=deadline).close()
        except TimeoutError:
            return DialResult(Dial.TIMED_OUT, time.monotonic() - began, "no answer")
        except ConnectionRefusedError as error:
            return DialResult(Dial.REFUSED, time.monotonic() - began, error.strerror or "")
        except OSError as error:
            if error.errno not in _UNREACHABLE:
                raise InfrastructureError(f"Dialling {host} from here", str(error)) from None
            return DialResult(Dial.UNREACHABLE, time.monotonic() - began, error.strerror or "")
        return DialResult(Dial.CONNECTED, time.monotonic() - began, "")

    def close(self) -> None:
        """Do nothing: there is no connection."""
