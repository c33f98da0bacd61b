"""What a diagnosis is: hops that hold or not, and the cause that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from harness.scenario.words import Cause


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


@dataclass(frozen=True)
class Hop:
    """One link of the way from the API server to the metrics, with the command that shows it.

    `raw` is the tail of what the command printed.
    """

    name: str
    state: HopState
    text: str
    command: str | None = None
    raw: str = ""


Hops: TypeAlias = Mapping[str, Hop]
"""Hops by their names."""


def state_of(hops: Hops, name: str) -> HopState | None:
    """Return the state of a hop, None for one that this way does not have."""
    return hops[name].state if name in hops else None


def is_broken(hops: Hops, name: str) -> bool:
    """Whether the hop is broken."""
    return state_of(hops, name) is HopState.BROKEN


def does_hold(hops: Hops, name: str) -> bool:
    """Whether the hop holds."""
    return state_of(hops, name) is HopState.HOLDS


@dataclass(frozen=True)
class Diagnosis:
    """The cause, found from evidence alone: hops in order, first broken one, facts, remedy.

    `facts` are the sentences that prove it, `not_seen` what would have been needed and is missing.
    `also` are further causes that the first does not explain. `ruled_out` says what else it might
    have been and which fact speaks against it. `remedy` has this cluster's own addresses and nodes,
    several lines where it is configuration; `link` says more about the cause, `check_again` is one
    command. `look_again` says when, while the cluster is settling.
    """

    cause: Cause
    confidence: Confidence
    hops: tuple[Hop, ...]
    facts: tuple[str, ...]
    remedy: str | None = None
    not_seen: tuple[str, ...] = ()
    also: tuple[Cause, ...] = ()
    ruled_out: tuple[str, ...] = ()
    link: str | None = None
    check_again: str | None = None
    look_again: str | None = None

    @property
    def first_broken_hop(self) -> str | None:
        """The name of the first hop that is broken, None where none is."""
        return next((hop.name for hop in self.hops if hop.state is HopState.BROKEN), None)
