"""One run of one scenario: machines, cluster, phases in file order, evidence, teardown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from harness.artifacts.model import Artifact
from harness.artifacts.model import ArtifactKind
from harness.artifacts.store import Store
from harness.cluster.cluster import Cluster
from harness.engine.collect import collect
from harness.engine.events import Event
from harness.engine.events import Outcome
from harness.engine.events import PhaseResult
from harness.engine.events import ScenarioResult
from harness.engine.outcome import outcome_of
from harness.engine.phases import Phases
from harness.engine.phases import PreconditionsUnmetError
from harness.engine.result import artifact_used
from harness.engine.result import error_text
from harness.engine.result import settings_used
from harness.engine.steps import Steps
from harness.errors import HarnessError
from harness.evidence.reading import Reading
from harness.evidence.recorder import Recorder
from harness.lab.creation import LabRequest
from harness.lab.creation import bounds
from harness.lab.host import ProviderChoice
from harness.lab.lab import Host
from harness.lab.lab import Lab
from harness.lab.lab import bring_up
from harness.lab.lab import reserve
from harness.lab.leftovers import uninterrupted
from harness.lab.seed import seed_for
from harness.lab.topology import MachineSpec
from harness.plan.build import readdressed
from harness.plan.model import PhasePlan
from harness.plan.model import Plan
from harness.plan.show import describe
from harness.probe.prober import Prober
from harness.process import Runner
from harness.settings import Keep
from harness.settings import Settings
from harness.wait import Clock

# Pieces have 5 s each and are taken four at a time; a dead machine costs its own pieces only.
EVIDENCE_SECONDS = 30.0
# A kept lab is for a look the same day; the nightly's clean-up takes it after that.
KEPT_FOR = timedelta(hours=12)


@dataclass(frozen=True)
class RunRequest:
    """What one run is made of: its plan, the provider and why it is that one.

    `plan` stands before any machine does; its subnet is the one a lab would take first.
    """

    run_id: str
    plan: Plan
    choice: ProviderChoice


class ScenarioRun:
    """Runs one scenario. Phases are entered once each, in file order, whoever asks first.

    `emit` hears every event. After `finish` nothing of the run is left but its folder, unless the
    machines are kept.
    """

    def __init__(
        self,
        request: RunRequest,
        *,
        settings: Settings,
        runner: Runner,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self.request = request
        self.plan = request.plan
        self.folder = settings.runs_dir / request.run_id / request.plan.scenario.name
        self._settings = settings
        self._runner = runner
        self._clock = clock
        self._narrate = emit
        self._started = clock.monotonic()
        self._started_at = clock.now()
        self._steps = Steps(clock, self._emit)
        self._recorder: Recorder | None = None
        self._artifacts: Mapping[ArtifactKind, Artifact] = {}
        self._lab: Lab | None = None
        self._cluster: Cluster | None = None
        self._phases: Phases | None = None
        self._results: dict[str, PhaseResult] = {}
        self._leftovers: tuple[str, ...] = ()
        self._error: BaseException | None = None

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
            for phase in self.plan.phases:
                if phase.name not in self._results:
                    self._results[phase.name] = self._enter(self._phases, phase)
                if phase.name == name:
                    break
        except BaseException as error:
            self._error = error
            raise
        return self._results[name]

    def finish(self, interrupted_by: BaseException | None = None) -> ScenarioResult:
        """Collect evidence, remove the machines or keep them, and return what the run came to."""
        if interrupted_by is not None and self._error is None:
            self._error = interrupted_by
        # Everything in here has a bound of its own, so a second Ctrl-C waits for the clean-up.
        with uninterrupted():
            if self._lab is not None:
                try:
                    self._collect(self._lab)
                finally:
                    self._tear_down(self._lab)
            return self._result()

    def _enter(self, phases: Phases, phase: PhasePlan) -> PhaseResult:
        try:
            return phases.enter(phase)
        except PreconditionsUnmetError as error:
            # The report is to show how they stood, although nothing could be judged.
            self._results[phase.name] = PhaseResult(phase.name, preconditions=error.seen)
            raise

    def _stand_up(self) -> Phases:
        """Provide the artifacts, bring the machines up, and make ready what enters phases."""
        self._recorder = Recorder(self.folder)
        with self._steps.step("Artifacts") as tell:
            store = Store(self._settings, clock=self._clock, say=tell)
            self._artifacts = store.provide(self.plan.artifacts)
        provider = self.request.choice.provider
        names = [machine.name for machine in self.plan.machines]
        bound = sum(bounds(self._lab_request()).values())
        with self._steps.step(f"{len(names)} machines through Vagrant ({provider})", bound) as tell:
            reservation = reserve(
                Host(self._runner, self._clock, self._settings),
                scenario=self.plan.scenario.name,
                provider=provider,
                narrate=_narrate_to(tell),
            )
            with contextlib.ExitStack() as unless_up:
                unless_up.enter_context(reservation)
                self.plan = readdressed(self.plan, reservation.subnet)
                self._lab = bring_up(reservation, self._lab_request())
                unless_up.pop_all()
        self._cluster = Cluster(
            self._lab, self.plan, self._artifacts, folder=self.folder, runner=self._runner
        )
        self._recorder.write_piece("plan/plan.txt", describe(self.plan))
        self._recorder.write_json("meta.json", self._meta())
        remotes = {name: self._lab.remote(name) for name in self._lab.machines}
        return Phases(
            plan=self.plan,
            cluster=self._cluster,
            prober=Prober(
                self._cluster.kubectl, remotes, self._clock, self._started, pace=self._lab.pace
            ),
            clock=self._clock,
            started=self._started,
            steps=self._steps,
            record=self._record,
            emit=self._emit,
            pace=self._lab.pace,
        )

    def _lab_request(self) -> LabRequest:
        choice = self.request.choice
        return LabRequest(
            machines=machine_specs(self.plan),
            log_dir=self.folder,
            seed=seed_for(choice.provider, self._settings, self._artifacts),
            emulated=choice.emulated,
            same_nat_address=self._settings.same_nat_address,
        )

    def _collect(self, lab: Lab) -> None:
        """Take the evidence; what cannot be had is listed and ends nothing."""
        assert self._recorder is not None
        remotes = {name: lab.remote(name) for name in lab.machines}
        roles = {machine.name: machine.role.value for machine in self.plan.machines}
        try:
            with self._steps.step("Evidence", EVIDENCE_SECONDS * lab.pace):
                api = self._cluster.kubectl if self._results and self._cluster else None
                collect(remotes, roles, api, self._recorder, pace=lab.pace)
        except HarnessError as error:
            self._leftovers += (f"evidence: {error}",)

    def _tear_down(self, lab: Lab) -> None:
        failed = self._outcome() is not Outcome.MET
        keep = self._settings.keep
        if keep is Keep.ALWAYS or (keep is Keep.FAILURE and failed):
            until = self._clock.now() + KEPT_FOR
            lab.keep(until)
            self._leftovers += (
                (
                    f"lab {lab.run_id} is kept until {until.isoformat(timespec='minutes')}: "
                    f"ssh -F {lab.ssh_config} controller0; k0s-harness labs --clean {lab.run_id}"
                ),
            )
            return
        try:
            with self._steps.step("Teardown"):
                lab.destroy()
        except HarnessError as error:
            self._leftovers += (error.text(),)
            if self._error is None:
                self._error = error

    def _record(self, readings: Sequence[Reading]) -> None:
        if self._recorder is not None:
            for reading in readings:
                self._recorder.reading(reading)

    def _emit(self, event: Event) -> None:
        if self._recorder is not None:
            self._recorder.event(event.to_dict())
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
            phases=tuple(self._results.values()),
            not_entered=tuple(
                phase.name for phase in self.plan.phases if phase.name not in self._results
            ),
            substrate=lab.substrate if lab is not None else "no machines",
            pace=lab.pace if lab is not None else 1.0,
            seed=lab.seed.describe() if lab is not None and lab.seed is not None else None,
            provider=self.request.choice.provider,
            provider_reason=self.request.choice.reason,
            versions=self._versions(),
            artifacts=tuple(artifact_used(each) for each in self._artifacts.values()),
            settings=settings_used(self._settings),
            timings=dict(self._steps.timings),
            isolation=lab.isolation.lines() if lab is not None else {},
            leftovers=self._leftovers,
            error=error_text(self._error),
        )

    def _meta(self) -> Mapping[str, object]:
        """Return what is known before anything was seen, for a run that never ends by itself."""
        known = self._result().to_dict()
        later = ("exit_code", "outcome", "ended", "phases", "not_entered", "leftovers", "error")
        return {name: value for name, value in known.items() if name not in later}

    def _outcome(self) -> Outcome:
        verdicts = [each.verdict for phase in self._results.values() for each in phase.verdicts]
        return outcome_of(verdicts, self._error)

    def _versions(self) -> Mapping[str, str]:
        refs = {each.kind: each.version for each in self.plan.artifacts}
        return {str(kind): version for kind, version in sorted(refs.items())}


def machine_specs(plan: Plan) -> tuple[MachineSpec, ...]:
    """Return the machines that the lab layer is asked to make for `plan`."""
    return tuple(
        MachineSpec(each.name, each.role, each.address, each.cpus, each.memory_mib)
        for each in plan.machines
    )


def _narrate_to(tell: Callable[[str], None]) -> Callable[[str, str], None]:
    """Return what passes on the lab's narration without the details that Vagrant indents.

    It does so before a machine's name (`    worker0: …`) and after it (`==> worker0:  -- Cpus: …`).
    """

    def narrate(step: str, detail: str) -> None:
        if not detail.startswith(" ") and ":  -- " not in detail:
            tell(f"{step}: {detail.removeprefix('==> ')}" if detail else step)

    return narrate
