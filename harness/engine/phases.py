"""Entering a phase: change the cluster, wait for what the phase presumes, watch, conclude."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from harness.check import expectations
from harness.check.model import Verdict
from harness.cluster.cluster import CONTROLLER
from harness.cluster.cluster import Cluster
from harness.cluster.k0sctl import ApplyFailedError
from harness.cluster.k0sctl import apply_seconds
from harness.diagnose.model import Diagnosis
from harness.engine import preconditions
from harness.engine.background import Stage
from harness.engine.events import AppliedChange
from harness.engine.events import Event
from harness.engine.events import ExpectationResult
from harness.engine.events import PhaseEntered
from harness.engine.events import PhaseResult
from harness.engine.events import Precondition
from harness.engine.events import VerdictReached
from harness.engine.steps import Steps
from harness.engine.watch import PhaseWatch
from harness.errors import InconclusiveError
from harness.evidence.reading import Reading
from harness.lab.pace import between_looks
from harness.plan.model import PhasePlan
from harness.plan.model import Plan
from harness.plan.model import PlannedExpectation
from harness.plan.show import describe_change
from harness.plan.show import describe_expectation
from harness.probe.prober import Prober
from harness.scenario import model as scenario
from harness.scenario.words import ApplyOutcome
from harness.scenario.words import Component
from harness.wait import Clock
from harness.wait import WaitTimeoutError
from harness.wait import wait_until

# metrics-server became Ready 29-33 s after a cold apply (readiness delay 20 s and two scrapes).
# Five times that is well below what a broken one would need to look like a slow one.
PRECONDITIONS_SECONDS = 180.0
PRECONDITIONS_EVERY_SECONDS = 1.0


class PreconditionsUnmetError(InconclusiveError):
    """What a phase presumes did not come; `seen` is how each precondition stood at the end."""

    def __init__(self, phase: str, seen: tuple[Precondition, ...]) -> None:
        self.seen = seen
        unmet = [each for each in seen if not each.holds]
        super().__init__(
            f"Entering phase {phase}",
            "inconclusive, its preconditions do not hold: "
            + "; ".join(f"{each.name}: {each.text}" for each in unmet),
        )


@dataclass
class Phases:
    """Enters phases on one cluster; keeps what later phases need of earlier ones.

    `record` gets every reading, `emit` every event. `pace`, how many times slower than this host
    the machines are, lengthens bounds.
    """

    plan: Plan
    cluster: Cluster
    prober: Prober
    clock: Clock
    started: float
    steps: Steps
    record: Callable[[Sequence[Reading]], None]
    emit: Callable[[Event], None]
    pace: float = 1.0
    _applied: frozenset[Component] | None = field(default=None, init=False)
    _endpoint_ready: float | None = field(default=None, init=False)

    def enter(self, phase: PhasePlan) -> PhaseResult:
        """Make the phase's changes, watch it, and return what it came to.

        Raises `PreconditionsUnmetError` where nothing can be judged, and `ApplyFailedError` where
        k0sctl refused a configuration that no expectation wanted refused.
        """
        began = self.clock.monotonic()
        changes = tuple(describe_change(each) for each in phase.changes)
        wanted = [describe_expectation(each.expectation) for each in phase.expectations]
        self.emit(PhaseEntered(phase.name, changes, tuple(wanted)))
        apply_expectations = [
            each for each in phase.expectations if isinstance(each.expectation, scenario.Apply)
        ]
        watched = [each for each in phase.expectations if each not in apply_expectations]
        refusal = self._apply(phase, may_refuse=bool(apply_expectations))
        applied = round(self.clock.monotonic() - began, 1)
        verdicts = [self._judge_apply(each, refusal) for each in apply_expectations]
        seen: tuple[Precondition, ...] = ()
        diagnosis = None
        if watched and refusal is None:
            seen, opened = self._wait_for_preconditions(phase)
            results, diagnosis = self._watch(phase, watched, opened)
            verdicts += results
        elif refusal is not None:
            verdicts += [self._unwatched(each, refusal) for each in watched]
        return PhaseResult(
            name=phase.name,
            preconditions=seen,
            verdicts=tuple(_in_order(phase, verdicts)),
            diagnosis=diagnosis,
            changes=tuple(AppliedChange(text, applied) for text in changes),
            seconds=round(self.clock.monotonic() - began, 1),
            skipped=tuple(each.id for each in phase.skipped),
        )

    @property
    def _workers(self) -> tuple[str, ...]:
        return tuple(machine.name for machine in self.plan.workers)

    def _now(self) -> float:
        return self.clock.monotonic() - self.started

    def _apply(self, phase: PhasePlan, *, may_refuse: bool) -> ApplyFailedError | None:
        if self._applied == phase.disabled_components:
            return None
        try:
            with self.steps.step("k0sctl apply", apply_seconds(self.pace)) as tell:
                self.cluster.apply(phase.disabled_components, on_phase=tell)
        except ApplyFailedError as error:
            if not (may_refuse and error.refused):
                raise
            return error
        self._applied = phase.disabled_components
        return None

    def _judge_apply(
        self, planned: PlannedExpectation, refusal: ApplyFailedError | None
    ) -> ExpectationResult:
        expectation = planned.expectation
        assert isinstance(expectation, scenario.Apply)
        outcome = ApplyOutcome.APPLIED if refusal is None else ApplyOutcome.REFUSED
        said = "" if refusal is None else refusal.reason
        contains = expectation.message_contains
        met = outcome is expectation.outcome and (contains is None or contains in said)
        observed = f"{outcome}: {said}" if said else outcome.value
        result = ExpectationResult(
            id=planned.id,
            kind=expectation.kind,
            expected_text=describe_expectation(expectation),
            observed_text=observed,
            verdict=Verdict.MET if met else Verdict.NOT_MET,
            explanation=f"k0sctl apply was {observed}",
        )
        self.emit(VerdictReached(result.id, result.verdict, result.explanation))
        return result

    def _unwatched(
        self, planned: PlannedExpectation, refusal: ApplyFailedError
    ) -> ExpectationResult:
        """Return the result of an expectation whose phase was never entered."""
        result = ExpectationResult(
            id=planned.id,
            kind=planned.expectation.kind,
            expected_text=describe_expectation(planned.expectation),
            observed_text="nothing was seen",
            verdict=Verdict.INCONCLUSIVE,
            explanation=f"not watched, because k0sctl apply was refused: {refusal.reason}",
        )
        self.emit(VerdictReached(result.id, result.verdict, result.explanation))
        return result

    def _wait_for_preconditions(self, phase: PhasePlan) -> tuple[tuple[Precondition, ...], float]:
        """Return the preconditions as they held, and when they did."""
        presumed = preconditions.Presumed(
            controller=CONTROLLER,
            workers=self._workers,
            network=self.plan.subnet,
            konnectivity=phase.konnectivity,
            metrics_server=Component.METRICS_SERVER not in phase.disabled_components
            and any(
                expectations.presumes_metrics_server(each.expectation)
                for each in phase.expectations
            ),
            config=self.plan.config_leaves,
        )

        def look() -> tuple[Precondition, ...]:
            readings = self.prober.take(preconditions.probes(presumed))
            self.record(readings)
            ready = preconditions.endpoint_is_ready(readings)
            if ready is False:
                # Gone since an earlier phase: the cluster has to settle again once it is back.
                self._endpoint_ready = None
            elif ready and self._endpoint_ready is None:
                self._endpoint_ready = self._now()
            return preconditions.judge(presumed, readings)

        bound = PRECONDITIONS_SECONDS * self.pace
        with self.steps.step("Preconditions", bound) as tell:

            def say_unmet(seen: tuple[Precondition, ...]) -> None:
                unmet = [f"{each.name}: {each.text}" for each in seen if not each.holds]
                if unmet:
                    tell("; ".join(unmet))

            try:
                history = wait_until(
                    f"the preconditions of phase {phase.name}",
                    look,
                    lambda seen: all(each.holds for each in seen),
                    bound=bound,
                    every=between_looks(PRECONDITIONS_EVERY_SECONDS, self.pace),
                    clock=self.clock,
                    on_change=say_unmet,
                )
            except WaitTimeoutError as error:
                raise PreconditionsUnmetError(phase.name, error.history[-1].value) from None
        return history[-1].value, self._now()

    def _watch(
        self, phase: PhasePlan, watched: Sequence[PlannedExpectation], opened: float
    ) -> tuple[tuple[ExpectationResult, ...], Diagnosis | None]:
        stage = Stage(
            controller=CONTROLLER,
            workers=self._workers,
            konnectivity=phase.konnectivity,
            opened=opened,
            endpoint_ready=self._endpoint_ready if self._endpoint_ready is not None else opened,
            pace=self.pace,
        )
        with self.steps.step(f"Observe {phase.name}"):
            return PhaseWatch(
                stage,
                watched,
                prober=self.prober,
                clock=self.clock,
                started=self.started,
                record=self.record,
                emit=self.emit,
            ).run()


def _in_order(
    phase: PhasePlan, verdicts: Sequence[ExpectationResult]
) -> Sequence[ExpectationResult]:
    place = {each.id: number for number, each in enumerate(phase.expectations)}
    return sorted(verdicts, key=lambda each: place[each.id])
