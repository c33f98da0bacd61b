"""Where the seconds of a run went, from its timeline: steps, what each waited for, machines.

Everything is a pure function of the lines of `timeline.jsonl`, so it is had of any recorded run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.engine.timeline import RUN_SECONDS, seconds_of

# What is told of a machine within a step: `machines: worker0: Creating the container...`.
_OF_MACHINE = re.compile(r"(?P<stage>[^:]+): (?P<machine>(?:controller|worker)\d+): (?P<what>.+)")
# Vagrant's first line of each machine.
_BRINGING = re.compile(r"(?P<stage>[^:]+): Bringing machine '(?P<machine>[\w-]+)' (?P<what>up) ")


@dataclass(frozen=True)
class Part:
    """What went on, or was waited for, from `began` for `seconds`.

    `machines` has what each of several machines did meanwhile, in its order.
    """

    text: str
    began: float
    seconds: float
    machines: Mapping[str, Sequence[Part]] = field(default_factory=dict)

    @property
    def ended(self) -> float:
        """When it was over."""
        return self.began + self.seconds


@dataclass(frozen=True)
class StepTimes:
    """One step of the run and its parts, one after another; `phase` is empty before the first."""

    title: str
    phase: str
    began: float
    seconds: float
    parts: tuple[Part, ...] = ()

    @property
    def ended(self) -> float:
        """When it was over."""
        return self.began + self.seconds


@dataclass(frozen=True)
class Timings:
    """All steps of a run in order, its last second, and the first verdict of all."""

    steps: tuple[StepTimes, ...]
    seconds: float
    first_verdict: Part | None

    def critical_path(self) -> tuple[Part, ...]:
        """Return what the first verdict waited for, one after another, without gaps.

        Of machines that were made side by side it is what the last of them did.
        """
        if self.first_verdict is None:
            return ()
        return tuple(_gapless(self._on_the_way(), self.first_verdict.ended))

    def _on_the_way(self) -> Iterator[Part]:
        for step in self.steps:
            for part in step.parts or (Part("", step.began, step.seconds),):
                yield from (
                    Part(": ".join(filter(None, (step.title, leaf.text))), leaf.began, leaf.seconds)
                    for leaf in _slowest(part)
                )


def timings_of(events: Iterable[Mapping[str, Any]]) -> Timings:
    """Return where the seconds went; what has no time is left out."""
    reader = _Reader()
    for event in events:
        at = seconds_of(event.get(RUN_SECONDS))
        if at is not None:
            reader.read(event, at)
    return reader.timings()


@dataclass
class _Open:
    """A step that goes on, or a part of one."""

    text: str
    began: float
    phase: str = ""
    parts: list[_Open] = field(default_factory=list)
    machines: dict[str, list[_Open]] = field(default_factory=dict)

    def add(self, text: str, at: float) -> _Open:
        self.parts.append(_Open(text, at))
        return self.parts[-1]

    def closed(self, at: float) -> tuple[Part, ...]:
        """Return the parts, each until the next begins: the first at once, the last until `at`."""
        if not self.parts:
            return ()
        first = [] if self.parts[0].began == self.began else [_Open("", self.began)]
        return _in_turn([*first, *self.parts], at)


class _Reader:
    """Reads a timeline event by event."""

    def __init__(self) -> None:
        self._steps: list[StepTimes] = []
        self._going_on: list[_Open] = []
        self._phase = ""
        self._last = 0.0
        self._first_verdict: Part | None = None

    def read(self, event: Mapping[str, Any], at: float) -> None:
        self._last = max(self._last, at)
        match event:
            case {"event": "phase-entered", "name": str(name)}:
                self._phase = name
            case {"event": "step-started", "title": str(title)}:
                if self._going_on:
                    # One in another is a part of that.
                    self._going_on[-1].add(title, at)
                self._going_on.append(_Open(title, at, self._phase))
            case {"event": "step-progress", "text": str(text)} if self._going_on:
                _progress(self._going_on[-1], text, at)
            case {"event": "verdict-reached", "id": str(name), "text": str(text)}:
                self._verdict(f"{name}: {text}", at)
            case {"event": "step-ended"} if self._going_on:
                step = self._going_on.pop()
                if not self._going_on:
                    self._steps.append(
                        StepTimes(
                            step.text, step.phase, step.began, at - step.began, step.closed(at)
                        )
                    )

    def timings(self) -> Timings:
        """Return what was read; a step that never ended lasted until the last event."""
        while self._going_on:
            self.read({"event": "step-ended"}, self._last)
        return Timings(tuple(self._steps), self._last, self._first_verdict)

    def _verdict(self, text: str, at: float) -> None:
        """Take a verdict as what was waited for since the one before it."""
        if self._going_on:
            step = self._going_on[-1]
            waited = step.parts[-1] if step.parts else step.add("", step.began)
            waited.text = waited.text or text
            step.add("", at)
        if self._first_verdict is None:
            self._first_verdict = Part(text, at, 0.0)


def _progress(step: _Open, text: str, at: float) -> None:
    found = _OF_MACHINE.match(text) or _BRINGING.match(text)
    if found is None:
        step.add(text, at)
        return
    stage, machine, what = found["stage"], found["machine"], found["what"].strip(" .")
    part = step.parts[-1] if step.parts else None
    if part is None or part.text != stage:
        part = step.add(stage, at)
    part.machines.setdefault(machine, []).append(_Open(what, at))


def _in_turn(parts: Sequence[_Open], end: float) -> tuple[Part, ...]:
    """Return the parts, each until the next one begins, the last until `end`."""
    ends = [*(each.began for each in parts[1:]), end]
    return tuple(
        Part(each.text, each.began, until - each.began, _machines(each.machines))
        for each, until in zip(parts, ends, strict=True)
        if until > each.began
    )


def _machines(said: Mapping[str, Sequence[_Open]]) -> Mapping[str, Sequence[Part]]:
    """Return what each machine did: its last line says that it is ready."""
    return {name: _in_turn(lines, lines[-1].began) for name, lines in said.items()}


def _slowest(part: Part) -> Iterator[Part]:
    """Yield what `part` came to: itself, or the parts of the machine that was ready last."""
    ready = {name: parts[-1].ended for name, parts in part.machines.items() if parts}
    if not ready:
        yield part
        return
    name = max(ready, key=lambda each: ready[each])
    yield from (
        Part(f"{part.text}: {name}: {each.text}", each.began, each.seconds)
        for each in part.machines[name]
    )


def _gapless(parts: Iterable[Part], end: float) -> Iterator[Part]:
    """Yield the parts up to `end`, with what lies between them as parts without a name."""
    at = 0.0
    for part in parts:
        if part.began >= end:
            break
        if part.began > at:
            yield Part("", at, part.began - at)
        began = max(part.began, at)
        at = max(at, min(part.ended, end))
        if at > began:
            yield Part(part.text, began, at - began)
    if end > at:
        yield Part("", at, end - at)
