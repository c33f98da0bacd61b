"""What everything in a run is given: the clock, the cluster's prober, who hears what is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from harness.base.wait import Clock
from harness.cluster.prober import Prober
from harness.engine.events import Event
from harness.engine.steps import Steps
from harness.evidence.reading import Reading
from harness.probe.core import Probe


def _threads() -> Executor:
    # New connections, a walk up the ladder, the flow matrix.
    return ThreadPoolExecutor(max_workers=3)


@dataclass(frozen=True)
class RunContext:
    """One run on one cluster.

    `started` is when the run began, on the clock; `pace` is how many times slower than this host
    the machines are, which lengthens bounds (never holds). `record` gets every reading as it was
    taken, `emit` what people should hear of. `pool` is what works beside the stream of looks; a
    replay has its own.
    """

    prober: Prober
    clock: Clock
    started: float
    steps: Steps
    record: Callable[[Sequence[Reading]], None]
    emit: Callable[[Event], None]
    pace: float = 1.0
    pool: Callable[[], Executor] = _threads

    def now(self) -> float:
        """Return the seconds since the run began."""
        return self.clock.monotonic() - self.started

    def take(self, probes: Iterable[Probe[Any]]) -> tuple[Reading, ...]:
        """Return one recorded reading a probe, in their order."""
        readings = self.prober.take(probes)
        self.record(readings)
        return readings
