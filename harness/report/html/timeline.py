"""The timeline: phases, changes, what was seen when, and the verdicts, in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.formatting import duration, one_line
from harness.report.html.elements import Markup, element, fold, scroller, table
from harness.report.html.marks import verdict_css, verdict_mark

_NAMES = 150
_WIDTH = 860
_RIGHT = 24
_TOP = 40
_LANE = 34
_BAR = 20
# Pixels between two numbers of the axis, at least, and the steps that people count in.
_TICK_PIXELS = 70
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_LETTER = 6.7
_FEWEST_LETTERS = 6


@dataclass(frozen=True)
class _Span:
    """A phase on the axis: when it was entered, observed from and left, in seconds."""

    phase: Mapping[str, Any]
    entered: float
    observed: float
    left: float


def section(document: Mapping[str, Any]) -> Markup | None:
    """Return the timeline of all phases, None where none was entered."""
    spans = tuple(_spans(document["phases"]))
    if not spans or spans[-1].left <= 0:
        return None
    return element(
        "section",
        element("h2", "Timeline", id="timeline"),
        element(
            "p",
            "Seconds since the first phase was entered. A lane is an expectation: a bar for each "
            "state that was seen, and the verdict where it was reached.",
            class_="quiet",
        ),
        _drawing(spans),
        fold(
            "Every event with its second",
            table(
                "Events",
                ("phase", "after", "what", "which", "text"),
                (_row(event) for span in spans for event in _events(span)),
                class_="events",
            ),
        ),
        aria_labelledby="timeline",
    )


def observed_seconds(phase: Mapping[str, Any]) -> float:
    """Return how long a phase was observed: to its last verdict or transition."""
    seen = [
        second
        for verdict in phase["verdicts"]
        for second in (verdict["seconds"], *(each["elapsed"] for each in verdict["transitions"]))
    ]
    return float(min(max(seen, default=0.0), phase["seconds"]))


def _spans(phases: Sequence[Mapping[str, Any]]) -> Iterator[_Span]:
    entered = 0.0
    for phase in phases:
        left = entered + phase["seconds"]
        yield _Span(phase, entered, left - observed_seconds(phase), left)
        entered = left


def _drawing(spans: Sequence[_Span]) -> Markup:
    lanes = tuple(
        dict.fromkeys(verdict["id"] for span in spans for verdict in span.phase["verdicts"])
    )
    total = spans[-1].left
    scale = _WIDTH / total
    bottom = _TOP + (len(lanes) + 1) * _LANE
    width, height = _NAMES + _WIDTH + _RIGHT, bottom + 40

    def at(second: float) -> float:
        return _NAMES + second * scale

    return scroller(
        "Timeline",
        element(
            "svg",
            element("title", "Timeline", id="timeline-title"),
            element("desc", _description(spans), id="timeline-description"),
            (_phase(span, at, bottom) for span in spans),
            (
                element("text", name, class_="lane", x=0, y=_lane_y(row) + 15)
                for row, name in enumerate(("changes", *lanes))
            ),
            (
                _lane(span, verdict, _lane_y(lanes.index(verdict["id"]) + 1), at)
                for span in spans
                for verdict in span.phase["verdicts"]
            ),
            _axis(total, at, bottom),
            role="img",
            class_="timeline",
            viewBox=f"0 0 {width} {height}",
            width=width,
            height=height,
            aria_labelledby="timeline-title timeline-description",
        ),
    )


def _lane_y(row: int) -> float:
    return _TOP + row * _LANE + (_LANE - _BAR) / 2


def _phase(span: _Span, at: Any, bottom: float) -> Markup:  # noqa: ANN401  # seconds to pixels
    left, right, observed = at(span.entered), at(span.left), at(span.observed)
    name = span.phase["name"]
    preparing = "; ".join(
        f"{one_line(each['text'])} ({duration(each['seconds'])})" for each in span.phase["changes"]
    )
    preparing = preparing or "deployed, then preconditions"
    return element(
        "g",
        element("rect", class_="band", x=left, y=_TOP, width=right - left, height=bottom - _TOP),
        element("line", class_="edge", x1=left, y1=_TOP - 22, x2=left, y2=bottom),
        element(
            "text", _fitting(f"phase {name}", right - left), class_="phase", x=left + 6, y=_TOP - 9
        ),
        element(
            "g",
            element("title", f"phase {name}: {preparing}"),
            element(
                "rect",
                class_="preparing",
                x=left,
                y=_lane_y(0),
                width=max(observed - left, 1),
                height=_BAR,
                rx=2,
            ),
            element(
                "text",
                _fitting(preparing, observed - left - 8),
                class_="state",
                x=left + 6,
                y=_lane_y(0) + 14,
            ),
        ),
    )


def _lane(span: _Span, verdict: Mapping[str, Any], y: float, at: Any) -> Markup:  # noqa: ANN401
    """Draw the states one after another up to the verdict; the last is what was judged."""
    states = verdict["transitions"]
    judged = span.observed + verdict["seconds"]
    ends = [*(span.observed + each["elapsed"] for each in states[1:]), judged]
    bars = []
    # Without a state there is no bar, and the verdict stands alone.
    for index, (state, end) in enumerate(zip(states, ends, strict=False)):
        start = at(span.observed + state["elapsed"])
        width = max(at(end) - start, 1.5)
        css = f"state {verdict_css(verdict['verdict'])}" if index == len(states) - 1 else "state"
        bars.append(
            element(
                "g",
                element("title", f"{state['elapsed']} s: {one_line(state['text'])}"),
                element("rect", class_=css, x=start, y=y, width=width, height=_BAR, rx=2),
                element(
                    "text",
                    _fitting(one_line(state["text"]), width - 20),
                    class_="state",
                    x=start + 6,
                    y=y + 14,
                ),
            )
        )
    return element("g", bars, verdict_mark(at(judged), y + _BAR / 2, verdict["verdict"]))


def _axis(total: float, at: Any, y: float) -> Markup:  # noqa: ANN401
    wanted = total * _TICK_PIXELS / _WIDTH
    step = next((each for each in _STEPS if each >= wanted), wanted)
    count = int(total // step)
    return element(
        "g",
        element("line", class_="axis", x1=at(0), y1=y, x2=at(total), y2=y),
        (
            element(
                "g",
                element("line", class_="axis", x1=at(tick), y1=y, x2=at(tick), y2=y + 5),
                element("text", f"{tick:g} s", class_="tick", x=at(tick), y=y + 20),
            )
            for tick in (index * step for index in range(count + 1))
        ),
    )


def _fitting(text: str, pixels: float) -> str:
    """Return what of `text` fits, nothing where that would be too little to be read."""
    letters = int(pixels / _LETTER)
    if len(text) <= letters:
        return text
    return f"{text[: letters - 1].rstrip()}…" if letters >= _FEWEST_LETTERS else ""


def _description(spans: Sequence[_Span]) -> str:
    parts = []
    for span in spans:
        verdicts = ", ".join(
            f"{each['id']} {each['verdict']} after {duration(each['seconds'])}"
            for each in span.phase["verdicts"]
        )
        parts.append(
            f"Phase {span.phase['name']} from second {span.entered:.0f} to {span.left:.0f}: "
            f"{verdicts or 'no verdicts'}."
        )
    return " ".join(parts)


def _events(span: _Span) -> list[tuple[float, str, str, str, str]]:
    """Return second, phase, kind, subject and text of everything that happened in a phase."""
    phase = span.phase
    name = phase["name"]
    found = [
        (span.entered, name, "change", duration(each["seconds"]), _with_effect(each))
        for each in phase["changes"]
    ]
    found.append((span.observed, name, "preconditions", "", _preconditions(phase)))
    for verdict in phase["verdicts"]:
        found += [
            (span.observed + each["elapsed"], name, "seen", verdict["id"], each["text"])
            for each in verdict["transitions"]
        ]
        text = f"{verdict['verdict']}: {verdict['explanation']}"
        found.append((span.observed + verdict["seconds"], name, "verdict", verdict["id"], text))
    return sorted(found, key=lambda event: event[0])


def _with_effect(change: Mapping[str, Any]) -> str:
    effect = change.get("took_effect")
    return f"{change['text']}; {effect}" if effect else str(change["text"])


def _preconditions(phase: Mapping[str, Any]) -> str:
    states = [each["holds"] for each in phase["preconditions"]]
    return f"{states.count(True)} of {len(states)} hold" if states else "none to hold"


def _row(event: tuple[float, str, str, str, str]) -> Markup:
    second, phase, *rest = event
    return element(
        "tr",
        element("td", phase),
        element("td", f"{second:.1f} s", class_="number"),
        (element("td", one_line(each)) for each in rest),
    )
