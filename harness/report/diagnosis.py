"""A diagnosis for people, at most twelve lines of it first, and as JSON with its schema."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from harness.diagnose.model import Diagnosis, HopState
from harness.evidence.recorder import redacted_value
from harness.evidence.redaction import redact
from harness.report.formatting import one_line
from harness.report.schemas import schema_of
from harness.vocabulary.words import Cause

FORMAT = "k0s-harness-diagnosis/1"
DERIVED = {name: {"type": ["string", "null"]} for name in ("first_broken_hop", "remedy")}
"""JSON Schema of what `derived` returns."""
# What a person reads before anything else; the rest follows as details.
_HEAD_LINES = 12
_HEAD_FACTS = 3
_HEAD_REMEDY = 3
# Wide enough for a remedy with addresses, narrow enough for a terminal's two rows.
_LINE_CHARACTERS = 240
_MARKS = {HopState.HOLDS: "ok", HopState.BROKEN: "BROKEN", HopState.NOT_SEEN: "not seen"}


def render(diagnosis: Diagnosis) -> str:
    """Return cause, proof and remedy in at most twelve lines, then every hop and how to see it."""
    lines = [*head(diagnosis), "", "hops:"]
    for hop in diagnosis.hops:
        lines.append(f"  {_MARKS[hop.state]:<8}  {hop.name}: {one_line(hop.text)}")
        if hop.command is not None:
            lines.append(f"            $ {one_line(hop.command)}")
        if hop.state is HopState.BROKEN and hop.raw:
            lines += [f"            | {line}" for line in hop.raw.splitlines()]
    for title, texts in (
        ("facts", diagnosis.facts),
        ("ruled out", diagnosis.ruled_out),
        ("not seen", diagnosis.not_seen),
        ("remedy", diagnosis.remedies),
    ):
        if texts:
            lines += ["", f"{title}:", *(f"  - {one_line(text)}" for text in texts)]
    return redact("\n".join(lines))


def head(diagnosis: Diagnosis) -> list[str]:
    """Return the lines that stand first, at most twelve."""
    name = "not known" if diagnosis.cause == Cause.UNKNOWN else str(diagnosis.cause)
    lines = [f"cause: {name} ({diagnosis.confidence} confidence)"]
    if diagnosis.also:
        lines.append(f"also: {', '.join(diagnosis.also)}")
    if diagnosis.look_again is not None:
        lines.append(f"settling: look again {diagnosis.look_again}")
    if diagnosis.first_broken_hop is not None:
        lines.append(f"first broken hop: {diagnosis.first_broken_hop}")
    if diagnosis.cause == Cause.HEALTHY:
        held = [hop.name for hop in diagnosis.hops if hop.state is HopState.HOLDS]
        lines.append(f"checked: {', '.join(held)}")
    else:
        lines += [f"  - {fact}" for fact in diagnosis.facts[:_HEAD_FACTS]]
    if diagnosis.ruled_out:
        lines.append(f"ruled out: {'; '.join(diagnosis.ruled_out)}")
    if diagnosis.not_seen:
        more = len(diagnosis.not_seen) - 1
        lines.append(
            f"not seen: {diagnosis.not_seen[0]}" + (f" (and {more} more, below)" if more else "")
        )
    steps = diagnosis.remedies[:_HEAD_REMEDY]
    lines += [f"remedy: {step}" for step in steps[:1]]
    # An alternative says so itself; what else follows is a further step.
    lines += [
        f"  {step}" if step.startswith(("or ", "or, ")) else f"  then: {step}" for step in steps[1:]
    ]
    last = []
    if diagnosis.link is not None:
        last.append(f"see: {diagnosis.link}")
    if diagnosis.check_again is not None:
        last.append(f"check again: {diagnosis.check_again}")
    lines = [*lines[: _HEAD_LINES - len(last)], *last]
    return [_short(line) for line in lines]


def document(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the diagnosis as JSON values: the model's fields, secrets redacted."""
    redacted: dict[str, Any] = redacted_value(
        {
            "format": FORMAT,
            **dataclasses.asdict(diagnosis),
            **derived(diagnosis),
        }
    )
    return redacted


def derived(diagnosis: Diagnosis) -> dict[str, str | None]:
    """Return what documents have of a diagnosis beside its fields."""
    return {"first_broken_hop": diagnosis.first_broken_hop, "remedy": diagnosis.remedy}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `document`, made from the model itself."""
    return schema_of(
        Diagnosis,
        "What k0s-harness diagnose says",
        first={"format": {"const": FORMAT}},
        derived={Diagnosis.__name__: DERIVED},
    )


def schema_text() -> str:
    """Return the content of schema/diagnosis.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _short(line: str) -> str:
    line = one_line(line) if not line.startswith("  ") else f"  {one_line(line)}"
    return line if len(line) <= _LINE_CHARACTERS else line[: _LINE_CHARACTERS - 1] + "…"
