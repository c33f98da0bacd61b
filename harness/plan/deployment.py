"""What k0sctl is told in each phase: the cluster of the file, and the changes that are its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from harness.plan.model import Deployment
from harness.scenario.model import (
    Change,
    DisableComponent,
    EnableComponent,
    Environment,
    K0sConfig,
    NodeIp,
    Scenario,
    UndoPhase,
)
from harness.vocabulary.machines import named, worker_names


@dataclass(frozen=True)
class _Made:
    """A change of k0sctl.yaml, and the phase that made it."""

    phase: str
    change: Change


def deployments(scenario: Scenario) -> Iterator[Deployment]:
    """Yield, for each phase in order, the state of k0sctl.yaml once the phase is entered."""
    cluster = scenario.cluster
    workers = worker_names(cluster.workers)
    first = Deployment(
        disabled_components=frozenset(cluster.disable_components), fragment=cluster.k0s or {}
    )
    made: list[_Made] = []
    for phase in scenario.phases:
        for change in phase.change:
            if isinstance(change, UndoPhase):
                # What is left is made again from the start, so nothing of the phase remains.
                made = [each for each in made if each.phase != change.phase]
            else:
                made.append(_Made(phase.name, change))
        deployment = first
        for each in made:
            deployment = _with(deployment, each.change, workers)
        yield deployment


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` on top: mappings key by key, everything else as a whole."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            result[key] = merged(below, value)
        else:
            result[key] = deepcopy(value)
    return result


def k0sctl_steps(before: Deployment | None, after: Deployment) -> tuple[str, ...]:
    """Return what `k0sctl apply` does from one deployment to the next, in words.

    `before` is None where there is no cluster yet. Empty where k0sctl is not run at all.
    """
    if before is None:
        return ("deploys the cluster",)
    return tuple(_steps(before, after))


def _steps(before: Deployment, after: Deployment) -> Iterator[str]:
    if before.disabled_components != after.disabled_components:
        disabled = ", ".join(sorted(after.disabled_components)) or "nothing"
        yield f"reinstalls the controller with {disabled} disabled"
    if before.fragment != after.fragment:
        # k0sctl 0.31 writes a changed configuration and leaves k0s running, so the harness does it.
        yield "writes k0s's configuration; the harness restarts k0s on the controller after it"
    for name in sorted(before.nat_node_ips ^ after.nat_node_ips):
        which = "its NAT address" if name in after.nat_node_ips else "its private address"
        yield f"reinstalls {name} with {which} as --node-ip"


def _with(deployment: Deployment, change: Change, workers: list[str]) -> Deployment:
    disabled = deployment.disabled_components
    fragment = deployment.fragment
    environment = dict(deployment.environment)
    nat_node_ips = deployment.nat_node_ips
    match change:
        case EnableComponent():
            disabled -= {change.component}
        case DisableComponent():
            disabled |= {change.component}
        case K0sConfig():
            fragment = merged(fragment, change.fragment)
        case Environment():
            for name in named(change.machine, workers):
                environment[name] = {**environment.get(name, {}), **change.variables}
        case NodeIp():
            nat_node_ips |= frozenset(named(change.machine, workers))
        case _:
            pass
    return Deployment(disabled, fragment, environment, nat_node_ips)
