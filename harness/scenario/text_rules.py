"""What must hold of a scenario as text, before it is a model: no empty values, no doubtful ones."""

from __future__ import annotations

from typing import Any

from harness.changes import CHANGES
from harness.scenario.document import SourceMap
from harness.vocabulary.cluster_config import at
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found, Path

_FRAGMENT: Path = ("cluster", "k0s")
# phases, its index, change, its index, the kind.
_CHANGE_DEPTH = 5
_REMEDY = "write true, false or a plain number, or put it in quotes"


def broken_text_rules(data: dict[str, Any], marks: SourceMap) -> Found:
    """Yield path and sentence of each value that is left empty, or is not text to everyone."""
    yield from _values_left_empty(data, ())
    for path in marks.ambiguous:
        if _is_verbatim(path[: len(_FRAGMENT)]) or _is_verbatim(path[:_CHANGE_DEPTH]):
            yield path, f"{quoted(at(data, path))} is not text to every YAML reader: {_REMEDY}"


def _is_verbatim(path: Path) -> bool:
    """Whether what stands below `path` is k0s's or Kubernetes's, and only passed on."""
    if path == _FRAGMENT:
        return True
    if len(path) != _CHANGE_DEPTH or (path[0], path[2]) != ("phases", "change"):
        return False
    kind = CHANGES.get(path[-1])
    return kind is not None and kind.verbatim


def _values_left_empty(value: Any, path: Path) -> Found:  # noqa: ANN401  # any YAML
    if _is_verbatim(path) and value is not None:
        # A null in there means something; nothing at all does not.
        return
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _values_left_empty(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _values_left_empty(child, (*path, index))
    elif value is None and path:
        what = quoted(path[-1]) if isinstance(path[-1], str) else "this entry"
        yield path, f"{what} has no value; remove the key or give it one"
