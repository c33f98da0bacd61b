"""The edge of the change layer: makes changes, sees that they took effect, and takes them back."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Protocol

from harness.change import actions
from harness.change import addresses
from harness.change import footprint
from harness.change.addresses import Addresses
from harness.change.footprint import Footprint
from harness.change.model import Action
from harness.change.model import Before
from harness.change.model import Check
from harness.change.model import Command
from harness.change.model import Step
from harness.errors import HarnessError
from harness.errors import InconclusiveError
from harness.evidence.reading import Reading
from harness.lab.pace import between_looks
from harness.lab.remote import Remote
from harness.plan.model import Plan
from harness.probe.core import API
from harness.probe.core import Observation
from harness.probe.core import observe
from harness.probe.prober import Prober
from harness.process import Completed
from harness.scenario.changes import Change
from harness.wait import Attempt
from harness.wait import Clock
from harness.wait import WaitTimeoutError
from harness.wait import wait_until

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
        stdin: str | None,
        check: bool,
    ) -> Completed:
        """Run `kubectl args`."""


@dataclass(frozen=True)
class Made:
    """One change in force: since when (ISO 8601 in UTC, and seconds since the run began).

    `seconds` is what making it took, its checks included; `readings` are its commands and looks.
    """

    change: Change
    action: Action
    at: str
    elapsed: float
    seconds: float
    readings: tuple[Reading, ...]

    @property
    def text(self) -> str:
        """The change in a few words, with this cluster's addresses."""
        return self.action.text


@dataclass(frozen=True)
class Applied:
    """Changes in force, in the order in which they were made."""

    made: tuple[Made, ...] = ()

    def texts(self) -> tuple[str, ...]:
        """Return each change in a few words."""
        return tuple(each.text for each in self.made)


class ChangeFailedError(InconclusiveError):
    """A change did not take effect; `applied` are those before it, which did.

    What the failed one did before it failed is not taken back.
    """

    def __init__(
        self, doing: str, happened: str, applied: Applied, *, details: str | None = None
    ) -> None:
        self.applied = applied
        super().__init__(doing, happened, details=details)


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
            readings = self._take(addresses.probes(self._plan))
            second = [addresses.ssh_probe(name) for name in self._second_ways]
            ways = self._second_prober.take(second)
            self._record(ways)
            self._known = addresses.from_readings(self._plan, readings, ways)
        return self._known

    def apply(self, changes: Iterable[Change]) -> Applied:
        """Make `changes`, one after another, and return them once each was seen to be there.

        Changes that are k0sctl's are left out. Raises `ChangeFailedError` for one that cannot be
        made or did not take effect.
        """
        wanted = [change for change in changes if actions.is_doable(change)]
        if not wanted:
            return Applied()
        known = self.addresses()
        made: list[Made] = []
        for change in wanted:
            try:
                made.append(self._make(change, known))
            except HarnessError as failed:
                raise ChangeFailedError(
                    failed.doing, failed.happened, Applied(tuple(made)), details=failed.details
                ) from failed
        return Applied(tuple(made))

    def undo(self, applied: Applied) -> tuple[str, ...]:
        """Take the changes back, last first; return what the evidence of each said before that.

        Raises `InconclusiveError` where what was before did not come back.
        """
        said: list[str] = []
        for made in reversed(applied.made):
            said += self._evidence(made.action)
            self._walk(f"Taking back: {made.text}", made.action.undo, made.action.aside)
            self._reconnect(made.action)
        return tuple(said)

    def confirm(self, applied: Applied) -> tuple[str, ...]:
        """Look again that every change is in force; return what their evidence says.

        Raises `InconclusiveError` for one that is not: what was watched meanwhile proves nothing.
        """
        said: list[str] = []
        for made in applied.made:
            doing = f"Looking whether it is still so: {made.text}"
            self._walk(doing, made.action.check, made.action.aside)
            said += self._evidence(made.action)
        return tuple(said)

    def footprint(self) -> Footprint:
        """Return the state that `undo: exact` promises to bring back.

        Raises `InconclusiveError` where a part of it cannot be read.
        """
        return footprint.from_readings(self._plan, self._take(footprint.probes(self._plan)))

    def _make(self, change: Any, known: Addresses) -> Made:  # noqa: ANN401  # a Doable, see apply
        began = self._clock.monotonic()
        at = self._clock.now().isoformat(timespec="milliseconds")
        self._count += 1
        before = self._take(actions.looks(change, known))
        action = actions.action(change, known, str(self._count), Before(before))
        doing = f"Making the change: {action.text}"
        done = self._walk(doing, action.do, action.aside)
        self._reconnect(action)
        seen = self._walk(doing, action.check, action.aside)
        return Made(
            change=change,
            action=action,
            at=at,
            elapsed=round(began - self._started, 3),
            seconds=round(self._clock.monotonic() - began, 3),
            readings=(*before, *done, *seen),
        )

    def _walk(self, doing: str, steps: Iterable[Step], aside: frozenset[str]) -> list[Reading]:
        """Take the steps in order; return what they left as readings.

        The machines `aside` are reached by the second way.
        """
        kept: list[Reading] = []
        for step in steps:
            if isinstance(step, Command):
                remotes = self._second_ways if step.where in aside else self._remotes
                kept.append(self._run(doing, step, remotes))
            else:
                prober = self._second_prober if step.probe.where in aside else self._prober
                kept += self._see(doing, step, prober)
        return kept

    def _run(self, doing: str, command: Command, remotes: Mapping[str, Remote]) -> Reading:
        """Run the command and return what it left as a reading."""
        began = self._clock.monotonic()
        at = self._clock.now().isoformat(timespec="milliseconds")
        deadline = command.deadline * self._pace
        if command.where == API:
            completed = self._kubectl.run(
                command.argv[1:], doing=doing, deadline=deadline, stdin=command.stdin, check=False
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
        return reading

    def _see(self, doing: str, check: Check, prober: Prober) -> list[Reading]:
        """Look until the check holds; return the readings."""
        kept: list[Reading] = []

        def look() -> str | None:
            reading = prober.read(check.probe)
            self._record([reading])
            kept.append(reading)
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
        return kept

    def _evidence(self, action: Action) -> list[str]:
        readings = self._take(action.evidence)
        pairs = zip(action.evidence, readings, strict=True)
        seen = (observe(probe.parse, reading) for probe, reading in pairs)
        return [each.value for each in seen if each.value is not None]

    def _reconnect(self, action: Action) -> None:
        for machine in action.reconnect:
            self._remotes[machine].close()

    def _take(self, probes: Iterable[Any]) -> tuple[Reading, ...]:
        readings = self._prober.take(probes)
        self._record(readings)
        return readings
