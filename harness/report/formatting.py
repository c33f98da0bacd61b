"""Words and numbers as every report of the harness writes them."""

from __future__ import annotations

import shutil
import unicodedata
from datetime import datetime

from harness.engine.results import ScenarioResult

# Below ten seconds a tenth matters; from two minutes on, minutes are what people think in.
_TENTHS_BELOW = 10.0
_MINUTES_FROM = 120.0
_ORIGINS = {
    "own-build": "built from source, not the official release",
    "unverified": "of unverified origin",
}


def duration(seconds: float, *, tenths: bool = True) -> str:
    """Return `4.2s`, `45s` or `2m05s`; a time that is still running has no tenths."""
    if tenths and seconds < _TENTHS_BELOW:
        return f"{seconds:.1f}s"
    if seconds < _MINUTES_FROM:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s"


def run_seconds(result: ScenarioResult) -> float | None:
    """Return how long a run took; None where it does not say when it began and ended."""
    try:
        started, ended = (datetime.fromisoformat(at) for at in (result.started, result.ended))
        return (ended - started).total_seconds()
    except (TypeError, ValueError):
        return None


def one_line(text: str) -> str:
    """Return `text` with every run of white space as one blank."""
    return " ".join(text.split())


def terminal_width() -> int:
    """Return the columns of the terminal; 80 where it says none."""
    return shutil.get_terminal_size().columns


def cut(text: str, columns: int) -> str:
    """Return `text` with an ellipsis for what goes beyond so many columns of a terminal."""
    left = columns
    for at, character in enumerate(text):
        left -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if left < 0:
            return text[: max(at - 1, 0)].rstrip() + "…"
    return text


def origin_line(result: ScenarioResult) -> str:
    """Return the sentence that says whether a run was made of official builds."""
    if not result.artifacts:
        return "no artifacts were used"
    if not result.not_official:
        return "official builds"
    found = [
        (heading, [used for used in result.not_official if used.origin == origin])
        for origin, heading in _ORIGINS.items()
    ]
    return "; ".join(
        f"{heading}: " + ", ".join(f"{used.kind} (sha256 {used.sha256[:16]}…)" for used in those)
        for heading, those in found
        if those
    )
