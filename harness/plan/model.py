"""What will be built and expected, as values: nothing here has been started, or ever is by this."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Protocol

from harness.artifacts.model import ArtifactRef
from harness.changes.deployment import Deployment
from harness.changes.kind import Change
from harness.expectations.kind import Expectation
from harness.scenario.model import Scenario
from harness.vocabulary.version import K0sVersion
from harness.vocabulary.words import Component, Role


class PlannedProvider(Protocol):
    """What a plan says of its provider, and goes by."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def machines(self) -> str:
        """What its machines are, in words."""

    @property
    def isolation(self) -> str:
        """What the host's part of the isolation is there, in words."""

    @property
    def own_kernel(self) -> bool:
        """Whether its machines share no kernel with this host."""


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
    """A phase: what is changed on entering it, and what is deployed once it is entered.

    `skipped` has the expectations whose `when` does not hold for the plan's k0s release.
    """

    name: str
    changes: tuple[Change, ...]
    expectations: tuple[PlannedExpectation, ...]
    skipped: tuple[PlannedExpectation, ...]
    deployment: Deployment
    line: int

    @property
    def disabled_components(self) -> frozenset[Component]:
        """The components that are off in this phase."""
        return self.deployment.disabled_components

    @property
    def konnectivity(self) -> bool:
        """Whether konnectivity is on in this phase."""
        return self.deployment.konnectivity


@dataclass(frozen=True)
class Plan:
    """A scenario on a provider: machines, network, release files, phases."""

    scenario: Scenario
    path: Path
    provider: PlannedProvider
    subnet: IPv4Network
    k0s_version: K0sVersion
    machines: tuple[MachinePlan, ...]
    artifacts: tuple[ArtifactRef, ...]
    phases: tuple[PhasePlan, ...]

    @property
    def leaves_something(self) -> bool:
        """Whether some change cannot be taken back, so that no other run gets the lab."""
        return any(change.undo == "none" for phase in self.phases for change in phase.changes)

    @property
    def start(self) -> Deployment:
        """What is deployed before the first change.

        The environment belongs to it: k0sctl gives it to k0s when it installs it, and not later.
        """
        cluster = self.scenario.cluster
        return Deployment(
            frozenset(cluster.disable_components),
            cluster.k0s or {},
            self.phases[0].deployment.environment,
        )

    @property
    def controllers(self) -> tuple[MachinePlan, ...]:
        """The machines that run the control plane, in order of their names."""
        return tuple(machine for machine in self.machines if machine.role is not Role.WORKER)

    @property
    def controller(self) -> MachinePlan:
        """The first of them, which the harness asks."""
        return self.machines[0]

    @property
    def workers(self) -> tuple[MachinePlan, ...]:
        """The machines that run a kubelet, in order of their names."""
        return tuple(machine for machine in self.machines if machine.role is not Role.CONTROLLER)

    @property
    def memory_mib(self) -> int:
        """What all machines together are given."""
        return sum(machine.memory_mib for machine in self.machines)
