"""A phase: what was changed and presumed, what was expected and observed, and every hop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.formatting import duration
from harness.report.html import flows
from harness.report.html.elements import Markup, code, element, fold, table
from harness.report.html.marks import holds_word, hop_word, verdict_word
from harness.report.html.top import first_broken


def section(phase: Mapping[str, Any], index: int) -> Markup:
    """Return all that a phase (its JSON form) came to; `index` makes its ids its own."""
    identifier = f"phase-{index}"
    return element(
        "section",
        element(
            "h2",
            f"Phase {phase['name']}",
            element("span", f" {duration(phase['seconds'])}", class_="quiet"),
            id=identifier,
        ),
        _changes(phase["changes"]),
        _list("Counted at its end", phase.get("counted") or ()),
        _verdicts(phase["verdicts"]),
        _list("Left out", phase.get("skipped") or ()),
        _hops(phase.get("diagnosis")),
        flows.matrix(phase.get("flows") or ()),
        _preconditions(phase["preconditions"]),
        aria_labelledby=identifier,
    )


def _changes(changes: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not changes:
        return None
    return element(
        "div",
        element("h3", "Changed on entering it"),
        element("ul", (element("li", _change(each)) for each in changes)),
    )


def _change(change: Mapping[str, Any]) -> str:
    effect = f"; {change['took_effect']}" if change.get("took_effect") else ""
    return f"{change['text']}, {duration(change['seconds'])}{effect}"


def _verdicts(verdicts: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not verdicts:
        return element("p", "No expectation was judged.", class_="quiet")
    return table(
        "Expected against observed",
        ("expected", "observed", "verdict", "after"),
        (
            element(
                "tr",
                element("td", each["expected_text"]),
                element("td", each["observed_text"], class_="raw"),
                element(
                    "td",
                    verdict_word(each["verdict"]),
                    element("div", each["explanation"], class_="quiet"),
                ),
                element("td", duration(each["seconds"]), class_="number"),
            )
            for each in verdicts
        ),
        class_="verdicts right",
    )


def _hops(diagnosis: Mapping[str, Any] | None) -> Markup | None:
    if not diagnosis or not diagnosis["hops"]:
        return None
    broken = first_broken(diagnosis)
    return element(
        "div",
        element("h3", "Hop by hop"),
        element("ol", (_hop(hop, first=hop is broken) for hop in diagnosis["hops"]), class_="hops"),
    )


def _hop(hop: Mapping[str, Any], *, first: bool) -> Markup:
    output = hop.get("raw")
    return element(
        "li",
        element(
            "p",
            hop_word(hop["state"]),
            " ",
            element("strong", hop["name"]),
            element("span", " first broken hop", class_="first") if first else None,
        ),
        element("p", hop["text"]),
        element("p", code(hop["command"])) if hop.get("command") else None,
        fold("What it said", element("pre", str(output))) if output else None,
        class_="first-broken" if first else None,
    )


def _preconditions(preconditions: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not preconditions:
        return None
    held = [each["holds"] for each in preconditions].count(True)
    whole = held == len(preconditions)
    return fold(
        f"Preconditions: {held} of {len(preconditions)} hold",
        table(
            "Preconditions",
            ("precondition", "state", "seen"),
            (
                element(
                    "tr",
                    element("td", each["name"]),
                    element("td", holds_word(each["holds"])),
                    element("td", each["text"]),
                )
                for each in preconditions
            ),
        ),
        opened=not whole,
    )


def _list(heading: str, texts: Sequence[str]) -> Markup | None:
    if not texts:
        return None
    return element(
        "div", element("h3", heading), element("ul", (element("li", each) for each in texts))
    )
