"""Where the seconds of a run went, as text: step by step, and the way to the first verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.base.printable import printable_line
from harness.engine.timings import Part, Timings, timings_of
from harness.evidence.redaction import redact
from harness.report.formatting import duration, one_line

# What is shorter is told together: a run has some sixty such parts, and none of them is the wait.
SHORT_SECONDS = 0.5
_TEXT_CHARACTERS = 100


def profile(name: str, events: Iterable[Mapping[str, Any]]) -> str:
    """Return where the seconds of the run `name` went by its timeline, nothing without one.

    That is a line for each step and for what in it took long, then the way to the first verdict.
    """
    timings = timings_of(events)
    lines = _lines(name, timings) if timings.steps else ()
    return "\n".join(printable_line(redact(line)) for line in lines)


def _lines(name: str, timings: Timings) -> Iterator[str]:
    first = timings.first_verdict
    until = f"after {duration(first.began)} ({_short(first.text)})" if first else "none"
    yield f"{name}: {duration(timings.seconds)}, first verdict {until}"
    yield ""
    yield f"{'from':>8} {'took':>7}  step"
    phase = ""
    for step in timings.steps:
        if step.phase != phase:
            phase = step.phase
            yield f"{duration(step.began):>8}          phase {phase}"
        yield f"{duration(step.began):>8} {duration(step.seconds):>7}  {step.title}"
        yield from _parts(step.parts)
    if first is not None:
        yield ""
        yield f"{'from':>8} {'took':>7}  {'share':>5}  the way to the first verdict"
        yield from _way(timings.critical_path(), first.ended)


def _parts(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        if part.seconds >= SHORT_SECONDS and part.text:
            yield f"{'':16} {duration(part.seconds):>7}  {_short(part.text)}"
        for machine, did in part.machines.items():
            longest = "; ".join(
                f"{duration(each.seconds)} {_short(each.text)}"
                for each in did
                if each.seconds >= SHORT_SECONDS
            )
            took = did[-1].ended - did[0].began if did else 0.0
            yield f"{'':16} {'':7}    {machine} {duration(took)}: {longest or 'nothing long'}"


def _way(parts: Sequence[Part], whole: float) -> Iterator[str]:
    short = [part.seconds for part in parts if part.seconds < SHORT_SECONDS]
    for part in parts:
        if part.seconds >= SHORT_SECONDS:
            at, text = duration(part.began), _short(part.text) or "between two of these"
            yield f"{at:>8} {duration(part.seconds):>7}  {part.seconds / whole:>5.0%}  {text}"
    if short:
        rest = f"{len(short)} shorter than {duration(SHORT_SECONDS)}"
        yield f"{'':8} {duration(sum(short)):>7}  {sum(short) / whole:>5.0%}  {rest}"


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _TEXT_CHARACTERS else f"{line[:_TEXT_CHARACTERS]}…"
