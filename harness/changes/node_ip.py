"""Another address for a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from harness.changes.deployment import Deployment
from harness.changes.kind import DeploymentChange, OnMachine
from harness.vocabulary.fields import MachineName
from harness.vocabulary.machines import named


class NodeIp(OnMachine, DeploymentChange):
    """Give a worker's kubelet another address (`--node-ip`) than the private network's."""

    kind: ClassVar[str] = "node_ip"
    needs_kubelet: ClassVar[bool] = True
    body: ClassVar[str] = "{machine: MACHINE, address: nat}"
    does: ClassVar[str] = "gives a kubelet the address of its NAT interface as `--node-ip`"

    machine: MachineName
    """Name of the worker, as in worker0; or `workers`, for all of them."""

    address: Literal["nat"]
    """`nat`: the address of the machine's NAT interface."""

    def describe(self) -> str:
        return f"give the kubelet of {self.machine} its NAT address as node address"

    def deployed(self, deployment: Deployment, workers: Sequence[str]) -> Deployment:
        added = frozenset(named(self.machine, workers))
        return replace(deployment, nat_node_ips=deployment.nat_node_ips | added)
