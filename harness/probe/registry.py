"""Every probe that a diagnosis goes by: a module that declares one, and a line here.

Those of the API and of machines are asked in this order, in the hop ladder's first round; the looks
at targets follow from what that found.
"""

from __future__ import annotations

from harness.probe import (
    apiservice,
    controlplane,
    dials,
    egress,
    environment,
    https,
    isolation,
    leases,
    machines,
    metrics_data,
    named,
    nodelogs,
    objects,
    routing,
    top_nodes,
    workloads,
)
from harness.probe.core import AnyProbe

PROBES: list[AnyProbe] = [
    apiservice.PROBE,
    workloads.PODS,
    workloads.SERVICE,
    workloads.ENDPOINTS,
    workloads.NODES,
    top_nodes.PROBE,
    metrics_data.PROBE,
    egress.PROBE,
    objects.DEPLOYMENT,
    objects.AGENTS,
    objects.AGENT_PODS,
    objects.CSRS,
    objects.ADVERTISED,
    objects.POLICIES,
    objects.OTHER_APIS,
    objects.STUCK_NAMESPACES,
    objects.BLIND_AUTOSCALERS,
    machines.CLOCK,
    machines.ADDRESSES,
    controlplane.FLAGS,
    environment.PROBE,
    controlplane.CLUSTER_CIDR,
    controlplane.LISTENING,
    controlplane.TUNNEL,
    machines.K0S_VERSION,
    isolation.PROBE,
    machines.API_CONNECTIONS,
    nodelogs.METRICS_SERVER,
    nodelogs.AGENT,
    leases.PROBE,
    named.SERVICE,
    named.ENDPOINTS,
    named.PODS,
    named.DEPLOYMENTS,
    named.POLICIES,
    named.POD_LOG,
    routing.PROBE,
    dials.PROBE,
    https.HEALTH,
    https.PAYLOAD,
    https.AGENT_PAYLOAD,
    https.AGENT_SERVER,
    https.KUBELET,
]
"""A probe of one's own is appended."""
