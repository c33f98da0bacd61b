"""What parsed of a scenario with mistakes, so that rules can speak of the rest of it."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError

from harness.changes import CHANGES
from harness.expectations import EXPECTATIONS
from harness.scenario.model import Phase, Scenario
from harness.vocabulary.cluster import ClusterSpec
from harness.vocabulary.kinds import Registry
from harness.vocabulary.part import Missing, Path

M = TypeVar("M", bound=BaseModel)


def draft(data: dict[str, Any]) -> Scenario:
    """Return the cluster and the phases of `data`; what of them did not parse is missing."""
    return Scenario.model_construct(
        cluster=_part(ClusterSpec, _mapping(data.get("cluster"))),
        phases=tuple(_phase(each) for each in _list(data.get("phases"))),
    )


def _phase(data: object) -> Phase:
    given = _mapping(data)
    return _part(Phase, {"name": given.get("name")}).model_copy(
        update={
            "change": tuple(_entry(CHANGES, each) for each in _list(given.get("change"))),
            "expect": tuple(_entry(EXPECTATIONS, each) for each in _list(given.get("expect"))),
        }
    )


def _entry(registry: Registry[Any], data: object) -> object:
    if not isinstance(data, dict) or len(data) != 1:
        return Missing()
    ((name, body),) = data.items()
    kind = registry.get(name)
    return Missing() if kind is None else _part(kind, body)


def _part(model: type[M], data: Any) -> M:  # noqa: ANN401  # any YAML
    """Return `data` as a `model` in which every field that did not parse is missing."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        mistakes = [each["loc"] for each in error.errors(include_url=False)]
    part = model.model_construct(**({"root": None} if issubclass(model, RootModel) else {}))
    if isinstance(part, RootModel):
        data, mistakes = {"root": data}, [("root", *loc) for loc in mistakes]
    for name, field in model.model_fields.items():
        key = field.alias or name
        if isinstance(data, dict) and key not in data:
            continue
        part.__dict__.pop(name, None)
        if isinstance(data, dict):
            wrong = [loc[1:] for loc in mistakes if loc[:1] == (key,)]
            parsed = _salvaged(_adapter(model, name), data[key], wrong)
            if not isinstance(parsed, Missing):
                part.__dict__[name] = parsed
    return part


@cache
def _adapter(model: type[BaseModel], field: str) -> TypeAdapter[Any]:
    return TypeAdapter(model.model_fields[field].rebuild_annotation())


def _salvaged(adapter: TypeAdapter[Any], value: Any, wrong: list[Path]) -> object:  # noqa: ANN401
    """Return a field's value: of a mapping what parsed, of a list the rest is missing in place."""
    if () in wrong:
        return Missing()
    gone = sorted({loc[0] for loc in wrong}, key=str)
    if isinstance(value, dict):
        value = {key: each for key, each in value.items() if key not in gone}
    elif isinstance(value, list):
        value = [each for index, each in enumerate(value) if index not in gone]
    try:
        parsed = adapter.validate_python(value)
    except ValidationError:
        return Missing()
    if isinstance(parsed, tuple):
        for index in sorted(each for each in gone if isinstance(each, int)):
            parsed = (*parsed[:index], Missing(), *parsed[index:])
    return parsed


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
