"""The condition Available of an APIService, as the aggregator writes it.

The condition's order of checks is in kube-aggregator v0.32.3,
pkg/controllers/status/remote/remote_available_controller.go: FailedDiscoveryCheck already proves
that the Service exists and has a ready endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.evidence.reading import Reading
from harness.probe.core import Probe, not_found, raw_probe, require_json

METRICS_API = "v1beta1.metrics.k8s.io"


@dataclass(frozen=True)
class APIServiceState:
    """`available` is None while the condition says Unknown or is not there yet."""

    exists: bool
    available: bool | None = None
    reason: str = ""
    message: str = ""
    since: str = ""

    def brief(self) -> str:
        """Return status and reason, such as `False FailedDiscoveryCheck`."""
        if not self.exists:
            return "the APIService does not exist"
        status = {True: "True", False: "False", None: "Unknown"}[self.available]
        return f"{status} {self.reason}".rstrip()

    def text(self) -> str:
        """Return the condition as one line, its message included."""
        return f"{self.brief()} {self.message}".rstrip()


def parse(reading: Reading) -> APIServiceState:
    """Return the state; an APIService that does not exist is a value, not a failure."""
    if not_found(reading):
        return APIServiceState(exists=False)
    conditions = require_json(reading).get("status", {}).get("conditions", [])
    for condition in conditions:
        if condition["type"] == "Available":
            return APIServiceState(
                exists=True,
                available={"True": True, "False": False}.get(condition["status"]),
                reason=condition.get("reason", ""),
                message=condition.get("message", ""),
                since=condition.get("lastTransitionTime", ""),
            )
    return APIServiceState(exists=True)


PROBE = raw_probe("apiservice", f"/apis/apiregistration.k8s.io/v1/apiservices/{METRICS_API}", parse)


def look(name: str = METRICS_API) -> Probe[APIServiceState]:
    """Return the look at the APIService `name`."""
    # Named apart from the metrics API's own, which the diagnosis goes by.
    path = f"/apis/apiregistration.k8s.io/v1/apiservices/{name}"
    other = raw_probe(f"other_apiservice:{name}", path, parse)
    return (PROBE if name == METRICS_API else other).look()
