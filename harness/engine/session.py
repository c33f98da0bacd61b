"""The runs of one command: each scenario's machines are up while somebody needs them."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.artifacts.model import host_arch
from harness.artifacts.pins import load_pins
from harness.base.context import Context
from harness.base.errors import HarnessError, UsageError
from harness.base.process import LocalRunner, Runner
from harness.base.settings import Settings
from harness.base.wait import Clock, SystemClock
from harness.engine import ending, warm
from harness.engine.capacity import wait_for_capacity
from harness.engine.events import Event, StepId
from harness.engine.outcome import Outcome
from harness.engine.results import PhaseResult, ScenarioResult
from harness.engine.run import RunRequest, ScenarioRun
from harness.engine.shared_lab import SharedLab, canonical, start_state
from harness.engine.steps import Steps
from harness.evidence.bundle import write_bundle
from harness.host.subnets import PRIVATE_RANGE
from harness.lab.leftovers import uninterrupted
from harness.plan.build import build
from harness.plan.model import Plan, PlannedExpectation
from harness.providers.base import ProviderChoice
from harness.providers.registry import provider
from harness.scenario.load import LoadedScenario, load

# The median of the catalogue's scenarios, with their share of a lab.
UNKNOWN_SECONDS = 300.0


@dataclass(frozen=True)
class Which:
    """A scenario: its file, and which variant of it where the file has a matrix."""

    path: Path
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.variant})" if self.variant else str(self.path)


@dataclass
class RunSession:
    """Runs scenarios by their files, and keeps what they came to.

    Each has a lab of its own, or that of the scenario before it, where both begin in the same
    state and the other one gave it back as it was.

    `not_started` has why a scenario has no run: this host cannot carry it. `current` is the name of
    the scenario that was begun last. `run_id` is given where the runs of several processes belong
    together.

    `emit` hears every event. `on_result` keeps each result, `on_verdict` hears it: before the
    machines go, and `on_result` again with what became of them. `pause` is given how to get into
    the lab of a phase that failed, and returns when a person has looked. `clock` and `runner` are
    this host's unless a test says otherwise.
    """

    settings: Settings
    emit: Callable[[Event], None]
    on_verdict: Callable[[ScenarioResult], None] = lambda _: None
    on_result: Callable[[ScenarioResult], None] = lambda _: None
    pause: Callable[[str], None] = lambda _: None
    runner: Runner = field(default_factory=LocalRunner)
    clock: Clock = field(default_factory=SystemClock)
    results: list[ScenarioResult] = field(default_factory=list)
    not_started: dict[Which, HarnessError] = field(default_factory=dict)
    run_id: str = ""
    current: str = ""
    _runs: dict[Which, ScenarioRun] = field(default_factory=dict)
    _plans: dict[Which, Plan] = field(default_factory=dict)
    _shared_lab: SharedLab | None = None

    def __post_init__(self) -> None:
        """Give the session its id: when it began, and what keeps two apart."""
        if not self.run_id:
            stamp = self.clock.now().strftime("%Y%m%d-%H%M%S")
            self.run_id = f"{stamp}-{secrets.token_hex(2)}"

    @property
    def alive(self) -> bool:
        """Whether some run has machines, or may have."""
        return bool(self._runs) or self._shared_lab is not None

    @property
    def folder(self) -> Path:
        """Where the session's runs leave what they saw."""
        return self.settings.runs_dir / self.run_id

    def planned(self, which: Which, phase: str) -> tuple[PlannedExpectation, ...]:
        """Return the expectations of a phase; raises `ScenarioError` for a file with mistakes."""
        plan = self._plan(which)
        return next(each.expectations for each in plan.phases if each.name == phase)

    def phase_index(self, which: Which, phase: str) -> int:
        """Return the place of a phase in its file; raises `UsageError` for an unknown one."""
        names = [each.name for each in self._plan(which).phases]
        if phase not in names:
            raise UsageError(
                f"Looking for phase {phase!r} in {which}", f"its phases are {', '.join(names)}"
            )
        return names.index(phase)

    def in_order(
        self, scenarios: Iterable[Which], seconds: Mapping[str, float] | None = None
    ) -> tuple[Which, ...]:
        """Return the scenarios so that those that may share machines follow one another.

        Of those that begin in the same state the ones that leave something behind come last. With
        `seconds`, which has how long scenarios took before, those that together took longest come
        first; what was never run is taken to last long.
        """
        groups: dict[str, list[Which]] = {}
        for which in dict.fromkeys(scenarios):
            groups.setdefault(self.group_of(which), []).append(which)
        known = seconds or {}

        def longest_first(members: Sequence[Which]) -> float:
            names = (self._plan(which).scenario.name for which in members)
            return -sum(known.get(name, UNKNOWN_SECONDS) for name in names)

        return tuple(
            which
            for members in sorted(groups.values(), key=longest_first if known else lambda _: 0)
            for which in sorted(members, key=lambda each: self._plan(each).leaves_something)
        )

    def group_of(self, which: Which) -> str:
        """Return what scenarios that may share machines have in common, in every process."""
        key = group_key(self._plan(which), self.settings)
        return hashlib.sha256(key.encode()).hexdigest()[:8]

    def enter(self, which: Which, phase: str) -> PhaseResult:
        """Bring the scenario's cluster into the phase, and return what the phase came to."""
        if which in self.not_started:
            raise self.not_started[which]
        if which not in self._runs:
            self.current = self._plan(which).scenario.name
            try:
                self._runs[which] = self._start(which)
            except HarnessError as error:
                self.not_started[which] = error
                raise
        return self._runs[which].enter(phase)

    def run_of(self, which: Which) -> ScenarioRun:
        """Return the run of a scenario that was entered."""
        return self._runs[which]

    def finish(
        self,
        which: Which,
        interrupted_by: BaseException | None = None,
        *,
        following: Which | None = None,
    ) -> None:
        """End the scenario's run, if it has one, and keep its result.

        `following` is the scenario that comes next: where it begins in the same state, it gets the
        machines, unless the settings want fresh ones for each.
        """
        run = self._runs.pop(which, None)
        if run is not None:
            hand_on = (
                not self.settings.fresh
                # A person may have changed anything meanwhile.
                and not self.settings.pause_on_failure
                and (run.saved or not self._plan(which).leaves_something)
                and self._is_wanted_after(which, following)
            )
            result = run.finish(interrupted_by, hand_on=hand_on)
            self._shared_lab = run.shared_lab
            try:
                self.on_result(result)
                if result.folder.is_dir():
                    write_bundle(result.folder)
            except HarnessError as error:
                # A verdict that nobody can look up is none.
                result = replace(result, outcome=Outcome.INFRASTRUCTURE, error=error.text())
            self.results.append(result)

    def finish_all(self, interrupted_by: BaseException | None = None) -> None:
        """End every run that is left."""
        for which in tuple(self._runs):
            self.finish(which, interrupted_by)
        self._leave_shared_lab()
        self._remove_shared_lab()

    def _is_wanted_after(self, which: Which, following: Which | None) -> bool:
        """Whether the lab of `which` is wanted by the next scenario, or by the next command."""
        if following is None:
            return self.settings.reuse
        return start_state(self._plan(following)) == start_state(self._plan(which))

    def _leave_shared_lab(self) -> None:
        """Leave the lab that nobody has taken over to the next command, where that may be."""
        shared_lab = self._shared_lab
        if shared_lab is None or not warm.may_be_left(shared_lab):
            return
        plan = next(plan for plan in self._plans.values() if start_state(plan) == shared_lab.start)
        with uninterrupted(), Steps(self.clock, self.emit).step(StepId.LEAVE) as tell:
            tell(warm.leave(shared_lab, plan, self._context))
            self._shared_lab = None

    @property
    def _context(self) -> Context:
        return Context(self.runner, self.clock, self.settings)

    def _judged(self, result: ScenarioResult) -> None:
        """Keep and tell what a run came to; it is kept again once its machines are gone."""
        with contextlib.suppress(HarnessError):
            # Where it cannot be written the end of the run says so.
            self.on_result(result)
        self.on_verdict(result)

    def _remove_shared_lab(self) -> None:
        """Remove the lab that nobody has taken over; where that fails, it is nobody's success."""
        shared_lab, self._shared_lab = self._shared_lab, None
        if shared_lab is None:
            return
        with uninterrupted():
            error = ending.remove(shared_lab.lab, Steps(self.clock, self.emit))
        if error is not None:
            self.results = [
                replace(each, outcome=Outcome.INFRASTRUCTURE, error=error.text())
                if each.scenario == shared_lab.scenario
                else each
                for each in self.results
            ]

    def _plan(self, which: Which) -> Plan:
        if which not in self._plans:
            self._plans[which] = plan_of(load(which.path, which.variant), self.settings)
        return self._plans[which]

    def _start(self, which: Which) -> ScenarioRun:
        """Return a new run, on a host that can carry it; raises `HostLacksError` on another."""
        plan = self._plan(which)
        shared_lab = self._shared_lab
        if shared_lab is not None and shared_lab.start == start_state(plan):
            self._shared_lab = None
            return self._run(plan, shared_lab.choice, shared_lab)
        # Of a scenario that was to come in between, and never began.
        self._remove_shared_lab()
        if self.settings.reuse and not self.settings.fresh:
            with Steps(self.clock, self.emit).step(StepId.REUSE) as tell:
                shared_lab = warm.find(plan, self._context, tell)
            if shared_lab is not None:
                return self._run(plan, shared_lab.choice, shared_lab)
        with Steps(self.clock, self.emit).step(StepId.HOST) as tell:
            choice = wait_for_capacity(plan, self._context, tell)
            tell(f"Vagrant provider {choice.provider}: {choice.reason}")
        return self._run(plan, choice, None)

    def _run(self, plan: Plan, choice: ProviderChoice, shared_lab: SharedLab | None) -> ScenarioRun:
        return ScenarioRun(
            RunRequest(self.run_id, plan, choice),
            settings=self.settings,
            runner=self.runner,
            clock=self.clock,
            emit=self.emit,
            on_verdict=self._judged,
            pause=self.pause,
            shared_lab=shared_lab,
        )


def group_key(plan: Plan, settings: Settings) -> str:
    """Return what the plans of scenarios that may share machines have in common, on every host."""
    key = start_state(plan).key
    return canonical([key, plan.scenario.name]) if settings.fresh else key


def plan_of(loaded: LoadedScenario, settings: Settings) -> Plan:
    """Return the plan as it stands before any lab does: on the first subnet a lab would take.

    Raises `ScenarioError` for what the provider cannot do. Without a provider in the settings it
    is docker, which every host that can run anything has.
    """
    return build(
        loaded,
        subnet=next(PRIVATE_RANGE.subnets(new_prefix=24)),
        provider=provider(settings.provider),
        pins=load_pins(),
        arch=host_arch(),
    )
