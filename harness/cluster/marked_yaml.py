"""A YAML text that somebody else wrote, as nodes that know where they stand.

The scalars are those of gopkg.in/yaml.v2, with which k0sctl reads: YAML 1.1's words for true and
false and its octal numbers, no base 60. Nothing is made of a value before it is asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.error import MarkedYAMLError
from yaml.reader import ReaderError

from harness.base.errors import UsageError
from harness.scenario.document import position_in
from harness.vocabulary.nearest import quoted

_TAG = "tag:yaml.org,2002:"
STR, NULL, BOOL, INT, FLOAT = (_TAG + name for name in ("str", "null", "bool", "int", "float"))
_TIMESTAMP = f"{_TAG}timestamp"
_MERGE = f"{_TAG}merge"
_SCALAR_TAGS = frozenset({STR, NULL, BOOL, INT, FLOAT, _TIMESTAMP, _MERGE})
# libyaml's parser where PyYAML was built with it, the same that counts the text.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INT = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)"
    r"|(?P<d>0|[1-9][0-9]*))"
)
_BASES = {"x": 16, "b": 2, "o": 8, "d": 10}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ODD_FLOAT = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# JSON's, and YAML 1.2's.
_SLASH = re.compile(r"(?<!\\)(?:\\\\)*\\/")
_MOST_INT = 2**63 - 1
_MOST_UINT = 2**64 - 1
# A longer run of digits is no number of any size that k0sctl has; `int` would take its time.
_MOST_DIGITS = 400


@dataclass(frozen=True, eq=False)
class Node:
    """A value, or an alias of one, and where it begins, as editors and terminals link it."""

    place: str


@dataclass(frozen=True, eq=False)
class Scalar(Node):
    """Text as it is written; `plain` without quotes, `tag` where it has one of its own."""

    text: str
    plain: bool
    tag: str | None = None

    @property
    def is_null(self) -> bool:
        """Whether it stands for nothing: no text, or one of YAML's words for it."""
        if self.tag is not None:
            return self.tag == NULL
        return self.plain and self.text in _NULLS

    @property
    def is_merge(self) -> bool:
        """Whether, as a key, it merges what is behind it."""
        return self.text == "<<" and (self.tag == _MERGE or (self.plain and self.tag is None))

    def value(self) -> str | int | float | bool | None:
        """Return what it is; raises `ValueError` where its tag says another thing than its text."""
        if self.tag is None and not self.plain:
            return self.text
        found = self.text if self.tag == STR else _plain(self.text)
        if self.tag is None or self.tag == STR:
            return found
        if self.tag == FLOAT and type(found) is int:
            return float(found)
        if _tag_of(found) != self.tag:
            raise ValueError
        return found


@dataclass(frozen=True, eq=False)
class Sequence(Node):
    """A list."""

    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Mapping(Node):
    """Keys with their values, in the order of the text."""

    pairs: list[tuple[Node, Node]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Alias(Node):
    """`*name`: the value that `&name` stands before."""

    of: Node


def meant(node: Node) -> Node:
    """Return what an alias stands for, and every other node itself."""
    return node.of if isinstance(node, Alias) else node


def kind_of(node: Node) -> str:
    """Return what a node is, for a sentence."""
    return {Mapping: "mapping", Sequence: "list"}.get(type(node), "word")


def compose(text: str, file: Path, first_line: int = 1) -> Node | None:
    """Return the first document of `text`, None where there is none.

    `first_line` is where the text begins in `file`. The caller has bounded it: `UsageError` is for
    what is no YAML, for a tag that has no meaning in a k0sctl.yaml, and for an alias of nothing.
    """
    try:
        return _Composer(text, file, first_line).document()
    except MarkedYAMLError as error:
        what = ": ".join(part for part in (error.context, error.problem) if part)
        raise UsageError(
            _place(file, first_line, error.problem_mark), f"this is not YAML: {what}"
        ) from None
    except ReaderError as error:
        where = position_in(text, error.position)
        place = f"{file}:{where.line + first_line - 1}:{where.column}"
        raise UsageError(place, f"this is not YAML: {error.reason}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # libyaml and Python let errors of their own through, for half a character among them.
        raise UsageError(f"Reading {file}", f"this is not YAML: {error}") from None


class _Composer:
    """Makes nodes of a parser's events; an anchor may be set anew, as it may for k0sctl."""

    def __init__(self, text: str, file: Path, first_line: int) -> None:
        self._text = text
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._file = file
        self._first_line = first_line
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                found = self._node(next(self._events))
                # What ends the document is read, too: `]` behind it is no YAML.
                next(self._events)
                return found
        return None

    def _node(self, event: Any) -> Node:  # noqa: ANN401  # of PyYAML's or libyaml's parser
        place = _place(self._file, self._first_line, event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise UsageError(place, f"`*{event.anchor}` stands for nothing before it")
            return Alias(place, self._anchors[event.anchor])
        if isinstance(event, yaml.ScalarEvent):
            tag = event.tag if event.tag != "!" else None
            if tag is not None and tag not in _SCALAR_TAGS:
                raise UsageError(place, f"the tag {quoted(tag)} has no meaning here")
            if event.style == '"' and _SLASH.search(self._written(event)):
                raise UsageError(place, "`\\/` is an escape that k0sctl does not know: write `/`")
            node: Node = Scalar(place, event.value, event.implicit[0], tag)
            self._remember(event, node)
            return node
        tag = event.tag
        if tag not in {None, "!", f"{_TAG}map", f"{_TAG}seq"}:
            raise UsageError(place, f"the tag {quoted(tag)} has no meaning here")
        if isinstance(event, yaml.SequenceStartEvent):
            node = Sequence(place)
            self._remember(event, node)
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                node.items.append(self._node(event))
            return node
        node = Mapping(place)
        self._remember(event, node)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            node.pairs.append((self._node(event), self._node(next(self._events))))
        return node

    def _written(self, event: Any) -> str:  # noqa: ANN401
        return self._text[event.start_mark.index : event.end_mark.index]

    def _remember(self, event: Any, node: Node) -> None:  # noqa: ANN401
        if event.anchor is not None:
            self._anchors[event.anchor] = node


def _plain(text: str) -> str | int | float | bool | None:
    """Return what plain text is; a date stays text, as nothing here is asked for one."""
    if text in _NULLS:
        return None
    if text in _TRUE | _FALSE:
        return text in _TRUE
    if _ODD_FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1))
    digits = text.replace("_", "")
    if text[0] not in "+-.0123456789" or len(digits) > _MOST_DIGITS:
        return text
    number = _number(text if text[0] == "." else digits)
    return text if number is None else number


def _number(text: str) -> int | float | None:
    """Return the number that `text` is, None where it is none or larger than any."""
    if found := _INT.fullmatch(text):
        base = next(name for name in _BASES if found[name] is not None)
        number = int(found["sign"] + found[base], _BASES[base])
        if -_MOST_INT - 1 <= number <= (_MOST_INT if found["sign"] else _MOST_UINT):
            return number
    if _FLOAT.fullmatch(text) and math.isfinite(fraction := float(text)):
        return fraction
    return None


def _tag_of(value: str | float | bool | None) -> str:
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
    return STR


def _place(file: Path, first_line: int, mark: Any) -> str:  # noqa: ANN401  # of either parser
    if mark is None:
        return f"{file}:{first_line}:1"
    return f"{file}:{mark.line + first_line}:{mark.column + 1}"
