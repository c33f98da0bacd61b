"""What a verb tells the person at the keyboard, beside the data it prints."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Say `text` on stderr, at once."""
    print(text, file=sys.stderr, flush=True)
