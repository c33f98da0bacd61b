"""How many inputs a property test makes of each kind: few in every run, many on demand."""

from __future__ import annotations

import os


def examples(default: int) -> int:
    """Return how many inputs to make of one kind: `default`, or more where the user asks."""
    return max(default, int(os.environ.get("K0S_HARNESS_FUZZ", "0")))
