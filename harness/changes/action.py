"""What a change comes to: commands that make it, commands that take it back, and looks at both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from harness.base.errors import InconclusiveError
from harness.evidence.reading import Reading
from harness.probe.core import Probe, observe

T = TypeVar("T")

# ip, nft, ss, modprobe and date answer in milliseconds, also on a machine that is busy.
COMMAND_SECONDS = 20.0
# Where the kernel does at once what it was asked, a second look is for a reading that failed.
AT_ONCE_SECONDS = 5.0


@dataclass(frozen=True)
class Command:
    """One command: `argv` as root on the machine `where`, or a kubectl command line at the API.

    `deadline` is in seconds; a status that is not in `accept` means that it failed.
    """

    where: str
    argv: tuple[str, ...]
    stdin: str | None = None
    deadline: float = COMMAND_SECONDS
    accept: frozenset[int] = frozenset({0})


@dataclass(frozen=True)
class Check:
    """What has to be seen: `wrong` says of the probe's value what is not so, None where all is.

    It is looked at until it is so, for `within` seconds; one that is not `required` may stay out.
    """

    what: str
    probe: Probe[Any]
    wrong: Callable[[Any], str | None]
    within: float = AT_ONCE_SECONDS
    required: bool = True


Step: TypeAlias = Command | Check


@dataclass(frozen=True)
class Action:
    """One change on this very cluster.

    `check` is what is so while the change is in force; `evidence` are counters and the like, read
    before it is taken back. `reconnect` names machines whose connections are opened anew after
    `do` and after `undo`, because what they had agreed on with the other end no longer fits.
    `aside` names machines that are reached by the second way, because the first one is cut.
    """

    text: str
    do: tuple[Step, ...]
    undo: tuple[Step, ...]
    check: tuple[Check, ...]
    evidence: tuple[Probe[str], ...] = ()
    reconnect: tuple[str, ...] = ()
    aside: frozenset[str] = frozenset()


class Before:
    """What is known right before a change: the readings, by the probes that asked for them.

    `key` is one that no other change of the run has.
    """

    def __init__(self, readings: Iterable[Reading], key: str = "") -> None:
        self.key = key
        self._readings: Mapping[tuple[str, tuple[str, ...]], Reading] = {
            (reading.where, reading.argv): reading for reading in readings
        }

    def value(self, probe: Probe[T]) -> T:
        """Return what `probe` read; raises `InconclusiveError` where it could not be read."""
        doing = f"Reading {probe.name} on {probe.where} before it is changed"
        reading = self._readings.get((probe.where, probe.argv))
        if reading is None:
            raise InconclusiveError(doing, "it was not looked at")
        observation = observe(probe.parse, reading)
        if observation.problem is not None:
            raise InconclusiveError(doing, observation.problem)
        return observation.value  # type: ignore[return-value]  # without a problem it is a value
