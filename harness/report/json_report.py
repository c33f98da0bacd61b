"""`report.json`: all a run came to, for programs, and the schema it keeps to."""

from __future__ import annotations

import json
from typing import Any

from harness.diagnose.model import Diagnosis
from harness.engine.outcome import Outcome
from harness.engine.results import PhaseResult, ScenarioResult
from harness.evidence.recorder import redacted_value
from harness.report.diagnosis import DERIVED, derived
from harness.report.schemas import schema_of

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
    return schema_of(
        ScenarioResult,
        "A run of one k0s-harness scenario",
        first={
            "format": {"const": FORMAT},
            "exit_code": {"enum": sorted({int(outcome.exit_code) for outcome in Outcome})},
        },
        derived={Diagnosis.__name__: DERIVED},
    )


def _diagnosis(phase: PhaseResult, plain: dict[str, Any] | None) -> dict[str, Any] | None:
    if phase.diagnosis is None or plain is None:
        return None
    return {**plain, **derived(phase.diagnosis)}
