"""The ClusterConfig k0s gets: what the harness must set, and the scenario's fragment over it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from harness.changes.deployment import Deployment
from harness.cni import CNIS, of_config
from harness.plan.model import Plan
from harness.vocabulary.cluster_config import all_reserved, merged

_PULL_POLICY = ("spec", "images", "default_pull_policy")


def cluster_config(
    plan: Plan, deployment: Deployment, *, with_bundle: bool, slow_machines: bool = False
) -> dict[str, Any]:
    """Return the ClusterConfig of a plan in the state `deployment`.

    `with_bundle` says that images come from the bundle, so that none may be pulled; `slow_machines`
    that its network provider has to wait longer than it does by itself. The fragment
    has already been found not to contradict what the harness sets, other than on purpose.
    """
    addresses = [machine.address for machine in plan.controllers]
    fragment = deployment.fragment
    base: dict[str, Any] = {
        "apiVersion": "k0s.k0sproject.io/v1beta1",
        "kind": "ClusterConfig",
        "metadata": {"name": "k0s"},
        "spec": {"api": {**_bound(addresses), "sans": addresses}},
    }
    chosen = of_config(fragment)
    wanted = {
        _PULL_POLICY: with_bundle,
        **{each.node_address.setting: each is chosen for each in CNIS if each.node_address},
    }
    for reserved in all_reserved():
        if reserved.value is not None and wanted.get(reserved.path, True):
            _put(base, reserved.path, reserved.value)
    for key, value in chosen.when_slow.items() if slow_machines else ():
        _put(base, ("spec", "network", chosen.word, key), deepcopy(value))
    config = merged(base, fragment)
    for reserved in all_reserved():
        if not reserved.breakable:
            _put(config, reserved.path, reserved.value)
    return config


def _bound(addresses: Sequence[str]) -> dict[str, Any]:
    """Return what gives the API server of each controller its address on the private network.

    Of several, each has its own: k0sctl puts the host's privateAddress in where k0s is to bind to
    its address only (phase/configure_k0s.go at v0.31.0). Left to itself k0s takes the NAT one.
    """
    if len(addresses) > 1:
        return {"onlyBindToAddress": True}
    return {"address": addresses[0]}


def _put(config: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    *parents, last = path
    for key in parents:
        config = config.setdefault(key, {})
    config[last] = value
