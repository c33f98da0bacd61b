"""How the expectation `flows` sees one matrix of flows."""

from __future__ import annotations

from harness.check.model import Match, Sample
from harness.probe.flows import FlowMatrix
from harness.scenario import model as scenario
from harness.vocabulary.words import Flow, FlowOutcome


def sample_flows(expectation: scenario.Flows, matrix: FlowMatrix, at: float) -> Sample:
    """Return a matrix that stood at `at` as `expectation` sees it.

    A flow that ended otherwise is a mismatch. One that was to be measured and was not is a gap,
    unless another one already is a mismatch.
    """
    match = Match.MATCH
    texts = []
    for flow, wanted in expectation.cells.items():
        found = matrix.outcome(flow)
        text = f"{flow}: {found}"
        if found is not wanted:
            unseen = found is FlowOutcome.NOT_MEASURED
            if not unseen:
                match = Match.MISMATCH
            elif match is Match.MATCH:
                match = Match.GAP
            text += _why(matrix, flow)
        texts.append(text)
    state = "; ".join(f"{flow}: {matrix.outcome(flow)}" for flow in expectation.cells)
    return Sample(at, match, "; ".join(texts), state)


def _why(matrix: FlowMatrix, flow: Flow) -> str:
    """Return the first of the flow's ways that says something, in brackets."""
    told = [cell for cell in matrix.of(flow) if cell.words]
    if not told:
        return ""
    way = f"{told[0].source} to {told[0].target}: " if told[0].source else ""
    return f" ({way}{told[0].words})"
