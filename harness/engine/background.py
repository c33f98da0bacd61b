"""What runs beside the stream of a phase: a round of new connections, and the diagnosis."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from harness.check import reachability
from harness.check.model import Judgement, Verdict
from harness.diagnose import ladder
from harness.diagnose.facts import Facts, facts_from
from harness.diagnose.judge import diagnose
from harness.diagnose.model import Diagnosis
from harness.engine.context import RunContext
from harness.probe import controlplane, dials, flows, workloads
from harness.probe.controlplane import TunnelServer
from harness.probe.core import Probe, observe
from harness.probe.dials import Dials
from harness.probe.flows import FlowMatrix
from harness.vocabulary.words import Role

# Between two diagnoses of one phase: the ladder's dials take up to 5 s, and what it looks at
# changes with the aggregator's resync (30 s) at the most. Slow machines get as many times longer:
# a walk starts some fifty programs on them.
DIAGNOSE_EVERY_SECONDS = 10.0
# Between two rounds of connections: one that loses some takes up to 15 s by itself.
CONNECT_EVERY_SECONDS = 5.0
# Between two flow matrices of one phase: one takes up to 12 s where flows time out.
FLOWS_EVERY_SECONDS = 15.0

T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """Where a phase is watched: the machines by name, and since when what was ready.

    `opened` and `endpoint_ready` are seconds since the run began. `as_before` is whether nothing
    was done to the cluster and all that is presumed was there at once, as on a lab that was left:
    then the API has nothing new to tell of.
    """

    controllers: tuple[str, ...]
    workers: tuple[str, ...]
    konnectivity: bool
    opened: float
    endpoint_ready: float
    as_before: bool = False

    @property
    def controller(self) -> str:
        """The first controller, which the harness asks."""
        return self.controllers[0]


@dataclass(frozen=True)
class _Round:
    """One round of new connections, and the konnectivity server's figures before it.

    `unread` says what of the paths or of the connections could not be read, `backed` whether the
    Service had an endpoint to lead to.
    """

    made: tuple[Dials, ...]
    unread: tuple[str, ...]
    before: TunnelServer | None
    backed: bool


class Connections:
    """Rounds of new connections over the path in use, until one of them finds it whole.

    A way becomes whole within a state's bound, as the state does: while a CNI is rolled out anew
    the condition is True already, and connections are lost for some seconds. From the round that
    found it whole the konnectivity server's failed dials are counted, to the hold's end.
    """

    def __init__(self, context: RunContext, stage: Stage) -> None:
        self._context = context
        self._stage = stage
        self._rounds = Repeated(self._make, CONNECT_EVERY_SECONDS, context.now)
        self._lost_some = False
        self.whole_since: float | None = None

    def start_when_due(self, pool: Executor) -> None:
        """Begin a round, unless one has found the way whole, or was made just now."""
        if self.whole_since is None:
            self._rounds.start_when_due(pool)

    def collect(self) -> None:
        """Take in a round that has just ended."""
        ended = self._rounds.collect()
        if ended is None:
            return
        made, _ = ended
        if self._judge(made, made.before).verdict is Verdict.MET:
            self.whole_since = self._rounds.started_at if self._lost_some else -math.inf
        self._lost_some = True

    def judgement(self) -> Judgement | None:
        """Return what the last round comes to by now, None while there is none."""
        if self._rounds.latest is None:
            return None
        return self._judge(self._rounds.latest, self._tunnel())

    def partial(self) -> bool:
        """Whether, of the last round, some connections were opened and others were not."""
        made = self._rounds.latest.made if self._rounds.latest is not None else ()
        return any(each.connected for each in made) and not all(each.all_connected for each in made)

    def backed(self) -> bool:
        """Whether the last round says something of the way: without an endpoint none leads on."""
        return self._rounds.latest is not None and self._rounds.latest.backed

    def _judge(self, ended: _Round, after: TunnelServer | None) -> Judgement:
        unread = ended.unread
        if self._stage.konnectivity and (ended.before is None or after is None):
            unread += ("the konnectivity server's count of failed dials",)
        return reachability.judge(ended.made, ended.before, after, unread=unread)

    def _make(self) -> _Round:
        facts = facts_from(ladder.take_way(self._context, self._stage.controller))
        endpoints = facts.one(workloads.ENDPOINTS)
        rounds = self._context.take(_paths(self._stage, facts))
        found = [observe(dials.parse, reading) for reading in rounds]
        # A path that is not known, or a machine that did not answer, was not seen to be whole.
        way = (workloads.SERVICE, workloads.ENDPOINTS)
        unread = [facts.why_unseen(each.name) for each in way if facts.one(each) is None]
        unread += [each.problem for each in found if each.problem is not None]
        return _Round(
            tuple(each.value for each in found if each.value is not None),
            tuple(unread),
            _counting(facts.of_controller(controlplane.TUNNEL))
            if self._stage.konnectivity
            else None,
            backed=endpoints is None or bool(endpoints),
        )

    def _tunnel(self) -> TunnelServer | None:
        if not self._stage.konnectivity:
            return None
        (reading,) = self._context.take([controlplane.TUNNEL.on(self._stage.controller)])
        return _counting(observe(controlplane.parse_tunnel, reading).value)


def _counting(tunnel: TunnelServer | None) -> TunnelServer | None:
    """Return the figures if a server gave them: one that does not listen counts nothing."""
    return tunnel if tunnel is not None and tunnel.listening else None


class Repeated(Generic[T]):
    """Something longer than a look, made again until somebody is content with what it found."""

    def __init__(self, make: Callable[[], T], every: float, now: Callable[[], float]) -> None:
        self._make = make
        self._every = every
        self._now = now
        self._under_way: Future[T] | None = None
        self.started_at = float("-inf")
        self.latest: T | None = None

    def start_when_due(self, pool: Executor) -> None:
        """Begin, unless that is under way or was done just now."""
        if self._under_way is None and self._now() - self.started_at >= self._every:
            self.started_at = self._now()
            self._under_way = pool.submit(self._make)

    def collect(self) -> tuple[T, float] | None:
        """Return what has just ended, and when; None where nothing has."""
        if self._under_way is None or not self._under_way.done():
            return None
        self.latest = self._under_way.result()
        self._under_way = None
        return self.latest, self._now()


def diagnoses(context: RunContext, stage: Stage) -> Repeated[Diagnosis]:
    """Return the diagnosis of the phase, made again and again: a walk up the ladder each."""

    def make() -> Diagnosis:
        readings = ladder.take(context.prober, stage.controllers, stage.workers, in_lab=True)
        context.record(readings)
        return diagnose(readings)

    return Repeated(make, DIAGNOSE_EVERY_SECONDS * context.pace, context.now)


def flow_matrices(context: RunContext, stage: Stage) -> Repeated[FlowMatrix]:
    """Return the flow matrix of the phase, measured again and again."""
    roles = dict.fromkeys(stage.workers, Role.WORKER)
    for name in stage.controllers:
        roles[name] = Role.CONTROLLER_WORKER if name in roles else Role.CONTROLLER

    def make() -> FlowMatrix:
        readings = flows.measure(context.prober, roles, pace=context.pace)
        context.record(readings)
        return flows.parse(readings)

    return Repeated(make, FLOWS_EVERY_SECONDS, context.now)


def _paths(stage: Stage, facts: Facts) -> list[Probe[Any]]:
    """Return the dials of the path in use.

    With konnectivity the agents dial from the workers, so each worker must reach both the pod and
    the ClusterIP; without it the controller itself dials.
    """
    service = facts.one(workloads.SERVICE)
    ports = {each.address: each.port for each in facts.one(workloads.ENDPOINTS) or ()}
    if service is not None and service.exists:
        ports[service.cluster_ip] = service.port
    dialled = ladder.dialled_address(facts)
    if stage.konnectivity:
        targets = [(worker, address) for worker in stage.workers for address in ports]
    else:
        targets = [(stage.controller, dialled)] if dialled in ports else []
    return [
        dials.look(machine, address, ports[address], times=reachability.CONNECTIONS)
        for machine, address in targets
    ]
