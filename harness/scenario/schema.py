"""The JSON Schema of a scenario file, generated from the model, for editors and linters."""

from __future__ import annotations

import json
from typing import Any

from harness.scenario.fields import DURATION_PATTERN
from harness.scenario.fields import duration_text
from harness.scenario.model import FORMAT
from harness.scenario.model import Scenario

# What yaml-language-server reads since 1.20; pydantic writes this dialect without saying so.
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a scenario, as `schema/scenario.schema.json` has it."""
    schema: dict[str, Any] = _plain(Scenario.model_json_schema())
    return {"$schema": DIALECT, "title": f"A scenario of k0s-harness ({FORMAT})", **schema}


def schema_text() -> str:
    """Return the content of the schema file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


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
