"""What a kind of change is: who makes it, whether it can be taken back, and where it may stand."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any, ClassVar, Literal

from harness.changes.action import Action, Before
from harness.changes.addresses import Addresses
from harness.changes.deployment import Deployment
from harness.probe.core import Probe
from harness.vocabulary.fields import MachineName
from harness.vocabulary.kinds import Kind, Surroundings
from harness.vocabulary.machines import WORKERS
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.part import Found, Part

Undo = Literal["exact", "none"]


class Change(Kind):
    """What a phase may do to the cluster on entering it.

    `undo: exact` is a promise: after the change is taken back, rules, routes, links, objects, flags
    and units are as before, and that is compared. After `undo: none` something stays behind, and
    the lab is not used by another scenario.

    `body` and `does` are its row in the documentation. `verbatim` says that all in it is k0s's or
    Kubernetes's, and only passed on; `only_first` why it can stand in the first phase only.
    """

    undo: ClassVar[Undo] = "exact"
    needs_own_kernel: ClassVar[bool] = False
    verbatim: ClassVar[bool] = False
    only_first: ClassVar[str] = ""
    body: ClassVar[str]
    does: ClassVar[str]

    def clashes(self, subnet: IPv4Network) -> Found:
        """Yield what of it cannot be where `subnet` is the machines' own network."""
        return iter(())


class DeploymentChange(Change):
    """A change that k0sctl makes: it becomes part of k0sctl.yaml.

    One `k0sctl apply` makes all of a phase's.
    """

    @abstractmethod
    def deployed(self, deployment: Deployment, workers: Sequence[str]) -> Deployment:
        """Return `deployment` with the change in it; `workers` are the cluster's, by name."""


class DirectChange(Change):
    """A change that the harness itself makes, on machines or in the API."""

    def looks(self, addresses: Addresses) -> tuple[Probe[Any], ...]:
        """Return what is to be read right before the change."""
        return ()

    @abstractmethod
    def action(self, addresses: Addresses, before: Before) -> Action:
        """Return the change as commands and checks.

        Raises `InconclusiveError` where it cannot be made on this very cluster.
        """


class OnMachine(Change, Part):
    """Base of the changes on one machine, or on all workers."""

    needs_kubelet: ClassVar[bool] = False

    machine: MachineName
    """Name of the machine, as in worker0; or `workers`, for all of them."""

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        """Return the rule on the machine."""
        return (self._machine_is_there(around),)

    def _machine_is_there(self, around: Surroundings) -> Found:
        cluster = around.cluster
        if self.machine == WORKERS:
            return
        if self.machine not in cluster.machine_names:
            # One that ends in a number is one machine, mistyped.
            every = () if self.machine[-1:].isdigit() else (WORKERS,)
            near = nearest(self.machine, (*cluster.machine_names, *every))
            yield ("machine",), f"there is no machine {quoted(self.machine)}{near}"
        elif self.needs_kubelet and self.machine not in cluster.node_names:
            remedy = "name a worker, or set `cluster.controller_role: controller+worker`"
            yield ("machine",), f"`{self.machine}` runs no kubelet: {remedy}"
