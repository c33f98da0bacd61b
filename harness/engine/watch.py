"""Watches all expectations of a phase at once, on one stream of looks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.check import hold, reachability
from harness.check.model import Judgement, Verdict, Window
from harness.diagnose.model import Diagnosis
from harness.engine.background import Stage
from harness.engine.context import RunContext
from harness.engine.events import TransitionSeen, VerdictReached
from harness.engine.results import ExpectationResult
from harness.engine.schedule import Schedule
from harness.engine.watched import Watched, window_of
from harness.expectations.diagnosis import Diagnosis as DiagnosisExpected
from harness.expectations.flows import Flows
from harness.expectations.kind import Streamed
from harness.expectations.reachability import Reachability
from harness.expectations.sample import Sample
from harness.plan.model import PlannedExpectation
from harness.probe.core import observe
from harness.probe.flows import FlowResult
from harness.ssh import pace


@dataclass(frozen=True)
class Watch:
    """What a phase's watch came to; `flows` are the ways of the last flow matrix."""

    results: tuple[ExpectationResult, ...] = ()
    diagnosis: Diagnosis | None = None
    flows: tuple[FlowResult, ...] = ()


class PhaseWatch:
    """Takes readings until every expectation of the phase has its verdict."""

    def __init__(
        self, context: RunContext, stage: Stage, planned: Iterable[PlannedExpectation]
    ) -> None:
        self._context = context
        self._stage = stage
        self._watched = [Watched(each, window_of(each, stage, context.pace)) for each in planned]
        self._beside = Schedule(context, stage, self._watched)

    def run(self) -> Watch:
        """Return one result an expectation, in their order, the phase's diagnosis and flows."""
        clock, pool = self._context.clock, self._context.pool()
        try:
            self._until_told()
            while not self._done():
                began = clock.monotonic()
                self._look()
                for watched in self._watched:
                    self._judge(watched)
                self._beside.start_due(pool)
                if not self._done():
                    spent = clock.monotonic() - began
                    clock.sleep(self._look_every() - spent)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        measured = self._beside.flows.latest
        return Watch(
            tuple(each.result(self._stage.opened, self._context.now()) for each in self._watched),
            self._beside.diagnoses.latest,
            measured.cells if measured is not None else (),
        )

    def _until_told(self) -> None:
        """Wait a little for what the API tells of by itself, so that the first look sees it."""
        if self._stage.as_before:
            return
        expectations = (each.expectation for each in self._watched)
        told = (each.until_told() for each in expectations if isinstance(each, Streamed))
        probe = next((each for each in told if each is not None), None)
        if probe is not None:
            self._context.prober.wait_for(probe)

    def _look_every(self) -> float:
        """Return the seconds between two looks.

        While nothing holds yet, slow machines are looked at less often.
        """
        if any(each.judgement.held_since is not None for each in self._watched if each.open):
            return hold.LOOK_EVERY_SECONDS
        return pace.between_looks(hold.LOOK_EVERY_SECONDS, self._context.pace)

    def _done(self) -> bool:
        return self._beside.done and not any(each.open for each in self._watched)

    def _look(self) -> None:
        """Read once for every expectation that is open, each distinct command once."""
        streams = [
            (each, each.expectation, each.expectation.probe())
            for each in self._watched
            if each.open and isinstance(each.expectation, Streamed)
        ]
        distinct = {probe.argv: probe for _, _, probe in streams}
        readings = self._context.take(distinct.values())
        # By what was asked: a recording may have asked the same in other words.
        by_command = {
            probe.argv: observe(probe.parse, reading)
            for probe, reading in zip(distinct.values(), readings, strict=True)
        }
        for each, expectation, probe in streams:
            self._add(each, expectation.sample(by_command[probe.argv], self._stage.workers))
        diagnosed, measured = self._beside.collect()
        for each in self._watched:
            if diagnosed is not None and isinstance(each.expectation, DiagnosisExpected):
                self._add(each, each.expectation.sample(*diagnosed))
            if measured is not None and isinstance(each.expectation, Flows):
                self._add(each, each.expectation.sample(*measured))

    def _add(self, watched: Watched, sample: Sample) -> None:
        if watched.add(sample):
            elapsed = round(sample.at - self._stage.opened, 1)
            self._context.emit(TransitionSeen(elapsed, watched.planned.id, sample.text))

    def _judge(self, watched: Watched) -> None:
        if not watched.open:
            return
        window = watched.window_now(self._context.pace)
        if isinstance(watched.expectation, Reachability):
            judgement = self._reached(watched.expectation, window)
        elif watched.expectation.wants_connections:
            judgement = self._held_with_connections(watched, window)
        else:
            judgement = watched.held(window, self._context.now())
        watched.judgement = watched.said(judgement)
        if judgement.verdict is not None:
            explanation = watched.judgement.explanation
            expected = watched.expectation.describe()
            self._context.emit(
                VerdictReached(watched.planned.id, judgement.verdict, explanation, expected)
            )

    def _reached(self, expectation: Reachability, window: Window) -> Judgement:
        found = self._beside.connections.judgement()
        judgement = reachability.expected(
            found, whole=expectation.whole, partial=self._beside.connections.partial()
        )
        early = self._context.now() <= window.opened + window.within
        again = expectation.whole or not self._beside.connections.backed()
        if again and early and judgement.verdict is not Verdict.MET:
            return replace(judgement, verdict=None)
        return judgement

    def _held_with_connections(self, watched: Watched, window: Window) -> Judgement:
        """Return the judgement of a state that is only there while the way is whole, too."""
        now = self._context.now()
        whole_since = self._beside.connections.whole_since
        if whole_since is not None:
            held = watched.held(
                replace(window, earliest=max(window.earliest, whole_since)),
                now,
                # A look that ended as the round began was before it.
                after=whole_since,
            )
            if held.verdict is not Verdict.MET:
                return held
            return reachability.combine(held, self._beside.connections.judgement())
        held = watched.held(window, now)
        if held.verdict not in (None, Verdict.MET) or held.held_since is None:
            return held
        found = (
            self._beside.connections.judgement() if now > window.opened + window.within else None
        )
        return reachability.combine(held, found)
