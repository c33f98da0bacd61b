"""Looking into plain data that may be anything: what is not of the wanted kind is empty."""

from __future__ import annotations

from typing import Any

from harness.scenario.document import Path

ABSENT = object()


def mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401  # any YAML
    """Return `value` where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:  # noqa: ANN401
    """Return `value` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def word(value: Any) -> str | None:  # noqa: ANN401
    """Return `value` where it is text, else None: what is asked of a set must have a hash."""
    return value if isinstance(value, str) else None


def at(value: Any, path: Path) -> Any:  # noqa: ANN401
    """Return what stands at `path` in `value`, or `ABSENT`."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return value
