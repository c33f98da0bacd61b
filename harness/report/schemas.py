"""JSON Schemas of what reports write, made from the models themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def schema_of(
    model: type,
    title: str,
    *,
    first: Mapping[str, Any],
    derived: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `model` as it is written.

    `first` are properties that stand before the model's own, `derived` those behind the own ones,
    by the name of the model that has them. A document always has all of its fields; a reader need
    not guess defaults.
    """
    # pydantic costs 84 ms to import, and only schemas need it.
    from pydantic import TypeAdapter  # noqa: PLC0415

    schema = TypeAdapter(model).json_schema(mode="serialization")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": title,
    }
    schema["properties"] = {**first, **schema["properties"]}
    shapes = {model.__name__: schema, **schema["$defs"]}
    for name, properties in derived.items():
        shapes[name]["properties"].update(properties)
    for shape in shapes.values():
        if shape.get("type") == "object":
            shape["required"] = list(shape["properties"])
            shape["additionalProperties"] = False
            for field in shape["properties"].values():
                field.pop("default", None)
    return schema
