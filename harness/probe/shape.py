"""Whether what a parser returned is of the type that it declares.

Parsers take out of JSON what they find, and a version of a tool that nobody has seen, or a
stranger's recording, may have a list where a name was. So it is looked at once, behind every
parser, and what comes after may rely on the declared types.
"""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

# Kubernetes and the kernel count in 64 bits.
_LARGEST = 2**63


@functools.cache
def declared(parse: Callable[..., Any]) -> Any:  # noqa: ANN401  # an annotation has no type
    """Return the type that `parse` declares to return, `Any` where it declares none."""
    return typing.get_type_hints(parse).get("return", Any)


def fits(value: object, wanted: Any) -> bool:  # noqa: ANN401  # an annotation has no type
    """Whether `value` is of the type `wanted`, and so is everything in it; numbers are finite."""
    if is_dataclass(wanted):
        kind = typing.cast("type", wanted)
        return isinstance(value, kind) and all(
            fits(getattr(value, name), each) for name, each in _fields(kind)
        )
    if typing.get_origin(wanted) is None:
        return _is_plain(value, wanted)
    return _is_made_of(value, typing.get_origin(wanted), typing.get_args(wanted))


def _is_made_of(value: object, kind: Any, inner: tuple[Any, ...]) -> bool:  # noqa: ANN401
    """Whether `value` is a union, a mapping or a collection of the types `inner`."""
    if kind in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if not isinstance(value, kind):
        return False
    if isinstance(value, Mapping):
        return all(fits(name, inner[0]) and fits(each, inner[1]) for name, each in value.items())
    if isinstance(value, tuple) and inner[-1] is not Ellipsis:
        return len(value) == len(inner) and all(map(fits, value, inner))
    return all(fits(each, inner[0]) for each in typing.cast("Iterable[object]", value))


@functools.cache
def _fields(wanted: type) -> tuple[tuple[str, Any], ...]:
    return tuple(typing.get_type_hints(wanted).items())


def _is_plain(value: object, wanted: Any) -> bool:  # noqa: ANN401  # an annotation has no type
    if wanted is Any:
        return True
    if wanted is float:
        return type(value) in (int, float) and _is_number(typing.cast("float", value))
    if wanted is int:
        return type(value) is int and _is_number(value)
    return isinstance(value, wanted)


def _is_number(value: float) -> bool:
    return math.isfinite(value) and abs(value) < _LARGEST
