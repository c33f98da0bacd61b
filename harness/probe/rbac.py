"""Whether metrics-server may read the kubelets' figures: its ClusterRole and who is bound to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.evidence.reading import Reading
from harness.probe.core import not_found, raw_probe, require_json

ROLE = "system:metrics-server"
"""Of k0s's own manifest and of metrics-server's."""
WANTED = "nodes/metrics"
"""What a kubelet asks the API server for on behalf of who scrapes it."""


@dataclass(frozen=True)
class Role:
    """metrics-server's ClusterRole: whether it is there, and has what a scrape wants."""

    exists: bool
    reads_kubelets: bool = False


@dataclass(frozen=True)
class Binding:
    """The ClusterRoleBinding of that role: the ServiceAccounts, as NAMESPACE/NAME."""

    exists: bool
    accounts: tuple[str, ...] = ()


def parse_role(reading: Reading) -> Role:
    """Return the role; that there is none is a value."""
    if not_found(reading):
        return Role(exists=False)
    rules = require_json(reading).get("rules") or ()
    return Role(exists=True, reads_kubelets=any(_allows(each) for each in rules))


def parse_binding(reading: Reading) -> Binding:
    """Return the binding; that there is none is a value."""
    if not_found(reading):
        return Binding(exists=False)
    item = require_json(reading)
    bound = item["roleRef"]["name"] == ROLE
    return Binding(
        exists=True,
        accounts=tuple(
            f"{each.get('namespace', '')}/{each['name']}"
            for each in item.get("subjects") or ()
            if bound and each["kind"] == "ServiceAccount"
        ),
    )


def _allows(rule: Mapping[str, Any]) -> bool:
    return (
        bool({"", "*"} & set(rule.get("apiGroups", ())))
        and bool({WANTED, "nodes/*", "*/metrics", "*"} & set(rule.get("resources", ())))
        and bool({"get", "*"} & set(rule.get("verbs", ())))
    )


_PATH = "/apis/rbac.authorization.k8s.io/v1"
METRICS_ROLE = raw_probe("metrics_role", f"{_PATH}/clusterroles/{ROLE}", parse_role)
METRICS_BINDING = raw_probe("metrics_binding", f"{_PATH}/clusterrolebindings/{ROLE}", parse_binding)
