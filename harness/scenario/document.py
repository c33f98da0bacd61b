"""YAML text to plain data, with the line and column of every key and value.

The YAML read here is what people mean and editors show: YAML 1.2's scalars (`off` is text, `010` is
no octal, `12:30` no number), no anchors, no tags, no second document, no key twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.error import Mark, MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Path

Scalar = str | int | float | bool | None
"""What a scalar of a scenario can be."""

# A scenario is about 1 kB and no configuration nests this deep; beyond it the parser's own
# recursion is what would end the reading.
MOST_LEVELS = 32
# Keys, scalars, lists and mappings: the longest scenario has 140, a whole ClusterConfig some
# hundred. Judging this many costs about a second, and each may be a mistake with its sentence.
MOST_VALUES = 3000

# What a terminal obeys instead of showing it, what turns the text after it around, and the halves
# of a character, which cannot be written anywhere.
_NOT_TEXT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_STR = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Position:
    """A place in a file, as editors count: line and column from 1."""

    line: int
    column: int


TOP = Position(1, 1)


@dataclass(frozen=True)
class SourceMap:
    """Where everything of a document stands: `keys` has entries and items, `values` scalars."""

    keys: Mapping[Path, Position] = field(default_factory=dict)
    values: Mapping[Path, Position] = field(default_factory=dict)
    # Plain scalars that YAML 1.1 readers (k0sctl is one) take for something else than text.
    ambiguous: frozenset[Path] = frozenset()

    def key(self, path: Path) -> Position:
        """Return where the entry at `path` begins, or its nearest parent that is in the file."""
        return _nearest(self.keys, path)

    def value(self, path: Path) -> Position:
        """Return where the scalar at `path` begins; for a list, a mapping or nothing: its entry."""
        return self.values[path] if path in self.values else self.key(path)


@dataclass(frozen=True)
class Document:
    """What a text says: plain data, where it stands, and what is wrong with it as YAML."""

    data: Any
    marks: SourceMap
    mistakes: tuple[tuple[Position, str], ...]


class NotYamlError(Exception):
    """The text cannot be read as YAML at all; `position` is where reading stopped."""

    def __init__(self, position: Position, message: str) -> None:
        self.position = position
        self.message = message
        super().__init__(message)


def read(text: str) -> Document:
    """Return what `text` says; raises `NotYamlError`, and nothing else, for any text."""
    reader: _Reader | None = None
    try:
        reader = _Reader(text)
        root = reader.get_single_node()
    except MarkedYAMLError as error:
        what = ": ".join(part for part in (error.context, error.problem) if part)
        raise NotYamlError(_position(error.problem_mark), f"not YAML: {what}") from None
    except ReaderError as error:
        raise NotYamlError(
            position_in(text, error.position),
            f"not YAML: character U+{error.character:04X} is not allowed",
        ) from None
    except (ValueError, OverflowError, RecursionError) as error:
        # PyYAML lets Python's own errors through for absurd escapes and version numbers.
        where = _position(reader.get_mark()) if reader is not None else TOP
        raise NotYamlError(where, f"not YAML: {error}") from None
    if root is None:
        raise NotYamlError(TOP, "the file is empty; a scenario begins with `format: k0s-harness/1`")
    builder = _Builder()
    data = builder.build(root, ())
    marks = SourceMap(builder.keys, builder.values, frozenset(builder.ambiguous))
    return Document(data, marks, (*reader.refused, *builder.mistakes))


def position_in(text: str, offset: int) -> Position:
    """Return line and column of the character at `offset` of `text`."""
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


class _Reader(yaml.SafeLoader):
    """PyYAML's reader with YAML 1.2's scalars, which refuses anchors' aliases and deep nesting."""

    # Own table, filled below: the inherited one is YAML 1.1.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def __init__(self, text: str) -> None:
        self.refused: list[tuple[Position, str]] = []
        self._level = 0
        self._values = 0
        super().__init__(text)

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            self.refused.append(
                (
                    _position(event.start_mark),
                    f"`*{event.anchor}`: aliases are not expanded in scenarios; write it out",
                )
            )
            return ScalarNode(_STR, "", event.start_mark, event.end_mark, style="'")
        self._level += 1
        if self._level > MOST_LEVELS:
            raise NotYamlError(
                _position(self.peek_event().start_mark),  # type: ignore[no-untyped-call]
                f"nested deeper than {MOST_LEVELS} levels, which no scenario is",
            )
        self._values += 1
        if self._values > MOST_VALUES:
            raise NotYamlError(
                _position(self.peek_event().start_mark),  # type: ignore[no-untyped-call]
                f"more than {MOST_VALUES} keys and values, which no scenario has",
            )
        node: Node | None = super().compose_node(parent, index)
        self._level -= 1
        return node


