"""What the API server counts of its own dials: through konnectivity, and to aggregated APIs.

Names are those of kubernetes/apiserver v0.32.3, pkg/server/egressselector/metrics/metrics.go, and
kube-aggregator's pkg/controllers/status/metrics/metrics.go. Without an egress selector there is no
egress series at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.evidence.reading import Reading
from harness.probe.core import PIPE, ApiProbe, UnreadableError, require_success

_KEPT = (
    "^(apiserver_egress_dialer_dial_(start_total|failure_count)"
    "|aggregator_unavailable_apiservice|process_start_time_seconds)"
)
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_STARTED = "apiserver_egress_dialer_dial_start_total"
_FAILED = "apiserver_egress_dialer_dial_failure_count"
_BEGAN = "process_start_time_seconds"


@dataclass(frozen=True)
class Egress:
    """`dials` begun through the egress selector since the API server's start, failures by stage.

    `started` is that start, in seconds since 1970, 0 where it is not known.
    """

    seen: bool
    dials: int
    failures: Mapping[str, int]
    started: float = 0.0

    def text(self) -> str:
        """Return the counts in a few words."""
        if not self.seen:
            return "the API server counts no egress dials"
        failed = ", ".join(f"{count} at stage {stage}" for stage, count in self.failures.items())
        return f"{self.dials} egress dials begun, failed: {failed or 'none'}"


def parse(reading: Reading) -> Egress:
    """Return the counts; an API server without egress selector is a value."""
    dials = 0
    failures: dict[str, int] = {}
    began = 0.0
    samples = [_SAMPLE.match(line) for line in require_success(reading).splitlines()]
    found = [each for each in samples if each is not None]
    if not found:
        raise UnreadableError("the API server's metrics have none of the known names")
    for sample in found:
        name, labels, value = sample.groups()
        if name == _STARTED:
            dials += int(float(value))
        elif name == _FAILED:
            stage = dict(_LABEL.findall(labels or "")).get("stage", "")
            failures[stage] = failures.get(stage, 0) + int(float(value))
        elif name == _BEGAN:
            began = float(value)
    seen = any(each[1].startswith("apiserver_egress") for each in found)
    return Egress(seen, dials, failures, began)


PROBE = ApiProbe(
    "apiserver_metrics",
    ("kubectl", "get", "--raw", "/metrics", PIPE, "grep", "-E", _KEPT),
    parse,
)
"""Of the API server's metrics (a megabyte) the few that matter are kept."""
