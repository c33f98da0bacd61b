"""When the programs that make pods, and those that place them, last said that they are there.

Both renew a Lease every 2 s and lose it after 15 s (k8s.io/client-go v0.32, leaderelection).
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.evidence.reading import Reading
from harness.probe.core import API, Probe, TargetProbe, require_json
from harness.probe.metrics_data import seconds_of

CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"


def parse(reading: Reading) -> Mapping[str, float]:
    """Return, by the Lease's name, when it was last renewed, in seconds since 1970."""
    return {
        item["metadata"]["name"]: seconds_of(item["spec"]["renewTime"])
        for item in require_json(reading)["items"]
        if item["metadata"]["name"] in {CONTROLLER_MANAGER, SCHEDULER}
        and item.get("spec", {}).get("renewTime")
    }


PROBE = TargetProbe("leases", parse)
"""Asked only where a pod is missed."""
_NAMESPACE = "kube-system"
AT = (API, _NAMESPACE)


def look() -> Probe[Mapping[str, float]]:
    """Return the look at both Leases."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{_NAMESPACE}/leases"
    return PROBE.on(API, _NAMESPACE, ("kubectl", "get", "--raw", path))
