"""What a phase may demand of observations: one class for each kind of expectation."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from harness.vocabulary.fields import Hold, Name, ObjectName, OneKey, Selector, When, Within, Word
from harness.vocabulary.words import (
    CAUSES,
    ApiserviceReason,
    ApplyOutcome,
    Flow,
    FlowOutcome,
    MessageClass,
    TopOutcome,
)

# A condition comes within 35 s of its cause (30 s resync, 5 s probe); the rest is for slow pods.
WITHIN_SECONDS = 120.0
# One resync of the aggregator (30 s) and its probe's cap (6 s), rounded up: a flap would show.
HOLD_SECONDS = 45.0


class _Expectation(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    kind: ClassVar[str]

    when: When | None = None
    """Only for these k0s releases, as in `k0s >= 1.35.1`; conditions are joined by `and`."""


class _Watched(_Expectation):
    within: Within = WITHIN_SECONDS
    """The state must be reached in this time after the phase's preconditions hold."""


class _Held(_Watched):
    hold: Hold = 0.0
    """How long the state must then last; 0s means once is enough. May be longer than `within`."""


class Apiservice(_Held):
    """The Available condition of an APIService."""

    kind: ClassVar[str] = "apiservice"

    name: ObjectName
    """Name of the APIService, as in v1beta1.metrics.k8s.io."""

    available: bool
    """Status of its Available condition: true or false."""

    reason: Annotated[ApiserviceReason, Word(ApiserviceReason, "reason")] | None = None
    """Reason of the condition, as in FailedDiscoveryCheck."""

    message_class: Annotated[MessageClass, Word(MessageClass, "message class")] | None = None
    """What the condition's message says of the dial. The text varies from poll to poll."""

    hold: Hold = HOLD_SECONDS
    """How long the state must then last: a first `Available=True` proves little."""


class TopNodes(_Held):
    """The outcome of `kubectl top nodes`."""

    kind: ClassVar[str] = "top_nodes"

    outcome: Annotated[TopOutcome, Word(TopOutcome, "outcome")]
    """How the command ends: its exit status alone says nothing."""

    nodes: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """Nodes that have a row with values, and no others. Without it: all of the cluster's."""


class Pods(_Held):
    """How many pods of a selection are Ready."""

    kind: ClassVar[str] = "pods"

    selector: Selector
    """Label selector, as in k8s-app=metrics-server."""

    namespace: Name = "kube-system"
    """Namespace of the pods."""

    ready: Annotated[int, Field(ge=0, le=1000)]
    """Exactly how many are Ready."""


class Diagnosis(_Watched):
    """The cause that the diagnosis names, from evidence alone."""

    kind: ClassVar[str] = "diagnosis"
    hold: ClassVar[float] = 0.0

    cause: Annotated[str, Word(CAUSES, "cause")]
    """The cause."""

    also: Annotated[
        tuple[Annotated[str, Word(CAUSES, "cause")], ...], Field(strict=False, min_length=1)
    ] = ()
    """Second causes that it must name, too."""


class Flows(_Held):
    """How connections of some kinds end, from the flow matrix."""

    kind: ClassVar[str] = "flows"

    cells: Annotated[
        dict[
            Annotated[Flow, Word(Flow, "flow")],
            Annotated[FlowOutcome, Word(FlowOutcome, "outcome of a flow")],
        ],
        Field(min_length=1),
    ]
    """Kind of flow and how it ends, as in `controller-to-cluster-ip: timed-out`."""


class Reachability(_Watched):
    """Whether every one of a round of new connections over the path in use succeeds."""

    kind: ClassVar[str] = "reachability"
    hold: ClassVar[float] = 0.0

    whole: bool
    """true: every connection succeeded; false: some failed and others did not."""


class Apply(_Expectation):
    """How `k0sctl apply` of the phase's configuration ends."""

    kind: ClassVar[str] = "apply"
    # It is one event with the deadline of `k0sctl apply` itself: nothing to wait for, nor to hold.
    within: ClassVar[float] = 0.0
    hold: ClassVar[float] = 0.0

    outcome: Annotated[ApplyOutcome, Word(ApplyOutcome, "outcome")]
    """`refused`: k0s or k0sctl must reject the configuration; `failed`: k0sctl must give up on
    carrying it out; `applied`: it must do so."""

    message_contains: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Text that k0sctl's reason must contain; needed with `failed`."""


Expectation = Annotated[
    Apiservice | TopNodes | Pods | Diagnosis | Flows | Reachability | Apply,
    OneKey("expectation"),
]
