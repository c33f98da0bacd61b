"""A reading: what one look at a machine or at the API returned, raw.

Probes are pure functions from readings to values, and readings are what a run records; so a
verdict or a diagnosis can be made again from a recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from typing import Any


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
    def from_dict(cls, data: Mapping[str, Any]) -> Reading:
        """Build a reading from its JSON form.

        Raises `KeyError` or `TypeError` for another shape.
        """
        return cls(**{**data, "argv": tuple(data["argv"])})
