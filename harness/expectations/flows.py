"""How connections of some kinds end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from harness.expectations.kind import Held
from harness.expectations.sample import Match, Sample
from harness.probe.flows import FlowMatrix
from harness.vocabulary.fields import Word
from harness.vocabulary.words import Flow, FlowOutcome


class Flows(Held):
    """How connections of some kinds end, from the flow matrix."""

    kind: ClassVar[str] = "flows"
    notes: ClassVar[Mapping[str, str]] = {"cells": "kind of flow: outcome"}

    cells: Annotated[
        dict[
            Annotated[Flow, Word(Flow, "flow")],
            Annotated[FlowOutcome, Word(FlowOutcome, "outcome of a flow")],
        ],
        Field(min_length=1),
    ]
    """Kind of flow and how it ends, as in `controller-to-cluster-ip: timed-out`."""

    def describe(self) -> str:
        cells = (f"{flow} {outcome}" for flow, outcome in self.cells.items())
        return f"flows: {', '.join(cells)}"

    def sample(self, matrix: FlowMatrix, at: float) -> Sample:
        """Return a matrix that stood at `at`, as it sees it.

        A flow that ended otherwise is a mismatch. One that was to be measured and was not is a gap,
        unless another one already is a mismatch.
        """
        match = Match.MATCH
        texts = []
        for flow, wanted in self.cells.items():
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
        state = "; ".join(f"{flow}: {matrix.outcome(flow)}" for flow in self.cells)
        return Sample(at, match, "; ".join(texts), state)


def _why(matrix: FlowMatrix, flow: Flow) -> str:
    """Return the first of the flow's ways that says something, in brackets."""
    told = [cell for cell in matrix.of(flow) if cell.words]
    if not told:
        return ""
    way = f"{told[0].source} to {told[0].target}: " if told[0].source else ""
    return f" ({way}{told[0].words})"
