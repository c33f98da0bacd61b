"""What will be built and expected, as values: nothing here has been started, or ever is by this."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from harness.artifacts.model import ArtifactRef
from harness.scenario.model import Change
from harness.scenario.model import Expectation
from harness.scenario.model import Scenario
from harness.scenario.reserved import ConfigLeaf
from harness.scenario.reserved import leaves
from harness.scenario.version import K0sVersion
from harness.scenario.words import Component
from harness.scenario.words import Role
from harness.settings import ProviderName


@dataclass(frozen=True)
class MachinePlan:
    """One machine: its name and role, its address on the private network, its size."""

    name: str
    role: Role
    address: str
    cpus: int
    memory_mib: int


@dataclass(frozen=True)
class PlannedExpectation:
    """An expectation with the name it has in reports, unique in its phase, and its line."""

    id: str
    expectation: Expectation
    line: int


@dataclass(frozen=True)
class PhasePlan:
    """A phase: what is changed on entering it, and the state of the cluster once it is entered.

    `skipped` has the expectations whose `when` does not hold for the plan's k0s release.
    """

    name: str
    changes: tuple[Change, ...]
    expectations: tuple[PlannedExpectation, ...]
    skipped: tuple[PlannedExpectation, ...]
    disabled_components: frozenset[Component]
    line: int

    @property
    def konnectivity(self) -> bool:
        """Whether konnectivity is on in this phase."""
        return Component.KONNECTIVITY_SERVER not in self.disabled_components


@dataclass(frozen=True)
class Plan:
    """A scenario on a provider: machines, network, release files, phases."""

    scenario: Scenario
    path: Path
    provider: ProviderName
    subnet: IPv4Network
    k0s_version: K0sVersion
    machines: tuple[MachinePlan, ...]
    artifacts: tuple[ArtifactRef, ...]
    phases: tuple[PhasePlan, ...]

    @property
    def controller(self) -> MachinePlan:
        """The machine that runs the control plane."""
        return self.machines[0]

    @property
    def workers(self) -> tuple[MachinePlan, ...]:
        """The machines that run a kubelet, in order of their names."""
        return tuple(machine for machine in self.machines if machine.role is not Role.CONTROLLER)

    @property
    def memory_mib(self) -> int:
        """What all machines together are given."""
        return sum(machine.memory_mib for machine in self.machines)

    @property
    def config_leaves(self) -> tuple[ConfigLeaf, ...]:
        """Every value the scenario gives k0s: k0s drops some silently, so each is read back."""
        return tuple(leaves(self.scenario.cluster.k0s))
