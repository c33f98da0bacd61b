"""The words a scenario is written in, and the layers above speak: one place for each vocabulary.

A word that is not here does not exist: the loader reports it with the nearest one that does.
"""

from __future__ import annotations

from enum import StrEnum


class Component(StrEnum):
    """What `--disable-components` of k0s 1.32 takes (pkg/config/cli.go); others are fatal there."""

    APPLIER_MANAGER = "applier-manager"
    AUTOPILOT = "autopilot"
    CONTROL_API = "control-api"
    COREDNS = "coredns"
    CSR_APPROVER = "csr-approver"
    ENDPOINT_RECONCILER = "endpoint-reconciler"
    HELM = "helm"
    KONNECTIVITY_SERVER = "konnectivity-server"
    KUBE_CONTROLLER_MANAGER = "kube-controller-manager"
    KUBE_PROXY = "kube-proxy"
    KUBE_SCHEDULER = "kube-scheduler"
    METRICS_SERVER = "metrics-server"
    NETWORK_PROVIDER = "network-provider"
    NODE_ROLE = "node-role"
    SYSTEM_RBAC = "system-rbac"
    WINDOWS_NODE = "windows-node"
    WORKER_CONFIG = "worker-config"


class Role(StrEnum):
    """What k0s does on a machine, in k0sctl's words."""

    CONTROLLER = "controller"
    WORKER = "worker"
    CONTROLLER_WORKER = "controller+worker"


class TopOutcome(StrEnum):
    """The five ways `kubectl top nodes` ends; its exit status alone tells none of them."""

    API_NOT_AVAILABLE = "api-not-available"
    SERVICE_UNAVAILABLE = "service-unavailable"
    NOT_YET = "not-yet"
    PARTIAL = "partial"
    COMPLETE = "complete"


class ApiserviceReason(StrEnum):
    """Reasons of an APIService's Available condition (kube-aggregator's controllers)."""

    PASSED = "Passed"
    LOCAL = "Local"
    SERVICE_NOT_FOUND = "ServiceNotFound"
    SERVICE_PORT_ERROR = "ServicePortError"
    SERVICE_ACCESS_ERROR = "ServiceAccessError"
    ENDPOINTS_NOT_FOUND = "EndpointsNotFound"
    ENDPOINTS_ACCESS_ERROR = "EndpointsAccessError"
    MISSING_ENDPOINTS = "MissingEndpoints"
    FAILED_DISCOVERY_CHECK = "FailedDiscoveryCheck"


class MessageClass(StrEnum):
    """What the text of a FailedDiscoveryCheck says of the dial; the text itself varies by poll."""

    TIMED_OUT = "timed-out"
    REFUSED = "refused"
    NO_ROUTE = "no-route"
    NO_AGENT = "no-agent"
    TLS = "tls"
    BAD_STATUS = "bad-status"
    PROXY = "proxy"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """What a diagnosis names as the first broken hop."""

    HEALTHY = "healthy"
    SETTLING = "settling"
    NO_ROUTE_TO_SERVICE_NETWORK = "no-route-to-service-network"
    TUNNEL_DOWN = "tunnel-down"
    METRICS_SERVER_NOT_READY = "metrics-server-not-ready"
    APISERVICE_MISSING = "apiservice-missing"
    UNKNOWN = "unknown"


class ApplyOutcome(StrEnum):
    """How `k0sctl apply` of the phase's configuration ends."""

    APPLIED = "applied"
    REFUSED = "refused"
