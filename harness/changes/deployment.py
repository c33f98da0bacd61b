"""What k0sctl is told: the state that some kinds of change alter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.vocabulary.cluster_config import ConfigLeaf, leaves
from harness.vocabulary.words import Component


@dataclass(frozen=True)
class Deployment:
    """What k0sctl.yaml says beyond the machines.

    `fragment` is `cluster.k0s` with the changes of the configuration merged over it. `environment`
    has variables by the name of the machine; `nat_node_ips` the machines whose kubelet is given its
    NAT address as `--node-ip`, which only the run knows.
    """

    disabled_components: frozenset[Component] = frozenset()
    fragment: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    nat_node_ips: frozenset[str] = frozenset()

    @property
    def konnectivity(self) -> bool:
        """Whether konnectivity is on."""
        return Component.KONNECTIVITY_SERVER not in self.disabled_components

    @property
    def config_leaves(self) -> tuple[ConfigLeaf, ...]:
        """Every value the scenario gives k0s: k0s drops some silently, so each is read back."""
        return tuple(leaves(self.fragment))


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
