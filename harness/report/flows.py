"""The matrix of flows for people, as plain text, and as JSON.

Every flow has a line of its own with what it comes to, and one for each way that was tried.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from harness.probe.flows import FlowMatrix, FlowResult
from harness.report.formatting import one_line
from harness.vocabulary.words import Flow, FlowOutcome

FORMAT = "k0s-harness-flows/1"
_WIDTH = 100
# Columns of a way: indent, from, to, address, outcome, seconds. With a blank between each two they
# are 100 wide.
_COLUMNS = (24, 24, 21, 19)
_SECONDS = 5
_LEGEND = (
    "works: connection, TLS and a request of 4 KB (18 KB to CoreDNS, without TLS) were answered. "
    "refused, timed-out, unreachable, failed: how it ended, in brackets how far it got. partial: "
    "some ways work, others do not. not-measured: nothing is there to try it with. not needed: the "
    "cluster does not live on it, and it does not count how it ended. The API server "
    "itself is asked for kubelets' proxy, logs and exec, for the metrics API (aggregation) and for "
    "the Service proxy, which dials the pod."
)


def text(matrix: FlowMatrix) -> str:
    """Return the table, at most 100 columns wide, with its legend; no newline at its end."""
    return "\n".join(line.rstrip() for line in _lines(matrix))


def document(matrix: FlowMatrix) -> dict[str, Any]:
    """Return the matrix as JSON values: each flow's outcome, and every way that was planned."""
    return {
        "format": FORMAT,
        "flows": {str(flow): str(outcome) for flow, outcome in matrix.outcomes.items()},
        "not_needed": {str(flow): why for flow in Flow if (why := matrix.unneeded(flow))},
        "ways": [
            {
                "flow": str(way.flow),
                "from": way.source,
                "to": way.target,
                "address": way.address,
                "outcome": str(way.outcome),
                "stage": way.stage,
                "seconds": way.seconds,
                "words": way.words,
                "not_needed": way.unneeded,
            }
            for way in matrix.cells
        ],
        "unread": list(matrix.unread),
    }


def _lines(matrix: FlowMatrix) -> Iterator[str]:
    # An outcome stands in one column, of a flow as of a way.
    left = sum(_COLUMNS[:3]) + 4
    for flow in Flow:
        why = matrix.unneeded(flow)
        yield f"{flow:<{left}} {matrix.outcome(flow)}{', not needed' if why else ''}"
        yield from _told(why and f"not needed: {why}")
        ways = _ways(matrix, flow)
        if not ways:
            yield from _told(_unmeasured(matrix, flow))
        for way in ways:
            columns = (way.source, way.target, way.address, _ended(way))
            cut = [_cut(each, width) for each, width in zip(columns, _COLUMNS, strict=True)]
            yield f"  {' '.join(cut)} {_seconds(way):>{_SECONDS}}"
            if way.outcome is not FlowOutcome.WORKS:
                yield from _told(way.words)
    if matrix.unread:
        yield ""
        for each in matrix.unread:
            yield from textwrap.wrap(f"not read: {one_line(each)}", _WIDTH, subsequent_indent="  ")
    yield ""
    yield from textwrap.wrap(_LEGEND, _WIDTH)


def _ways(matrix: FlowMatrix, flow: Flow) -> list[FlowResult]:
    """Return the ways that there are; a flow that has none is one result without ends."""
    return [way for way in matrix.of(flow) if way.source]


def _unmeasured(matrix: FlowMatrix, flow: Flow) -> str:
    return one_line("; ".join(way.words for way in matrix.of(flow) if not way.source))


def _ended(way: FlowResult) -> str:
    stage = "request" if way.stage == "payload" else way.stage
    # An end without a connection has no stage of its own: refused says it.
    return str(way.outcome) if way.fine or stage in ("", "connect") else f"{way.outcome} ({stage})"


def _seconds(way: FlowResult) -> str:
    return "" if way.outcome is FlowOutcome.NOT_MEASURED else f"{way.seconds:.2f}"


def _told(words: str) -> list[str]:
    return textwrap.wrap(
        one_line(words), _WIDTH, initial_indent="    ", subsequent_indent="    ", max_lines=2
    )


def _cut(text_: str, width: int) -> str:
    return f"{text_:<{width}}" if len(text_) <= width else text_[: width - 1] + "…"
