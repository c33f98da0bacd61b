"""What is promised of a measurement, and whether its result keeps it: pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from harness.bench.model import Result
from harness.report.formatting import duration


@dataclass(frozen=True)
class Figure:
    """A kind of number: what it is, and how it is written."""

    title: str
    shown: Callable[[float], str]


def _seconds(value: float) -> str:
    return f"{value:.2f}s" if value < 1 else duration(value)


FIGURES: Mapping[str, Figure] = {
    "seconds": Figure("the whole command", _seconds),
    "available": Figure("start to the first Available=True", _seconds),
    "observed": Figure("start to the first observation", _seconds),
    "teardown": Figure("teardown", _seconds),
    "cpu": Figure("processor of the harness while it observes", "{:.1%} of a core".format),
    "cpu_with_programs": Figure(
        "processor of the harness and of what it starts while it observes",
        "{:.1%} of a core".format,
    ),
    "memory": Figure("memory of the harness, at most", "{:.0f} MB".format),
}


@dataclass(frozen=True)
class Spread:
    """Median, least and most of so many values."""

    median: float
    least: float
    most: float
    count: int


def spread(values: Iterable[float]) -> Spread | None:
    """Return the spread of values, None where there are none."""
    found = sorted(values)
    if not found:
        return None
    return Spread(statistics.median(found), found[0], found[-1], len(found))


@dataclass(frozen=True)
class Promise:
    """That a figure of a way is at most so much, or at most so many times that of another.

    `whole`: only a result of every scenario can show it.
    """

    text: str
    figure: str
    way: str
    at_most: float
    against: str = ""
    whole: bool = False

    def seen(self, result: Result) -> Spread | None:
        """Return what the result says of it, None where it says nothing."""
        if self.whole and len(result.scenarios) < result.catalogue:
            return None
        if self.against:
            return spread(result.ratios(self.figure, self.way, self.against))
        return spread(result.values(self.way, self.figure).values())

    def shown(self, value: float) -> str:
        """Return a value of it as people read it."""
        return ratio_text(value) if self.against else FIGURES[self.figure].shown(value)


def ratio_text(value: float) -> str:
    """Return a ratio so that two that differ by a tenth read differently."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"  # noqa: PLR2004  # two digits


def differing(result: Result) -> tuple[str, ...]:
    """Return the scenarios that did not come to the same verdicts and causes every time."""
    found: dict[str, set[str]] = {}
    for sample in result.samples:
        for scenario, verdict in sample.verdicts.items():
            found.setdefault(scenario, set()).add(verdict)
    return tuple(sorted(name for name, verdicts in found.items() if len(verdicts) > 1))
