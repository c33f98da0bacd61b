"""Objects that stand elsewhere than k0s's own: those that the APIService leads to.

metrics-server may come from a chart, in any namespace and with any labels. What is asked of k0s's
own objects is asked of these, too, by a target: NAMESPACE, NAMESPACE/NAME or NAMESPACE/SELECTOR.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.probe import nodelogs, objects, workloads
from harness.probe.core import API, Probe, TargetProbe
from harness.probe.nodelogs import MetricsServerLog
from harness.probe.objects import Deployment, Policy
from harness.probe.workloads import Endpoint, Pod, Service, escaped

# A name of an object goes into a shell's pattern.
_NAME = re.compile(r"[a-z0-9][-.a-z0-9]*")

SERVICE = TargetProbe("named_service", workloads.parse_service)
ENDPOINTS = TargetProbe("named_endpoints", workloads.parse_endpoints)
PODS = TargetProbe("named_pods", workloads.parse_pods)
DEPLOYMENTS = TargetProbe("named_deployments", objects.parse_deployments)
POLICIES = TargetProbe("named_policies", objects.parse_policies)
POD_LOG = TargetProbe("pod_log", nodelogs.parse_metrics_server, sudo=True)
POD_AFTER = TargetProbe("pod_after", workloads.parse_pods)
"""The pod that counts, as it stands once all else was looked at."""


def service_look(namespace: str, name: str) -> Probe[Service]:
    """Return the look at a Service."""
    path = f"/api/v1/namespaces/{escaped(namespace)}/services/{escaped(name)}"
    return SERVICE.on(API, f"{namespace}/{name}", _get(path))


def endpoints_look(namespace: str, name: str) -> Probe[tuple[Endpoint, ...]]:
    """Return the look at a Service's endpoints."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{escaped(namespace)}/endpointslices"
    selector = escaped(f"kubernetes.io/service-name={name}")
    return ENDPOINTS.on(API, f"{namespace}/{name}", _get(f"{path}?labelSelector={selector}"))


def pods_look(namespace: str, labels: Sequence[tuple[str, str]]) -> Probe[tuple[Pod, ...]]:
    """Return the look at the pods with `labels`."""
    selector = ",".join(f"{key}={value}" for key, value in labels)
    path = f"/api/v1/namespaces/{escaped(namespace)}/pods?labelSelector={escaped(selector)}"
    return PODS.on(API, f"{namespace}/{selector}", _get(path))


def deployments_look(namespace: str) -> Probe[tuple[Deployment, ...]]:
    """Return the look at all Deployments of a namespace."""
    path = f"/apis/apps/v1/namespaces/{escaped(namespace)}/deployments"
    return DEPLOYMENTS.on(API, namespace, _get(path))


def policies_look(namespace: str) -> Probe[tuple[Policy, ...]]:
    """Return the look at the NetworkPolicies of a namespace."""
    path = f"/apis/networking.k8s.io/v1/namespaces/{escaped(namespace)}/networkpolicies"
    return POLICIES.on(API, namespace, _get(path))


def log_look(machine: str, pod: Pod) -> Probe[MetricsServerLog] | None:
    """Return the look at a pod's log on its machine, None for a name that is none."""
    if not (_NAME.fullmatch(pod.namespace) and _NAME.fullmatch(pod.name)):
        return None
    files = f"/var/log/pods/{pod.namespace}_{pod.name}_*/*/*.log"
    argv = ("sh", "-c", f"tail -q -n {nodelogs.LINES} {files}")
    return POD_LOG.on(machine, f"{pod.namespace}/{pod.name}", argv)


def pod_after_look(pod: Pod) -> Probe[tuple[Pod, ...]]:
    """Return the look at a pod itself, which finds none once it is gone."""
    path = f"/api/v1/namespaces/{escaped(pod.namespace)}/pods"
    field = escaped(f"metadata.name={pod.name}")
    target = f"{pod.namespace}/{pod.name}"
    return POD_AFTER.on(API, target, _get(f"{path}?fieldSelector={field}"))


def _get(path: str) -> tuple[str, ...]:
    return ("kubectl", "get", "--raw", path)
