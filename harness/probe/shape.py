"""Whether what a parser returned is of the type that it declares.

Parsers take out of JSON what they find, and a version of a tool that nobody has seen, or a
stranger's recording, may have a list where a name was. So it is looked at once, behind every
parser, and what comes after may rely on the declared types.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

# Kubernetes and the kernel count in 64 bits.
_LARGEST = 2**63


Fits = Callable[[Any], bool]


@functools.cache
def fits_declared(parse: Callable[..., Any]) -> Fits:
    """Return what says whether a value is of the type that `parse` declares to return."""
    return fits(typing.get_type_hints(parse).get("return", Any))


@functools.cache
def fits(wanted: Any) -> Fits:  # noqa: ANN401  # an annotation has no type
    """Return what says whether a value, and all that is in it, is of the type `wanted`.

    Numbers must be finite. It is made once a type: a list of addresses has thousands.
    """
    if is_dataclass(wanted):
        kind = typing.cast("type", wanted)
        fields = [(name, fits(each)) for name, each in typing.get_type_hints(kind).items()]
        return lambda value: (
            isinstance(value, kind) and all(fit(getattr(value, name)) for name, fit in fields)
        )
    if typing.get_origin(wanted) is None:
        return _plain(wanted)
    return _made_of(typing.get_origin(wanted), typing.get_args(wanted))


def _made_of(kind: Any, wanted: tuple[Any, ...]) -> Fits:  # noqa: ANN401  # as above
    """Return the same for a union, a mapping or a collection of the types `wanted`."""
    inner = [fits(each) for each in wanted if each is not Ellipsis]
    if kind in (typing.Union, types.UnionType):
        return lambda value: any(fit(value) for fit in inner)
    if issubclass(kind, Mapping):
        of_name, of_value = inner
        return lambda value: (
            isinstance(value, Mapping)
            and all(map(of_name, value))
            and all(map(of_value, value.values()))
        )
    if kind is tuple and Ellipsis not in wanted:
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(inner)
            and all(fit(each) for fit, each in zip(inner, value, strict=True))
        )
    (of_each,) = inner
    return lambda value: isinstance(value, kind) and all(map(of_each, value))


def _plain(wanted: Any) -> Fits:  # noqa: ANN401  # as above
    if wanted is Any:
        return lambda _: True
    if wanted is float:
        return lambda value: type(value) in (int, float) and -_LARGEST < value < _LARGEST
    if wanted is int:
        return lambda value: type(value) is int and -_LARGEST < value < _LARGEST
    kind = type(None) if wanted is None else wanted
    return lambda value: isinstance(value, kind)
