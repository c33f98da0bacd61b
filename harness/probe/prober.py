"""The edge of the probe layer: takes readings, from machines and from the API, never a value."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from typing import Protocol

from harness.errors import HarnessError
from harness.evidence.reading import Reading
from harness.lab.remote import Dial
from harness.lab.remote import RemoteReader
from harness.probe import dials
from harness.probe.core import API
from harness.probe.core import DIAL
from harness.probe.core import Probe
from harness.process import Completed
from harness.wait import Clock


class ApiClient(Protocol):
    """What asks the Kubernetes API: kubectl here, or `k0s kubectl` on a controller."""

    def run(self, args: Sequence[str], *, doing: str, deadline: float, check: bool) -> Completed:
        """Run `kubectl args`."""


class Prober:
    """Takes readings, several side by side, each with its own deadline.

    A look that fails becomes a reading with `error` and without a value; nothing is raised. `pace`
    is how many times slower than this host the machines are: it lengthens deadlines, except those
    of dials, which wait for the network and not for a processor.
    """

    def __init__(
        self,
        api: ApiClient | None,
        remotes: Mapping[str, RemoteReader],
        clock: Clock,
        started: float,
        *,
        pace: float = 1.0,
    ) -> None:
        self._api = api
        self._remotes = remotes
        self._clock = clock
        self._started = started
        self._pace = pace

    def take(self, probes: Iterable[Probe[Any]]) -> tuple[Reading, ...]:
        """Return one reading a probe, in their order."""
        wanted = list(probes)
        if not wanted:
            return ()
        with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
            return tuple(pool.map(self.read, wanted))

    def read(self, probe: Probe[Any]) -> Reading:
        """Return one reading of `probe`."""
        began = self._clock.monotonic()
        at = self._clock.now().isoformat(timespec="milliseconds")
        returncode: int | None = None
        stdout = stderr = ""
        error: str | None = None
        try:
            completed = self._look(probe)
        except HarnessError as failure:
            error = str(failure)
        else:
            returncode, stdout, stderr = completed.returncode, completed.stdout, completed.stderr
        return Reading(
            probe=probe.name,
            where=probe.where,
            argv=probe.argv,
            at=at,
            elapsed=round(began - self._started, 3),
            duration=round(self._clock.monotonic() - began, 3),
            returncode=returncode,
            stdout=stdout,
            stderr=stderr,
            error=error,
        )

    def _look(self, probe: Probe[Any]) -> Completed:
        doing = f"Reading {probe.name} on {probe.where}"
        deadline = probe.deadline * self._pace
        if probe.where == API:
            if self._api is None:
                raise HarnessError(doing, "there is no way to the API server yet")
            return self._api.run(probe.argv[1:], doing=doing, deadline=deadline, check=False)
        remote = self._remotes.get(probe.where)
        if remote is None:
            raise HarnessError(doing, "there is no way to this machine")
        if probe.argv[0] == DIAL:
            return _dial(remote, probe)
        return remote.run(probe.argv, doing=doing, deadline=deadline, sudo=probe.sudo, check=False)


def _dial(remote: RemoteReader, probe: Probe[Any]) -> Completed:
    """Make a round of dials; its text is what `harness.probe.dials` reads."""
    _, host, port, times = probe.argv
    lines: list[str] = []
    failures = 0
    for _ in range(int(times)):
        result = remote.dial(host, int(port), deadline=probe.deadline)
        lines.append(f"{result.outcome} {result.seconds:.4f} {result.text}".rstrip())
        failures += result.outcome is not Dial.CONNECTED
        if failures >= dials.ENOUGH_FAILURES:
            break
    return Completed(probe.argv, 0, "\n".join(lines) + "\n", "", 0.0)
