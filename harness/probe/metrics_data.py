"""What the metrics API serves: which nodes and pods have figures, and how old nodes' are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from harness.evidence.reading import Reading
from harness.probe.core import UnreadableError, raw_probe, require_ended, require_json

# What kubectl says where the API server took the request and passed no answer on.
_NO_ANSWER = "Client.Timeout exceeded"
# k0s's own pods of which each node has one, whatever else it has, as a part of an API path:
# k8s-app in (konnectivity-agent,kube-proxy).
OF_NODES = "labelSelector=k8s-app%20in%20%28konnectivity-agent%2Ckube-proxy%29"


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


@dataclass(frozen=True)
class PodFigures:
    """The names of pods that have figures; `answered` is False while the API serves nothing."""

    answered: bool
    pods: frozenset[str] = frozenset()


def parse(reading: Reading) -> MetricsData:
    """Return the figures; an API that is not served is a value."""
    said = _unserved(reading)
    if said:
        return MetricsData(answered=False, nodes=(), text=said)
    return MetricsData(
        answered=True,
        nodes=tuple(
            NodeFigures(each["metadata"]["name"], seconds_of(each["timestamp"]))
            for each in require_json(reading)["items"]
        ),
    )


def parse_pods(reading: Reading) -> PodFigures:
    """Return which pods have figures; an API that is not served is a value."""
    if _unserved(reading):
        return PodFigures(answered=False)
    items = require_json(reading)["items"]
    return PodFigures(answered=True, pods=frozenset(each["metadata"]["name"] for each in items))


def _unserved(reading: Reading) -> str:
    """Return what the API server says of an API that it does not serve, empty where it does."""
    require_ended(reading)
    if reading.returncode == 0:
        return ""
    said = reading.stderr.strip()
    if "Error from server" in said or _NO_ANSWER in said:
        return said.splitlines()[-1]
    raise UnreadableError(f"kubectl said: {said or 'nothing'}")


def seconds_of(timestamp: str) -> float:
    """Return a Kubernetes timestamp (RFC 3339) as seconds since 1970."""
    return datetime.fromisoformat(timestamp).timestamp()


PROBE = raw_probe("metrics", "/apis/metrics.k8s.io/v1beta1/nodes", parse)
PODS = raw_probe(
    "pod_metrics",
    f"/apis/metrics.k8s.io/v1beta1/namespaces/kube-system/pods?{OF_NODES}",
    parse_pods,
)
