"""What `kubectl top nodes` does, in its five outcomes.

The texts are kubectl's (v0.32, pkg/cmd/top/top_node.go and pkg/metricsutil/metrics_printer.go).
Its exit status alone says nothing: a table with `<unknown>` rows ends with 0. Which of the two
failures comes depends on kubectl's discovery cache, so the harness gives it a fresh one each time.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.evidence.reading import Reading
from harness.probe.core import ApiProbe, UnreadableError, require_ended
from harness.vocabulary.words import TopOutcome

_FAILURES = (
    ("Metrics API not available", TopOutcome.API_NOT_AVAILABLE),
    ("metrics not available yet", TopOutcome.NOT_YET),
    ("(ServiceUnavailable)", TopOutcome.SERVICE_UNAVAILABLE),
)


@dataclass(frozen=True)
class TopNodes:
    """`nodes` are the rows' names, `unknown` those without figures; `text` is what kubectl said."""

    outcome: TopOutcome
    nodes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    text: str = ""


def parse(reading: Reading) -> TopNodes:
    """Return the outcome; an error text of no known kind has no value."""
    require_ended(reading)
    if reading.returncode != 0:
        said = reading.stderr.strip()
        for text, outcome in _FAILURES:
            if text in said:
                return TopNodes(outcome, text=said)
        raise UnreadableError(f"kubectl top nodes said: {said or 'nothing'}")
    rows = [line.split() for line in reading.stdout.splitlines()[1:] if line.strip()]
    if not rows:
        raise UnreadableError("kubectl top nodes printed no rows")
    nodes = tuple(row[0] for row in rows)
    unknown = tuple(row[0] for row in rows if "<unknown>" in row)
    outcome = TopOutcome.PARTIAL if unknown else TopOutcome.COMPLETE
    return TopNodes(outcome, nodes, unknown, reading.stdout.strip())


PROBE = ApiProbe("top_nodes", ("kubectl", "top", "nodes"), parse)
