"""The outcome of `kubectl top nodes`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, ClassVar

from pydantic import Field

from harness.expectations.kind import Seen, Streamed
from harness.probe import top_nodes
from harness.probe.core import Probe
from harness.vocabulary.fields import Word
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found
from harness.vocabulary.words import TopOutcome

_WITHOUT_API = {TopOutcome.API_NOT_AVAILABLE, TopOutcome.SERVICE_UNAVAILABLE}
_WITHOUT_ROWS = {*_WITHOUT_API, TopOutcome.NOT_YET}


class TopNodes(Streamed):
    """The outcome of `kubectl top nodes`."""

    kind: ClassVar[str] = "top_nodes"
    presumes_metrics_server: ClassVar[bool] = True
    working: ClassVar[Collection[str]] = (TopOutcome.COMPLETE, TopOutcome.PARTIAL)

    outcome: Annotated[TopOutcome, Word(TopOutcome, "outcome")]
    """How the command ends: its exit status alone says nothing."""

    nodes: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """Nodes that have a row with values, and no others. Without it: all of the cluster's."""

    @property
    def wants_broken(self) -> bool:
        return self.outcome in _WITHOUT_API

    def describe(self) -> str:
        rows = f", rows for {', '.join(self.nodes)}" if self.nodes else ""
        return f"kubectl top nodes: {self.outcome}{rows}"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return self._has_rows(), self._are_nodes(around)

    def _has_rows(self) -> Found:
        if self.nodes is not None and self.outcome in _WITHOUT_ROWS:
            why = f"there are no rows when the outcome is {quoted(self.outcome)}: leave `nodes` out"
            yield ("nodes",), why

    def _are_nodes(self, around: Surroundings) -> Found:
        given = self.nodes or ()
        names = around.cluster.node_names
        for index, node in enumerate(given):
            if node in around.cluster.controller_names and node not in names:
                why = f"`{node}` is no node: it runs no kubelet. Nodes are {', '.join(names)}"
                yield ("nodes", index), why
            elif node not in names:
                there = f"the cluster's nodes are {', '.join(names)}"
                yield ("nodes", index), f"there is no node {quoted(node)}; {there}"
            elif node in given[:index]:
                yield ("nodes", index), f"{quoted(node)} is listed twice"

    def probe(self) -> Probe[top_nodes.TopNodes]:
        return top_nodes.PROBE.look()

    def judge(self, value: top_nodes.TopNodes, nodes: tuple[str, ...]) -> Seen:
        matches = value.outcome is self.outcome
        if matches and value.outcome is TopOutcome.COMPLETE:
            matches = set(value.nodes) == set(self.nodes or nodes)
        rows = f": {', '.join(value.nodes)}" if value.nodes else ""
        text = rows or (f": {value.text}" if value.text else "")
        unknown = f" (<unknown>: {', '.join(value.unknown)})" if value.unknown else ""
        return Seen(matches, f"{value.outcome}{text}{unknown}", value.outcome)
