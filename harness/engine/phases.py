"""Entering a phase: bring it about, wait for what it presumes, watch, conclude."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.base.errors import HarnessError
from harness.check.model import Verdict
from harness.cluster.k0sctl import ApplyFailedError
from harness.engine.background import Stage
from harness.engine.context import RunContext
from harness.engine.events import PhaseEntered, StepId, VerdictReached
from harness.engine.preconditions import presumed_by
from harness.engine.results import AppliedChange, ExpectationResult, PhaseResult, Precondition
from harness.engine.settling import Settling
from harness.engine.timing import Timing
from harness.engine.watch import PhaseWatch, Watch
from harness.expectations.apply import Apply
from harness.plan.model import PhasePlan, Plan, PlannedExpectation
from harness.vocabulary.words import ApplyOutcome


class Brings(Protocol):
    """What brings a phase about: a live cluster that is changed, or a recording of one."""

    def bring_about(
        self, phase: PhasePlan, timing: Timing
    ) -> tuple[tuple[AppliedChange, ...], ApplyFailedError | None]:
        """Make the phase's changes; return them, or how k0sctl ended instead.

        Raises `ApplyFailedError` for an end that no expectation of the phase is about.
        """

    def confirm(self, phase: str) -> tuple[str, ...]:
        """Return what the counters of the changes in force say at the phase's end.

        Raises `InconclusiveError` where a change is gone.
        """


@dataclass
class Phases:
    """Enters phases on one cluster."""

    context: RunContext
    plan: Plan
    means: Brings
    settling: Settling
    on_failure: Callable[[str], None] = lambda _: None

    def enter(self, phase: PhasePlan) -> PhaseResult:
        """Make the phase's changes, watch it, and return what it came to.

        `on_failure` is told of a phase that did not meet everything, before anything else happens.

        Raises `PreconditionsUnmetError` where nothing can be judged, `ApplyFailedError` where
        k0sctl ended in a way that no expectation is about, and `InconclusiveError` where a change
        did not take effect or could not be taken back.
        """
        try:
            result = self._entered(phase)
        except HarnessError:
            self.on_failure(phase.name)
            raise
        if any(each.verdict is not Verdict.MET for each in result.verdicts):
            self.on_failure(phase.name)
        return result

    def _entered(self, phase: PhasePlan) -> PhaseResult:
        timing = Timing(self.context.clock)
        self.context.emit(
            PhaseEntered(
                phase.name,
                tuple(each.describe() for each in phase.changes),
                tuple(each.expectation.describe() for each in phase.expectations),
            )
        )
        apply_expectations = [
            each for each in phase.expectations if isinstance(each.expectation, Apply)
        ]
        watched = [each for each in phase.expectations if each not in apply_expectations]
        made, ended_badly = self.means.bring_about(phase, timing)
        verdicts = [self._judge_apply(each, ended_badly) for each in apply_expectations]
        seen: tuple[Precondition, ...] = ()
        watch = Watch()
        counted: tuple[str, ...] = ()
        if watched and ended_badly is None:
            seen, opened = self.settling.wait(f"phase {phase.name}", presumed_by(self.plan, phase))
            timing.settled()
            as_before = self.settling.held_at_once and not made
            watch = self._watch(phase, watched, opened, as_before=as_before)
            counted = self.means.confirm(phase.name)
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

    @property
    def _workers(self) -> tuple[str, ...]:
        return tuple(machine.name for machine in self.plan.workers)

    def _judge_apply(
        self, planned: PlannedExpectation, ended_badly: ApplyFailedError | None
    ) -> ExpectationResult:
        expectation = planned.expectation
        assert isinstance(expectation, Apply)
        outcome = ApplyOutcome.APPLIED if ended_badly is None else ended_badly.outcome
        said = "" if ended_badly is None else ended_badly.reason
        met = expectation.met_by(outcome, said)
        observed = f"{outcome}: {said}" if said else outcome.value
        result = ExpectationResult(
            id=planned.id,
            kind=expectation.kind,
            expected_text=expectation.describe(),
            observed_text=observed,
            verdict=Verdict.MET if met else Verdict.NOT_MET,
            explanation=f"k0sctl apply: {observed}",
        )
        self._tell(result)
        return result

    def _tell(self, result: ExpectationResult) -> None:
        self.context.emit(
            VerdictReached(result.id, result.verdict, result.explanation, result.expected_text)
        )

    def _unwatched(
        self, planned: PlannedExpectation, ended_badly: ApplyFailedError
    ) -> ExpectationResult:
        """Return the result of an expectation whose phase was never entered."""
        result = ExpectationResult(
            id=planned.id,
            kind=planned.expectation.kind,
            expected_text=planned.expectation.describe(),
            observed_text="nothing was seen",
            verdict=Verdict.INCONCLUSIVE,
            explanation=f"not watched, because k0sctl apply ended badly: {ended_badly.reason}",
        )
        self._tell(result)
        return result

    def _watch(
        self,
        phase: PhasePlan,
        watched: Sequence[PlannedExpectation],
        opened: float,
        *,
        as_before: bool,
    ) -> Watch:
        ready = self.settling.endpoint_ready
        stage = Stage(
            controllers=tuple(machine.name for machine in self.plan.controllers),
            workers=self._workers,
            konnectivity=phase.konnectivity,
            opened=opened,
            # Where there is none, and none is presumed, nothing has to settle first.
            endpoint_ready=-math.inf if ready is None else ready - self.context.started,
            as_before=as_before,
        )
        with self.context.steps.step(StepId.OBSERVE, of=[phase.name]):
            return PhaseWatch(self.context, stage, watched).run()


def judged_ends(phase: PhasePlan) -> frozenset[ApplyOutcome]:
    """Return the bad ends of `k0sctl apply` that `phase` has an expectation about.

    Where one is there a refusal is its verdict. A failure is only where it is asked for: elsewhere
    it says nothing about the configuration.
    """
    wanted = {
        each.expectation.outcome
        for each in phase.expectations
        if isinstance(each.expectation, Apply)
    }
    return frozenset({ApplyOutcome.REFUSED, *wanted} if wanted else ())


def _in_order(
    phase: PhasePlan, verdicts: Sequence[ExpectationResult]
) -> Sequence[ExpectationResult]:
    place = {each.id: number for number, each in enumerate(phase.expectations)}
    return sorted(verdicts, key=lambda each: place[each.id])
