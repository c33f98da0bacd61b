"""Scenarios over several hosts: each host runs one part of them, and knows of the others'."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from harness.base.errors import (
    HarnessError,
    HostLacksError,
    InconclusiveError,
    InfrastructureError,
    InterruptedRunError,
    UsageError,
)
from harness.base.settings import Settings, Shard
from harness.base.untrusted import json_value, read_text
from harness.engine.session import UNKNOWN_SECONDS, group_key, plan_of
from harness.evidence.bundle import DOCUMENT
from harness.evidence.redaction import redact
from harness.scenario.load import LoadedScenario

PLANNED = "planned.json"
"""The file in the folder of a part's runs that says what all parts together were to run."""


@dataclass(frozen=True)
class Part:
    """What this host runs of a command's scenarios, and about how long; `left` is for others."""

    taken: tuple[LoadedScenario, ...]
    left: tuple[LoadedScenario, ...] = ()
    seconds: float = 0.0


_KINDS: Mapping[str, type[HarnessError]] = {
    kind.__name__: kind
    for kind in (
        UsageError,
        HostLacksError,
        InterruptedRunError,
        InconclusiveError,
        InfrastructureError,
    )
}


@dataclass(frozen=True)
class NotStarted:
    """Why a scenario has no run: the error of a process, for another one, here or on any host."""

    kind: str
    doing: str
    happened: str
    remedy: str | None = None
    details: str | None = None
    where: str | None = None

    @classmethod
    def of(cls, error: HarnessError) -> Self:
        """Return what is told of an error, without secrets."""
        kind = next((each for each in type(error).__mro__ if each.__name__ in _KINDS), None)
        told = (error.remedy or error.otherwise, error.details, error.where)
        return cls(
            "" if kind is None else kind.__name__,
            redact(error.doing),
            redact(error.happened),
            *(None if each is None else redact(str(each)) for each in told),
        )

    @property
    def error(self) -> HarnessError:
        """The error, as it counts where it was told."""
        return _KINDS.get(self.kind, InfrastructureError)(
            self.doing,
            self.happened,
            remedy=self.remedy,
            details=self.details,
            where=None if self.where is None else Path(self.where),
        )


@dataclass(frozen=True)
class Planned:
    """The names of what all parts together were to run, and what has no run in this one."""

    scenarios: tuple[str, ...]
    not_started: Mapping[str, NotStarted] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what the file at `path` says; raises `OSError`, or `ValueError` for no such file.

        It comes from another host.
        """
        # As in `recorded_run`: pydantic costs 84 ms to import.
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

        data = json_value(read_text(path, DOCUMENT), DOCUMENT)
        try:
            found: Self = TypeAdapter(cls).validate_python(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"it says no plan: {where}: {first['msg']}") from None
        return found


def split(groups: Sequence[float], count: int) -> tuple[tuple[int, ...], ...]:
    """Return the places of the groups that take so many seconds each, in `count` even parts.

    The longest first, each into the part with the least so far: none is longer than 4/3 of what is
    possible (Graham 1969). The same on every host.
    """
    parts: list[list[int]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for place in sorted(range(len(groups)), key=lambda each: -groups[each]):
        least = loads.index(min(loads))
        parts[least].append(place)
        loads[least] += groups[place]
    return tuple(map(tuple, parts))


def part_of(
    scenarios: Sequence[LoadedScenario],
    shard: Shard,
    settings: Settings,
    seconds: Mapping[str, float],
) -> Part:
    """Return the part `shard` of the scenarios; those that may share machines stay together.

    `seconds` is how long scenarios took before. Raises `ScenarioError` for what the provider
    cannot do.
    """
    groups: dict[str, list[LoadedScenario]] = {}
    # By name: it may be typed in another order on another host.
    for loaded in sorted(scenarios, key=lambda each: each.scenario.name):
        groups.setdefault(group_key(plan_of(loaded, settings), settings), []).append(loaded)
    members = list(groups.values())
    took = [sum(seconds.get(each.scenario.name, UNKNOWN_SECONDS) for each in of) for of in members]
    parts = split(took, shard.of)

    mine = parts[shard.part - 1]
    return Part(
        tuple(each for place in sorted(mine) for each in members[place]),
        tuple(each for place, of in enumerate(members) if place not in mine for each in of),
        sum(took[place] for place in mine),
    )
