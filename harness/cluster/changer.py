"""The edge of changes: makes changes, sees that they took effect, and takes them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from harness.base.completed import Completed
from harness.base.errors import HarnessError, InconclusiveError
from harness.base.wait import Attempt, Clock, WaitTimeoutError, wait_until
from harness.changes import addresses, footprint
from harness.changes.action import Action, Before, Check, Command, Step
from harness.changes.addresses import Addresses
from harness.changes.footprint import Footprint
from harness.changes.kind import DirectChange
from harness.cluster.kubectl import CHANGE_REQUEST_SECONDS
from harness.cluster.prober import Prober
from harness.evidence.reading import Reading
from harness.plan.model import Plan
from harness.probe.core import API, Observation, observe
from harness.ssh.pace import between_looks
from harness.ssh.remote import Remote

# A check that is not met at once is mostly waiting for pods, which take seconds.
LOOK_EVERY_SECONDS = 1.0
# Name of the readings that commands leave, as probes leave theirs.
COMMAND = "change"


class ApiWriter(Protocol):
    """What asks and tells the Kubernetes API: kubectl."""

    def run(
        self,
        args: Sequence[str],
        *,
        doing: str,
        deadline: float,
        request_seconds: float,
        stdin: str | None,
        check: bool,
    ) -> Completed:
        """Run `kubectl args`."""


class Changer:
    """Makes and takes back the changes of a plan's phases that are not k0sctl's.

    `record` gets every reading, commands included. `pace` is how many times slower than this host
    the machines are: it lengthens bounds. `started` is the clock's time at which the run began.
    `second_ways` are other ways to the machines of `remotes`, by their other interface.
    """

    def __init__(
        self,
        plan: Plan,
        prober: Prober,
        remotes: Mapping[str, Remote],
        kubectl: ApiWriter,
        *,
        clock: Clock,
        record: Callable[[Sequence[Reading]], None],
        started: float,
        pace: float = 1.0,
        second_ways: Mapping[str, Remote] | None = None,
    ) -> None:
        self._second_ways = second_ways or {}
        self._second_prober = Prober(None, self._second_ways, clock, started, pace=pace)
        self._known: Addresses | None = None
        self._plan = plan
        self._prober = prober
        self._remotes = remotes
        self._kubectl = kubectl
        self._clock = clock
        self._record = record
        self._started = started
        self._pace = pace
        self._count = 0

    def addresses(self) -> Addresses:
        """Return what the words for places mean; once all was seen it is not looked for again."""
        if self._known is None or not self._known.complete:
            readings = self._take(addresses.probes(self._plan.machines))
            second = [addresses.SSH.on(name) for name in self._second_ways]
            ways = self._second_prober.take(second)
            self._record(ways)
            self._known = addresses.from_readings(self._plan.machines, readings, ways)
        return self._known

    def make(self, change: DirectChange) -> Action:
        """Make `change`, and return what was done once it was seen to be there.

        Raises `InconclusiveError` where it cannot be made or did not take effect; what it did
        before it failed is not taken back.
        """
        try:
            return self._make(change)
        except HarnessError as failed:
            raise InconclusiveError(
                failed.doing, failed.happened, remedy=failed.remedy, details=failed.details
            ) from failed

    def undo(self, action: Action) -> None:
        """Take the change back; raises `InconclusiveError` where what was before did not return."""
        self._walk(f"Taking back: {action.text}", action.undo, action.aside)
        self._reconnect(action)

    def confirm(self, action: Action) -> tuple[str, ...]:
        """Look again that the change is in force, and return what its evidence says.

        Raises `InconclusiveError` where it is not: what was watched meanwhile proves nothing.
        """
        doing = f"Looking whether it is still so: {action.text}"
        self._walk(doing, action.check, action.aside)
        readings = self._take(action.evidence)
        pairs = zip(action.evidence, readings, strict=True)
        seen = (observe(probe.parse, reading).value for probe, reading in pairs)
        return tuple(each for each in seen if each is not None)

    def footprint(self) -> Footprint:
        """Return the state that `undo: exact` promises to bring back.

        Raises `InconclusiveError` where a part of it cannot be read.
        """
        names = [machine.name for machine in self._plan.machines]
        return footprint.from_readings(names, self._take(footprint.probes(names)))

    def _make(self, change: DirectChange) -> Action:
        known = self.addresses()
        self._count += 1
        before = self._take(change.looks(known))
        action = change.action(known, Before(before, str(self._count)))
        doing = f"Making the change: {action.text}"
        self._walk(doing, action.do, action.aside)
        self._reconnect(action)
        self._walk(doing, action.check, action.aside)
        return action

    def _walk(self, doing: str, steps: Iterable[Step], aside: frozenset[str]) -> None:
        """Take the steps in order; the machines `aside` are reached by the second way."""
        for step in steps:
            if isinstance(step, Command):
                remotes = self._second_ways if step.where in aside else self._remotes
                self._run(doing, step, remotes)
            else:
                prober = self._second_prober if step.probe.where in aside else self._prober
                self._see(doing, step, prober)

    def _run(self, doing: str, command: Command, remotes: Mapping[str, Remote]) -> None:
        """Run the command, and record what it left as a reading."""
        began = self._clock.monotonic()
        at = self._clock.now().isoformat(timespec="milliseconds")
        deadline = command.deadline * self._pace
        if command.where == API:
            completed = self._kubectl.run(
                command.argv[1:],
                doing=doing,
                deadline=deadline,
                request_seconds=CHANGE_REQUEST_SECONDS,
                stdin=command.stdin,
                check=False,
            )
        else:
            completed = remotes[command.where].run(
                command.argv,
                doing=doing,
                deadline=deadline,
                sudo=True,
                stdin=command.stdin,
                check=False,
            )
        reading = Reading(
            probe=COMMAND,
            where=command.where,
            argv=command.argv,
            at=at,
            elapsed=round(began - self._started, 3),
            duration=round(self._clock.monotonic() - began, 3),
            returncode=completed.returncode,
            stdout=completed.stdout,
            stderr=completed.stderr,
        )
        self._record([reading])
        if completed.returncode not in command.accept:
            said = completed.stderr.strip() or completed.stdout.strip()
            raise InconclusiveError(
                doing,
                f"{command.argv[0]} on {command.where} ended with {completed.returncode}",
                details=said or None,
            )

    def _see(self, doing: str, check: Check, prober: Prober) -> None:
        """Look until the check holds."""

        def look() -> str | None:
            reading = prober.read(check.probe)
            self._record([reading])
            observation: Observation[Any] = observe(check.probe.parse, reading)
            if observation.problem is not None:
                return f"it could not be read: {observation.problem}"
            return check.wrong(observation.value)

        try:
            wait_until(
                check.what,
                look,
                lambda wrong: wrong is None,
                bound=check.within * self._pace,
                every=between_looks(LOOK_EVERY_SECONDS, self._pace),
                clock=self._clock,
            )
        except WaitTimeoutError as late:
            if check.required:
                history: tuple[Attempt[str | None], ...] = late.history
                raise InconclusiveError(
                    doing, f"it is not so that {check.what}: {history[-1].value}"
                ) from None

    def _reconnect(self, action: Action) -> None:
        for machine in action.reconnect:
            self._remotes[machine].close()

    def _take(self, probes: Iterable[Any]) -> tuple[Reading, ...]:
        readings = self._prober.take(probes)
        self._record(readings)
        return readings
