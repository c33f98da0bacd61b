"""The JSON Schema of a scenario file, generated from the model, for editors and linters."""

from __future__ import annotations

import json
from typing import Any

from harness.scenario.inputs import INPUT_PATTERN
from harness.scenario.model import FORMAT, scenario_model
from harness.vocabulary.fields import DURATION_PATTERN, duration_text

# What yaml-language-server reads since 1.20; pydantic writes this dialect without saying so.
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SINGLE = ("boolean", "integer", "number")
# What a key says of itself, whatever it takes.
_ABOUT = ("default", "description", "examples")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a scenario, as `schema/scenario.schema.json` has it."""
    schema: dict[str, Any] = _plain(scenario_model().model_json_schema())
    # All definitions are parts of `cluster` and `phases`, where inputs of the matrix may stand.
    schema["$defs"] = {
        **{name: _or_input(part) for name, part in schema["$defs"].items()},
        "Input": {"type": "string", "pattern": rf"^\$\{{{INPUT_PATTERN}\}}$"},
    }
    return {"$schema": DIALECT, "title": f"A scenario of k0s-harness ({FORMAT})", **schema}


def schema_text() -> str:
    """Return the content of the schema file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _or_input(schema: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return `schema` with `${name}`, an input of the matrix, allowed for every single value.

    Texts that may be anything take it as they are, and keys are never replaced.
    """
    if not isinstance(schema, dict):
        return schema
    if {"enum", "const", "pattern"} & set(schema) or schema.get("type") in _SINGLE:
        about = {key: value for key, value in schema.items() if key in _ABOUT}
        kind = {key: value for key, value in schema.items() if key not in _ABOUT}
        return {**about, "anyOf": [kind, {"$ref": "#/$defs/Input"}]}
    changed = dict(schema)
    if "properties" in schema:
        changed["properties"] = {
            name: _or_input(part) for name, part in schema["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if key in schema:
            changed[key] = _or_input(schema[key])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            changed[key] = [_or_input(part) for part in schema[key]]
    return changed


def _plain(schema: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return `schema` without what only pydantic needs: titles from names, and nulls for absence.

    A scenario says nothing by leaving a key out; writing `null` is a mistake there. Durations are
    shown as a scenario writes them.
    """
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: value
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value is None)
    }
    if kept.get("pattern") == DURATION_PATTERN and "default" in kept:
        kept["default"] = duration_text(kept["default"])
    options = kept.get("anyOf", [])
    if {"type": "null"} in options:
        others = [option for option in options if option != {"type": "null"}]
        if len(others) == 1:
            del kept["anyOf"]
            # What the field says of itself stands above what its type says.
            kept = {**others[0], **kept}
    return {key: _plain(value) for key, value in kept.items()}
