"""Readings of real clusters: a file is parsed once and a reading redacted once in a session."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from harness import testing
from harness.diagnose.judge import diagnose
from harness.diagnose.model import Diagnosis
from harness.evidence.reading import Reading
from harness.evidence.recorder import redacted_reading


@functools.cache
def readings(path: Path) -> tuple[Reading, ...]:
    """The readings in a file of one JSON object a line."""
    return testing.readings(path)


@functools.cache
def diagnosed(path: Path) -> Diagnosis:
    """What is said of those readings."""
    return diagnose(readings(path))


def id_of(path: Path) -> str:
    """A recording as a test's id: the folder and the number."""
    return f"{path.parent.name}/{path.stem}"


@functools.cache
def redacted(reading: Reading) -> Reading:
    """The reading as a recorder writes it."""
    return redacted_reading(reading)


def lines(found: list[Reading]) -> str:
    """The readings as a recorder's file has them."""
    return "".join(_line(each) for each in found)


@functools.cache
def _line(reading: Reading) -> str:
    return json.dumps(redacted(reading).to_dict(), ensure_ascii=False) + "\n"
