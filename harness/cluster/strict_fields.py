"""A document of a k0sctl.yaml as the mappings that k0sctl makes of it, and every mistake in it.

As strict as gopkg.in/yaml.v2's UnmarshalStrict: a key that is not known or stands twice is a
mistake, `"22"` is no number, and a merged key (`<<`) counts from where it stands: it replaces what
is above it, and what is below replaces it, key by key down to the last mapping.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.cluster.given import Given, Problem, Value
from harness.cluster.k0sctl_fields import Field, Kind, Struct, Use
from harness.cluster.marked_yaml import Mapping, Node, Scalar, Sequence, kind_of, meant
from harness.ssh.arguments import Word
from harness.vocabulary.nearest import nearest, quoted

# Of a k0s version: what k0sctl makes of it is more than is wanted here.
_VERSION = re.compile(r"v?[0-9]+(?:\.[0-9]+){0,2}(?:[-+][a-z0-9.+-]*)?")
_DURATION = re.compile(r"[-+]?(?:0|(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_MOST_INT = 2**63 - 1
_NIL = frozenset({"", "~", "null"})
_OCTAL = re.compile(r"[0-7](?:[4-7][0-7]*)?|")


def read(node: Node, struct: Struct, problems: list[Problem], *, strict: bool = True) -> Given:
    """Return what the mapping `node` says, and add what is wrong with it to `problems`.

    Without `strict` a key that is not known, or stands twice, is none of it.
    """
    found = Given(node.place)
    _Reader(problems, strict=strict).struct(node, struct, found)
    return found


def require_no_key_twice(node: Node, problems: list[Problem]) -> None:
    """Add every key to `problems` that stands twice in a mapping of `node`."""
    _Reader(problems, strict=True).any_map(meant(node), "the document")


class _Reader:
    def __init__(self, problems: list[Problem], *, strict: bool) -> None:
        self._problems = problems
        self._strict = strict
        self._kinds: dict[Kind, Callable[[Node, str], Value | None]] = {
            Kind.TEXT: self._text,
            Kind.YES_NO: self._yes_or_no,
            Kind.NUMBER: self._number,
            Kind.DURATION: self._duration,
            Kind.PERMISSION: self._permission,
            Kind.VERSION: self._version,
            Kind.TEXTS: self._texts,
            Kind.HOOKS: self._hooks,
            Kind.ANY_MAP: self.any_map,
            Kind.LOCALHOST: self._localhost,
        }

    def struct(self, node: Node, struct: Struct, found: Given) -> None:
        node = meant(node)
        if not isinstance(node, Mapping):
            self._mistake(node, f"`{struct.name}` is a mapping (`key: value`), and this is none")
            return
        done = set()
        for key, value in node.pairs:
            if isinstance(key, Scalar) and key.is_merge:
                for part in self._merged(value):
                    self.struct(part, struct, found)
                continue
            name = self._key(key, struct.name)
            if name is None:
                continue
            if name not in struct.fields:
                near = nearest(name, struct.fields)
                self._wrong_key(key, f"{quoted(name)} is no key of `{struct.name}`{near}")
            elif name in done and self._strict:
                self._mistake(key, f"{quoted(name)} is given twice here")
            else:
                done.add(name)
                self._field(value, name, struct.fields[name], found)

    def _field(self, node: Node, name: str, wanted: Field, found: Given) -> None:
        place = node.place
        node = meant(node)
        if isinstance(node, Scalar) and node.is_null:
            found.values.pop(name, None)
            found.empty[name] = place
            if isinstance(wanted.holds, Struct) and not wanted.several and node.text not in _NIL:
                # yaml.v2 makes an empty mapping of its other words for nothing.
                found.values[name] = Given(place)
            return
        if wanted.holds in {Kind.TEXT_MAP, Kind.OPTIONS}:
            before = found.values.get(name)
            merged = before if isinstance(before, dict) else {}
            found.values[name] = merged
            self._word_map(node, name, merged, options=wanted.holds is Kind.OPTIONS)
        elif isinstance(wanted.holds, Kind):
            value = self._kinds[wanted.holds](node, name)
            if value is not None:
                found.values[name] = value
        elif wanted.several:
            found.values[name] = self._list(node, name, wanted.holds)
        else:
            inner = found.given(name) or Given(node.place)
            found.values[name] = inner
            self.struct(node, wanted.holds, inner)

    def _list(self, node: Node, name: str, struct: Struct) -> list[Word | Given]:
        if not isinstance(node, Sequence):
            self._mistake(node, f"{quoted(name)} is a list (`- …`), and this is none")
            return []
        found: list[Word | Given] = []
        for item in node.items:
            one = Given(item.place)
            if not isinstance(meant(item), Mapping):
                what = "a host" if name == "hosts" else f"an item of `{name}`"
                self._mistake(item, f"{what} is a mapping (`key: value`), and this is none")
                continue
            self.struct(item, struct, one)
            found.append(one)
        return found

    def _merged(self, node: Node) -> list[Node]:
        """Return the mappings that `<<` merges, the one that counts most as the last."""
        parts = list(reversed(node.items)) if isinstance(node, Sequence) else [node]
        for part in parts:
            if not isinstance(meant(part), Mapping):
                self._mistake(part, "`<<` merges a mapping or a list of mappings, and this is none")
                return []
        return parts

    def _key(self, node: Node, of: str) -> str | None:
        node = meant(node)
        if not isinstance(node, Scalar):
            self._mistake(node, f"`{of}` has a key that is no word")
            return None
        return "" if node.is_null else node.text

    def _word(self, node: Node, name: str) -> Word | None:
        node = meant(node)
        if not isinstance(node, Scalar):
            self._mistake(node, f"{quoted(name)} is a word, and this is a {kind_of(node)}")
            return None
        try:
            node.value()
        except ValueError:
            self._mistake(node, f"{quoted(name)} is not what its tag says: {quoted(node.text)}")
            return None
        return Word("" if node.is_null else node.text, name, node.place)

    def _text(self, node: Node, name: str) -> Word | None:
        return self._word(node, name)

    def _value(self, node: Node, name: str) -> tuple[Word, str | float | bool | None] | None:
        word = self._word(node, name)
        scalar = meant(node)
        if word is None or not isinstance(scalar, Scalar):
            return None
        return word, scalar.value()

    def _yes_or_no(self, node: Node, name: str) -> bool | None:
        found = self._value(node, name)
        if found is None:
            return None
        word, value = found
        if not isinstance(value, bool):
            self._mistake(node, f"{quoted(name)} is true or false, and this is {quoted(word.text)}")
            return None
        return value

    def _number(self, node: Node, name: str) -> Word | None:
        found = self._value(node, name)
        if found is None:
            return None
        word, value = found
        # A fraction is cut off, and what is too large for a number is none.
        if isinstance(value, bool | str) or value is None or not value <= _MOST_INT:
            sentence = f"{quoted(name)} is a number, and this is {quoted(word.text)}"
            remedy = "write it without quotes" if _plain_number(word.text) else None
            if remedy is not None and isinstance(node, Scalar) and node.plain:
                what = "no port from 1 to 65535" if name == "port" else "too large"
                sentence, remedy = f"{quoted(name)} is {what}: {quoted(word.text)}", None
            self._mistake(node, sentence, remedy)
            return None
        number = int(value) if value > -_MOST_INT else -_MOST_INT
        return Word(str(number), name, word.place)

    def _duration(self, node: Node, name: str) -> Word | None:
        found = self._value(node, name)
        if found is None:
            return None
        word, value = found
        if isinstance(value, str) and _DURATION.fullmatch(value):
            return word
        return self._number(node, name)

    def _permission(self, node: Node, name: str) -> Word | None:
        node = meant(node)
        if not isinstance(node, Scalar):
            return None
        found = self._value(node, name)
        if found is None or isinstance(found[1], bool):
            return None
        word, value = found
        text = word.text
        if isinstance(value, int | float):
            text = f"0{int(value):o}" if 0 < value <= _MOST_INT else "-"
        if not _OCTAL.fullmatch(text):
            self._mistake(
                node,
                f"{quoted(name)} is no permission that k0sctl takes: {quoted(word.text)}",
                'write it as "0644"',
            )
        return word

    def _version(self, node: Node, name: str) -> Word | None:
        word = self._word(node, name)
        if word is not None and not _VERSION.fullmatch(word.text):
            self._mistake(node, f"{quoted(name)} is no version of k0s: {quoted(word.text)}")
        return word

    def _texts(self, node: Node, name: str) -> list[Word | Given] | None:
        if isinstance(node, Scalar) and node.is_null:
            return None
        if not isinstance(node, Sequence):
            self._mistake(node, f"{quoted(name)} is a list (`- …`), and this is none")
            return None
        words = (self._word(each, name) for each in node.items)
        return [word for word in words if word is not None]

    def _hooks(self, node: Node, name: str) -> None:
        """Read actions of stages of commands."""
        self._map(node, name, lambda stages, action: self._map(stages, action, self._commands))

    def _commands(self, node: Node, name: str) -> None:
        self._texts(node, name)

    def _localhost(self, node: Node, name: str) -> bool | None:
        if isinstance(node, Scalar):
            return self._yes_or_no(node, name)
        struct = Struct(name, {"enabled": Field(Kind.YES_NO, Use.CHECKED, "")})
        found = Given(node.place)
        self.struct(node, struct, found)
        return found.yes("enabled")

    def any_map(self, node: Node, name: str) -> None:
        """Read a mapping of anything, in which no key stands twice."""
        if not isinstance(node, Mapping):
            self._mistake(node, f"{quoted(name)} is a mapping (`key: value`), and this is none")
            return
        self._map(node, name, self._anything)

    def _anything(self, node: Node, name: str) -> None:
        if isinstance(node, Mapping):
            self._map(node, name, self._anything)
        elif isinstance(node, Sequence):
            for item in node.items:
                self._anything(meant(item), name)
        else:
            self._word(node, name)

    def _word_map(
        self, node: Node, name: str, found: dict[str, tuple[Word, Word]], *, options: bool
    ) -> None:
        def add(value: Node, key: str) -> None:
            word = self._option(value, key) if options else self._word(value, key)
            if word is not None:
                found[key] = (Word(key, f"{name}.{key}", value.place), word)

        self._map(node, name, add, set(found))

    def _option(self, node: Node, name: str) -> Word | None:
        """Return the value of an option of ssh: YAML's own words for true and false are ssh's."""
        if isinstance(node, Scalar) and node.is_null:
            self._mistake(node, f"{quoted(name)} is an option of ssh without a value")
            return None
        found = self._value(node, name)
        if found is None:
            return None
        word, value = found
        if isinstance(value, bool):
            return Word(("no", "yes")[value], name, word.place)
        return word

    def _map(
        self, node: Node, name: str, add: Callable[[Node, str], None], there: set[str] | None = None
    ) -> None:
        """Give each value with its key to `add`; a key that is there already is a mistake."""
        there = set() if there is None else there
        node = meant(node)
        if isinstance(node, Scalar) and node.is_null:
            return
        if not isinstance(node, Mapping):
            self._mistake(node, f"{quoted(name)} is a mapping (`key: value`), and this is none")
            return
        for key, value in node.pairs:
            if isinstance(key, Scalar) and key.is_merge:
                for part in self._merged(value):
                    self._map(part, name, add, there)
                continue
            word = self._key(key, name)
            if word is None:
                continue
            if word in there:
                self._mistake(key, f"{quoted(word)} is given twice here")
                continue
            there.add(word)
            add(meant(value), word)

    def _wrong_key(self, node: Node, sentence: str) -> None:
        if self._strict:
            self._mistake(node, sentence)

    def _mistake(self, node: Node, sentence: str, remedy: str | None = None) -> None:
        self._problems.append(Problem(node.place, sentence, remedy))


def _plain_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
