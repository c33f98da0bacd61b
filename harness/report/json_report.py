"""`report.json`: all a run came to, for programs, and the schema it keeps to."""

from __future__ import annotations

import json
from typing import Any

from harness.diagnose.model import Diagnosis
from harness.engine.events import Outcome
from harness.engine.events import PhaseResult
from harness.engine.events import ScenarioResult
from harness.evidence.recorder import redacted_value

FORMAT = "k0s-harness-report/1"


def document(result: ScenarioResult) -> dict[str, Any]:
    """Return the report as JSON values: the result's fields, the exit code, secrets redacted."""
    phases = [
        {**plain, "diagnosis": _diagnosis(phase, plain["diagnosis"])}
        for phase, plain in zip(result.phases, result.to_dict()["phases"], strict=True)
    ]
    redacted: dict[str, Any] = redacted_value(
        {"format": FORMAT, **result.to_dict(), "phases": phases}
    )
    return redacted


def render(result: ScenarioResult) -> str:
    """Return `document` as text, indented, with a newline at its end."""
    return json.dumps(document(result), indent=2, ensure_ascii=False) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `report.json`, made from the model itself."""
    # pydantic costs 84 ms to import, and only the schema needs it.
    from pydantic import TypeAdapter  # noqa: PLC0415

    schema = TypeAdapter(ScenarioResult).json_schema(mode="serialization")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "A run of one k0s-harness scenario",
    }
    schema["properties"] = {
        "format": {"const": FORMAT},
        "exit_code": {"enum": sorted({int(outcome.exit_code) for outcome in Outcome})},
        **schema["properties"],
    }
    diagnosis = schema["$defs"][Diagnosis.__name__]
    diagnosis["properties"]["first_broken_hop"] = {"type": ["string", "null"]}
    for shape in (schema, *schema["$defs"].values()):
        if shape.get("type") == "object":
            # A report always has all of its fields; a reader need not guess defaults.
            shape["required"] = list(shape["properties"])
            shape["additionalProperties"] = False
            for field in shape["properties"].values():
                field.pop("default", None)
    return schema


def _diagnosis(phase: PhaseResult, plain: dict[str, Any] | None) -> dict[str, Any] | None:
    if phase.diagnosis is None or plain is None:
        return None
    return {**plain, "first_broken_hop": phase.diagnosis.first_broken_hop}
