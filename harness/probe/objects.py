"""Objects of the cluster that the diagnosis wants besides pods, Service, endpoints and nodes.

All are asked by path: one request each, no discovery. No Secret and no ConfigMap is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.evidence.reading import Reading
from harness.probe import stack
from harness.probe.core import not_found, raw_probe, require_json
from harness.probe.metrics_data import seconds_of

_SERVING = "kubernetes.io/kubelet-serving"
_NODE_USER = "system:node:"


@dataclass(frozen=True)
class Deployment:
    """metrics-server's Deployment: how many pods it wants, and which images they have.

    `changed` is when anybody last wrote to it, in seconds since 1970, 0 where that is not known.
    `failure` is what its controller says where no pod of it may be made; `observed` is False while
    that controller has not seen what was last written. `labels` are its pods'. `by_k0s` is one
    that k0s applied, `edited` what somebody changed in that.
    """

    exists: bool
    replicas: int = 0
    images: tuple[str, ...] = ()
    changed: float = 0.0
    name: str = ""
    namespace: str = ""
    failure: str = ""
    observed: bool = True
    labels: tuple[tuple[str, str], ...] = ()
    by_k0s: bool = False
    edited: tuple[str, ...] = ()


@dataclass(frozen=True)
class AgentSet:
    """The DaemonSet konnectivity-agent: how many pods, and where they find their server.

    `rolling` is while pods are of an earlier template; `changed` is when anybody last wrote to it,
    in seconds since 1970, 0 where that is not known.
    """

    exists: bool
    desired: int = 0
    server_host: str = ""
    server_port: int = 0
    rolling: bool = False
    changed: float = 0.0


@dataclass(frozen=True)
class SigningRequest:
    """A request of a kubelet for its serving certificate."""

    name: str
    node: str
    approved: bool
    denied: bool


@dataclass(frozen=True)
class Policy:
    """A NetworkPolicy of kube-system that isolates the ingress of pods with `labels`.

    `labels` empty means all pods; `simple` is False where it selects by expressions.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    simple: bool

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a pod with `labels` is selected, as far as plain labels say it."""
        return self.simple and all(labels.get(key) == value for key, value in self.labels)


@dataclass(frozen=True)
class OtherAPIs:
    """Names of the APIServices other than that of the metrics that are not available."""

    unavailable: tuple[str, ...]


def parse_deployment(reading: Reading) -> Deployment:
    """Return the Deployment; that there is none is a value."""
    if not_found(reading):
        return Deployment(exists=False)
    return _deployment(require_json(reading))


def parse_deployments(reading: Reading) -> tuple[Deployment, ...]:
    """Return the Deployments of a namespace; none is a value."""
    return tuple(_deployment(item) for item in require_json(reading)["items"])


def _deployment(item: dict[str, Any]) -> Deployment:
    spec, status = item["spec"], item.get("status", {})
    metadata = item["metadata"]
    containers = spec["template"]["spec"]["containers"]
    images = tuple(each["image"] for each in containers)
    return Deployment(
        True,
        spec.get("replicas", 1),
        images,
        _changed(item),
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        failure=next(
            (
                each.get("message", "")
                for each in status.get("conditions") or ()
                if each["type"] == "ReplicaFailure" and each["status"] == "True"
            ),
            "",
        ),
        observed=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        labels=tuple(sorted((spec["template"].get("metadata", {}).get("labels") or {}).items())),
        by_k0s=stack.by_k0s(item),
        edited=stack.edited(item),
    )


def parse_agents(reading: Reading) -> AgentSet:
    """Return the DaemonSet; that there is none is a value."""
    if not_found(reading):
        return AgentSet(exists=False)
    item = require_json(reading)
    arguments = [
        argument
        for container in item["spec"]["template"]["spec"]["containers"]
        for argument in (*container.get("command", ()), *container.get("args", ()))
    ]
    flags = dict(each.lstrip("-").partition("=")[::2] for each in arguments if each[:2] == "--")
    port = flags.get("proxy-server-port", "")
    status = item.get("status", {})
    desired = status.get("desiredNumberScheduled", 0)
    seen = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
    return AgentSet(
        True,
        desired,
        flags.get("proxy-server-host", ""),
        int(port) if port.isdigit() else 0,
        rolling=not seen or status.get("updatedNumberScheduled", 0) < desired,
        changed=_changed(item),
    )


def parse_agent_pods(reading: Reading) -> Mapping[str, float]:
    """Return, by node, since when the first container of its agent's pod in phase Running runs.

    In seconds since 1970; 0 where none runs, or one did before.
    """
    return {
        item["spec"].get("nodeName", ""): max(map(_first_start, _containers(item)), default=0.0)
        for item in require_json(reading)["items"]
        if item.get("status", {}).get("phase") == "Running"
    }


def _containers(item: dict[str, Any]) -> list[dict[str, Any]]:
    return item["status"].get("containerStatuses") or []


def _first_start(container: dict[str, Any]) -> float:
    started = container.get("state", {}).get("running", {}).get("startedAt")
    return seconds_of(started) if started and not container.get("restartCount") else 0.0


def parse_csrs(reading: Reading) -> tuple[SigningRequest, ...]:
    """Return the requests; Kubernetes removes approved ones after an hour."""
    found = []
    for item in require_json(reading)["items"]:
        spec = item["spec"]
        if spec.get("signerName") != _SERVING:
            continue
        conditions = {each["type"] for each in item.get("status", {}).get("conditions", ())}
        found.append(
            SigningRequest(
                item["metadata"]["name"],
                spec.get("username", "").removeprefix(_NODE_USER),
                approved="Approved" in conditions,
                denied=bool(conditions & {"Denied", "Failed"}),
            )
        )
    return tuple(found)


def parse_advertised(reading: Reading) -> tuple[str, ...]:
    """Return the addresses at which pods are sent to the API server."""
    return tuple(
        address
        for item in require_json(reading)["items"]
        for endpoint in item.get("endpoints") or ()
        for address in endpoint["addresses"]
    )


def parse_policies(reading: Reading) -> tuple[Policy, ...]:
    """Return the policies that isolate ingress."""
    found = []
    for item in require_json(reading)["items"]:
        spec = item.get("spec", {})
        # A policy without types is one of ingress.
        if "Ingress" in spec.get("policyTypes", ["Ingress"]):
            selector = spec.get("podSelector", {})
            labels = tuple(sorted(selector.get("matchLabels", {}).items()))
            simple = not selector.get("matchExpressions")
            found.append(Policy(item["metadata"]["name"], labels, simple))
    return tuple(found)


def parse_other_apis(reading: Reading) -> OtherAPIs:
    """Return the names of those that are not available, the metrics API left out."""
    return OtherAPIs(
        tuple(
            item["metadata"]["name"]
            for item in require_json(reading)["items"]
            if not item["metadata"]["name"].endswith(".metrics.k8s.io")
            and _status(item, "Available") == "False"
        )
    )


def parse_stuck_namespaces(reading: Reading) -> tuple[str, ...]:
    """Return those that cannot be deleted because an API's discovery fails."""
    return tuple(
        item["metadata"]["name"]
        for item in require_json(reading)["items"]
        if item.get("status", {}).get("phase") == "Terminating"
        and _status(item, "NamespaceDeletionDiscoveryFailure") == "True"
    )


