"""Recordings line by line, each within limits: a stranger may have written any of them.

A run's own numbers stand beside every limit. Whatever reads a recording, a bundle's or a folder's,
reads it here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from harness.base.untrusted import MIB, Limits, RefusedError, json_value, require_size
from harness.evidence.old_format import event_with_ids
from harness.evidence.reading import Reading

T = TypeVar("T")


@dataclass(frozen=True)
class Recorded(Generic[T]):
    """One kind of recording: its file, what its lines are, and how much there may be of them.

    `whole` is of the file, `line` of each line in it; both count JSON values as `Limits` does.
    """

    file: str
    of: Callable[[object], T]
    whole: Limits
    most_lines: int
    line: Limits


@dataclass(frozen=True)
class Line(Generic[T]):
    """What one line of a recording is; None where `problem` says why it is nothing.

    The last line of a run that was killed is cut off, so `last` says which that is.
    """

    number: int
    value: T | None
    problem: str
    last: bool


def lines_of(data: bytes | memoryview, recorded: Recorded[T]) -> Iterator[Line[T]]:
    """Yield every line of `data`; raises `RefusedError` for more than a recording ever has."""
    require_size(data, recorded.whole)
    values = 0
    # Bytes, since a reading's text may hold any of the other line ends that Unicode knows.
    with io.BytesIO(data) as file:
        for number, line in enumerate(file, start=1):
            value, problem = None, ""
            try:
                require_size(line, recorded.line)
                document = json_value(line.decode(), recorded.line)
                values += _values(document)
                value = recorded.of(document)
            except (ValueError, TypeError) as error:
                problem = str(error)
            if values > recorded.whole.most_values or number > recorded.most_lines:
                raise RefusedError(
                    f"{recorded.file} has more than {recorded.most_lines} lines or "
                    f"{recorded.whole.most_values} values up to line {number}, which "
                    f"{recorded.whole.what} never has"
                )
            yield Line(number, value, problem, last=file.tell() == len(data))


def whole_lines(data: bytes | memoryview, recorded: Recorded[T]) -> Iterator[T]:
    """Yield what the lines are; raises `RefusedError` for one that is none, unless it is the last.

    A last line that is none was cut off, and is left out.
    """
    for line in lines_of(data, recorded):
        if line.value is not None:
            yield line.value
        elif not line.last:
            raise RefusedError(
                f"line {line.number} of {recorded.file} in it is none: {line.problem}"
            )


def _values(document: object) -> int:
    """Return how many keys, scalars, lists and objects there are; it is not deep by now."""
    if isinstance(document, dict):
        return 1 + len(document) + sum(map(_values, document.values()))
    if isinstance(document, list):
        return 1 + sum(map(_values, document))
    return 1


def _event(document: object) -> Mapping[str, Any]:
    if not isinstance(document, dict) or not isinstance(document.get("event"), str):
        raise TypeError("no event")
    return event_with_ids(document)


# A run of five minutes on three machines has 297 readings with 25 values each and 0.9 MB, the
# longest 28 kB; an hour on six machines, the most there are, has 25 MB and 7000. Of a hundred
# machines that are only looked at there are 2000 readings, and the list of their agents' pods
# (11 kB each) has 1.1 MB. The tries of flows have four arguments for each way.
READINGS: Recorded[Reading] = Recorded(
    "observations.jsonl",
    Reading.from_dict,
    Limits("a recording", most_bytes=32 * MIB, most_values=1_000_000),
    most_lines=25_000,
    line=Limits("a reading", most_bytes=4 * MIB, most_levels=4, most_values=10_000),
)
# A run of five minutes has 103 events with 9 values each and 12 kB, the longest of them 0.4 kB; a
# transition's text may be that of a list of nodes.
EVENTS: Recorded[Mapping[str, Any]] = Recorded(
    "timeline.jsonl",
    _event,
    Limits("a timeline", most_bytes=4 * MIB, most_values=200_000),
    most_lines=25_000,
    line=Limits("an event", most_bytes=256 * 1024, most_levels=8, most_values=1000),
)
