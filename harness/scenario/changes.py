"""What a phase may do to the cluster on entering it: one class for each kind of change.

`undo: exact` is a promise: after the change is taken back, rules, routes, links, objects, flags and
units are as before, and that is compared. After `undo: none` something stays behind, and the lab is
not used by another scenario.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, RootModel

from harness.vocabulary.fields import (
    ImageName,
    Interface,
    KernelModule,
    MachineName,
    Name,
    OneKey,
    Place,
    Selector,
    Within,
    Word,
    Workload,
)
from harness.vocabulary.words import Answer, Component, Hook, Protocol

Undo = Literal["exact", "none"]
# Ethernet's least that IPv4 allows, and what no NIC of a lab goes beyond.
LEAST_MTU = 576
MOST_MTU = 9000


class _Root:
    """What every kind says of itself."""

    kind: ClassVar[str]
    undo: ClassVar[Undo] = "exact"
    needs_own_kernel: ClassVar[bool] = False


class _Body(_Root, BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class _ComponentChange(_Root, RootModel[Annotated[Component, Word(Component, "component")]]):
    """A change whose body is one word: the component."""

    model_config = ConfigDict(frozen=True, strict=True)

    undo: ClassVar[Undo] = "none"

    @property
    def component(self) -> Component:
        """The component that is turned on or off."""
        return self.root


class EnableComponent(_ComponentChange):
    """Turn a disabled k0s component on: the controller is reinstalled without its flag."""

    kind: ClassVar[str] = "enable_component"


class DisableComponent(_ComponentChange):
    """Turn a k0s component off. What it had already installed stays behind in the cluster."""

    kind: ClassVar[str] = "disable_component"


class K0sConfig(_Root, RootModel[Annotated[dict[str, Any], Field(min_length=1)]]):
    """Merge a fragment of a ClusterConfig over the running one, and restart the controller."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: ClassVar[str] = "k0s_config"

    @property
    def fragment(self) -> dict[str, Any]:
        """The fragment, in k0s's words."""
        return self.root


class Environment(_Body):
    """Give k0s on a machine environment variables, as k0sctl's `environment` does."""

    kind: ClassVar[str] = "environment"
    undo: ClassVar[Undo] = "none"

    machine: MachineName
    """Name of the machine, as in controller0; or `workers`, for all of them."""

    variables: Annotated[dict[str, str], Field(min_length=1)]
    """The variables, as in HTTPS_PROXY."""


class NodeIp(_Body):
    """Give a worker's kubelet another address (`--node-ip`) than the private network's."""

    kind: ClassVar[str] = "node_ip"

    machine: MachineName
    """Name of the worker, as in worker0; or `workers`, for all of them."""

    address: Literal["nat"]
    """`nat`: the address of the machine's NAT interface."""


class Route(_Body):
    """Add a route to a machine's main table."""

    kind: ClassVar[str] = "route"

    machine: MachineName
    """Name of the machine, as in controller0; or `workers`, for all of them."""

    to: Place
    """Where to: `service-network`, `pod-network`, `pods-on-worker0`, an address or a network."""

    via: MachineName
    """The machine to go through, by its address on the private network."""


class BlackholeRoute(_Body):
    """Add a route that silently drops what goes to a place."""

    kind: ClassVar[str] = "blackhole_route"

    machine: MachineName
    """Name of the machine, as in worker0; or `workers`, for all of them."""

    to: Place
    """Where to: `service-network`, `pod-network`, `pods-on-worker0`, an address or a network."""


class Firewall(_Body):
    """Stop packets on a machine, in a table of the harness's own; open connections are cut too."""

    kind: ClassVar[str] = "firewall"

    machine: MachineName
    """Name of the machine, as in worker0; or `workers`, for all of them."""

    hook: Annotated[Hook, Word(Hook, "hook")]
    """`input` for what comes in for the machine, `output` for its own, `forward` for its pods."""

    answer: Annotated[Answer, Word(Answer, "answer")]
    """What the sender gets: `drop` for nothing, `reset`, or an ICMP error."""

    protocol: Annotated[Protocol, Word(Protocol, "protocol")] | None = None
    """Only this protocol: tcp or udp."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Only this destination port."""

    source: Place | None = None
    """Only from there: a machine, `pod-network`, `pods-on-worker0`, an address or a network."""

    destination: Place | None = None
    """Only to there: a machine, `service-network`, `pods-on-worker0`, an address or a network."""

    interface: Interface | None = None
    """Only through this interface: where it comes in, or with `output` where it leaves."""

    longer_than: Annotated[int, Field(ge=64, le=MOST_MTU)] | None = None
    """Only packets longer than this many bytes."""


