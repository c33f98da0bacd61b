"""A diagnosis for people, at most a screen of it first, and as JSON."""

from __future__ import annotations

import dataclasses
import json

from harness.diagnose.model import Diagnosis
from harness.diagnose.model import HopState

_MARKS = {HopState.HOLDS: "ok", HopState.BROKEN: "BROKEN", HopState.NOT_SEEN: "not seen"}


def render(diagnosis: Diagnosis) -> str:
    """Return cause, proof and remedy, then every hop with the command that shows it."""
    lines = [f"cause: {diagnosis.cause} ({diagnosis.confidence} confidence)"]
    if diagnosis.first_broken_hop is not None:
        lines.append(f"first broken hop: {diagnosis.first_broken_hop}")
    lines += [f"  - {fact}" for fact in diagnosis.facts]
    lines += [f"  not seen: {missing}" for missing in diagnosis.not_seen]
    if diagnosis.remedy is not None:
        lines.append(f"remedy: {diagnosis.remedy}")
    lines.append("hops:")
    for hop in diagnosis.hops:
        lines.append(f"  {_MARKS[hop.state]:<8}  {hop.name}: {hop.text}")
        if hop.command is not None:
            lines.append(f"            {hop.command}")
    return "\n".join(lines)


def as_json(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as JSON: the model's fields, `first_broken_hop` included."""
    return json.dumps(
        {**dataclasses.asdict(diagnosis), "first_broken_hop": diagnosis.first_broken_hop}, indent=2
    )
