"""What kubelets warn of a pod: its Events say why a container was not started, its status does not.

An Event is kept for an hour after it was last told (kube-apiserver's --event-ttl).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.evidence.reading import Reading
from harness.probe.core import API, Probe, TargetProbe, require_json
from harness.probe.metrics_data import seconds_of
from harness.probe.workloads import Pod, escaped


@dataclass(frozen=True)
class Warned:
    """One warning: its reason and words, and when it was last told, in seconds since 1970."""

    reason: str
    text: str
    at: float


def parse(reading: Reading) -> tuple[Warned, ...]:
    """Return the kubelet's warnings, the latest one last; none is a value.

    What the scheduler warned of is over once the pod has a node, and what the kubelet did once it
    has started a container.
    """
    told = [item for item in require_json(reading)["items"] if _teller(item) == "kubelet"]
    started = max((_last(item) for item in told if item.get("reason") == "Started"), default=0.0)
    found = [
        Warned(item.get("reason", ""), item.get("message", ""), _last(item))
        for item in told
        if item.get("type") == "Warning" and _last(item) > started
    ]
    return tuple(sorted(found, key=lambda each: each.at))


def _teller(item: dict[str, Any]) -> str:
    """Return the component that told of an Event: its clients name it in one of two fields."""
    source = item.get("source") or {}
    return str(item.get("reportingComponent") or source.get("component") or "")


def _last(item: dict[str, Any]) -> float:
    series = item.get("series") or {}
    told = (series.get("lastObservedTime"), item.get("lastTimestamp"), item.get("eventTime"))
    return max((seconds_of(each) for each in told if each), default=0.0)


PROBE = TargetProbe("pod_events", parse)
"""Asked only of a pod whose containers nobody has started."""


def look(pod: Pod) -> Probe[tuple[Warned, ...]]:
    """Return the look at a pod's Events."""
    path = f"/api/v1/namespaces/{escaped(pod.namespace)}/events"
    argv = ("kubectl", "get", "--raw", f"{path}?fieldSelector=involvedObject.uid%3D{pod.uid}")
    return PROBE.on(API, pod.uid, argv)
