"""The flow matrix of a phase: what each kind of flow comes to, and every way that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.probe.flows import FlowMatrix, FlowResult
from harness.report.html.elements import Markup, element, fold, table
from harness.report.html.marks import flow_word
from harness.vocabulary.words import Flow, FlowOutcome


def matrix(ways: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Return the matrix of `ways` (their JSON form), None where there are none."""
    if not ways:
        return None
    results = tuple(map(_result, ways))
    whole = FlowMatrix(results)
    tried = [way for way in results if way.source]
    return element(
        "div",
        table(
            "Flow matrix",
            ("flow", "outcome", "ways that work"),
            (_kind(flow, whole) for flow in dict.fromkeys(way.flow for way in results)),
            class_="right",
        ),
        fold(
            f"Every way that was tried: {len(tried)}",
            table(
                "Ways",
                ("flow", "from", "to", "address", "outcome", "stage", "words", "seconds"),
                (_way(way) for way in tried),
                class_="flows right",
            ),
        ),
    )


def _result(way: Mapping[str, Any]) -> FlowResult:
    return FlowResult(**{**way, "flow": Flow(way["flow"]), "outcome": FlowOutcome(way["outcome"])})


def _kind(flow: Flow, whole: FlowMatrix) -> Markup:
    ways = [way for way in whole.of(flow) if way.source]
    work = sum(way.outcome is FlowOutcome.WORKS for way in ways)
    why = "; ".join(dict.fromkeys(way.words for way in whole.of(flow) if not way.source))
    unneeded = whole.unneeded(flow)
    note = element("span", f" not needed: {unneeded}") if unneeded else None
    return element(
        "tr",
        element("th", flow.replace("-", " "), scope="row"),
        element("td", flow_word(whole.outcome(flow), counts=not unneeded), note),
        element("td", f"{work} of {len(ways)}" if ways else why, class_="number"),
    )


def _way(way: FlowResult) -> Markup:
    measured = way.outcome is not FlowOutcome.NOT_MEASURED
    return element(
        "tr",
        (
            element("td", each)
            for each in (way.flow.replace("-", " "), way.source, way.target, way.address)
        ),
        element("td", flow_word(way.outcome, counts=not way.unneeded)),
        element("td", way.stage),
        element("td", way.words),
        element("td", f"{way.seconds:.2f} s" if measured else "", class_="number"),
    )
