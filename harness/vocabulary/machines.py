"""How the machines and places of a scenario are called."""

from __future__ import annotations

from collections.abc import Sequence

# The first controller, which the harness asks.
CONTROLLER = "controller0"
# Stands for every worker at once.
WORKERS = "workers"
SERVICE_NETWORK = "service-network"
POD_NETWORK = "pod-network"
# With a node's name behind it.
PODS_ON = "pods-on-"


def controller_names(count: int) -> list[str]:
    """Return the names of a cluster's controllers: `controller0`, `controller1` and so on."""
    return [f"controller{index}" for index in range(count)]


def worker_names(count: int) -> list[str]:
    """Return the names of a cluster's workers: `worker0`, `worker1` and so on."""
    return [f"worker{index}" for index in range(count)]


def named(machine: str, workers: Sequence[str]) -> tuple[str, ...]:
    """Return the machines that a change's `machine` stands for: itself, or all of `workers`."""
    return tuple(workers) if machine == WORKERS else (machine,)
