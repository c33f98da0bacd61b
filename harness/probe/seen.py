"""What a set of readings says, by probe: typed as the probe's parser declares it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from harness.evidence.reading import Reading
from harness.probe.core import AnyProbe, ApiProbe, MachineProbe, TargetProbe, observe

T = TypeVar("T")

# Characters of earlier readings; the longest of a hundred machines, all agents' pods, has 1.1 MB.
_MOST_LOOKED_BACK = 2_000_000

Place: TypeAlias = tuple[str, str]
"""A machine, and a target or nothing."""


@dataclass(frozen=True)
class Seen:
    """What was read; what was not is missing.

    `values` go by the probe's name and place. `unseen_at` has, by look and machine, why there is no
    value; `readings` the reading of each.
    """

    # Each of the type that its probe's parser declares, as `observe` saw to.
    values: Mapping[str, Mapping[Place, Any]] = field(default_factory=dict)
    unseen_at: Mapping[tuple[str, str], str] = field(default_factory=dict)
    readings: Mapping[tuple[str, str], Reading] = field(default_factory=dict)

    def one(self, probe: ApiProbe[T]) -> T | None:
        """Return the cluster's value, None where it was not seen."""
        return self._last.get(probe.name)

    # A diagnosis asks for some of these hundreds of times.
    @functools.cached_property
    def _last(self) -> Mapping[str, Any]:
        return {name: [*found.values()][-1] for name, found in self.values.items() if found}

    def on(self, probe: MachineProbe[T]) -> Mapping[str, T]:
        """Return the value of each machine that was seen."""
        return self._by_machine.get(probe.name, {})

    @functools.cached_property
    def _by_machine(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            name: {machine: value for (machine, _), value in found.items()}
            for name, found in self.values.items()
        }

    def to(self, probe: TargetProbe[T]) -> Mapping[Place, T]:
        """Return the value of each machine and target that was seen."""
        return self.values.get(probe.name, {})

    def why_unseen(self, look: str, where: str | None = None) -> str:
        """Return why a look has no value."""
        if where is not None:
            return self.unseen_at.get((look, where), "not looked at")
        return next(
            (why for (name, _), why in self.unseen_at.items() if name == look), "not looked at"
        )

    def reading(self, look: str, where: str | None = None) -> Reading | None:
        """Return the reading of a look, at `where` or wherever it was taken first."""
        if where is not None:
            return self.readings.get((look, where))
        return next((each for (name, _), each in self.readings.items() if name == look), None)


def seen_in(readings: Iterable[Reading], probes: Iterable[AnyProbe]) -> Seen:
    """Return what `readings` say of `probes`; of two readings of one look the later one counts."""
    known = {probe.name: probe for probe in probes}
    values: dict[str, dict[Place, object]] = {}
    unseen: dict[tuple[str, str], str] = {}
    kept: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        name, _, target = reading.probe.partition(":")
        probe = known.get(name)
        # A target that a probe does not have is nobody's question.
        if probe is not None and bool(target) is isinstance(probe, TargetProbe):
            kept.setdefault((reading.probe, reading.where), []).append(reading)
    for (look, where), taken in kept.items():
        name, _, target = look.partition(":")
        value, problem = _latest(known[name], taken)
        if problem is not None:
            unseen[look, where] = problem
        if value is not None:
            values.setdefault(name, {})[where, target] = value
    return Seen(values, unseen, {key: taken[-1] for key, taken in kept.items()})


def _latest(probe: AnyProbe, taken: Sequence[Reading]) -> tuple[Any, str | None]:
    """Return the last value there is, and why the last reading has none.

    Earlier readings are only looked at where later ones say nothing: a recording has thousands.
    """
    last = observe(probe.parse, taken[-1])
    if last.problem is None:
        return last.value, None
    left = _MOST_LOOKED_BACK
    for each in reversed(taken[:-1]):
        left -= len(each.stdout)
        if left < 0:
            break
        value = observe(probe.parse, each).value
        if value is not None:
            return value, last.problem
    return None, last.problem
