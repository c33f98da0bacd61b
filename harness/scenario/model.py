"""The strict model of a scenario file. Every field's text is also what editors show for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.changes import CHANGES
from harness.changes.kind import Change
from harness.expectations import EXPECTATIONS
from harness.expectations.kind import Expectation
from harness.scenario.inputs import InputName, InputValue
from harness.vocabulary.cluster import ClusterSpec
from harness.vocabulary.fields import Name, Reference, Title
from harness.vocabulary.kinds import OneKey
from harness.vocabulary.part import Part

FORMAT = "k0s-harness/1"


class Phase(Part):
    """A named state of the cluster: what is changed on entering it, and what is expected then."""

    name: Name
    """Name of the phase, unique in the file."""

    change: Annotated[tuple[Annotated[Change, OneKey(CHANGES)], ...], Field(strict=False)] = ()
    """Changes made on entering the phase, in this order."""

    expect: Annotated[
        tuple[Annotated[Expectation, OneKey(EXPECTATIONS)], ...], Field(strict=False, min_length=1)
    ]
    """Expectations, all watched at once."""


class Scenario(Part):
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


_built = (CHANGES.edition, EXPECTATIONS.edition)


def scenario_model() -> type[Scenario]:
    """Return the model of a scenario, with every kind that is known by now."""
    global _built  # noqa: PLW0603  # pydantic keeps what it built in the classes, too
    editions = (CHANGES.edition, EXPECTATIONS.edition)
    if editions != _built:
        Phase.model_rebuild(force=True)
        Scenario.model_rebuild(force=True)
        _built = editions
    return Scenario
