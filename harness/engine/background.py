"""What runs beside the stream of a phase: a round of new connections, and the diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from harness.check import reachability
from harness.check.model import Judgement
from harness.diagnose import ladder
from harness.diagnose.causes import diagnose
from harness.diagnose.facts import Facts
from harness.diagnose.facts import facts_from
from harness.diagnose.model import Diagnosis
from harness.evidence.reading import Reading
from harness.probe import controlplane
from harness.probe import dials
from harness.probe.core import Probe
from harness.probe.core import observe
from harness.probe.prober import Prober

# Between two diagnoses of one phase: the ladder's dials take up to 5 s, and what it looks at
# changes with the aggregator's resync (30 s) at the most.
DIAGNOSE_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class Stage:
    """Where a phase is watched: the machines by name, and since when what was ready.

    `opened` and `endpoint_ready` are seconds since the run began; `stretch` is the factor by which
    a slow provider lengthens bounds (never holds).
    """

    controller: str
    workers: tuple[str, ...]
    konnectivity: bool
    opened: float
    endpoint_ready: float
    stretch: float = 1.0


class Connections:
    """The round of new connections over the path in use, made once while the state holds."""

    def __init__(
        self, prober: Prober, stage: Stage, record: Callable[[Sequence[Reading]], None]
    ) -> None:
        self._prober = prober
        self._stage = stage
        self._record = record
        self._round: Future[Judgement] | None = None

    def start(self, pool: ThreadPoolExecutor) -> None:
        """Begin the round; it is made once a phase."""
        if self._round is None:
            self._round = pool.submit(self._make)

    def judgement(self) -> Judgement | None:
        """Return what the round came to, None while it lasts."""
        return self._round.result() if self._round is not None and self._round.done() else None

    def _make(self) -> Judgement:
        stage = self._stage
        first = self._prober.take(ladder.first_probes(stage.controller, in_lab=False))
        facts = facts_from(first)
        rounds = self._prober.take(_paths(stage, facts))
        tunnel = [controlplane.tunnel_probe(stage.controller)] if stage.konnectivity else []
        after = self._prober.take(tunnel)
        self._record((*first, *rounds, *after))
        found = [observe(dials.parse, reading).value for reading in rounds]
        counted = [observe(controlplane.parse_tunnel, reading).value for reading in after]
        return reachability.judge(
            [each for each in found if each is not None],
            facts.tunnel if stage.konnectivity else None,
            counted[0] if counted else None,
        )


class Diagnoses:
    """The diagnosis of the phase, made again until somebody is content with it."""

    def __init__(
        self,
        prober: Prober,
        stage: Stage,
        record: Callable[[Sequence[Reading]], None],
        now: Callable[[], float],
    ) -> None:
        self._prober = prober
        self._stage = stage
        self._record = record
        self._now = now
        self._walk: Future[Diagnosis] | None = None
        self._started_at = float("-inf")
        self.latest: Diagnosis | None = None

    def start_when_due(self, pool: ThreadPoolExecutor) -> None:
        """Walk up the ladder, unless that is under way or was done just now."""
        if self._walk is None and self._now() - self._started_at >= DIAGNOSE_EVERY_SECONDS:
            self._started_at = self._now()
            self._walk = pool.submit(self._make)

    def collect(self) -> tuple[Diagnosis, float] | None:
        """Return a diagnosis that has just ended, and when; None where none has."""
        if self._walk is None or not self._walk.done():
            return None
        self.latest = self._walk.result()
        self._walk = None
        return self.latest, self._now()

    def _make(self) -> Diagnosis:
        readings = take_ladder(self._prober, self._stage.controller, in_lab=True)
        self._record(readings)
        return diagnose(readings)


def take_ladder(prober: Prober, controller: str, *, in_lab: bool) -> tuple[Reading, ...]:
    """Take every reading the diagnosis wants, the dependent ones after those they depend on."""
    first = prober.take(ladder.first_probes(controller, in_lab=in_lab))
    second = prober.take(ladder.second_probes(controller, facts_from(first)))
    return (*first, *second)


def _paths(stage: Stage, facts: Facts) -> list[Probe[Any]]:
    """Return the dials of the path in use.

    With konnectivity the agents dial from the workers, so each worker must reach both the pod and
    the ClusterIP; without it the controller itself dials.
    """
    ports = {each.address: each.port for each in facts.endpoints or ()}
    if facts.service is not None and facts.service.exists:
        ports[facts.service.cluster_ip] = facts.service.port
    dialled = ladder.dialled_address(facts)
    if stage.konnectivity:
        targets = [(worker, address) for worker in stage.workers for address in ports]
    else:
        targets = [(stage.controller, dialled)] if dialled in ports else []
    return [
        dials.probe(machine, address, ports[address], times=reachability.CONNECTIONS)
        for machine, address in targets
    ]
