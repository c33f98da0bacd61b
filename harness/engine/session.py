"""The runs of one command: each scenario's machines are up while somebody needs them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path

from harness.artifacts.model import host_arch
from harness.artifacts.pins import load_pins
from harness.engine.events import Event
from harness.engine.events import Outcome
from harness.engine.events import PhaseResult
from harness.engine.events import ScenarioResult
from harness.engine.room import make_room
from harness.engine.run import RunRequest
from harness.engine.run import ScenarioRun
from harness.engine.steps import Steps
from harness.errors import HarnessError
from harness.errors import UsageError
from harness.lab.subnets import PRIVATE_RANGE
from harness.plan.build import build
from harness.plan.model import Plan
from harness.plan.model import PlannedExpectation
from harness.process import LocalRunner
from harness.process import Runner
from harness.scenario.load import LoadedScenario
from harness.scenario.load import load
from harness.settings import ProviderName
from harness.settings import Settings
from harness.wait import Clock
from harness.wait import SystemClock


@dataclass
class RunSession:
    """Runs scenarios by their files, one lab each, and keeps what they came to.

    `not_started` has why a scenario has no run: this host cannot carry it.

    `emit` hears every event, `on_result` each result as soon as its run is over. `clock` and
    `runner` are this host's unless a test says otherwise.
    """

    settings: Settings
    emit: Callable[[Event], None]
    on_result: Callable[[ScenarioResult], None] = lambda _: None
    runner: Runner = field(default_factory=LocalRunner)
    clock: Clock = field(default_factory=SystemClock)
    results: list[ScenarioResult] = field(default_factory=list)
    not_started: dict[Path, HarnessError] = field(default_factory=dict)
    _runs: dict[Path, ScenarioRun] = field(default_factory=dict)
    _plans: dict[Path, Plan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give the session its id: when it began, and what keeps two apart."""
        stamp = self.clock.now().strftime("%Y%m%d-%H%M%S")
        self.run_id = f"{stamp}-{secrets.token_hex(2)}"

    @property
    def alive(self) -> bool:
        """Whether some run has machines, or may have."""
        return bool(self._runs)

    @property
    def folder(self) -> Path:
        """Where the session's runs leave what they saw."""
        return self.settings.runs_dir / self.run_id

    def planned(self, path: Path, phase: str) -> tuple[PlannedExpectation, ...]:
        """Return the expectations of a phase; raises `ScenarioError` for a file with mistakes."""
        plan = self._plan(path)
        return next(each.expectations for each in plan.phases if each.name == phase)

    def phase_index(self, path: Path, phase: str) -> int:
        """Return the place of a phase in its file; raises `UsageError` for an unknown one."""
        names = [each.name for each in self._plan(path).phases]
        if phase not in names:
            raise UsageError(
                f"Looking for phase {phase!r} in {path}", f"its phases are {', '.join(names)}"
            )
        return names.index(phase)

    def enter(self, path: Path, phase: str) -> PhaseResult:
        """Bring the scenario's cluster into the phase, and return what the phase came to."""
        if path in self.not_started:
            raise self.not_started[path]
        if path not in self._runs:
            try:
                self._runs[path] = self._start(path)
            except HarnessError as error:
                self.not_started[path] = error
                raise
        return self._runs[path].enter(phase)

    def run_of(self, path: Path) -> ScenarioRun:
        """Return the run of a scenario that was entered."""
        return self._runs[path]

    def finish(self, path: Path, interrupted_by: BaseException | None = None) -> None:
        """End the scenario's run, if it has one, and keep its result."""
        run = self._runs.pop(path, None)
        if run is not None:
            result = run.finish(interrupted_by)
            try:
                self.on_result(result)
            except HarnessError as error:
                # A verdict that nobody can look up is none.
                result = replace(result, outcome=Outcome.INFRASTRUCTURE, error=error.text())
            self.results.append(result)

    def finish_all(self, interrupted_by: BaseException | None = None) -> None:
        """End every run that is left."""
        for path in tuple(self._runs):
            self.finish(path, interrupted_by)

    def _plan(self, path: Path) -> Plan:
        if path not in self._plans:
            self._plans[path] = plan_of(load(path), self.settings)
        return self._plans[path]

    def _start(self, path: Path) -> ScenarioRun:
        """Return a new run, on a host that can carry it; raises `HostLacksError` on another."""
        plan = self._plan(path)
        with Steps(self.clock, self.emit).step("This host") as tell:
            choice = make_room(
                plan, settings=self.settings, runner=self.runner, clock=self.clock, tell=tell
            )
            tell(f"Vagrant provider {choice.provider}: {choice.reason}")
        return ScenarioRun(
            RunRequest(self.run_id, plan, choice),
            settings=self.settings,
            runner=self.runner,
            clock=self.clock,
            emit=self.emit,
        )


def plan_of(loaded: LoadedScenario, settings: Settings) -> Plan:
    """Return the plan as it stands before any lab does: on the first subnet a lab would take.

    Raises `ScenarioError` for what the provider cannot do. Without a provider in the settings it
    is docker, which every host that can run anything has.
    """
    return build(
        loaded,
        subnet=next(PRIVATE_RANGE.subnets(new_prefix=24)),
        provider=settings.provider or ProviderName.DOCKER,
        pins=load_pins(),
        arch=host_arch(),
    )
