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
from harness.probe.controlplane import TunnelServer
from harness.probe.core import Probe
from harness.probe.core import observe
from harness.probe.dials import Dials
from harness.probe.prober import Prober

# Between two diagnoses of one phase: the ladder's dials take up to 5 s, and what it looks at
# changes with the aggregator's resync (30 s) at the most.
DIAGNOSE_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class Stage:
    """Where a phase is watched: the machines by name, and since when what was ready.

    `opened` and `endpoint_ready` are seconds since the run began; `pace` is how many times slower
    than this host the machines are, which lengthens bounds (never holds).
    """

    controller: str
    workers: tuple[str, ...]
    konnectivity: bool
    opened: float
    endpoint_ready: float
    pace: float = 1.0


@dataclass(frozen=True)
class _Round:
    """One round of new connections, and the konnectivity server's figures before it.

    `unread` says what of the paths or of the connections could not be read.
    """

    made: tuple[Dials, ...]
    unread: tuple[str, ...]
    before: TunnelServer | None


class Connections:
    """The round of new connections over the path in use, made once while the state holds.

    The konnectivity server's failed dials are counted from before the round to the hold's end.
    """

    def __init__(
        self, prober: Prober, stage: Stage, record: Callable[[Sequence[Reading]], None]
    ) -> None:
        self._prober = prober
        self._stage = stage
        self._record = record
        self._round: Future[_Round] | None = None

    def start(self, pool: ThreadPoolExecutor) -> None:
        """Begin the round; it is made once a phase."""
        if self._round is None:
            self._round = pool.submit(self._make)

    def judgement(self) -> Judgement | None:
        """Return what the round came to at the end of the hold, None while the round lasts."""
        if self._round is None or not self._round.done():
            return None
        ended = self._round.result()
        after = self._tunnel()
        unread = ended.unread
        if self._stage.konnectivity and (ended.before is None or after is None):
            unread += ("the konnectivity server's count of failed dials",)
        return reachability.judge(ended.made, ended.before, after, unread=unread)

    def _make(self) -> _Round:
        readings = self._prober.take(ladder.first_probes(self._stage.controller, in_lab=False))
        facts = facts_from(readings)
        rounds = self._prober.take(_paths(self._stage, facts))
        self._record((*readings, *rounds))
        found = [observe(dials.parse, reading) for reading in rounds]
        # A path that is not known, or a machine that did not answer, was not seen to be whole.
        unread = [facts.unseen[name] for name in ("service", "endpoints") if name in facts.unseen]
        unread += [each.problem for each in found if each.problem is not None]
        return _Round(
            tuple(each.value for each in found if each.value is not None),
            tuple(unread),
            _counting(facts.tunnel) if self._stage.konnectivity else None,
        )

    def _tunnel(self) -> TunnelServer | None:
        if not self._stage.konnectivity:
            return None
        reading = self._prober.read(controlplane.tunnel_probe(self._stage.controller))
        self._record((reading,))
        return _counting(observe(controlplane.parse_tunnel, reading).value)


def _counting(tunnel: TunnelServer | None) -> TunnelServer | None:
    """Return the figures if a server gave them: one that does not listen counts nothing."""
    return tunnel if tunnel is not None and tunnel.listening else None


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