def parse_blind_autoscalers(reading: Reading) -> tuple[str, ...]:
    """Return, as NAMESPACE/NAME, those that cannot read their metrics."""
    return tuple(
        f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        for item in require_json(reading)["items"]
        if _status(item, "ScalingActive") == "False"
    )


def _changed(item: Mapping[str, Any]) -> float:
    """Return when anybody last wrote to an object, in seconds since 1970, 0 if that is not said."""
    written = [each.get("time") for each in item["metadata"].get("managedFields", ())]
    return max((seconds_of(each) for each in written if each), default=0.0)


def _status(item: Mapping[str, Any], name: str) -> str | None:
    conditions = item.get("status", {}).get("conditions") or ()
    return next((each["status"] for each in conditions if each["type"] == name), None)


DEPLOYMENT = raw_probe(
    "deployment",
    "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server",
    parse_deployment,
)
AGENTS = raw_probe(
    "agents",
    "/apis/apps/v1/namespaces/kube-system/daemonsets/konnectivity-agent",
    parse_agents,
)
AGENT_PODS = raw_probe(
    "agent_pods",
    "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkonnectivity-agent",
    parse_agent_pods,
)
CSRS = raw_probe("csrs", "/apis/certificates.k8s.io/v1/certificatesigningrequests", parse_csrs)
ADVERTISED = raw_probe(
    "advertised",
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    "?labelSelector=kubernetes.io/service-name%3Dkubernetes",
    parse_advertised,
)
POLICIES = raw_probe(
    "policies",
    "/apis/networking.k8s.io/v1/namespaces/kube-system/networkpolicies",
    parse_policies,
)
OTHER_APIS = raw_probe(
    "apiservices", "/apis/apiregistration.k8s.io/v1/apiservices", parse_other_apis
)
STUCK_NAMESPACES = raw_probe("namespaces", "/api/v1/namespaces", parse_stuck_namespaces)
BLIND_AUTOSCALERS = raw_probe(
    "autoscalers", "/apis/autoscaling/v2/horizontalpodautoscalers", parse_blind_autoscalers
)
