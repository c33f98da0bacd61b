"""Watches all expectations of a phase at once, on one stream of observations."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

from harness.check import expectations
from harness.check import hold
from harness.check import reachability
from harness.check.model import Judgement
from harness.check.model import Match
from harness.check.model import Sample
from harness.check.model import Verdict
from harness.check.model import Window
from harness.diagnose.model import Diagnosis
from harness.engine.background import Connections
from harness.engine.background import Diagnoses
from harness.engine.background import Stage
from harness.engine.events import Event
from harness.engine.events import ExpectationResult
from harness.engine.events import Transition
from harness.engine.events import TransitionSeen
from harness.engine.events import VerdictReached
from harness.evidence.reading import Reading
from harness.lab import pace
from harness.plan.model import PlannedExpectation
from harness.plan.show import describe_expectation
from harness.probe.prober import Prober
from harness.scenario import model as scenario
from harness.wait import Clock

# A state that was not reached by then may never be, and why is wanted while it is judged. A walk
# up the ladder takes up to 15 s (kubectl's 10 and the dials' 5) and is seen at the next look.
LAST_CHANCE_SECONDS = 20.0


@dataclass
class _Watched:
    """One expectation while it is watched."""

    planned: PlannedExpectation
    window: Window
    samples: list[Sample] = field(default_factory=list)
    judgement: Judgement = field(default_factory=lambda: Judgement(None, "", "nothing was seen"))

    @property
    def expectation(self) -> Any:  # noqa: ANN401  # the union of pydantic models has no base here
        return self.planned.expectation

    @property
    def open(self) -> bool:
        return self.judgement.verdict is None

    def transitions(self, opened: float) -> tuple[Transition, ...]:
        changes = [
            sample
            for before, sample in zip((None, *self.samples), self.samples, strict=False)
            if before is None or before.state != sample.state
        ]
        return tuple(Transition(round(each.at - opened, 1), each.text) for each in changes)


class PhaseWatch:
    """Takes readings until every expectation of the phase has its verdict.

    `record` gets every reading as it was taken, `emit` what people should hear of.
    """

    def __init__(
        self,
        stage: Stage,
        planned: Iterable[PlannedExpectation],
        *,
        prober: Prober,
        clock: Clock,
        started: float,
        record: Callable[[Sequence[Reading]], None],
        emit: Callable[[Event], None],
    ) -> None:
        self._stage = stage
        self._watched = [_Watched(each, _window(each, stage)) for each in planned]
        self._clock = clock
        self._started = started
        self._prober = prober
        self._record = record
        self._emit = emit
        self._connections = Connections(prober, stage, record)
        self._diagnoses = Diagnoses(prober, stage, record, self._now)

    def run(self) -> tuple[tuple[ExpectationResult, ...], Diagnosis | None]:
        """Return one result an expectation, in their order, and the phase's diagnosis."""
        # Two at a time beside the stream: a round of connections and a walk up the ladder.
        pool = ThreadPoolExecutor(max_workers=2)
        try:
            while not self._done():
                began = self._clock.monotonic()
                self._look()
                for watched in self._watched:
                    self._judge(watched)
                self._start_due(pool)
                if not self._done():
                    spent = self._clock.monotonic() - began
                    self._clock.sleep(self._look_every() - spent)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return tuple(self._result(each) for each in self._watched), self._diagnoses.latest

    def _look_every(self) -> float:
        """Return the seconds between two looks.

        While nothing holds yet, slow machines are looked at less often.
        """
        if any(each.judgement.held_since is not None for each in self._watched if each.open):
            return hold.LOOK_EVERY_SECONDS
        return pace.between_looks(hold.LOOK_EVERY_SECONDS, self._stage.pace)

    def _now(self) -> float:
        return self._clock.monotonic() - self._started

    def _done(self) -> bool:
        judged = not any(each.open for each in self._watched)
        return judged and (self._diagnoses.latest is not None or not self._wants_diagnosis())

    def _wants_diagnosis(self) -> bool:
        return any(expectations.presumes_metrics_server(each.expectation) for each in self._watched)

    def _look(self) -> None:
        """Read once for every expectation that is open, each distinct command once."""
        probes = {
            each.planned.id: probe
            for each in self._watched
            if each.open and (probe := expectations.probe_for(each.expectation)) is not None
        }
        readings = self._prober.take({probe.argv: probe for probe in probes.values()}.values())
        self._record(readings)
        by_command = {reading.argv: reading for reading in readings}
        for each in self._watched:
            probe = probes.get(each.planned.id)
            if probe is not None:
                reading = by_command[probe.argv]
                self._add(each, expectations.sample(each.expectation, reading, self._stage.workers))
        diagnosed = self._diagnoses.collect()
        for each in self._watched:
            if diagnosed is not None and isinstance(each.expectation, scenario.Diagnosis):
                self._add(each, expectations.sample_diagnosis(each.expectation, *diagnosed))

    def _add(self, watched: _Watched, sample: Sample) -> None:
        if not watched.samples or watched.samples[-1].state != sample.state:
            elapsed = round(sample.at - self._stage.opened, 1)
            self._emit(TransitionSeen(elapsed, watched.planned.id, sample.text))
        watched.samples.append(sample)

    def _judge(self, watched: _Watched) -> None:
        if not watched.open:
            return
        judgement = hold.judge(watched.samples, watched.window, self._now())
        if judgement.verdict is Verdict.MET and _wants_connections(watched.expectation):
            judgement = reachability.combine(judgement, self._connections.judgement())
        watched.judgement = _say_changed(watched, judgement)
        if judgement.verdict is not None:
            explanation = watched.judgement.explanation
            self._emit(VerdictReached(watched.planned.id, judgement.verdict, explanation))

    def _start_due(self, pool: ThreadPoolExecutor) -> None:
        """Start what runs beside the stream, once the states it is about are there."""
        available = [each for each in self._watched if _wants_connections(each.expectation)]
        holding = [each for each in available if each.judgement.held_since is not None]
        if holding:
            self._connections.start(pool)
        reached = all(each in holding or not each.open for each in available)
        settled = self._now() >= max(each.window.earliest for each in self._watched)
        diagnosis = [
            each for each in self._watched if isinstance(each.expectation, scenario.Diagnosis)
        ]
        chance = LAST_CHANCE_SECONDS * self._stage.pace
        last_chance = any(
            self._now() > each.window.opened + each.window.within - chance for each in diagnosis
        )
        wanted = any(each.open for each in diagnosis) or self._diagnoses.latest is None
        if self._wants_diagnosis() and wanted and ((reached and settled) or last_chance):
            self._diagnoses.start_when_due(pool)

    def _result(self, watched: _Watched) -> ExpectationResult:
        judgement = watched.judgement
        assert judgement.verdict is not None
        decided = judgement.decided_at if judgement.decided_at is not None else self._now()
        return ExpectationResult(
            id=watched.planned.id,
            kind=watched.expectation.kind,
            expected_text=describe_expectation(watched.expectation),
            observed_text=judgement.observed,
            verdict=judgement.verdict,
            explanation=judgement.explanation,
            transitions=watched.transitions(self._stage.opened),
            seconds=round(decided - self._stage.opened, 1),
        )


def _window(planned: PlannedExpectation, stage: Stage) -> Window:
    expectation = planned.expectation
    settled = stage.endpoint_ready + expectations.settle_seconds(expectation)
    return Window(
        opened=stage.opened,
        earliest=max(stage.opened, settled),
        within=expectation.within * stage.pace,
        hold=expectation.hold,
    )


def _wants_connections(expectation: scenario.Expectation) -> bool:
    return isinstance(expectation, scenario.Apiservice) and expectation.available


def _say_changed(watched: _Watched, judgement: Judgement) -> Judgement:
    """Say it loudly when a failure that was expected never came: that is news, not an error."""
    # Before that a healthy cluster, too, shows the failure.
    values = [
        sample
        for sample in watched.samples
        if sample.match is not Match.GAP and sample.at >= watched.window.earliest
    ]
    came = any(sample.match is Match.MATCH for sample in values)
    if judgement.verdict is not Verdict.NOT_MET or came or not values:
        return judgement
    if not expectations.is_gone(watched.expectation, values[-1].state):
        return judgement
    news = "CHANGED BEHAVIOUR: the failure this scenario expects is gone"
    return replace(judgement, explanation=f"{news}; {judgement.explanation}")
