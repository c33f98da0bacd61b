"""What a verb tells the person at the keyboard, beside the data it prints."""

from __future__ import annotations

import re
import sys

# What a terminal takes for more than text. Bundles come from strangers, and so may what a pod or a
# host says of itself.
_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def say(text: str) -> None:
    """Say `text` on stderr, at once."""
    print(text, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Return `text` without what a terminal would obey instead of showing it."""
    return _NOT_TEXT.sub("\ufffd", text)
