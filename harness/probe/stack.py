"""What somebody changed in an object that k0s applied.

k0s's applier writes what it applied into an annotation, and compares nothing but its checksum
(pkg/applier/stack.go at v1.32.3+k0s.0): what was edited stays, until the object is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.base.untrusted import RefusedError, plain_json

_CHECKSUM = "k0s.k0sproject.io/stack-checksum"
_APPLIED = "k0s.k0sproject.io/last-applied-configuration"
# Of one value, in a sentence.
_MOST_SAID = 80
_MOST_NAMED = 5


def by_k0s(item: Mapping[str, Any]) -> bool:
    """Whether k0s applied an object."""
    return _CHECKSUM in _annotations(item)


def edited(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what in an object's spec is not as k0s applied it, such as `spec.replicas 0 (k0s: 1)`.

    Nothing for an object that is none of k0s's. What k0s left to defaults is not looked at.
    """
    try:
        applied = plain_json(_annotations(item).get(_APPLIED, "{}"))
    except RefusedError:
        return ()
    if not isinstance(applied, dict) or "spec" not in applied:
        return ()
    found = list(_differing("spec", applied["spec"], item.get("spec")))
    return tuple(found[:_MOST_NAMED])


def _differing(path: str, applied: object, live: object) -> Iterator[str]:
    if isinstance(applied, dict) and isinstance(live, dict):
        for key, value in applied.items():
            yield from _differing(f"{path}.{key}", value, live.get(key))
    elif isinstance(applied, list) and isinstance(live, list) and len(applied) == len(live):
        for at, (value, other) in enumerate(zip(applied, live, strict=True)):
            yield from _differing(f"{path}[{at}]", value, other)
    # An empty value is what the API server leaves out.
    elif applied != live and (applied or live):
        yield f"{path} {_said(live)} (k0s: {_said(applied)})"


def _said(value: object) -> str:
    return "not there" if value is None else f"{value!s:.{_MOST_SAID}}"


def _annotations(item: Mapping[str, Any]) -> Mapping[str, str]:
    return item.get("metadata", {}).get("annotations") or {}
