"""One expectation while it is watched: its samples, and the judgement over them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from harness.check import hold
from harness.check.model import Judgement, Window
from harness.engine.background import Stage
from harness.engine.results import Transition
from harness.expectations.kind import Expectation
from harness.expectations.sample import Match, Sample
from harness.plan.model import PlannedExpectation
from harness.probe.apiservice import APIServiceState
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
