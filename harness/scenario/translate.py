"""Pydantic's errors as sentences for the author of a scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from harness.changes import CHANGES
from harness.expectations import EXPECTATIONS
from harness.scenario.document import Position, SourceMap
from harness.scenario.model import FORMAT, Phase, Scenario
from harness.vocabulary.cluster import ClusterSpec
from harness.vocabulary.fields import OURS, SEVERAL_KINDS
from harness.vocabulary.kinds import Kind
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.part import Path

# What YAML 1.1 reads as booleans and people still write.
_TRUE_WORDS = {"on", "yes", "y"}
_FALSE_WORDS = {"off", "no", "n"}


def translated(
    errors: Iterable[ErrorDetails], marks: SourceMap
) -> Iterator[tuple[Path, Position, str]]:
    """Yield path, position and sentence of each error that does not merely follow from another."""
    for error in errors:
        path = error["loc"]
        kind = error["type"]
        if kind == "too_short" and error["input"]:
            # Pydantic counts only items without a mistake; the others are reported themselves.
            continue
        if kind == "extra_forbidden":
            yield path, marks.key(path), _unknown_key(path)
        elif kind == "missing":
            yield path, marks.key(path[:-1]), f"{_owner(path[:-1])} lacks `{path[-1]}`"
        elif kind == SEVERAL_KINDS:
            yield path, marks.key((*path, list(error["input"])[1])), error["ctx"]["message"]
        elif kind == OURS:
            message = error["ctx"]["message"]
            # A sentence that begins with the value wants to be told which key it is the value of.
            prefix = _prefix(path) if message.startswith("`") else ""
            yield path, marks.value(path), f"{prefix}{message}"
        else:
            say = _SENTENCES.get(kind, _as_pydantic_says)
            yield path, marks.value(path), f"{_prefix(path)}{say(error)}"


def _unknown_key(path: Path) -> str:
    key = str(path[-1])
    model = _model_at(path[:-1])
    if issubclass(model, Kind) and key in model.lacks:
        return model.lacks[key]
    known = [field.alias or name for name, field in model.model_fields.items()]
    return f"unknown key {quoted(key)} in {_owner(path[:-1])}{nearest(key, known)}"


def _model_at(path: Path) -> type[BaseModel]:
    """Return the model of the mapping at `path`."""
    kind: type[Kind] | None
    match [part for part in path if isinstance(part, str)]:
        case ["cluster", *_]:
            return ClusterSpec
        case ["phases", "expect", name, *_]:
            kind = EXPECTATIONS.get(name)
        case ["phases", "change", name, *_]:
            kind = CHANGES.get(name)
        case ["phases", *_]:
            return Phase
        case _:
            return Scenario
    assert kind is not None
    assert issubclass(kind, BaseModel)
    return kind


def _owner(path: Path) -> str:
    """Return how the mapping at `path` is called."""
    words = [part for part in path if isinstance(part, str)]
    if not words:
        return "the scenario"
    return "the phase" if words == ["phases"] else quoted(words[-1])


def _prefix(path: Path) -> str:
    words = [part for part in path if isinstance(part, str)]
    return f"{quoted(words[-1])}: " if words else ""


def _boolean(error: ErrorDetails) -> str:
    value = error["input"]
    if isinstance(value, str) and value.lower() in _TRUE_WORDS | _FALSE_WORDS:
        meant = "true" if value.lower() in _TRUE_WORDS else "false"
        return f"write {meant}, not {quoted(value)}"
    return f"write true or false, not {quoted(value)}"


def _number(error: ErrorDetails) -> str:
    value = error["input"]
    # A text that looks like the number it should be has quotes, or a leading zero.
    shown = f'"{value}"' if isinstance(value, str) else value
    return f"write a whole number, not {quoted(shown)}"


def _literal(error: ErrorDetails) -> str:
    if error["loc"] == ("format",):
        return f"{quoted(error['input'])} is not {FORMAT}, which this harness reads"
    # Pydantic quotes the words it takes; a scenario has them bare.
    words = error["ctx"]["expected"].replace("'", "`")
    return f"write {words}, not {quoted(error['input'])}"


def _as_pydantic_says(error: ErrorDetails) -> str:
    return error["msg"]


def _text(error: ErrorDetails) -> str:
    value = error["input"]
    if isinstance(value, (int, float)):
        return f"write text, not {quoted(value)}; in quotes if it is meant to look like a number"
    return f"write text, not {quoted(value)}"


_SENTENCES: Mapping[str, Callable[[ErrorDetails], str]] = {
    "bool_type": _boolean,
    "string_type": _text,
    "int_type": _number,
    "tuple_type": lambda error: f"write a list (`[…]` or `- …`), not {quoted(error['input'])}",
    "dict_type": lambda error: f"write a mapping (`key: value`), not {quoted(error['input'])}",
    "model_type": lambda error: f"write a mapping (`key: value`), not {quoted(error['input'])}",
    "greater_than_equal": lambda error: f"{error['input']} is less than {error['ctx']['ge']}",
    "less_than_equal": lambda error: f"{error['input']} is more than {error['ctx']['le']}",
    "too_short": lambda error: (
        f"the {'mapping' if isinstance(error['input'], dict) else 'list'} is empty; "
        "it needs at least one entry"
    ),
    "string_too_short": lambda _: "the text is empty",
    "string_too_long": lambda error: (
        f"the text is longer than {error['ctx']['max_length']} characters"
    ),
    "literal_error": _literal,
}
