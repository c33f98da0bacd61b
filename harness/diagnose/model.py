"""What a diagnosis is: hops that hold or not, and the cause that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from harness.probe import apiservice, controlplane, dials, metrics_data, routing, workloads
from harness.vocabulary.words import CAUSES


class HopState(StrEnum):
    """Whether one link of the way from the API server to the metrics holds."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_SEEN = "not-seen"


class Confidence(StrEnum):
    """How much of what the cause rests on was seen."""

    HIGH = "high"
    """Everything the cause rests on was seen, and it is what the cause predicts."""
    LOW = "low"
    """Something the cause rests on was not seen; the diagnosis says which."""


class HopId(StrEnum):
    """The links of the way from the API server to the metrics, in the order they are walked."""

    API_SERVER = "api-server"
    NODES = workloads.NODES.name
    BACKEND = "metrics-server"
    ALIVE = "metrics-server-answers"
    SCRAPING = "scraping"
    SERVICE = workloads.SERVICE.name
    EGRESS = "egress"
    TUNNEL = controlplane.TUNNEL.name
    MESH = "agents-of-every-controller"
    ROUTE = routing.PROBE.name
    DIAL = dials.PROBE.name
    PATH = "connections"
    LARGE = "full-size-packets"
    CONDITION = apiservice.PROBE.name
    DATA = metrics_data.PROBE.name
    OTHERS = "others"


HOP_NAMES: Mapping[HopId, str] = {
    HopId.API_SERVER: "the API server",
    HopId.NODES: "the nodes",
    HopId.BACKEND: "metrics-server runs",
    HopId.ALIVE: "metrics-server answers on its own node",
    HopId.SCRAPING: "metrics-server reads the kubelets",
    HopId.SERVICE: "the Service has an endpoint",
    HopId.EGRESS: "the API server's way out",
    HopId.TUNNEL: "the konnectivity tunnel",
    HopId.MESH: "agents of every controller",
    HopId.ROUTE: "the controller's route to the dialled address",
    HopId.DIAL: "a connection to the dialled address",
    HopId.PATH: "connections from each worker",
    HopId.LARGE: "full-size packets",
    HopId.CONDITION: "the APIService",
    HopId.DATA: "the metrics",
    HopId.OTHERS: "what else is affected",
}
"""What people read; programs go by the ids."""


@dataclass(frozen=True)
class Hop:
    """One link of the way from the API server to the metrics, with the command that shows it.

    `name` is what people call it, `raw` the tail of what the command printed. `device` and
    `gateway` say where the controller's route leads; other hops have none.
    """

    id: HopId
    name: str
    state: HopState
    text: str
    command: str | None = None
    raw: str = ""
    device: str | None = None
    gateway: str | None = None

    @property
    def sentence(self) -> str:
        """The hop as one fact among others."""
        return f"{self.name}: {self.text}"


Hops: TypeAlias = Mapping[HopId, Hop]
"""Hops by their ids."""


def state_of(hops: Hops, hop: HopId) -> HopState | None:
    """Return the state of a hop, None for one that this way does not have."""
    return hops[hop].state if hop in hops else None


def is_broken(hops: Hops, hop: HopId) -> bool:
    """Whether the hop is broken."""
    return state_of(hops, hop) is HopState.BROKEN


def does_hold(hops: Hops, hop: HopId) -> bool:
    """Whether the hop holds."""
    return state_of(hops, hop) is HopState.HOLDS


class _OneCause:
    """What documents have for a cause: one of the words that there are when they are read."""

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> Any:  # noqa: ANN401
        # Only what reads documents and writes schemas needs it; see `harness.report.schemas`.
        from pydantic_core import core_schema  # noqa: PLC0415

        return core_schema.literal_schema([str(word) for word in CAUSES])


@dataclass(frozen=True)
class Diagnosis:
    """The cause, found from evidence alone: hops in order, first broken one, facts, remedy.

    `facts` are the sentences that prove it, `not_seen` what would have been needed and is missing.
    `also` are further causes that the first does not explain. `ruled_out` says what else it might
    have been and which fact speaks against it. `remedies` are the steps and their alternatives,
    with this cluster's own addresses and nodes; `link` says more about the cause, `check_again` is
    one command. `look_again` says when, while the cluster is settling.
    """

    cause: Annotated[str, _OneCause()]
    confidence: Confidence
    hops: tuple[Hop, ...]
    facts: tuple[str, ...]
    remedies: tuple[str, ...] = ()
    not_seen: tuple[str, ...] = ()
    also: tuple[Annotated[str, _OneCause()], ...] = ()
    ruled_out: tuple[str, ...] = ()
    link: str | None = None
    check_again: str | None = None
    look_again: str | None = None

    @property
    def broken(self) -> Hop | None:
        """The first hop that is broken, None where none is."""
        return next((hop for hop in self.hops if hop.state is HopState.BROKEN), None)

    @property
    def first_broken_hop(self) -> str | None:
        """The name of that hop."""
        return self.broken.name if self.broken is not None else None

    @property
    def remedy(self) -> str | None:
        """The steps as one text, one a line, None where nothing is known."""
        return "\n".join(self.remedies) or None
