"""The edge of the probe layer: takes readings, from machines and from the API, never a value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import HarnessError
from harness.base.wait import Clock
from harness.evidence.reading import Reading
from harness.probe import dials
from harness.probe.core import API, DIAL, PIPE, Probe
from harness.ssh.pace import is_slow
from harness.ssh.remote import Dial, DialResult, RemoteReader

# sshd lets one connection have ten sessions (MaxSessions), and on people's clusters kubectl runs on
# the controller as well: half of them for each.
AT_ONCE = 5
# Five requests at once on one emulated processor took 28 s, and TLS that was under way in all of
# them met curl's 5 s (2026-11-23). One alone takes 1.5 s.
SLOW_AT_ONCE = 1
# A walk's fourteen questions to the API, all at once, with the API server's own figures among them
# (29 s), kept an emulated controller from answering the aggregator in its 5 s (2026-11-23). Two,
# for it has two processors.
SLOW_API_AT_ONCE = 2
# As long as a look. It comes before several that are made at once, whatever was answered before: of
# a machine that went away a second ago five looks took 50 s (2026-11-23), since each of them opened
# a connection anew and these are opened one at a time.
REACH_SECONDS = 10.0


class ApiClient(Protocol):
    """What asks the Kubernetes API: kubectl here, or `k0s kubectl` on a controller."""

    def run(self, args: Sequence[str], *, doing: str, deadline: float, check: bool) -> Completed:
        """Run `kubectl args`."""


class Prober:
    """Takes readings, several side by side, each with its own deadline.

    A look that fails becomes a reading with `error` and without a value; nothing is raised. `pace`
    is how many times slower than this host the machines are: it lengthens deadlines, except those
    of dials, which wait for the network and not for a processor; slow machines are asked one thing
    at a time, and their API two. `unreachable` says of machines without a remote why there is no
    way to them.
    """

    def __init__(
        self,
        api: ApiClient | None,
        remotes: Mapping[str, RemoteReader],
        clock: Clock,
        started: float,
        *,
        pace: float = 1.0,
        unreachable: Mapping[str, str] | None = None,
    ) -> None:
        self._api = api
        self._remotes = remotes
        self._clock = clock
        self._started = started
        self._pace = pace
        self._unreachable = unreachable or {}

    def take(self, probes: Iterable[Probe[Any]]) -> tuple[Reading, ...]:
        """Return one reading a probe, in their order.

        Commands on a machine are run side by side once a trifle has shown that there is a way to
        it: a machine that is gone costs the time of one look and no more. What several probes ask
        in the same words is asked once, and each gets the answer as its own reading.
        """
        wanted = list(probes)
        if not wanted:
            return ()
        first = _asked_first(wanted)
        places: dict[str, list[int]] = {}
        for index in dict.fromkeys(first):
            places.setdefault(wanted[index].where, []).append(index)
        found: dict[int, Reading] = {}

        def visit(where: str) -> None:
            gone: list[HarnessError] = []

            def read(index: int) -> None:
                if gone:
                    found[index] = self._not_asked(wanted[index], str(gone[0]))
                else:
                    # An API that fails once, and a dial, say nothing of the way to the place.
                    tells = where != API and wanted[index].argv[0] != DIAL
                    found[index] = self._taken(wanted[index], gone if tells else [])

            dialled = [each for each in places[where] if wanted[each].argv[0] == DIAL]
            commands = [each for each in places[where] if wanted[each].argv[0] != DIAL]
            if len(commands) > 1:
                self._reach(where, gone)
            # Dials are the machine's own, no sessions, and wait for the network only: beside the
            # commands, but where one thing at a time is enough.
            with (
                ThreadPoolExecutor(max_workers=self._at_once(where, places)) as running,
                ThreadPoolExecutor(max_workers=len(dialled) or 1) as beside,
            ):
                dialling = running if is_slow(self._pace) else beside
                under_way = [dialling.submit(read, each) for each in dialled]
                under_way += [running.submit(read, each) for each in commands]
                for future in under_way:
                    future.result()

        with ThreadPoolExecutor(max_workers=len(places)) as pool:
            list(pool.map(visit, places))
        return tuple(
            replace(found[at], probe=each.name) for at, each in zip(first, wanted, strict=True)
        )

    def _at_once(self, where: str, places: Container[str]) -> int:
        """Return how many looks at `where` are made at once, of those at all `places`."""
        if is_slow(self._pace):
            return SLOW_API_AT_ONCE if where == API else SLOW_AT_ONCE
        # Without kubectl all sessions are the machine's, but one for what ends.
        return AT_ONCE if API in places else 2 * AT_ONCE - 1

    def read(self, probe: Probe[Any]) -> Reading:
        """Return one reading of `probe`."""
        return self._taken(probe, [])

    def wait_for(self, probe: Probe[Any]) -> None:
        """Return when `probe` has ended, whatever it says: it ends when there is something new."""
        self._taken(probe, [])

    def _taken(self, probe: Probe[Any], gone: list[HarnessError]) -> Reading:
        """Return one reading; `gone` gets the error that says that there is no way to the place."""
        began = self._clock.monotonic()
        at = self._clock.now().isoformat(timespec="milliseconds")
        try:
            completed = self._look(probe)
        except HarnessError as failure:
            if not isinstance(failure, CommandFailedError):
                gone.append(failure)
            return self._failed(probe, str(failure), began, at)
        if completed.left_out:
            # What follows from a part of an answer may be wrong: it is a gap and no value.
            much = f"{completed.left_out} bytes of the answer are beyond what is kept of one"
            why = f"Reading {probe.name} on {probe.where}: {much}"
            return self._failed(probe, why, began, at)
        return replace(
            self._failed(probe, None, began, at),
            returncode=completed.returncode,
            stdout=completed.stdout,
            stderr=completed.stderr,
        )

    def _reach(self, where: str, gone: list[HarnessError]) -> None:
        """Try whether there is a way to a machine; `gone` gets the error where there is none."""
        remote = self._remotes.get(where)
        if remote is None:
            return
        doing, deadline = f"Reading from {where}", REACH_SECONDS * self._pace
        try:
            remote.run(["true"], doing=doing, deadline=deadline, sudo=False, check=False)
        except CommandFailedError:
            # Late, and there.
            return
        except HarnessError as failure:
            gone.append(failure)

    def _not_asked(self, probe: Probe[Any], why: str) -> Reading:
        """Return the reading of a probe that was not tried, since another one just failed."""
        at = self._clock.now().isoformat(timespec="milliseconds")
        return self._failed(probe, why, self._clock.monotonic(), at)

    def _failed(self, probe: Probe[Any], why: str | None, began: float, at: str) -> Reading:
        """Return a reading without an answer."""
        elapsed = round(began - self._started, 3)
        took = round(self._clock.monotonic() - began, 3)
        return Reading(probe.name, probe.where, probe.argv, at, elapsed, took, None, error=why)

    def _look(self, probe: Probe[Any]) -> Completed:
        doing = f"Reading {probe.name} on {probe.where}"
        deadline = probe.deadline * self._pace
        if probe.where == API:
            if self._api is None:
                raise HarnessError(doing, "there is no way to the API server yet")
            command, pattern = _without_pipe(probe.argv)
            completed = self._api.run(command[1:], doing=doing, deadline=deadline, check=False)
            return completed if pattern is None else _kept(completed, pattern)
        remote = self._remotes.get(probe.where)
        if remote is None:
            why = self._unreachable.get(probe.where, "there is no way to this machine")
            raise HarnessError(doing, why)
        if probe.argv[0] == DIAL:
            return _dial(remote, probe)
        return remote.run(probe.argv, doing=doing, deadline=deadline, sudo=probe.sudo, check=False)


def _asked_first(wanted: Sequence[Probe[Any]]) -> list[int]:
    """Return for each look the place of the one whose answer it gets: its own, or another probe's.

    One probe that is wanted several times is asked as often.
    """
    asked: dict[tuple[object, ...], int] = {}
    times: Counter[tuple[str, str]] = Counter()
    first = []
    for at, each in enumerate(wanted):
        question = each.where, each.argv, each.sudo, each.deadline, each.together
        first.append(asked.setdefault((*question, times[each.name, each.where]), at))
        times[each.name, each.where] += 1
    return first


def _without_pipe(argv: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """Return the kubectl command, and the pattern of the `| grep -E PATTERN` behind it."""
    if PIPE not in argv:
        return argv, None
    return argv[: argv.index(PIPE)], argv[-1]


def _kept(completed: Completed, pattern: str) -> Completed:
    """Return what `grep -E` would let through; the status stays kubectl's."""
    lines = completed.stdout.splitlines(keepends=True)
    return replace(completed, stdout="".join(line for line in lines if re.search(pattern, line)))


def _dial(remote: RemoteReader, probe: Probe[Any]) -> Completed:
    """Make a round of dials; its text is what `harness.probe.dials` reads."""
    _, host, port, times = probe.argv
    left = int(times)
    lines: list[str] = []
    failures = 0
    while left > 0 and failures < dials.ENOUGH_FAILURES:
        now = min(probe.together, left)
        left -= now
        for result in _at_once(remote, host, int(port), now, probe.deadline):
            lines.append(f"{result.outcome} {result.seconds:.4f} {result.text}".rstrip())
            failures += result.outcome is not Dial.CONNECTED
    return Completed(probe.argv, 0, "\n".join(lines) + "\n", "", 0.0)


def _at_once(
    remote: RemoteReader, host: str, port: int, times: int, deadline: float
) -> Sequence[DialResult]:
    if times == 1:
        return [remote.dial(host, port, deadline=deadline)]
    with ThreadPoolExecutor(max_workers=times) as pool:
        dialled = [pool.submit(remote.dial, host, port, deadline=deadline) for _ in range(times)]
        return [each.result() for each in dialled]
