"""Redaction inside a JSON document: string by string, everything between them as it was.

A string is decoded, redacted and encoded again, so that the document parses afterwards whatever
stands in it, and one that holds JSON itself is treated the same way. What a value is told by is
what the document says of it: its member's name, the name beside it, the option before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.evidence.redaction.arguments import redact_arguments
from harness.evidence.redaction.names import meaning_of
from harness.evidence.redaction.values import is_secret
from harness.evidence.redaction.vocabulary import words

_SCALAR = re.compile(r'"(?:[^"\\]|\\.)*+"|-?\d[\d.eE+-]*+|\b(?:true|false|null|NaN|Infinity)\b')
_OPTION = re.compile(r"--?[\w-]+")
_NAMES_OF_PAIRS = ("name", "key", "parameterkey")
_VALUES_OF_PAIRS = ("value", "parametervalue")
_SECRET_DATA = frozenset({"data", "stringData"})
# A key in JSON (JWK): the members that are private.
_PRIVATE_MEMBERS = words("d p q dp dq qi k oth")
# Names whose values are redacted as what they are: a header of HTTP.
_HEADER = re.compile(r"(?:proxy-)?authorization|(?:set-)?cookie2?", re.IGNORECASE)


class _Members(list[tuple[str, Any]]):
    """The members of an object in their order, each as often as it is there."""


def is_json(text: str) -> bool:
    """Return whether `text` is one JSON document with a string in it."""
    if text.lstrip()[:1] not in {"{", "[", '"'}:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def redact_json(text: str, redact: Callable[[str], str]) -> str:
    """Return the JSON document `text` redacted: its secrets replaced, `redact` applied to strings.

    Raises `RecursionError` for a document that nests deeper than Python calls.
    """
    document = json.loads(text, object_pairs_hook=_Members, parse_int=_Number, parse_float=_Number)
    replaced = list(_scalars(redact_value(document, redact)))
    pieces: list[str] = []
    position = 0
    for found, value in zip(_SCALAR.finditer(text), replaced, strict=True):
        if isinstance(value, str) and not isinstance(value, _Number):
            original = found.group()
            if original[:1] != '"' or json.loads(original) != value:
                pieces += [text[position : found.start()], _encoded(value, original)]
                position = found.end()
    return "".join([*pieces, text[position:]])


class _Number(str):
    """A number as it is written: only a secret one changes."""

    __slots__ = ()


def redact_value(value: Any, redact: Callable[[str], str], named: str = "") -> Any:  # noqa: ANN401  # any JSON value, and the same shape back
    """Return the JSON value `value` with its secrets replaced and `redact` applied to each string.

    `named` is the name of the member that it is the value of.
    """
    if isinstance(value, _Number) or (isinstance(value, int) and not isinstance(value, bool)):
        return _of_name(str(value), value, named)
    if isinstance(value, str):
        redacted = redact(value)
        return _of_name(redacted, redacted, named)
    if isinstance(value, Mapping):
        members = _Members((str(key), member) for key, member in value.items())
        return dict(_members(members, redact))
    if isinstance(value, _Members):
        return _Members(_members(value, redact))
    if isinstance(value, Sequence):
        return _items(value, redact, named)
    return value


def _of_name(text: str, value: Any, name: str) -> Any:  # noqa: ANN401  # as above
    """Return what stands for `value`, whose text is `text`, as the value of a member `name`."""
    meaning = meaning_of(name) if name else None
    if meaning is not None and is_secret(text, meaning):
        return f"[redacted: {meaning.kind}]"
    return value


def _members(members: _Members, redact: Callable[[str], str]) -> Iterator[tuple[str, Any]]:
    named = {key: member for key, member in members if isinstance(member, str)}
    beside = next((member for key, member in named.items() if key.lower() in _NAMES_OF_PAIRS), "")
    is_secret_object = named.get("kind") == "Secret"
    for key, member in members:
        name = beside if key.lower() in _VALUES_OF_PAIRS and beside else key
        if is_secret_object and key in _SECRET_DATA:
            yield key, _hidden(member)
        elif "kty" in named and key in _PRIVATE_MEMBERS and isinstance(member, str):
            yield key, "[redacted: private key]"
        elif _HEADER.fullmatch(name):
            yield key, _header(name, member, redact)
        else:
            yield redact(key), redact_value(member, redact, name)


def _header(name: str, value: Any, redact: Callable[[str], str]) -> Any:  # noqa: ANN401  # as above
    if isinstance(value, str) and not isinstance(value, _Number):
        return redact(f"{name}: {value}").removeprefix(f"{name}: ")
    if isinstance(value, list) and not isinstance(value, _Members):
        return [_header(name, item, redact) for item in value]
    return redact_value(value, redact)


def _items(values: Sequence[Any], redact: Callable[[str], str], named: str) -> list[Any]:
    """Return the items of a list; one of strings may be the arguments of a program."""
    redacted = []
    option = ""
    for value in values:
        redacted.append(redact_value(value, redact, option or named))
        option = value if isinstance(value, str) and _OPTION.fullmatch(value) else ""
    if len(redacted) > 1 and all(isinstance(value, str) for value in redacted):
        text = json.dumps(redacted, ensure_ascii=False)
        if (arguments := redact_arguments(text)) != text:
            return list(json.loads(arguments))
    return redacted


def _hidden(value: Any) -> Any:  # noqa: ANN401  # as above
    """Return the data of a Secret without any of it: the names stay."""
    if isinstance(value, _Members):
        return _Members((key, _hidden(member)) for key, member in value)
    if isinstance(value, Mapping):
        return {key: _hidden(member) for key, member in value.items()}
    return "[redacted: secret]" if isinstance(value, str) and value else value


def _scalars(value: Any) -> Iterator[Any]:  # noqa: ANN401  # as above
    if isinstance(value, _Members):
        for key, member in value:
            yield key
            yield from _scalars(member)
    elif isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    else:
        yield value


def _encoded(content: str, original: str) -> str:
    return json.dumps(content, ensure_ascii=original.isascii())
