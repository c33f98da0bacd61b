"""What the metrics API serves: which nodes have figures, and how old they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from harness.evidence.reading import Reading
from harness.probe.core import UnreadableError, raw_probe, require_ended, require_json

# What kubectl says where the API server took the request and passed no answer on.
_NO_ANSWER = "Client.Timeout exceeded"


@dataclass(frozen=True)
class NodeFigures:
    """One node's figures: seconds since 1970 of their time, by metrics-server's clock."""

    node: str
    at: float


@dataclass(frozen=True)
class MetricsData:
    """The figures; `answered` is False while the API server serves nothing (`text` says what)."""

    answered: bool
    nodes: tuple[NodeFigures, ...]
    text: str = ""


def parse(reading: Reading) -> MetricsData:
    """Return the figures; an API that is not served is a value."""
    require_ended(reading)
    if reading.returncode != 0:
        said = reading.stderr.strip()
        if "Error from server" in said or _NO_ANSWER in said:
            return MetricsData(answered=False, nodes=(), text=said.splitlines()[-1])
        raise UnreadableError(f"kubectl said: {said or 'nothing'}")
    return MetricsData(
        answered=True,
        nodes=tuple(
            NodeFigures(each["metadata"]["name"], seconds_of(each["timestamp"]))
            for each in require_json(reading)["items"]
        ),
    )


def seconds_of(timestamp: str) -> float:
    """Return a Kubernetes timestamp (RFC 3339) as seconds since 1970."""
    return datetime.fromisoformat(timestamp).timestamp()


PROBE = raw_probe("metrics", "/apis/metrics.k8s.io/v1beta1/nodes", parse)
