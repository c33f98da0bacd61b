"""A part of all scenarios for each host of a CI: the same on every host, whoever computes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.base.errors import UsageError

_WORDS = re.compile(r"([1-9][0-9]{0,2})/([1-9][0-9]{0,2})")


@dataclass(frozen=True)
class Shard:
    """One of `of` parts, by its number from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str, origin: str) -> Shard:
        """Return the shard that `2/5` means; raises `UsageError` for what is none."""
        found = _WORDS.fullmatch(text)
        if found is None or int(found[1]) > int(found[2]):
            raise UsageError(
                f"Reading {origin}",
                f"{text!r} is no part of several",
                remedy=f"write {origin} 2/5 for the second of five",
            )
        return cls(int(found[1]), int(found[2]))

    def takes(self, groups: Mapping[str, float]) -> frozenset[str]:
        """Return which of the groups, which have their seconds, are this part's.

        The longest goes to whom least was given yet. Groups of the same length go by their names,
        so that every host comes to the same parts.
        """
        given: list[tuple[float, int, list[str]]] = [(0.0, at, []) for at in range(self.of)]
        for name in sorted(groups, key=lambda each: (-groups[each], each)):
            seconds, at, members = min(given, key=lambda each: each[:2])
            given[at] = (seconds + groups[name], at, [*members, name])
        return frozenset(given[self.number - 1][2])