for _tag, _pattern, _first in (
    (_NULL, r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    (_BOOL, r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    # More digits than this is no count of anything here, and costs time to convert.
    (_INT, r"[-+]?(?:0|[1-9][0-9]{0,17})", list("-+0123456789")),
    (
        _FLOAT,
        r"[-+]?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17}(?:[eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})",
        list("-+0123456789"),
    ),
):
    _Reader.add_implicit_resolver(_tag, re.compile(f"^{_pattern}$"), _first)


class _Builder:
    """Turns PyYAML's nodes into data and remembers where each of them stood."""

    def __init__(self) -> None:
        self.keys: dict[Path, Position] = {}
        self.values: dict[Path, Position] = {}
        self.ambiguous: set[Path] = set()
        self.mistakes: list[tuple[Position, str]] = []
        self._yaml_1_1 = yaml.SafeLoader("")
        self._yaml_1_2 = _Reader("")

    def build(self, node: Node, path: Path) -> Any:  # noqa: ANN401  # whatever the file holds
        here = _position(node.start_mark)
        self.keys.setdefault(path, here)
        plain = isinstance(node, ScalarNode) and node.style is None
        text = node.value if isinstance(node, ScalarNode) else None
        if node.tag != _tag_of(self._yaml_1_2, type(node), text, plain=plain):
            self.mistakes.append((here, f"tags are not used in scenarios: {quoted(node.tag)}"))
            self.values[path] = here
            return text
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        self.values[path] = here
        self._require_text(node.value, here)
        return self._scalar(node.tag, node.value, path, plain=plain)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, value in node.value:
            here = _position(key.start_mark)
            if not isinstance(key, ScalarNode):
                self.mistakes.append((here, "a key must be a word, not a list or a mapping"))
                continue
            name = key.value
            child = (*path, name)
            self._require_text(name, here)
            if name in built:
                first = self.keys[child].line
                self.mistakes.append((here, f"duplicate key {quoted(name)}, first on line {first}"))
                continue
            if name == "<<" and key.style is None:
                self.mistakes.append((here, "`<<` is not merged in scenarios; write it out"))
                continue
            self.keys[child] = here
            built[name] = self.build(value, child)
        return built

    def _require_text(self, text: str, here: Position) -> None:
        """Note a character that no scenario needs and that hurts wherever the text is shown."""
        found = _NOT_TEXT.search(text)
        if found is not None:
            code = f"U+{ord(found[0]):04X}"
            self.mistakes.append((here, f"the character {code} is not text; leave it out"))

    def _scalar(self, tag: str, text: str, path: Path, *, plain: bool) -> Scalar:
        if tag == _NULL:
            return None
        if tag == _BOOL:
            return text.lower() == "true"
        if tag == _INT:
            return int(text)
        if tag == _FLOAT:
            return float(text)
        if plain and _tag_of(self._yaml_1_1, ScalarNode, text, plain=True) != _STR:
            self.ambiguous.add(path)
        return text


def _tag_of(reader: yaml.SafeLoader, kind: type[Node], text: str | None, *, plain: bool) -> str:
    """Return the tag that `reader` gives a node without an explicit one."""
    return str(reader.resolve(kind, text, (plain, not plain)))  # type: ignore[no-untyped-call]


def _position(mark: Mark | None) -> Position:
    return TOP if mark is None else Position(mark.line + 1, mark.column + 1)


def _nearest(places: Mapping[Path, Position], path: Path) -> Position:
    while path and path not in places:
        path = path[:-1]
    return places.get(path, TOP)
