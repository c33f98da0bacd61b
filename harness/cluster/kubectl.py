"""kubectl against one cluster, with its own kubeconfig and nobody else's."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.base.completed import Completed
from harness.base.process import Runner

# The API server answers a get within a second even on a starved machine; five seconds tell a
# hanging one apart without costing a hold its looks.
REQUEST_SECONDS = 5
# Who changes something waits for more than a look does: kubectl checks objects by the API's whole
# description, and the API server that makes it for the first time took longer than 5 s beside
# another lab that was starting (2026-11-29).
CHANGE_REQUEST_SECONDS = 20


class Kubectl:
    """Runs kubectl with a discovery cache that is new for every call.

    `pace` is how many times slower than this host the API server's machine is.

    An old cache changes what `kubectl top nodes` says of the very same cluster: `Metrics API not
    available` with a cold one, a ServiceUnavailable with one from better times.
    """

    def __init__(
        self, binary: Path, kubeconfig: Path, runner: Runner, *, pace: float = 1.0
    ) -> None:
        self.binary = binary
        self.kubeconfig = kubeconfig
        self._runner = runner
        self._pace = pace

    def run(
        self,
        args: Sequence[str],
        *,
        doing: str = "Asking the API server",
        deadline: float | None = None,
        request_seconds: float = REQUEST_SECONDS,
        stdin: str | None = None,
        check: bool = True,
    ) -> Completed:
        """Run `kubectl args`; with `check` a status other than 0 raises `CommandFailedError`.

        Each of its requests may take `request_seconds`, and all of it `deadline`.
        """
        patience = round(request_seconds * self._pace)
        with tempfile.TemporaryDirectory(prefix="k0s-harness-kubectl-") as cache:
            return self._runner.run(
                [
                    str(self.binary),
                    "--kubeconfig",
                    str(self.kubeconfig),
                    "--cache-dir",
                    cache,
                    "--request-timeout",
                    f"{patience}s",
                    *args,
                ],
                doing=doing,
                deadline=2.0 * patience if deadline is None else deadline,
                stdin=stdin,
                check=check,
            )

    def __call__(self, *args: str) -> str:
        """Run `kubectl args` and return what it printed: the form for tests."""
        return self.run(args).stdout
