"""The ClusterConfig k0s gets: what the harness must set, and the scenario's fragment over it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from harness.changes.deployment import Deployment
from harness.plan.model import Plan
from harness.vocabulary.cluster_config import ABSENT, PROVIDER, RESERVED, at, merged

_PULL_POLICY = ("spec", "images", "default_pull_policy")
_AUTODETECTION = ("spec", "network", "calico", "ipAutodetectionMethod")
_KUBE_ROUTER = ("spec", "network", "kuberouter")
# kube-router v2.4.1 ends after a minute without an answer of the API server, and one dial that
# kube-proxy has no rule for yet takes 30 s of that. On emulated machines it ended, and the pods had
# no network for another two minutes (2026-11-23). The rest is what k0s v1.32.3+k0s.0 has itself
# (pkg/apis/k0s/v1beta1/kuberouter.go:74-81) and leaves out beside a value of one's own.
_PATIENT_KUBE_ROUTER = {
    "autoMTU": True,
    "metricsPort": 8080,
    "hairpin": "Enabled",
    "extraArgs": {"cache-sync-timeout": "10m"},
}


def cluster_config(
    plan: Plan, deployment: Deployment, *, with_bundle: bool, slow_machines: bool = False
) -> dict[str, Any]:
    """Return the ClusterConfig of a plan in the state `deployment`.

    `with_bundle` says that images come from the bundle, so that none may be pulled; `slow_machines`
    that kube-router has to wait longer than it does by itself. The fragment
    has already been found not to contradict what the harness sets, other than on purpose.
    """
    address = plan.controller.address
    fragment = deployment.fragment
    base: dict[str, Any] = {
        "apiVersion": "k0s.k0sproject.io/v1beta1",
        "kind": "ClusterConfig",
        "metadata": {"name": "k0s"},
        "spec": {"api": {"address": address, "sans": [address]}},
    }
    uses_calico = at(fragment, PROVIDER) == "calico"
    for reserved in RESERVED:
        wanted = {_PULL_POLICY: with_bundle, _AUTODETECTION: uses_calico}
        if reserved.value is not None and wanted.get(reserved.path, True):
            _put(base, reserved.path, reserved.value)
    if slow_machines and at(fragment, PROVIDER) in (ABSENT, None, "kuberouter"):
        _put(base, _KUBE_ROUTER, deepcopy(_PATIENT_KUBE_ROUTER))
    config = merged(base, fragment)
    for reserved in RESERVED:
        if not reserved.breakable:
            _put(config, reserved.path, reserved.value)
    return config


def _put(config: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    *parents, last = path
    for key in parents:
        config = config.setdefault(key, {})
    config[last] = value
