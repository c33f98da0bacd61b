"""The strict model of a scenario file. Every field's text is also what editors show for it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.scenario.changes import (
    BlackholeRoute,
    Change,
    ClockStep,
    DeploymentChange,
    DisableComponent,
    EnableComponent,
    Environment,
    Firewall,
    K0sConfig,
    LoadModule,
    Manifest,
    Mtu,
    NicDown,
    NodeIp,
    RemoveImage,
    RestartPods,
    Route,
    Scale,
    UndoPhase,
)
from harness.scenario.expectations import (
    Apiservice,
    Apply,
    Diagnosis,
    Expectation,
    Flows,
    Pods,
    Reachability,
    TopNodes,
)
from harness.scenario.inputs import InputName, InputValue
from harness.vocabulary.fields import ConfigPath, Name, Reference, Release, Title, Word
from harness.vocabulary.version import K0sVersion
from harness.vocabulary.words import Component, Role

__all__ = [
    "Apiservice",
    "Apply",
    "BlackholeRoute",
    "Change",
    "ClockStep",
    "ClusterSpec",
    "DeploymentChange",
    "Diagnosis",
    "DisableComponent",
    "EnableComponent",
    "Environment",
    "Expectation",
    "Firewall",
    "Flows",
    "K0sConfig",
    "LoadModule",
    "Manifest",
    "Mtu",
    "NicDown",
    "NodeIp",
    "Phase",
    "Pods",
    "Reachability",
    "RemoveImage",
    "RestartPods",
    "Route",
    "Scale",
    "Scenario",
    "TopNodes",
    "UndoPhase",
]

FORMAT = "k0s-harness/1"
# The release of the issue this project starts from.
DEFAULT_VERSION = K0sVersion(1, 32, 3, build=0)
# Two show what one hides (a node per row, a pod on the other node); six fit a 16 GiB host.
DEFAULT_WORKERS = 2
MOST_WORKERS = 5


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class ClusterSpec(_Part):
    """The cluster of the first phase: one controller, and workers."""

    k0s_version: Annotated[
        Release, Field(alias="version", json_schema_extra={"default": str(DEFAULT_VERSION)})
    ] = DEFAULT_VERSION
    """The k0s release in full, as in v1.32.3+k0s.0."""

    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)] = DEFAULT_WORKERS
    """How many workers there are, named worker0, worker1 and so on."""

    controller_role: Annotated[
        Role,
        Word(Role, "role of a controller", only=(Role.CONTROLLER, Role.CONTROLLER_WORKER)),
    ] = Role.CONTROLLER
    """`controller+worker`: the controller runs a kubelet, too, and is a node that takes any pod."""

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


class Phase(_Part):
    """A named state of the cluster: what is changed on entering it, and what is expected then."""

    name: Name
    """Name of the phase, unique in the file."""

    change: Annotated[tuple[Change, ...], Field(strict=False)] = ()
    """Changes made on entering the phase, in this order."""

    expect: Annotated[tuple[Expectation, ...], Field(strict=False, min_length=1)]
    """Expectations, all watched at once."""


class Scenario(_Part):
    """One scenario: a cluster and the phases it goes through, in file order."""

    format: Literal["k0s-harness/1"]
    """Format of this file."""

    name: Name
    """Name of the scenario."""

    title: Title
    """One line that says what the scenario shows."""

    references: Annotated[tuple[Reference, ...], Field(strict=False)] = ()
    """Links to what the scenario is about."""

    cluster: ClusterSpec = Field(default_factory=ClusterSpec)
    """The cluster of the first phase."""

    matrix: (
        Annotated[
            dict[
                InputName,
                Annotated[
                    tuple[Annotated[str | int | float | bool, InputValue()], ...],
                    Field(strict=False, min_length=1),
                ],
            ],
            Field(min_length=1, json_schema_extra={"additionalProperties": False}),
        ]
        | None
    ) = None
    """Inputs and their values: one scenario for each combination. `${name}` stands for a value."""

    phases: Annotated[tuple[Phase, ...], Field(strict=False, min_length=1)]
    """The phases, entered in this order."""
