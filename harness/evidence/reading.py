"""A reading: what one look at a machine or at the API returned, raw.

Probes are pure functions from readings to values, and readings are what a run records; so a
verdict or a diagnosis can be made again from a recording.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

# Everything in a reading is within a run, and no run lasts a month.
_LONGEST_SECONDS = 31 * 86400.0
# Of an int of 32 bits, in which systems have it.
_LARGEST_STATUS = 2**32


@dataclass(frozen=True)
class Reading:
    """Raw outcome of one look.

    `probe` names the probe that asked, `where` the machine it was run on (`api` for the
    Kubernetes API), `argv` what anyone can repeat there. `at` is ISO 8601 in UTC, `elapsed` the
    seconds since the run began, `duration` the seconds the look took. `returncode` is None when
    the look itself failed (no SSH, deadline passed); `error` then says how, and there is no value.
    """

    probe: str
    where: str
    argv: tuple[str, ...]
    at: str
    elapsed: float
    duration: float
    returncode: int | None
    stdout: str = ""
    stderr: str = ""
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the look itself failed, so that it is a gap and not a value."""
        return self.returncode is None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, as in `observations.jsonl`."""
        return {**asdict(self), "argv": list(self.argv)}

    @classmethod
    def from_dict(cls, data: object) -> Reading:
        """Build a reading from its JSON form, which a stranger may have written.

        Raises `TypeError` or `ValueError` for another shape.
        """
        if not isinstance(data, dict) or not isinstance(data.get("argv"), list):
            raise TypeError("no reading")
        reading = cls(**{**data, "argv": tuple(data["argv"])})
        texts = (reading.probe, reading.where, reading.at, reading.stdout, reading.stderr)
        if not reading.argv or not all(isinstance(each, str) for each in (*texts, *reading.argv)):
            raise TypeError("a text of the reading is none")
        if reading.error is not None and not isinstance(reading.error, str):
            raise TypeError("its error is no text")
        status = reading.returncode
        if status is not None and (type(status) is not int or abs(status) > _LARGEST_STATUS):
            raise TypeError("its status is no number")
        _require_seconds(reading.elapsed)
        _require_seconds(reading.duration)
        return reading


def _require_seconds(value: object) -> None:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise TypeError("its seconds are none")
    if not 0 <= value <= _LONGEST_SECONDS:  # type: ignore[operator]
        raise ValueError("its seconds are those of no run")
