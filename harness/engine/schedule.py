"""When what runs beside the stream of a phase begins: connections, a diagnosis, the flow matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

from harness.diagnose.model import Diagnosis
from harness.engine.background import Connections, Stage, diagnoses, flow_matrices
from harness.engine.context import RunContext
from harness.engine.watched import Watched
from harness.expectations.diagnosis import Diagnosis as DiagnosisExpected
from harness.expectations.flows import Flows
from harness.expectations.kind import Streamed
from harness.expectations.reachability import Reachability
from harness.probe.flows import FlowMatrix
from harness.ssh import pace

# A state that was not reached by then may never be, and why is wanted while it is judged. A walk
# up the ladder takes up to 15 s (kubectl's 10 and the dials' 5) and is seen at the next look.
LAST_CHANCE_SECONDS = 20.0


class Schedule:
    """What runs beside the stream of looks, and its latest results.

    Slow machines are left alone while they have a state to hold.
    """

    def __init__(self, context: RunContext, stage: Stage, watched: Sequence[Watched]) -> None:
        self._context = context
        self._watched = watched
        self._wants_diagnosis = any(
            each.expectation.presumes_metrics_server for each in self._watched
        )
        self.connections = Connections(context, stage)
        self.diagnoses = diagnoses(context, stage)
        self.flows = flow_matrices(context, stage)

    @property
    def done(self) -> bool:
        """Whether there is a diagnosis, where one is wanted."""
        return self.diagnoses.latest is not None or not self._wants_diagnosis

    def collect(self) -> tuple[tuple[Diagnosis, float] | None, tuple[FlowMatrix, float] | None]:
        """Return the diagnosis and the flow matrix that have just ended, and when."""
        self.connections.collect()
        return self.diagnoses.collect(), self.flows.collect()

    def start_due(self, pool: Executor) -> None:
        """Begin what is due, once the states it is about are there."""
        available = [each for each in self._watched if each.expectation.wants_connections]
        holding = [each for each in available if each.judgement.held_since is not None]
        if holding or any(self._open(Reachability)):
            self.connections.start_when_due(pool)
        left_alone = self._left_alone()
        if any(self._open(Flows)) and not left_alone:
            self.flows.start_when_due(pool)
        reached = all(each in holding or not each.open for each in available)
        settled = self._context.now() >= max(each.window.earliest for each in self._watched)
        ready = reached and settled and not left_alone
        if self._wants_diagnosis and self._diagnosis_is_due(ready=ready):
            self.diagnoses.start_when_due(pool)

    def _diagnosis_is_due(self, *, ready: bool) -> bool:
        """Whether one is to be made: of a state that is `ready`, or at its last chance."""
        expected = [
            each for each in self._watched if isinstance(each.expectation, DiagnosisExpected)
        ]
        chance = LAST_CHANCE_SECONDS * self._context.pace
        last_chance = any(
            self._context.now() > each.window.opened + each.window.within - chance
            for each in expected
        )
        wanted = any(each.open for each in expected) or (
            self.diagnoses.latest is None and self._ends_within(chance)
        )
        return wanted and (ready or last_chance)

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
