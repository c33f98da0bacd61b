"""A scenario with a `matrix` is several scenarios, one for each combination of its inputs."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.scenario.document import Scalar
from harness.scenario.inputs import INPUT_PATTERN, is_input_value
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.part import Path

# Each has machines of its own, which take a minute to come up; a day has no room for more.
MOST_VARIANTS = 24
# Of all of them together, each with its own copy of the document's values: 24 of the longest there
# are need 3400, and judging this many costs some seconds.
MOST_VALUES = 10_000
# Inputs may be used here; the name is what tells the scenarios apart, and is made from the inputs.
_PARTS = ("title", "cluster", "phases")
# `$${x}` is how `${x}` itself is written.
_USE = re.compile(rf"(?P<escape>\$)?\$\{{(?P<name>{INPUT_PATTERN})\}}")


@dataclass(frozen=True)
class Variant:
    """One combination: its name, empty without a matrix, and what the file then says."""

    name: str
    data: Any


def expand(data: Any) -> tuple[tuple[Variant, ...], tuple[tuple[Path, str], ...]]:  # noqa: ANN401
    """Return the variants of a document, at least one, and path and sentence of each mistake.

    A matrix that is none gives the document as it is: the model says what is wrong with it.
    """
    scenario = data if isinstance(data, dict) else {}
    inputs = _inputs(scenario.get("matrix"))
    mistakes = tuple(_mistakes(scenario, inputs))
    if inputs is None or mistakes:
        return (Variant("", data),), mistakes
    chosen = [
        dict(zip(inputs, values, strict=True)) for values in itertools.product(*inputs.values())
    ]
    variants = tuple(_variant(scenario, each) for each in chosen)
    names = [variant.name for variant in variants]
    twice = sorted({name for name in names if names.count(name) > 1})
    return variants, tuple(
        (("matrix",), f"two combinations would name one scenario {quoted(name)}") for name in twice
    )


def _inputs(matrix: Any) -> dict[str, list[Scalar]] | None:  # noqa: ANN401
    """Return the inputs; none at all without a matrix, None where it is not well-formed."""
    if matrix is None:
        return {}
    well_formed = (
        isinstance(matrix, dict)
        and matrix
        and all(
            re.fullmatch(INPUT_PATTERN, name)
            and isinstance(values, list)
            and values
            and all(map(is_input_value, values))
            for name, values in matrix.items()
        )
    )
    return matrix if well_formed else None


def _mistakes(
    scenario: Mapping[str, Any], inputs: Mapping[str, list[Scalar]] | None
) -> Iterator[tuple[Path, str]]:
    if inputs is None:
        return
    uses = [
        (path, use["name"])
        for part in _PARTS
        for path, text in _texts(scenario.get(part), (part,))
        for use in _USE.finditer(text)
        if not use["escape"]
    ]
    for path, name in uses:
        if name not in inputs:
            there = nearest(name, inputs) if inputs else "; there is no `matrix`"
            yield path, f"unknown input {quoted(f'${{{name}}}')}{there}"
    for name, values in inputs.items():
        if name not in {used for _, used in uses}:
            yield ("matrix", name), f"the input {quoted(name)} is not used: write ${{{name}}}"
        yield from _unnameable(name, values)
    count = math.prod(map(len, inputs.values()))
    if count > MOST_VARIANTS:
        yield ("matrix",), f"these are {count} scenarios; at most {MOST_VARIANTS} are run"
    elif count > 1 and count * _values(scenario) > MOST_VALUES:
        yield ("matrix",), f"these are {count} scenarios, together more than {MOST_VALUES} values"


def _unnameable(name: str, values: list[Scalar]) -> Iterator[tuple[Path, str]]:
    slugs = [_slug(value) for value in values]
    for index, slug in enumerate(slugs):
        if not slug:
            yield ("matrix", name, index), "a scenario cannot be named after this value"
        elif slug in slugs[:index]:
            yield ("matrix", name, index), f"two values would name one scenario {quoted(slug)}"


def _variant(scenario: Mapping[str, Any], chosen: Mapping[str, Scalar]) -> Variant:
    name = "-".join(map(_slug, chosen.values()))
    data = {
        key: _filled(value, chosen) if key in _PARTS else value for key, value in scenario.items()
    }
    if name and isinstance(data.get("name"), str):
        data["name"] = f"{data['name']}-{name}"
    return Variant(name, data)


def _filled(value: Any, chosen: Mapping[str, Scalar]) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _filled(child, chosen) for key, child in value.items()}
    if isinstance(value, list):
        return [_filled(child, chosen) for child in value]
    if not isinstance(value, str):
        return value
    whole = _USE.fullmatch(value)
    if whole is not None and not whole["escape"]:
        # Alone it keeps its type: a number stays one.
        return chosen[whole["name"]]
    return _USE.sub(lambda use: use[0][1:] if use["escape"] else _text(chosen[use["name"]]), value)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:  # noqa: ANN401
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _texts(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _texts(child, (*path, index))


def _values(value: Any) -> int:  # noqa: ANN401
    """Return how many keys, scalars, lists and mappings there are."""
    if isinstance(value, Mapping):
        return 1 + sum(1 + _values(child) for child in value.values())
    return 1 + sum(map(_values, value)) if isinstance(value, list) else 1


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _slug(value: Scalar) -> str:
    """Return the value as a part of a scenario's name: `v1.35.1+k0s.0` is `v1-35-1-k0s-0`."""
    return re.sub(r"[^a-z0-9]+", "-", _text(value).lower()).strip("-")
