"""How a message quotes what someone wrote, and the valid word nearest to it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any

# Longer values are cut: a message is a line, and the file has the rest.
QUOTED_LENGTH = 60


def quoted(value: Any) -> str:  # noqa: ANN401  # whatever stands in a YAML file
    """Return `value` for a message: backticks, one line, nothing a terminal would act on."""
    if isinstance(value, str):
        # JSON writes every character that a terminal obeys as an escape, but this one.
        text = value if value.isprintable() else json.dumps(value).replace("\x7f", "\\u007f")
    else:
        text = json.dumps(value, default=str)
    if len(text) > QUOTED_LENGTH:
        text = text[: QUOTED_LENGTH - 1] + "…"
    return f"`{text}`"


def nearest(word: str, words: Iterable[str]) -> str:
    """Return `; did you mean …?`, or the list of `words` where none is near, or nothing at all."""
    known = list(words)
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    if not near:
        # `konnectivity` is short for one word only: k0s users write it for konnectivity-server.
        near = [other for other in known if word and word.lower() in other.lower()][:1]
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; there are: {', '.join(known)}" if known else ""
