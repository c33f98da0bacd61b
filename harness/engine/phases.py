"""Entering a phase: change the cluster, wait for what the phase presumes, watch, conclude."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from harness.change.actions import Doable
from harness.check.model import Verdict
from harness.cluster.cluster import Cluster
from harness.cluster.k0sctl import ApplyFailedError
from harness.cluster.k0sctl import apply_seconds
from harness.engine import preconditions
from harness.engine.background import Stage
from harness.engine.changes import Changes
from harness.engine.events import AppliedChange
from harness.engine.events import Event
from harness.engine.events import ExpectationResult
from harness.engine.events import PhaseEntered
from harness.engine.events import PhaseResult
from harness.engine.events import Precondition
from harness.engine.events import StepId
from harness.engine.events import VerdictReached
from harness.engine.preconditions import presumed_by
from harness.engine.steps import Steps
from harness.engine.timing import Timing
from harness.engine.watch import PhaseWatch
from harness.engine.watch import Watch
from harness.engine.watch import threads
from harness.errors import HarnessError
from harness.errors import InconclusiveError
from harness.evidence.reading import Reading
from harness.lab.pace import between_looks
from harness.plan.model import Deployment
from harness.plan.model import PhasePlan
from harness.plan.model import Plan
from harness.plan.model import PlannedExpectation
from harness.plan.show import describe_change
from harness.plan.show import describe_expectation
from harness.probe.prober import Prober
from harness.scenario import model as scenario
from harness.scenario.words import ApplyOutcome
from harness.wait import Clock
from harness.wait import WaitTimeoutError
from harness.wait import wait_until

# metrics-server became Ready 29-33 s after a cold apply (readiness delay 20 s and two scrapes).
# Five times that is well below what a broken one would need to look like a slow one.
PRECONDITIONS_SECONDS = 180.0
PRECONDITIONS_EVERY_SECONDS = 1.0
# As long as k0s itself gives its API server.
API_SECONDS = 120.0


class PreconditionsUnmetError(InconclusiveError):
    """What a phase presumes did not come; `seen` is how each precondition stood at the end."""

    def __init__(self, what: str, seen: tuple[Precondition, ...]) -> None:
        self.seen = seen
        unmet = [each for each in seen if not each.holds]
        super().__init__(
            f"Entering {what}",
            "inconclusive, its preconditions do not hold: "
            + "; ".join(f"{each.name}: {each.text}" for each in unmet),
        )


@dataclass
class Phases:
    """Enters phases on one cluster; keeps what later phases need of earlier ones.

    `record` gets every reading, `emit` every event. `pace`, how many times slower than this host
    the machines are, lengthens bounds. `endpoint_ready` is when metrics-server's endpoint became
    ready, on the clock; None where it is not, or was not looked at.
    """

    plan: Plan
    cluster: Cluster
    prober: Prober
    changes: Changes
    clock: Clock
    started: float
    steps: Steps
    record: Callable[[Sequence[Reading]], None]
    emit: Callable[[Event], None]
    pace: float = 1.0
    endpoint_ready: float | None = None
    pool: Callable[[], Executor] = threads

    def enter(self, phase: PhasePlan) -> PhaseResult:
        """Make the phase's changes, watch it, and return what it came to.

        Raises `PreconditionsUnmetError` where nothing can be judged, `ApplyFailedError` where
        k0sctl ended in a way that no expectation is about, and `InconclusiveError` where a change
        did not take effect or could not be taken back.
        """
        timing = Timing(self.clock)
        self.emit(
            PhaseEntered(
                phase.name,
                tuple(describe_change(each) for each in phase.changes),
                tuple(describe_expectation(each.expectation) for each in phase.expectations),
            )
        )
        apply_expectations = [
            each for each in phase.expectations if isinstance(each.expectation, scenario.Apply)
        ]
        watched = [each for each in phase.expectations if each not in apply_expectations]
        made, ended_badly = self._change(phase, timing)
        verdicts = [self._judge_apply(each, ended_badly) for each in apply_expectations]
        seen: tuple[Precondition, ...] = ()
        watch = Watch()
        counted: tuple[str, ...] = ()
        if watched and ended_badly is None:
            seen, opened = self._wait_for(f"phase {phase.name}", presumed_by(self.plan, phase))
            timing.settled()
            watch = self._watch(phase, watched, opened)
            counted = self.changes.confirm(phase.name)
            verdicts += watch.results
        elif ended_badly is not None:
            verdicts += [self._unwatched(each, ended_badly) for each in watched]
        return PhaseResult(
            name=phase.name,
            preconditions=seen,
            verdicts=tuple(_in_order(phase, verdicts)),
            diagnosis=watch.diagnosis,
            changes=made,
            seconds=timing.whole(),
            skipped=tuple(each.id for each in phase.skipped),
            flows=watch.flows,
            sums=timing.sums(phase, watch.results),
            counted=counted,
        )

    def give_back(self, tell: Callable[[str], None]) -> tuple[str, ...]:
        """Take back whatever the phases changed and is not taken back yet.

        Returns what is not as it was before: nothing, for a lab that may be used again.
        """
        names = self.changes.outstanding()
        self.changes.take_back(names, tell)
        self._deploy(self.plan.start)
        return self.changes.differences(names)

    @property
    def _workers(self) -> tuple[str, ...]:
        return tuple(machine.name for machine in self.plan.workers)

    def _now(self) -> float:
        return self.clock.monotonic() - self.started

    def _change(
        self, phase: PhasePlan, timing: Timing
    ) -> tuple[tuple[AppliedChange, ...], ApplyFailedError | None]:
        """Take back, deploy, then act; return what was done, or how k0sctl ended instead."""
        undone, deployed, acts = _by_means(phase.changes)
        made: list[AppliedChange] = []

        def note(changes: Sequence[scenario.Change], took_effect: str) -> None:
            seconds = timing.changes()
            made.extend(
                AppliedChange(describe_change(each), seconds, round(self._now(), 1), took_effect)
                for each in changes
            )

        if undone:
            self._take_back([each.phase for each in undone], phase.deployment)
            note(undone, "everything is as it was before")
        if any(each.undo == "exact" for each in (*acts, *deployed)):
            if self.cluster.deployed is None:
                # Made to a cluster that has settled, or nobody could say what a change changed.
                self._deploy(self.plan.start)
                self._wait_for("a settled cluster", preconditions.comparable(self.plan))
                timing.cold_start()
            self.changes.remember(phase.name)
        cold = self.cluster.deployed is None
        ended_badly = self._deploy(phase.deployment, judged=judged_ends(phase))
        # However it ended, k0sctl had that time and not the harness.
        if cold:
            timing.cold_start()
        if ended_badly is not None:
            timing.changes()
            return (), ended_badly
        note(deployed, "k0sctl applied it")
        if acts:
            with self.steps.step(StepId.CHANGE) as tell:
                for act in acts:
                    tell(describe_change(act))
                    note([act], self.changes.make(phase.name, act))
        return tuple(made), None

    def _take_back(self, phases: Sequence[str], deployment: Deployment) -> None:
        doing = f"Taking back the changes of {', '.join(phases)}"
        with self.steps.step(StepId.TAKE_BACK) as tell:
            self.changes.take_back(phases, tell)
            self._deploy(deployment)
            left = self.changes.differences(phases)
        if left:
            raise InconclusiveError(
                doing,
                "inconclusive, for what they changed is not as it was before: " + "; ".join(left),
            )

    def _deploy(
        self, deployment: Deployment, *, judged: Collection[ApplyOutcome] = ()
    ) -> ApplyFailedError | None:
        """Apply what is not there yet; return how it ended badly where that end is `judged`."""
        if self.cluster.deployed == deployment:
            return None
        may_fail = ApplyOutcome.FAILED in judged
        try:
            with self.steps.step(StepId.APPLY, apply_seconds(self.pace, may_fail=may_fail)) as tell:
                self.cluster.apply(deployment, may_fail=may_fail, on_phase=tell)
                self._wait_for_api()
        except ApplyFailedError as error:
            if error.outcome not in judged:
                raise
            return error
        return None

    def _wait_for_api(self) -> None:
        """Return once the API server answers: a controller that was restarted takes 5-15 s."""

        def says() -> str:
            try:
                self.cluster.kubectl.run(["get", "--raw", "/readyz"])
            except HarnessError as error:
                return str(error)
            return ""

        wait_until(
            "the API server to answer",
            says,
            lambda refusal: not refusal,
            bound=API_SECONDS * self.pace,
            every=between_looks(PRECONDITIONS_EVERY_SECONDS, self.pace),
            clock=self.clock,
        )

    def _judge_apply(
        self, planned: PlannedExpectation, ended_badly: ApplyFailedError | None
    ) -> ExpectationResult:
        expectation = planned.expectation
        assert isinstance(expectation, scenario.Apply)
        outcome = ApplyOutcome.APPLIED if ended_badly is None else ended_badly.outcome
        said = "" if ended_badly is None else ended_badly.reason
        contains = expectation.message_contains
        met = outcome is expectation.outcome and (contains is None or contains in said)
        observed = f"{outcome}: {said}" if said else outcome.value
        result = ExpectationResult(
            id=planned.id,
            kind=expectation.kind,
            expected_text=describe_expectation(expectation),
            observed_text=observed,
            verdict=Verdict.MET if met else Verdict.NOT_MET,
            explanation=f"k0sctl apply: {observed}",
        )
        self.emit(VerdictReached(result.id, result.verdict, result.explanation))
        return result

    def _unwatched(
        self, planned: PlannedExpectation, ended_badly: ApplyFailedError
    ) -> ExpectationResult:
        """Return the result of an expectation whose phase was never entered."""
        result = ExpectationResult(
            id=planned.id,
            kind=planned.expectation.kind,
            expected_text=describe_expectation(planned.expectation),
            observed_text="nothing was seen",
            verdict=Verdict.INCONCLUSIVE,
            explanation=f"not watched, because k0sctl apply ended badly: {ended_badly.reason}",
        )
        self.emit(VerdictReached(result.id, result.verdict, result.explanation))
        return result

    def _wait_for(
        self, what: str, presumed: preconditions.Presumed
    ) -> tuple[tuple[Precondition, ...], float]:
        """Return the preconditions as they held, and when they did."""

        def look() -> tuple[Precondition, ...]:
            readings = self.prober.take(preconditions.probes(presumed))
            self.record(readings)
            ready = preconditions.endpoint_is_ready(readings)
            if ready is False:
                # Gone since an earlier phase: the cluster has to settle again once it is back.
                self.endpoint_ready = None
            elif ready and self.endpoint_ready is None:
                self.endpoint_ready = self.clock.monotonic()
            return preconditions.judge(presumed, readings)

        bound = PRECONDITIONS_SECONDS * self.pace
        with self.steps.step(StepId.PRECONDITIONS, bound) as tell:

            def say_unmet(seen: tuple[Precondition, ...]) -> None:
                unmet = [f"{each.name}: {each.text}" for each in seen if not each.holds]
                if unmet:
                    tell("; ".join(unmet))

            try:
                history = wait_until(
                    f"the preconditions of {what}",
                    look,
                    lambda seen: all(each.holds for each in seen),
                    bound=bound,
                    every=between_looks(PRECONDITIONS_EVERY_SECONDS, self.pace),
                    clock=self.clock,
                    on_change=say_unmet,
                )
            except WaitTimeoutError as error:
                raise PreconditionsUnmetError(what, error.history[-1].value) from None
        return history[-1].value, self._now()

    def _watch(
        self, phase: PhasePlan, watched: Sequence[PlannedExpectation], opened: float
    ) -> Watch:
        ready = self.endpoint_ready
        stage = Stage(
            controller=self.plan.controller.name,
            workers=self._workers,
            konnectivity=phase.konnectivity,
            opened=opened,
            # Where there is none, and none is presumed, nothing has to settle first.
            endpoint_ready=-math.inf if ready is None else ready - self.started,
            pace=self.pace,
        )
        with self.steps.step(StepId.OBSERVE, of=[phase.name]):
            return PhaseWatch(
                stage,
                watched,
                prober=self.prober,
                clock=self.clock,
                started=self.started,
                record=self.record,
                emit=self.emit,
                pool=self.pool,
            ).run()


def judged_ends(phase: PhasePlan) -> frozenset[ApplyOutcome]:
    """Return the bad ends of `k0sctl apply` that `phase` has an expectation about.

    Where one is there a refusal is its verdict. A failure is only where it is asked for: elsewhere
    it says nothing about the configuration.
    """
    wanted = {
        each.expectation.outcome
        for each in phase.expectations
        if isinstance(each.expectation, scenario.Apply)
    }
    return frozenset({ApplyOutcome.REFUSED, *wanted} if wanted else ())


def _by_means(
    changes: Iterable[scenario.Change],
) -> tuple[list[scenario.UndoPhase], list[scenario.DeploymentChange], list[Doable]]:
    """Return what takes phases back, what k0sctl does, and what is done to the cluster itself."""
    undone: list[scenario.UndoPhase] = []
    deployed: list[scenario.DeploymentChange] = []
    acts: list[Doable] = []
    for change in changes:
        if isinstance(change, scenario.UndoPhase):
            undone.append(change)
        elif isinstance(change, scenario.DeploymentChange):
            deployed.append(change)
        else:
            acts.append(change)
    return undone, deployed, acts


def _in_order(
    phase: PhasePlan, verdicts: Sequence[ExpectationResult]
) -> Sequence[ExpectationResult]:
    place = {each.id: number for number, each in enumerate(phase.expectations)}
    return sorted(verdicts, key=lambda each: place[each.id])
