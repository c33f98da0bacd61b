"""The cluster that a scenario names: its model, its rules, and what its machines are called."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from harness.cni import Cni, of_config
from harness.vocabulary.cluster_config import collisions
from harness.vocabulary.fields import ConfigPath, Release, Word
from harness.vocabulary.machines import controller_names, worker_names
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found, Part
from harness.vocabulary.version import K0sVersion
from harness.vocabulary.words import Component, Role

# The release of the issue this project starts from.
DEFAULT_VERSION = K0sVersion(1, 32, 3, build=0)
# Two show what one hides (a node per row, a pod on the other node); with six, a lab of containers
# fits a 16 GiB host.
DEFAULT_WORKERS = 2
MOST_WORKERS = 6
# etcd agrees with two of three; five would only take more memory.
MOST_CONTROLLERS = 3


class ClusterSpec(Part):
    """The cluster of the first phase: its controllers and workers."""

    k0s_version: Annotated[
        Release, Field(alias="version", json_schema_extra={"default": str(DEFAULT_VERSION)})
    ] = DEFAULT_VERSION
    """The k0s release in full, as in v1.32.3+k0s.0."""

    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)] = DEFAULT_WORKERS
    """How many workers there are, named worker0, worker1 and so on."""

    controllers: Annotated[int, Field(ge=1, le=MOST_CONTROLLERS)] = 1
    """How many controllers there are, named controller0 and so on. No balancer is before them."""

    controller_role: Annotated[
        Role,
        Word(Role, "role of a controller", only=(Role.CONTROLLER, Role.CONTROLLER_WORKER)),
    ] = Role.CONTROLLER
    """`controller+worker`: controllers run a kubelet, too, and are nodes that take any pod."""

    same_nat_address: bool = False
    """Give every machine the same address on its NAT interface, as VirtualBox does."""

    disable_components: Annotated[
        tuple[Annotated[Component, Word(Component, "component")], ...], Field(strict=False)
    ] = ()
    """k0s components that are off from the start (`--disable-components`)."""

    k0s: dict[str, Any] | None = None
    """Any fragment of a k0s ClusterConfig, merged over what the harness sets."""

    break_: Annotated[
        tuple[ConfigPath, ...],
        Field(alias="break", strict=False),
    ] = ()
    """Dotted paths of values that the harness must set and this scenario sets wrong on purpose."""

    @property
    def controller_names(self) -> tuple[str, ...]:
        """The controllers."""
        return tuple(controller_names(self.controllers))

    @property
    def worker_names(self) -> tuple[str, ...]:
        """The workers."""
        return tuple(worker_names(self.workers))

    @property
    def machine_names(self) -> tuple[str, ...]:
        """Every machine."""
        return (*self.controller_names, *self.worker_names)

    @property
    def node_names(self) -> tuple[str, ...]:
        """The machines that run a kubelet."""
        controls_only = self.controller_role is Role.CONTROLLER
        return self.worker_names if controls_only else self.machine_names

    @property
    def cni(self) -> Cni:
        """What gives pods their addresses."""
        return of_config(self.k0s or {})

    def rules(self) -> tuple[Found, ...]:
        """Return what each rule finds, with its place in the cluster's mapping."""
        return self._collisions(), self._listed_twice()

    def _collisions(self) -> Found:
        for keys, sentence in collisions(self.k0s or {}, self.break_):
            yield ("k0s", *keys), sentence

    def _listed_twice(self) -> Found:
        for index, name in enumerate(self.disable_components):
            if name in self.disable_components[:index]:
                yield ("disable_components", index), f"{quoted(name)} is listed twice"
