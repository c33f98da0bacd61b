"""What tests of text that others wrote have in common: hostile text, and what may be shown."""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

# One of each kind: escape sequences in 7 and 8 bits, a title of the window, what overwrites a line
# or forges one, bidi overrides and isolates, what is invisible, what is no text at all.
KINDS = (
    "\x1b[2J\x1b[31m",
    "\x9b2J",
    "\x1b]0;owned\x07",
    "\x1bP+q\x1b\\",
    "\r",
    "\b\b\b",
    "\x7f",
    "\x85",
    "\u202e",
    "\u2066\u2069",
    "\u200e\u061c",
    "\u200b\u200d\ufeff\u2060",
    "\u2028\u2029",
    "\U000e0041\U000e007f",
    "\xad",
    "\u3164",
    "\ue000\U0010fffd",
    "\ufffe\u0378",
)
HOSTILE = "x".join(KINDS)

# Hostile characters more often than chance would have them, among any others.
hostile_text = st.lists(st.sampled_from(KINDS) | st.text(max_size=8), max_size=8).map("".join)


def obeyed(text: str) -> set[str]:
    """Return the characters of `text` that a terminal obeys, hides or cannot show."""
    return {
        character
        for character in set(text)
        if character not in "\n\t"
        and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    }
