"""How many inputs a property test makes of each kind: few in every run, many on demand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
ASKED = int(os.environ.get("K0S_HARNESS_FUZZ", "0"))


def examples(default: int) -> int:
    """Return how many inputs to make of one kind: `default`, or more where the user asks."""
    return max(default, ASKED)


def some(items: Sequence[T], share: int, offset: int = 0) -> Sequence[T]:
    """Return each `share`th of what is at hand, from `offset` on; all of it where the user asks."""
    return items if ASKED else items[offset % share :: share]
