"""One run of one scenario: machines, cluster, phases in file order, evidence, teardown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.artifacts.model import Artifact, ArtifactKind
from harness.artifacts.store import Store
from harness.base.context import Context
from harness.base.process import Runner
from harness.base.settings import Keep, Settings
from harness.base.wait import Clock
from harness.cluster.cluster import Cluster
from harness.cluster.prober import Prober
from harness.engine import ending, warm
from harness.engine.changes import changes_on
from harness.engine.context import RunContext
from harness.engine.events import Event, StepId
from harness.engine.live import LiveCluster
from harness.engine.machines import make_lab
from harness.engine.outcome import Outcome, outcome_of
from harness.engine.phases import Phases
from harness.engine.results import (
    ArtifactUsed,
    PhaseResult,
    ScenarioResult,
    Sums,
    error_text,
    known_before,
    settings_used,
    versions_of,
)
from harness.engine.settling import PreconditionsUnmetError, Settling
from harness.engine.shared_lab import SharedLab, start_state
from harness.engine.steps import Steps
from harness.engine.timeline import RUN_SECONDS
from harness.evidence.bundle import SCENARIO
from harness.evidence.reading import Reading
from harness.evidence.recorder import Recorder
from harness.lab.lab import Lab
from harness.lab.leftovers import uninterrupted
from harness.plan.build import readdressed
from harness.plan.model import PhasePlan, Plan
from harness.plan.show import describe
from harness.providers.base import ProviderChoice


@dataclass(frozen=True)
class RunRequest:
    """What one run is made of; `plan` stands on the subnet that a lab would take first."""

    run_id: str
    plan: Plan
    choice: ProviderChoice


class ScenarioRun:
    """Runs one scenario. Phases are entered once each, in file order, whoever asks first.

    `emit` hears every event, `on_verdict` the result as it stands once nothing more is judged,
    before the machines are given back or removed. `pause` is told where a phase failed how to get
    into its lab. `shared_lab` is what an earlier scenario has left, in the state in which this one
    begins; without it machines are made. `finish` leaves nothing of the run but its folder, unless
    the machines are kept, or handed on as its own `shared_lab`. `saved` is when they were saved.
    """

    def __init__(
        self,
        request: RunRequest,
        *,
        settings: Settings,
        runner: Runner,
        clock: Clock,
        emit: Callable[[Event], None],
        on_verdict: Callable[[ScenarioResult], None] = lambda _: None,
        pause: Callable[[str], None] = lambda _: None,
        shared_lab: SharedLab | None = None,
    ) -> None:
        self.request = request
        self.plan = request.plan
        self.folder = settings.runs_dir / request.run_id / request.plan.scenario.name
        self._settings = settings
        self._context = Context(runner, clock, settings)
        self._clock = clock
        self._narrate = emit
        self._on_verdict = on_verdict
        self._pause = pause
        self._started = clock.monotonic()
        self._started_at = clock.now()
        self._steps = Steps(clock, self._emit)
        self._recorder: Recorder | None = None
        self._artifacts: Mapping[ArtifactKind, Artifact] = {}
        # Taken over at once, so that it goes with this run whatever becomes of it.
        self._lab: Lab | None = None if shared_lab is None else shared_lab.lab
        self._cluster: Cluster | None = None
        self._live: LiveCluster | None = None
        self._phases: Phases | None = None
        self._results: dict[str, PhaseResult] = {}
        self._leftovers: tuple[str, ...] = ()
        self._stood_up = 0.0
        self._kept = False
        self._error: BaseException | None = None
        self._taken = shared_lab
        self.saved = "" if shared_lab is None else shared_lab.saved
        # As it stands now: people edit files while a run lasts.
        self._scenario_text = request.plan.path.read_bytes()
        self.shared_lab: SharedLab | None = None

    @property
    def lab(self) -> Lab:
        """The machines, which are up once a phase was entered."""
        assert self._lab is not None
        return self._lab

    @property
    def cluster(self) -> Cluster:
        """The cluster, which is there once a phase was entered."""
        assert self._cluster is not None
        return self._cluster

    def enter(self, name: str) -> PhaseResult:
        """Enter the phase `name` after all before it, and return what it came to.

        An error ends the run: whoever asks after it gets the same one.
        """
        if self._error is not None:
            raise self._error
        try:
            if self._phases is None:
                self._phases = self._stand_up()
                self._stood_up = round(self._clock.monotonic() - self._started, 1)
            for phase in self.plan.phases:
                if phase.name not in self._results:
                    self._results[phase.name] = self._enter(self._phases, phase)
                if phase.name == name:
                    break
        except BaseException as error:
            self._error = error
            raise
        return self._results[name]

    def finish(
        self, interrupted_by: BaseException | None = None, *, hand_on: bool = False
    ) -> ScenarioResult:
        """Collect evidence, remove the machines or keep them, and return what the run came to.

        With `hand_on` the machines stay up as `shared_lab` if everything that was changed could be
        taken back, and was found to be as before.
        """
        if interrupted_by is not None and self._error is None:
            self._error = interrupted_by
        # Everything in here has a bound of its own, so a second Ctrl-C waits for the clean-up.
        with uninterrupted():
            try:
                if self._lab is not None:
                    self._collect(self._lab)
                    self._keep_if_asked(self._lab)
                self._on_verdict(self._result())
                if self._lab is not None and hand_on:
                    self.shared_lab = self._handed_on(self._lab)
            finally:
                if self._lab is not None and self.shared_lab is None:
                    self._tear_down(self._lab)
            return self._result()

    def _handed_on(self, lab: Lab) -> SharedLab | None:
        """Take every change back, unless the next restores; None where they are not as before."""
        if self._error is not None or self._live is None or self._keeps():
            return None
        why_not = () if self.saved else ending.give_back(self._live, self._steps)
        if why_not:
            self._leftovers += (f"the machines are not handed on: {'; '.join(why_not)}",)
            return None
        footprint = None
        if self._settings.reuse and not self.saved:
            footprint, why = ending.proven(self._live, self._taken)
            self._leftovers += why
        return SharedLab(
            footprint=footprint,
            saved=self.saved,
            scenario=self.plan.scenario.name,
            start=start_state(self.request.plan),
            choice=self.request.choice,
            lab=lab,
            artifacts=self._artifacts,
            endpoint_ready=None if self.saved else self._live.settling.endpoint_ready,
        )

    def _enter(self, phases: Phases, phase: PhasePlan) -> PhaseResult:
        try:
            return phases.enter(phase)
        except PreconditionsUnmetError as error:
            # The report is to show how they stood, although nothing could be judged.
            self._results[phase.name] = PhaseResult(phase.name, preconditions=error.seen)
            raise

    def _pause_after(self, phase: str) -> None:
        if self._settings.pause_on_failure:
            self._leftovers += (ending.pause(self.lab, phase, self._pause, self._clock),)

    def _stand_up(self) -> Phases:
        """Provide the machines, and make ready what enters phases."""
        self._recorder = Recorder(self.folder)
        if self._lab is not None and self.saved:
            self._restore(self._lab)
        if self._taken is None:
            lab = self._lab = self._made()
        else:
            lab = self._taken.lab
            self._artifacts = self._taken.artifacts
            self.plan = readdressed(self.plan, lab.subnet)
        self._cluster = Cluster(
            lab,
            self.plan,
            self._artifacts,
            folder=self.folder,
            runner=self._context.runner,
            deployed=None if self._taken is None else self._taken.start.deployment,
        )
        self._recorder.write_piece("plan/plan.txt", describe(self.plan))
        self._recorder.write_piece(SCENARIO, self._scenario_text.decode("utf-8-sig"))
        ready = None if self._taken is None else self._taken.endpoint_ready
        self._recorder.write_json(
            "meta.json",
            {
                **known_before(self._result()),
                # What a replay must know besides; see `harness.engine.replay`.
                "subnet": str(self.plan.subnet),
                "endpoint_ready": None if ready is None else round(ready - self._started, 3),
            },
        )
        remotes = {name: lab.remote(name) for name in lab.machines}
        prober = Prober(self._cluster.kubectl, remotes, self._clock, self._started, pace=lab.pace)
        context = RunContext(
            prober=prober,
            clock=self._clock,
            started=self._started,
            steps=self._steps,
            record=self._record,
            emit=self._emit,
            pace=lab.pace,
        )
        settling = Settling(context, endpoint_ready=ready, restored=bool(self.saved))
        changes = changes_on(lab, self.plan, self._cluster.kubectl, context)
        save = self._save if self._taken is None and warm.saves(lab, self._settings) else None
        self._live = LiveCluster(context, self.plan, self._cluster, changes, settling, save)
        return Phases(context, self.plan, self._live, settling, self._pause_after)

    def _made(self) -> Lab:
        """Provide the artifacts and bring machines up."""
        with self._steps.step(StepId.ARTIFACTS) as tell:
            store = Store(self._settings, clock=self._clock, say=tell)
            self._artifacts = store.provide(self.plan.artifacts)
        lab = make_lab(
            self.plan,
            self.request.choice,
            artifacts=self._artifacts,
            log_dir=self.folder,
            context=self._context,
            steps=self._steps,
        )
        self.plan = readdressed(self.plan, lab.subnet)
        return lab

    def _save(self) -> None:
        self.saved, why = warm.save(self.lab, self._context, self._steps)
        self._leftovers += why

    def _restore(self, lab: Lab) -> None:
        """Put the machines back to how they were saved; where that fails they are made anew."""
        failed = warm.restore(lab, self._context, self._steps)
        if failed:
            self._leftovers += failed
            self._lab, self._taken, self.saved = None, None, ""

    def _collect(self, lab: Lab) -> None:
        """Take the evidence; what cannot be had is listed and ends nothing."""
        if self._recorder is None:
            return
        roles = {machine.name: machine.role.value for machine in self.plan.machines}
        api = self._cluster.kubectl if self._results and self._cluster else None
        self._leftovers += ending.take_evidence(lab, roles, api, self._recorder, self._steps)

    def _keep_if_asked(self, lab: Lab) -> None:
        if self._keeps() and not self._kept:
            self._kept = True
            self._leftovers += (ending.keep(lab, self._clock),)

    def _tear_down(self, lab: Lab) -> None:
        self._keep_if_asked(lab)
        if self._kept:
            return
        error = ending.remove(lab, self._steps)
        if error is not None:
            self._leftovers += (error.text(),)
            self._error = self._error or error

    def _keeps(self) -> bool:
        keep = self._settings.keep
        return keep is Keep.ALWAYS or (keep is Keep.FAILURE and self._outcome() is not Outcome.MET)

    def _record(self, readings: Sequence[Reading]) -> None:
        if self._recorder is not None:
            for reading in readings:
                self._recorder.reading(reading)

    def _emit(self, event: Event) -> None:
        if self._recorder is not None:
            seconds = round(self._clock.monotonic() - self._started, 3)
            self._recorder.event({**event.to_dict(), RUN_SECONDS: seconds})
        self._narrate(event)

    def _result(self) -> ScenarioResult:
        lab = self._lab
        return ScenarioResult(
            run_id=self.request.run_id,
            scenario=self.plan.scenario.name,
            title=self.plan.scenario.title,
            outcome=self._outcome(),
            started=self._started_at.isoformat(timespec="seconds"),
            ended=self._clock.now().isoformat(timespec="seconds"),
            folder=self.folder,
            references=self.plan.scenario.references,
            scenario_sha256=hashlib.sha256(self._scenario_text).hexdigest(),
            phases=tuple(self._results.values()),
            not_entered=tuple(
                phase.name for phase in self.plan.phases if phase.name not in self._results
            ),
            substrate=lab.substrate if lab is not None else "no machines",
            pace=lab.pace if lab is not None else 1.0,
            seed=lab.seed.describe() if lab is not None and lab.seed is not None else None,
            provider=self.request.choice.provider,
            provider_reason=self.request.choice.reason,
            versions=versions_of(self.plan),
            artifacts=tuple(ArtifactUsed.of(each) for each in self._artifacts.values()),
            settings=settings_used(self._settings),
            timings=dict(self._steps.timings),
            # The first phase has the rest of the cold start.
            sums=sum((each.sums for each in self._results.values()), Sums(self._stood_up)),
            shared_lab=None if self._taken is None else self._taken.stood_on,
            isolation=lab.isolation.lines() if lab is not None else {},
            leftovers=self._leftovers,
            error=error_text(self._error),
        )

    def _outcome(self) -> Outcome:
        verdicts = [each.verdict for phase in self._results.values() for each in phase.verdicts]
        return outcome_of(verdicts, self._error)
