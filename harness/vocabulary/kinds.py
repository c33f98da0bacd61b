"""Kinds of change and of expectation: what all say of themselves, and the tables they stand in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness.vocabulary.cluster import ClusterSpec
from harness.vocabulary.fields import mistake
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.part import Found, Partial
from harness.vocabulary.words import Component


@dataclass(frozen=True)
class Surroundings:
    """What the rules of a kind know of the scenario around it.

    `disabled` are the components that are off right before; None where that is not known.
    """

    cluster: ClusterSpec
    disabled: frozenset[Component] | None


class Kind(Partial, ABC):
    """One kind; it is a pydantic model, too, of what stands behind its key in a scenario.

    `kind` is that key. `lacks` says of keys that other kinds have why this one has none.
    """

    kind: ClassVar[str]
    lacks: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def describe(self) -> str:
        """Return in words what is changed or expected, without times."""

    def rules(self, around: Surroundings) -> tuple[Found, ...]:  # noqa: ARG002  # most have none
        """Return what each rule finds, with its place in the kind's own mapping."""
        return ()


K = TypeVar("K", bound=Kind)


class Registry(Generic[K]):
    """All kinds of one sort, such as `change`, in the order of the documentation.

    `edition` is another one whenever the kinds are.
    """

    def __init__(self, sort: str, *kinds: type[K]) -> None:
        self.sort = sort
        self.edition = 0
        self._kinds = {kind.kind: kind for kind in kinds}

    def __iter__(self) -> Iterator[type[K]]:
        return iter(self._kinds.values())

    def get(self, name: object) -> type[K] | None:
        """Return the kind that is called `name`, None where there is none."""
        return self._kinds.get(name) if isinstance(name, str) else None

    def register(self, kind: type[K]) -> None:
        """Know one more kind, the last one in order.

        Raises `ValueError` where there is one of its name.
        """
        if kind.kind in self._kinds:
            raise ValueError(f"there is a {self.sort} {kind.kind} already")
        self._kinds[kind.kind] = kind
        self.edition += 1

    @contextmanager
    def added(self, kind: type[K]) -> Iterator[None]:
        """Know one more kind until the end of the `with`; raises as `register` does."""
        self.register(kind)
        try:
            yield
        finally:
            del self._kinds[kind.kind]
            self.edition += 1


@dataclass(frozen=True)
class OneKey:
    """A mapping with one key, which names the kind: `{pods: {…}}` is the model of kind `pods`."""

    registry: Registry[Any]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        choices: dict[str, CoreSchema] = {
            kind.kind: core_schema.no_info_before_validator_function(
                _body_of(kind.kind), handler.generate_schema(kind)
            )
            for kind in self.registry
        }
        return core_schema.no_info_before_validator_function(
            lambda value: self._check(value, list(choices)),
            core_schema.tagged_union_schema(choices, lambda value: next(iter(value))),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # Both layers were made above: the check, and in it one choice for each kind.
        models = {kind: each["schema"] for kind, each in schema["schema"]["choices"].items()}
        return {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {kind: model["cls"].__get_pydantic_json_schema__(model, handler)},
                    "required": [kind],
                    "additionalProperties": False,
                }
                for kind, model in models.items()
            ]
        }

    def _check(self, value: object, kinds: list[str]) -> object:
        sort = self.registry.sort
        if not isinstance(value, dict) or not value:
            raise mistake(
                f"{quoted(value)} is no {sort}; write {{kind: …}}, where kind is one of: "
                f"{', '.join(kinds)}"
            )
        names = list(value)
        if len(names) > 1:
            others = ", ".join(quoted(name) for name in names[1:])
            raise mistake(
                f"one {sort} has one kind; give {others} an entry of its own (`- …`), or "
                f"indent it under {quoted(names[0])} if it belongs there",
                several_kinds=True,
            )
        if names[0] not in kinds:
            raise mistake(f"unknown {sort} {quoted(names[0])}{nearest(names[0], kinds)}")
        return value


def _body_of(kind: str) -> Callable[[Any], Any]:
    return lambda value: value[kind]
