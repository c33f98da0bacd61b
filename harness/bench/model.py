"""What was measured: values, and the file that keeps them, one a measurement."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base.errors import UsageError
from harness.base.untrusted import MIB, Limits, json_value, read_text
from harness.engine.plain import Value
from harness.evidence.recorder import reason_of
from harness.report.schemas import schema_of

FORMAT = "k0s-harness-bench/1"
# A sample of the whole catalogue has 60 values and 3 kB.
_LIMITS = Limits("a result of the bench", most_bytes=MIB)


@dataclass(frozen=True)
class Sample(Value):
    """One way of doing it, once.

    `load` is this host's load average of the minute before. `figures` has what was measured, by
    the names in `FIGURES`, `verdicts` what each scenario came to, with the causes.
    """

    round: int
    way: str
    load: float
    figures: Mapping[str, float]
    verdicts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BenchHost(Value):
    """What it was measured on."""

    name: str
    kernel: str
    architecture: str
    cores: int
    memory_mib: int


@dataclass(frozen=True)
class FileUsed(Value):
    """A release file that it was measured with; `origin` as in a run's report."""

    version: str
    sha256: str
    origin: str


@dataclass(frozen=True)
class Result(Value):
    """One measurement: when, with which commit of the harness, on what, and every value.

    `changed` is whether the checkout had changes that are in no commit. `provider`, `substrate` and
    `files` are empty where there were no machines. `scenarios` are those that were run, of as many
    as `catalogue` says that there are for this provider.
    """

    measurement: str
    began: str
    commit: str
    changed: bool
    host: BenchHost
    provider: str
    substrate: str
    files: Mapping[str, FileUsed]
    scenarios: tuple[str, ...]
    catalogue: int
    samples: tuple[Sample, ...]

    @property
    def rounds(self) -> int:
        """How often each way was measured."""
        return max((each.round for each in self.samples), default=0)

    def values(self, way: str, figure: str) -> Mapping[int, float]:
        """Return what was measured of one way, by round."""
        return {
            each.round: each.figures[figure]
            for each in self.samples
            if each.way == way and figure in each.figures
        }

    def ratios(self, figure: str, way: str, against: str) -> tuple[float, ...]:
        """Return one way against another, pair by pair: each of one round."""
        others = self.values(against, figure)
        return tuple(
            value / others[number]
            for number, value in self.values(way, figure).items()
            if others.get(number)
        )


def document(result: Result) -> dict[str, Any]:
    """Return the result as JSON values."""
    return {"format": FORMAT, **result.to_dict()}


def text_of(result: Result) -> str:
    """Return `document` as text, indented, with a newline at its end."""
    return json.dumps(document(result), indent=1) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a result's file, made from the model itself."""
    title = "What the bench of k0s-harness measured"
    return schema_of(Result, title, first={"format": {"const": FORMAT}}, derived={})


def read_result(path: Path) -> Result:
    """Return the result in a file; raises `UsageError` where it is none."""
    # pydantic costs 84 ms to import.
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    doing = f"Reading {path}"
    try:
        data = json_value(read_text(path, _LIMITS), _LIMITS)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise UsageError(doing, f"it is no file of the format {FORMAT}")
        result = TypeAdapter(Result).validate_python(data)
    except OSError as error:
        raise UsageError(doing, reason_of(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(doing, f"it is no result: {where}: {first['msg']}") from None
    except ValueError as error:
        raise UsageError(doing, str(error)) from None
    if document(result) != data:
        raise UsageError(doing, "it has what no result has, or a value of another type")
    return result


def read_results(folder: Path) -> dict[str, Result]:
    """Return the results in a folder by what they are of; raises `UsageError` as `read_result`."""
    results = (read_result(path) for path in sorted(folder.glob("*.json")))
    return {each.measurement: each for each in results}


def in_turn(ways: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Yield round and way, alternately: every second round goes the other way about.

    So what gets slower or faster with time is no way's gain.
    """
    for number in range(1, rounds + 1):
        yield from ((number, way) for way in (ways if number % 2 else reversed(ways)))
