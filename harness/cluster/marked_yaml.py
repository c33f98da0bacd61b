"""A YAML file that somebody else wrote, as nodes that know where they stand.

Nothing is made of a value before it is asked for: no date, no number, no object of a tag. Whoever
asks says what it must be, and is answered with it or with a sentence that begins with
`file:line:column`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.error import MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from harness.base.errors import UsageError
from harness.base.untrusted import Limits, RefusedError, read_text, require_yaml_within
from harness.scenario.document import position_in
from harness.ssh.arguments import Word
from harness.vocabulary.nearest import quoted

_TAG = "tag:yaml.org,2002:"
_NULL = f"{_TAG}null"
_BOOL = f"{_TAG}bool"
_MERGE = f"{_TAG}merge"
# What a reader of YAML 1.1 takes plain text, lists and mappings for; `=` is a value of its own.
_TAGS = frozenset(
    _TAG + name
    for name in (
        *("null", "bool", "int", "float", "timestamp", "str", "value", "merge"),
        *("seq", "map"),
    )
)
# libyaml's parser where PyYAML was built with it, the same that counted the text.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Marked:
    """A value of the file `file`; `key` is how messages call it."""

    node: Node
    file: Path
    key: str

    @property
    def place(self) -> str:
        """Where it begins, as editors and terminals link it."""
        return _place(self.file, self.node.start_mark)

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands there, or a null, or an empty text."""
        return isinstance(self.node, ScalarNode) and (self.node.tag == _NULL or not self.node.value)

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return isinstance(self.node, MappingNode)

    def refused(self, sentence: str, remedy: str | None = None) -> UsageError:
        """Return the error for this value, which its place begins."""
        return UsageError(self.place, f"{quoted(self.key)} {sentence}", remedy=remedy)

    def mapping(self) -> dict[str, Marked]:
        """Return what a mapping has, merged keys (`<<`) behind its own; empty for nothing.

        Raises `UsageError` for something else, for a key that is no word, and for one given twice.
        """
        if self.is_empty:
            return {}
        if not isinstance(self.node, MappingNode):
            raise self.refused("is a mapping (`key: value`), and this is none")
        own: dict[str, Marked] = {}
        merged: dict[str, Marked] = {}
        for key, value in self.node.value:
            if key.tag == _MERGE:
                for part in value.value if isinstance(value, SequenceNode) else [value]:
                    merged = {**Marked(part, self.file, "<<").mapping(), **merged}
                continue
            if not isinstance(key, ScalarNode):
                raise Marked(key, self.file, self.key).refused("has a key that is no word")
            name = Marked(value, self.file, key.value)
            if key.value in own:
                raise UsageError(
                    _place(self.file, key.start_mark), f"{quoted(key.value)} is given twice here"
                )
            own[key.value] = name
        return {**merged, **own}

    def sequence(self) -> Sequence[Marked]:
        """Return the items of a list, none for nothing; raises `UsageError` for something else."""
        if self.is_empty:
            return ()
        if not isinstance(self.node, SequenceNode):
            raise self.refused("is a list (`- …`), and this is none")
        return tuple(Marked(each, self.file, self.key) for each in self.node.value)

    def word(self) -> Word | None:
        """Return a scalar as it is written, None for nothing; raises `UsageError` for the rest."""
        if self.is_empty:
            return None
        if not isinstance(self.node, ScalarNode):
            what = "list" if isinstance(self.node, SequenceNode) else "mapping"
            raise self.refused(f"is a word, and this is a {what}")
        return Word(self.node.value, self.key, self.place)

    def yes_or_no(self) -> bool | None:
        """Return what YAML 1.1 takes for true or false, None for everything else."""
        if self.node.tag != _BOOL:
            return None
        return str(self.node.value).lower() in {"true", "yes", "on"}


def read_marked(path: Path, environ: Mapping[str, str], limits: Limits) -> Sequence[Marked]:
    """Return the documents of the YAML file `path`, environment variables put in as k0sctl does.

    Places are those of the text with the variables put in. Raises `UsageError` for a file that
    cannot be read, is over a limit, is no YAML, or has tags.
    """
    doing = f"Reading {path}"
    try:
        text = _substituted(read_text(path, limits), environ, limits)
        require_yaml_within(text, limits)
    except RefusedError as error:
        raise UsageError(doing, str(error)) from None
    except OSError as error:
        raise UsageError(doing, str(error), remedy="name the cluster's k0sctl.yaml") from None
    try:
        documents = tuple(yaml.compose_all(text, Loader=_LOADER))
    except MarkedYAMLError as error:
        what = ": ".join(part for part in (error.context, error.problem) if part)
        raise UsageError(_place(path, error.problem_mark), f"this is not YAML: {what}") from None
    except ReaderError as error:
        where = position_in(text, error.position)
        raise UsageError(
            f"{path}:{where.line}:{where.column}", f"this is not YAML: {error.reason}"
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # libyaml and Python let errors of their own through, for half a character among them.
        raise UsageError(doing, f"this is not YAML: {error}") from None
    for document in documents:
        _require_no_tags(document, path)
    return tuple(Marked(each, path, "the document") for each in documents)


def _substituted(text: str, environ: Mapping[str, str], limits: Limits) -> str:
    """Return `text` with environment variables put in, which must not make it grow over a limit."""
    names = (use["named"] or use["braced"] for use in string.Template.pattern.finditer(text))
    size = len(text) + sum(len(environ.get(name, "")) for name in names if name)
    if size > limits.most_bytes:
        raise RefusedError(
            f"with the environment variables put in it has {size} characters, and"
            f" {limits.what} has at most {limits.most_bytes}"
        )
    return string.Template(text).safe_substitute(environ)


def _require_no_tags(document: Node, path: Path) -> None:
    """Raise `UsageError` for a tag, which makes something else of a value than what is written."""
    seen: set[int] = set()
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.tag not in _TAGS:
            raise UsageError(
                _place(path, node.start_mark), f"the tag {quoted(node.tag)} has no meaning here"
            )
        if isinstance(node, SequenceNode):
            waiting += node.value
        elif isinstance(node, MappingNode):
            waiting += [part for pair in node.value for part in pair]


def _place(path: Path, mark: Any) -> str:  # noqa: ANN401  # of PyYAML's or libyaml's parser
    return f"{path}:1:1" if mark is None else f"{path}:{mark.line + 1}:{mark.column + 1}"
