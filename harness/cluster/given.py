"""What a mapping of a k0sctl.yaml says, each key with its place, and what is wrong there."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.ssh.arguments import Word


@dataclass(frozen=True)
class Problem:
    """A mistake and where it stands."""

    place: str
    sentence: str
    remedy: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


@dataclass
class Given:
    """What a mapping says: `values` by key, `empty` where a key stands with nothing behind it."""

    place: str
    values: dict[str, Value] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)

    def word(self, key: str) -> Word | None:
        """Return the word of a key, None where nothing is said."""
        value = self.values.get(key)
        return value if isinstance(value, Word) and value.text else None

    def text(self, key: str) -> str:
        """Return the text of a key, nothing where nothing is said."""
        word = self.word(key)
        return "" if word is None else word.text

    def yes(self, key: str) -> bool:
        """Return whether a key says yes."""
        return self.values.get(key) is True

    def given(self, key: str) -> Given | None:
        """Return the mapping of a key."""
        value = self.values.get(key)
        return value if isinstance(value, Given) else None

    def all(self, key: str) -> list[Given]:
        """Return the mappings in the list of a key."""
        value = self.values.get(key)
        items = value if isinstance(value, list) else []
        return [each for each in items if isinstance(each, Given)]

    def words(self, key: str) -> list[Word]:
        """Return the words in the list of a key."""
        value = self.values.get(key)
        items = value if isinstance(value, list) else []
        return [each for each in items if isinstance(each, Word)]

    def options(self, key: str) -> list[tuple[Word, Word]]:
        """Return the names and values of a key that holds options."""
        value = self.values.get(key)
        return list(value.values()) if isinstance(value, dict) else []

    def place_of(self, key: str) -> str:
        """Return where a key's value stands, or the mapping where it has none."""
        value = self.values.get(key)
        if isinstance(value, Word | Given):
            return value.place
        return self.empty.get(key, self.place)


Value = bool | Word | Given | list[Word | Given] | dict[str, tuple[Word, Word]]
