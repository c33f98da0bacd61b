"""The condition Available of an APIService, as the aggregator writes it.

The condition's order of checks is in kube-aggregator v0.32.3,
pkg/controllers/status/remote/remote_available_controller.go: FailedDiscoveryCheck already proves
that the Service exists and has a ready endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.evidence.reading import Reading
from harness.probe import stack
from harness.probe.core import Probe, not_found, raw_probe, require_json

METRICS_API = "v1beta1.metrics.k8s.io"


@dataclass(frozen=True)
class APIServiceState:
    """`available` is None while the condition says Unknown or is not there yet.

    `namespace`, `service` and `port` are the Service that it leads to, empty where that was not
    said; `verifies` is whether the API server checks that Service's certificate, by the bundle that
    is in it if `bundled`. `by_k0s` is k0s's own one, `edited` what somebody changed in that.
    """

    exists: bool
    available: bool | None = None
    reason: str = ""
    message: str = ""
    since: str = ""
    namespace: str = ""
    service: str = ""
    port: int = 443
    verifies: bool | None = None
    bundled: bool = False
    by_k0s: bool = False
    edited: tuple[str, ...] = ()

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
    item = require_json(reading)
    for condition in item.get("status", {}).get("conditions", []):
        if condition["type"] == "Available":
            return APIServiceState(
                exists=True,
                available={"True": True, "False": False}.get(condition["status"]),
                reason=condition.get("reason", ""),
                message=condition.get("message", ""),
                since=condition.get("lastTransitionTime", ""),
                **_leads(item),
            )
    return APIServiceState(exists=True, **_leads(item))


def _leads(item: dict[str, Any]) -> dict[str, Any]:
    """Return where an APIService leads, and who wrote it."""
    spec = item.get("spec") or {}
    service = spec.get("service") or {}
    return {
        "namespace": service.get("namespace", ""),
        "service": service.get("name", ""),
        "port": service.get("port") or 443,
        "verifies": not spec.get("insecureSkipTLSVerify", False) if spec else None,
        "bundled": bool(spec.get("caBundle")),
        "by_k0s": stack.by_k0s(item),
        "edited": stack.edited(item),
    }


PROBE = raw_probe("apiservice", f"/apis/apiregistration.k8s.io/v1/apiservices/{METRICS_API}", parse)


def look(name: str = METRICS_API) -> Probe[APIServiceState]:
    """Return the look at the APIService `name`."""
    # Named apart from the metrics API's own, which the diagnosis goes by.
    path = f"/apis/apiregistration.k8s.io/v1/apiservices/{name}"
    other = raw_probe(f"other_apiservice:{name}", path, parse)
    return (PROBE if name == METRICS_API else other).look()
