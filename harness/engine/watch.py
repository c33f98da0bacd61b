"""Watches all expectations of a phase at once, on one stream of observations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from harness.check import hold, reachability
from harness.check.model import Judgement, Verdict, Window
from harness.diagnose.model import Diagnosis
from harness.engine.background import Connections, Stage, diagnoses, flow_matrices
from harness.engine.context import RunContext
from harness.engine.events import TransitionSeen, VerdictReached
from harness.engine.results import ExpectationResult
from harness.engine.watched import Watched, window_of
from harness.expectations.diagnosis import Diagnosis as DiagnosisExpected
from harness.expectations.flows import Flows
from harness.expectations.kind import Streamed
from harness.expectations.reachability import Reachability
from harness.expectations.sample import Match, Sample
from harness.plan.model import PlannedExpectation
from harness.probe.core import observe
from harness.probe.flows import FlowResult
from harness.ssh import pace

# A state that was not reached by then may never be, and why is wanted while it is judged. A walk
# up the ladder takes up to 15 s (kubectl's 10 and the dials' 5) and is seen at the next look.
LAST_CHANCE_SECONDS = 20.0


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
        self._connections = Connections(context, stage)
        self._diagnoses = diagnoses(context, stage)
        self._flows = flow_matrices(context, stage)

    def run(self) -> Watch:
        """Return one result an expectation, in their order, the phase's diagnosis and flows."""
        clock, pool = self._context.clock, self._context.pool()
        try:
            while not self._done():
                began = clock.monotonic()
                self._look()
                for watched in self._watched:
                    self._judge(watched)
                self._start_due(pool)
                if not self._done():
                    spent = clock.monotonic() - began
                    clock.sleep(self._look_every() - spent)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return Watch(
            tuple(self._result(each) for each in self._watched),
            self._diagnoses.latest,
            self._flows.latest.cells if self._flows.latest is not None else (),
        )

    def _look_every(self) -> float:
        """Return the seconds between two looks.

        While nothing holds yet, slow machines are looked at less often.
        """
        if any(each.judgement.held_since is not None for each in self._watched if each.open):
            return hold.LOOK_EVERY_SECONDS
        return pace.between_looks(hold.LOOK_EVERY_SECONDS, self._context.pace)

    def _done(self) -> bool:
        judged = not any(each.open for each in self._watched)
        return judged and (self._diagnoses.latest is not None or not self._wants_diagnosis())

    def _wants_diagnosis(self) -> bool:
        return any(each.expectation.presumes_metrics_server for each in self._watched)

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
        self._connections.collect()
        diagnosed = self._diagnoses.collect()
        measured = self._flows.collect()
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
        window = self._window_now(watched)
        if isinstance(watched.expectation, Reachability):
            judgement = self._reached(watched.expectation, window)
        elif watched.expectation.wants_connections:
            judgement = self._held_with_connections(watched, window)
        else:
            judgement = watched.held(window, self._context.now())
        watched.judgement = _say_changed(watched, judgement)
        if judgement.verdict is not None:
            explanation = watched.judgement.explanation
            self._context.emit(VerdictReached(watched.planned.id, judgement.verdict, explanation))

    def _window_now(self, watched: Watched) -> Window:
        """Return the window, which begins anew where slow machines lost metrics-server's endpoint.

        The phase presumes it. Workers as slow as emulated ones leave metrics-server's liveness
        probe (1 s) without an answer while the CNI's pods are rolled, 80 s after konnectivity
        had been turned on, and the kubelet kills it (20261126-023219-a490).
        """
        if not pace.is_slow(self._context.pace):
            return watched.window
        return replace(watched.window, earliest=max(watched.window.earliest, watched.lapsed))

    def _reached(self, expectation: Reachability, window: Window) -> Judgement:
        found = self._connections.judgement()
        judgement = reachability.expected(
            found, whole=expectation.whole, partial=self._connections.partial()
        )
        early = self._context.now() <= window.opened + window.within
        again = expectation.whole or not self._connections.backed()
        if again and early and judgement.verdict is not Verdict.MET:
            return replace(judgement, verdict=None)
        return judgement

    def _held_with_connections(self, watched: Watched, window: Window) -> Judgement:
        """Return the judgement of a state that is only there while the way is whole, too."""
        now = self._context.now()
        whole_since = self._connections.whole_since
        if whole_since is not None:
            held = watched.held(
                replace(window, earliest=max(window.earliest, whole_since)),
                now,
                # A look that ended as the round began was before it.
                after=whole_since,
            )
            if held.verdict is not Verdict.MET:
                return held
            return reachability.combine(held, self._connections.judgement())
        held = watched.held(window, now)
        if held.verdict not in (None, Verdict.MET) or held.held_since is None:
            return held
        found = self._connections.judgement() if now > window.opened + window.within else None
        return reachability.combine(held, found)

    def _start_due(self, pool: Executor) -> None:
        """Start what runs beside the stream, once the states it is about are there."""
        available = [each for each in self._watched if each.expectation.wants_connections]
        holding = [each for each in available if each.judgement.held_since is not None]
        if holding or any(self._open(Reachability)):
            self._connections.start_when_due(pool)
        left_alone = self._left_alone()
        if any(self._open(Flows)) and not left_alone:
            self._flows.start_when_due(pool)
        reached = all(each in holding or not each.open for each in available)
        settled = self._context.now() >= max(each.window.earliest for each in self._watched)
        diagnosis = [
            each for each in self._watched if isinstance(each.expectation, DiagnosisExpected)
        ]
        chance = LAST_CHANCE_SECONDS * self._context.pace
        last_chance = any(
            self._context.now() > each.window.opened + each.window.within - chance
            for each in diagnosis
        )
        ready = reached and settled and not left_alone
        wanted = any(each.open for each in diagnosis) or (
            self._diagnoses.latest is None and self._ends_within(chance)
        )
        if self._wants_diagnosis() and wanted and (ready or last_chance):
            self._diagnoses.start_when_due(pool)

    def _left_alone(self) -> bool:
        """Whether slow machines have a state to hold, and nothing else to be asked meanwhile.

        A walk up the ladder costs them so much that metrics-server missed its liveness probes
        (1 s each) and was killed, 33 and 43 s into a hold of 45 s (2026-11-23).
        """
        return pace.is_slow(self._context.pace) and any(
            each.open
            and each.judgement.held_since is not None
            and isinstance(each.expectation, Streamed)
            for each in self._watched
        )

    def _ends_within(self, seconds: float) -> bool:
        """Whether all that is watched will then be judged, if nothing is lost meanwhile.

        A diagnosis that no expectation waits for is to be of the state that was judged, and not of
        one that had only just begun.
        """
        now = self._context.now()
        return all(
            each.judgement.held_since is not None
            and each.judgement.held_since + each.window.hold - now <= seconds
            for each in self._watched
            if each.open
        )

    def _open(self, kind: type[Any]) -> Iterator[Watched]:
        return (each for each in self._watched if each.open and isinstance(each.expectation, kind))

    def _result(self, watched: Watched) -> ExpectationResult:
        judgement = watched.judgement
        assert judgement.verdict is not None
        decided = judgement.decided_at if judgement.decided_at is not None else self._context.now()
        return ExpectationResult(
            id=watched.planned.id,
            kind=watched.expectation.kind,
            expected_text=watched.expectation.describe(),
            observed_text=judgement.observed,
            verdict=judgement.verdict,
            explanation=judgement.explanation,
            transitions=watched.transitions(self._stage.opened),
            seconds=round(decided - self._stage.opened, 1),
        )


def _say_changed(watched: Watched, judgement: Judgement) -> Judgement:
    """Say it loudly when a failure that was expected never came: that is news, not an error."""
    if judgement.verdict is not Verdict.NOT_MET:
        return judgement
    # Before that a healthy cluster, too, shows the failure.
    values = [
        sample
        for sample in watched.samples
        if sample.match is not Match.GAP and sample.at >= watched.window.earliest
    ]
    came = any(sample.match is Match.MATCH for sample in values)
    if came or not values:
        return judgement
    if not watched.expectation.is_gone(values[-1].state):
        return judgement
    news = "CHANGED BEHAVIOUR: the failure this scenario expects is gone"
    return replace(judgement, explanation=f"{news}; {judgement.explanation}")
