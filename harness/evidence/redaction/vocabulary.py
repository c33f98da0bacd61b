"""Many words at once: as a set, and as one pattern that looks at their common beginnings once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any


def words(text: str) -> frozenset[str]:
    """Return the words of `text`, which blanks part."""
    return frozenset(text.split())


def any_of(choices: Iterable[str]) -> str:
    """Return a pattern that matches any of `choices`, the longest that fits."""
    branches: dict[str, Any] = {}
    for choice in choices:
        node = branches
        for letter in choice:
            node = node.setdefault(letter, {})
        node[""] = {}
    return _pattern(branches)


def _pattern(node: dict[str, Any]) -> str:
    ends_here = "" in node
    branches = [
        re.escape(letter) + _pattern(inner) for letter, inner in sorted(node.items()) if letter
    ]
    if not branches:
        return ""
    if len(branches) == 1 and not ends_here:
        return branches[0]
    return f"(?:{'|'.join(branches)})" + ("?" if ends_here else "")
