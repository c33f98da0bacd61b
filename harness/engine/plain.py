"""Values that know their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any


def _plain(value: object) -> Any:  # noqa: ANN401  # the JSON form of a value has no narrower type
    """Return `value` as JSON knows it: dict, list, str, number, bool or None."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    return value


class Value:
    """Base of a run's results and events."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: field names to plain values."""
        plain: dict[str, Any] = _plain(self)
        return plain
