"""One expectation while it is watched: its samples, and the judgement over them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from harness.check import hold
from harness.check.model import Judgement, Verdict, Window
from harness.engine.background import Stage
from harness.engine.results import ExpectationResult, Transition
from harness.expectations.kind import Expectation
from harness.expectations.sample import Match, Sample
from harness.plan.model import PlannedExpectation
from harness.probe.apiservice import APIServiceState
from harness.ssh.pace import is_slow
from harness.vocabulary.words import ApiserviceReason

# The state of a sample whose APIService has lost its backend.
_WITHOUT_ENDPOINT = APIServiceState(
    exists=True, available=False, reason=ApiserviceReason.MISSING_ENDPOINTS
).brief()


@dataclass
class Watched:
    """One expectation while it is watched, with every sample that was made of it."""

    planned: PlannedExpectation
    window: Window
    samples: list[Sample] = field(default_factory=list)
    # When the APIService last had no backend.
    lapsed: float = -math.inf
    _course: hold.Course | None = None
    _course_of: tuple[Window, float] | None = None
    _taken_in: int = 0
    judgement: Judgement = field(default_factory=lambda: Judgement(None, "", "nothing was seen"))

    @property
    def expectation(self) -> Expectation:
        """What is expected, as the scenario has it."""
        return self.planned.expectation

    @property
    def open(self) -> bool:
        """Whether there is no verdict yet."""
        return self.judgement.verdict is None

    def held(self, window: Window, now: float, *, after: float = -math.inf) -> Judgement:
        """Return the judgement over the samples after `after`, as it stands in `window`."""
        if self._course is None or self._course_of != (window, after):
            self._course, self._course_of = hold.Course(window, after=after), (window, after)
            self._taken_in = 0
        for sample in self.samples[self._taken_in :]:
            self._course.add(sample)
        self._taken_in = len(self.samples)
        return self._course.judgement(now)

    def add(self, sample: Sample) -> bool:
        """Take in the next sample; return whether its state is another than the last one's."""
        changed = not self.samples or self.samples[-1].state != sample.state
        self.samples.append(sample)
        if sample.match is Match.MISMATCH and sample.state == _WITHOUT_ENDPOINT:
            self.lapsed = max(self.lapsed, sample.at)
        return changed

    def window_now(self, pace: float) -> Window:
        """Return the window, which begins anew where slow machines lost metrics-server's endpoint.

        The phase presumes it. Workers as slow as emulated ones leave metrics-server's liveness
        probe (1 s) without an answer while the CNI's pods are rolled, 80 s after konnectivity
        had been turned on, and the kubelet kills it (20261126-023219-a490).
        """
        if not is_slow(pace):
            return self.window
        return replace(self.window, earliest=max(self.window.earliest, self.lapsed))

    def said(self, judgement: Judgement) -> Judgement:
        """Return the judgement; a failure that was expected and never came is said loudly.

        That is news, not an error.
        """
        if judgement.verdict is not Verdict.NOT_MET:
            return judgement
        # Before that a healthy cluster, too, shows the failure.
        values = [
            sample
            for sample in self.samples
            if sample.match is not Match.GAP and sample.at >= self.window.earliest
        ]
        came = any(sample.match is Match.MATCH for sample in values)
        if came or not values or not self.expectation.is_gone(values[-1].state):
            return judgement
        news = "CHANGED BEHAVIOUR: the failure this scenario expects is gone"
        return replace(judgement, explanation=f"{news}; {judgement.explanation}")

    def result(self, opened: float, now: float) -> ExpectationResult:
        """Return what it came to; the phase's preconditions held at `opened`."""
        judgement = self.judgement
        assert judgement.verdict is not None
        decided = judgement.decided_at if judgement.decided_at is not None else now
        return ExpectationResult(
            id=self.planned.id,
            kind=self.expectation.kind,
            expected_text=self.expectation.describe(),
            observed_text=judgement.observed,
            verdict=judgement.verdict,
            explanation=judgement.explanation,
            transitions=self.transitions(opened),
            seconds=round(decided - opened, 1),
        )

    def transitions(self, opened: float) -> tuple[Transition, ...]:
        """Return each change of the state, in seconds since `opened`."""
        changes = [
            sample
            for before, sample in zip((None, *self.samples), self.samples, strict=False)
            if before is None or before.state != sample.state
        ]
        return tuple(Transition(round(each.at - opened, 1), each.text) for each in changes)


def window_of(planned: PlannedExpectation, stage: Stage, pace: float) -> Window:
    """Return when the expectation is judged, on machines that are `pace` times as slow."""
    expectation = planned.expectation
    settled = stage.endpoint_ready + expectation.settle_seconds
    within, hold_for = expectation.times
    return Window(
        opened=stage.opened,
        earliest=max(stage.opened, settled),
        within=within * pace,
        hold=hold_for,
    )