class NicDown(_Body):
    """Take an interface of a machine down; its routes come back with it."""

    kind: ClassVar[str] = "nic_down"

    machine: MachineName
    """Name of the machine, as in worker0; or `workers`, for all of them."""

    interface: Interface
    """Name of the interface, as in eth1."""


class Mtu(_Body):
    """Set the MTU of an interface."""

    kind: ClassVar[str] = "mtu"

    machine: MachineName
    """Name of the machine, as in worker0; or `workers`, for all of them."""

    interface: Interface
    """Name of the interface, as in eth1."""

    size: Annotated[int, Field(ge=LEAST_MTU, le=MOST_MTU)]
    """The MTU in bytes."""


class Manifest(
    _Root, RootModel[Annotated[tuple[dict[str, Any], ...], Field(strict=False, min_length=1)]]
):
    """Apply objects with kubectl: a list of them, each in full."""

    model_config = ConfigDict(frozen=True)

    kind: ClassVar[str] = "manifest"

    @property
    def objects(self) -> tuple[dict[str, Any], ...]:
        """The objects, in the order of the file."""
        return self.root


class Scale(_Body):
    """Set the replicas of a workload."""

    kind: ClassVar[str] = "scale"

    workload: Workload
    """Kind and name, as in deployment/metrics-server."""

    namespace: Name = "kube-system"
    """Namespace of the workload."""

    replicas: Annotated[int, Field(ge=0, le=10)]
    """How many pods it is to have."""


class RestartPods(_Body):
    """Delete the pods of a selection and wait until their controllers have made new ones."""

    kind: ClassVar[str] = "restart_pods"

    selector: Selector
    """Label selector, as in k8s-app=metrics-server."""

    namespace: Name = "kube-system"
    """Namespace of the pods."""


class RemoveImage(_Body):
    """Remove an image from a worker's containerd; with the bundle's pull policy none comes back."""

    kind: ClassVar[str] = "remove_image"
    undo: ClassVar[Undo] = "none"

    machine: MachineName
    """Name of the worker, as in worker0; or `workers`, for all of them."""

    image: ImageName
    """Last part of its name, as in metrics-server."""


class ClockStep(_Body):
    """Step a machine's clock. Needs a kernel of its own."""

    kind: ClassVar[str] = "clock_step"
    needs_own_kernel: ClassVar[bool] = True

    machine: MachineName
    """Name of the machine, as in worker0; or `workers`, for all of them."""

    by: Within
    """How far forward, as in 30m."""


class LoadModule(_Body):
    """Load a kernel module on a machine. Needs a kernel of its own."""

    kind: ClassVar[str] = "load_module"
    needs_own_kernel: ClassVar[bool] = True

    machine: MachineName
    """Name of the machine, as in worker0; or `workers`, for all of them."""

    name: KernelModule
    """Name of the module, as in nf_conntrack."""


class UndoPhase(_Root, RootModel[Name]):
    """Take back what an earlier phase changed, and compare with what was before it."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: ClassVar[str] = "undo"

    @property
    def phase(self) -> str:
        """The phase whose changes are taken back."""
        return self.root


Change = Annotated[
    EnableComponent
    | DisableComponent
    | K0sConfig
    | Environment
    | NodeIp
    | Route
    | BlackholeRoute
    | Firewall
    | NicDown
    | Mtu
    | Manifest
    | Scale
    | RestartPods
    | RemoveImage
    | ClockStep
    | LoadModule
    | UndoPhase,
    OneKey("change"),
]
# What k0sctl does: it becomes part of k0sctl.yaml, and one `k0sctl apply` makes all of a phase's.
DeploymentChange: TypeAlias = EnableComponent | DisableComponent | K0sConfig | Environment | NodeIp
