"""Which parser reads which probe of the hop ladder, by the word before a probe's target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.evidence.reading import Reading
from harness.probe import (
    apiservice,
    controlplane,
    dials,
    egress,
    environment,
    https,
    isolation,
    machines,
    metrics_data,
    nodelogs,
    objects,
    routing,
    top_nodes,
    workloads,
)

SINGLE: Mapping[str, Callable[[Reading], Any]] = {
    "apiservice": apiservice.parse,
    "pods": workloads.parse_pods,
    "service": workloads.parse_service,
    "endpoints": workloads.parse_endpoints,
    "nodes": workloads.parse_nodes,
    "deployment": objects.parse_deployment,
    "agents": objects.parse_agents,
    "agent_pods": objects.parse_agent_pods,
    "csrs": objects.parse_csrs,
    "advertised": objects.parse_advertised,
    "policies": objects.parse_policies,
    "apiservices": objects.parse_other_apis,
    "namespaces": objects.parse_stuck_namespaces,
    "autoscalers": objects.parse_blind_autoscalers,
    "apiserver_metrics": egress.parse,
    "metrics": metrics_data.parse,
    "top_nodes": top_nodes.parse,
}
# One value for each machine that was asked.
BY_MACHINE: Mapping[str, Callable[[Reading], Any]] = {
    "apiserver_flags": controlplane.parse_flags,
    "apiserver_environment": environment.parse,
    "cluster_cidr": controlplane.parse_cluster_cidr,
    "listening": controlplane.parse_sockets,
    "tunnel": controlplane.parse_tunnel,
    "isolation": isolation.parse,
    "k0s_version": machines.parse_k0s_version,
    "clock": machines.parse_clock,
    "addresses": machines.parse_addresses,
    "metrics_server_log": nodelogs.parse_metrics_server,
    "agent_log": nodelogs.parse_agent,
    "api_connections": machines.parse_api_connections,
}
# One value for each machine that was asked and what it was to reach.
BY_TARGET: Mapping[str, Callable[[Reading], Any]] = {
    "route": routing.parse,
    "dial": dials.parse,
    "health": https.parse_health,
    "payload": https.parse_payload,
    "agent_payload": https.parse_payload,
    "agent_server": https.parse_payload,
    "kubelet": https.parse_payload,
}
PARSERS = {**SINGLE, **BY_MACHINE, **BY_TARGET}
