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
    """What a diagnosis names, in the order in which the causes are asked.

    Each but the last has a module of its name in `harness.diagnose.causes`.
    """

    APISERVER_UNREACHABLE = "apiserver-unreachable"
    NOTHING_CAN_BE_WRITTEN = "nothing-can-be-written"
    NODE_ADDRESSES_WRONG = "node-addresses-wrong"
    NETWORKS_OVERLAP = "networks-overlap"
    CLOCK_SKEW = "clock-skew"
    PACKETS_NOT_FORWARDED = "packets-not-forwarded"
    CONNECTION_TABLE_FULL = "connection-table-full"
    NODE_NOT_READY = "node-not-ready"
    APISERVICE_LEADS_NOWHERE = "apiservice-leads-nowhere"
    METRICS_SERVER_MISSING = "metrics-server-missing"
    APISERVICE_MISSING = "apiservice-missing"
    CONTROLLERS_STOPPED = "controllers-stopped"
    PODS_NOT_ADMITTED = "pods-not-admitted"
    POD_NOT_SCHEDULED = "pod-not-scheduled"
    IMAGE_MISSING = "image-missing"
    POD_NOT_STARTED = "pod-not-started"
    METRICS_SERVER_FORBIDDEN = "metrics-server-forbidden"
    APISERVER_UNREACHABLE_FROM_PODS = "apiserver-unreachable-from-pods"
    KUBELET_CERTIFICATES_NOT_APPROVED = "kubelet-certificates-not-approved"
    KUBELETS_REFUSE_METRICS_SERVER = "kubelets-refuse-metrics-server"
    KUBELET_CERTIFICATE_NOT_TRUSTED = "kubelet-certificate-not-trusted"
    NODE_NAMES_NOT_RESOLVED = "node-names-not-resolved"
    KUBELET_UNREACHABLE_FROM_PODS = "kubelet-unreachable-from-pods"
    POD_UNREACHABLE_FROM_OWN_NODE = "pod-unreachable-from-own-node"
    METRICS_SERVER_NOT_READY = "metrics-server-not-ready"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    CONTROLLERS_DIFFER = "controllers-differ"
    PROXY_IN_ENVIRONMENT = "proxy-in-environment"
    TUNNEL_DOWN = "tunnel-down"
    AGENTS_TURNED_AWAY = "agents-turned-away"
    AGENTS_REACH_TOO_FEW_SERVERS = "agents-reach-too-few-servers"
    AGENTS_CANNOT_CONNECT = "agents-cannot-connect"
    AGENT_MISSING = "agent-missing"
    CROSS_NODE_TRAFFIC_CUT = "cross-node-traffic-cut"
    CLUSTER_IP_NOT_TRANSLATED = "cluster-ip-not-translated"
    LARGE_PACKETS_LOST = "large-packets-lost"
    NO_ROUTE_TO_SERVICE_NETWORK = "no-route-to-service-network"
    NO_ROUTE_TO_POD_NETWORK = "no-route-to-pod-network"
    WAY_TO_SERVICE_BLOCKED = "way-to-service-blocked"
    NODE_NOT_SCRAPED = "node-not-scraped"
    PODS_WITHOUT_FIGURES = "pods-without-figures"
    HEALTHY = "healthy"
    SETTLING = "settling"
    UNKNOWN = "unknown"


CAUSES: list[str] = list(Cause)
"""Every cause that there is: these, and those that `harness.diagnose.causes.register` adds."""


class Hook(StrEnum):
    """Where a firewall change looks at packets, in netfilter's words."""

    INPUT = "input"
    OUTPUT = "output"
    FORWARD = "forward"


class Protocol(StrEnum):
    """What a firewall change may be limited to."""

    TCP = "tcp"
    UDP = "udp"


class Answer(StrEnum):
    """What the sender of a stopped packet gets."""

    DROP = "drop"
    """Nothing: it times out."""
    RESET = "reset"
    """A TCP reset: connection refused."""
    PORT_UNREACHABLE = "port-unreachable"
    """iptables' REJECT: connection refused, too."""
    HOST_UNREACHABLE = "host-unreachable"
    """No route to host."""
    ADMIN_PROHIBITED = "admin-prohibited"
    """firewalld's: no route to host, in the words of the caller."""


class Flow(StrEnum):
    """The kinds of flow that a cluster lives on, each from one kind of place to another."""

    POD_TO_POD_SAME_NODE = "pod-to-pod-same-node"
    POD_TO_POD_ACROSS_NODES = "pod-to-pod-across-nodes"
    POD_TO_CLUSTER_IP = "pod-to-cluster-ip"
    POD_TO_NODE = "pod-to-node"
    NODE_TO_POD = "node-to-pod"
    NODE_TO_CLUSTER_IP = "node-to-cluster-ip"
    CONTROLLER_TO_POD = "controller-to-pod"
    CONTROLLER_TO_CLUSTER_IP = "controller-to-cluster-ip"
    APISERVER_TO_KUBELET = "apiserver-to-kubelet"
    APISERVER_TO_SERVICE = "apiserver-to-service"
    WORKER_TO_APISERVER = "worker-to-apiserver"
    WORKER_TO_KONNECTIVITY = "worker-to-konnectivity"


class FlowOutcome(StrEnum):
    """How a flow ended: connect, TLS and a full-size payload must all succeed to work."""

    WORKS = "works"
    REFUSED = "refused"
    TIMED_OUT = "timed-out"
    UNREACHABLE = "unreachable"
    FAILED = "failed"
    """Another end, such as a TLS handshake that was broken off; the table has the words."""
    PARTIAL = "partial"
    """Some ways of this kind work and others do not, as between one pair of nodes."""
    NOT_MEASURED = "not-measured"


class ApplyOutcome(StrEnum):
    """How `k0sctl apply` of the phase's configuration ends."""

    APPLIED = "applied"
    REFUSED = "refused"
    FAILED = "failed"
    """It was taken, and could not be carried out, as where a worker cannot join."""
