"""What a set of readings says of one cluster; None, or nothing, is what was not seen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from harness.base.printable import pasted
from harness.diagnose import backing
from harness.evidence.reading import Reading
from harness.probe import controlplane, machines, registry, workloads
from harness.probe.core import API, DIAL, PIPE, Asked, MachineProbe, TargetProbe
from harness.probe.seen import Seen, seen_in

T = TypeVar("T")

# Of a clock that is set at all; beyond them there are times that cannot be told.
_YEARS = range(1970, 2200)


@dataclass(frozen=True)
class Facts(Seen):
    """What was seen of one cluster.

    `controllers` and `workers` are names of machines, the controller that was asked for the API
    server first. `at` is when the last look was taken, in seconds since 1970. metrics-server's
    objects are those that count; `as_read` has k0s's own ones, too.
    """

    controllers: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    at: float = 0.0
    as_read: Seen = field(default_factory=Seen)

    @functools.cached_property
    def led(self) -> backing.Led:
        """The Service that the APIService leads to."""
        return backing.led(self)

    @property
    def controller(self) -> str:
        """The controller whose way is judged, empty where none was asked."""
        return self.controllers[0] if self.controllers else ""

    def of_controller(self, probe: MachineProbe[T]) -> T | None:
        """Return the value of the controller whose way is judged."""
        return self.on(probe).get(self.controller)

    def machine_of(self, node: str) -> str | None:
        """Return the machine that is the Node `node`, by name or by its InternalIP."""
        if node in self._places:
            return node
        own = self._addresses_of.get(node, frozenset())
        found = [name for each in own if (name := self._machine_at.get(each)) is not None]
        if found:
            return min(found, key=self._order.__getitem__)
        return min(own & self._places, default=None)

    @functools.cached_property
    def _places(self) -> frozenset[str]:
        return frozenset(name for _, name in self.readings)

    @functools.cached_property
    def _addresses_of(self) -> Mapping[str, frozenset[str]]:
        """The InternalIPs of each Node."""
        found: dict[str, frozenset[str]] = {}
        for each in self.one(workloads.NODES) or ():
            found[each.name] = found.get(each.name, frozenset()) | frozenset(each.addresses)
        return found

    @functools.cached_property
    def _machine_at(self) -> Mapping[str, str]:
        """The first machine that has an address."""
        found: dict[str, str] = {}
        for machine, addresses in self.on(machines.ADDRESSES).items():
            for each in addresses:
                found.setdefault(each.address, machine)
        return found

    @functools.cached_property
    def _order(self) -> Mapping[str, int]:
        """The place of each machine among those that said their addresses."""
        return {name: at for at, name in enumerate(self.on(machines.ADDRESSES))}

    def command(self, look: str, where: str | None = None) -> str | None:
        """Return the command with which anyone can look again, and where."""
        reading = self.reading(look, where)
        return None if reading is None else command_of(reading)

    @functools.cached_property
    def told(self) -> dict[Callable[[Facts], Any], Any]:
        """What the questions of `once` came to."""
        return {}

    @functools.cached_property
    def lost_machines(self) -> tuple[str, ...]:
        """The machines of which nothing could be read at all."""
        answered = {where for (_, where), each in self.readings.items() if not each.failed}
        asked = {where for _, where in self.readings if where != API}
        return tuple(sorted(asked - answered))


def once(question: Callable[[Facts], T]) -> Callable[[Facts], T]:
    """Return `question`, answered once for the same facts: dozens of hops and causes ask it."""

    @functools.wraps(question)
    def answered(facts: Facts) -> T:
        if question not in facts.told:
            facts.told[question] = question(facts)
        answer: T = facts.told[question]
        return answer

    return answered


def facts_from(readings: Iterable[Reading]) -> Facts:
    """Return the facts of `readings`; of two readings of one look the later one counts.

    Readings of probes that are not registered are passed over.
    """
    seen = seen_in(readings, registry.PROBES)
    asked = {each.name: each.asked for each in registry.PROBES if isinstance(each, MachineProbe)}
    aimed = {each.name for each in registry.PROBES if isinstance(each, TargetProbe)}
    controllers: dict[str, None] = {}
    workers: dict[str, None] = {}
    for look, where in seen.readings:
        # By what is asked of them only, controllers and workers are known.
        if asked.get(look) in (Asked.CONTROLLERS, Asked.LAB_CONTROLLERS):
            controllers[where] = None
        elif asked.get(look) is Asked.WORKERS:
            workers[where] = None
    # What dials and is no controller is a worker, too.
    for look, where in seen.readings:
        if look.partition(":")[0] in aimed and where not in {*controllers, API}:
            workers[where] = None
    flagged = seen.on(controlplane.FLAGS)
    counting = backing.resolved(seen)
    return Facts(
        counting.values,
        counting.unseen_at,
        counting.readings,
        as_read=seen,
        controllers=tuple(sorted(controllers, key=lambda name: name not in flagged)),
        workers=tuple(workers),
        at=max((moment(each) for each in seen.readings.values()), default=0.0),
    )


def command_of(reading: Reading) -> str:
    """Return the command with which anyone can look again, and where."""
    if reading.argv[0] == DIAL and len(reading.argv) > 2:  # noqa: PLR2004  # host and port
        return f"on {reading.where}: {pasted('nc', '-vz', '-w', '5', *reading.argv[1:3])}"
    command = " ".join(word if word == PIPE else pasted(word) for word in reading.argv)
    return command if reading.where == API else f"on {reading.where}: {command}"


def moment(reading: Reading) -> float:
    """Return when a look had ended, in seconds since 1970 by this host's clock."""
    try:
        at = datetime.fromisoformat(reading.at)
        return at.timestamp() + reading.duration if at.year in _YEARS else 0.0
    except (ValueError, OverflowError):
        return 0.0
