"""Redaction inside a JSON document: string by string, everything between them as it was.

A string is decoded, redacted and encoded again, so that the document parses afterwards whatever
stands in it, and one that holds JSON itself is treated the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from harness.evidence.keyed import is_harmless
from harness.evidence.keyed import kind_of_name

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')
_NUMBER = re.compile(r"-?\d[\d.eE+-]*+")
# Between a member's name and its value, which may be the first of a list (HTTP headers are).
_COLON = re.compile(r"\s*+:\s*+\[?\s*+")
_OPTION = re.compile(r"--?[\w-]+")
_COMMA = re.compile(r"\s*+,\s*+")


def is_json(text: str) -> bool:
    """Return whether `text` is one JSON document with a string in it."""
    if text.lstrip()[:1] not in {"{", "[", '"'}:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def redact_json(text: str, redact: Callable[[str], str]) -> str:
    """Return the JSON document `text` with `redact` applied to each string in it.

    A value is also replaced for its member's name (`"token": "…"`), for the name beside it
    (`{"name": "TOKEN", "value": "…"}`) and for the option before it (`["--token", "…"]`).
    """
    pieces: list[str] = []
    position = 0
    # The string before, and how it stands to this one; the last value of a member called "name".
    before = ""
    is_name_of_next = is_option_of_next = False
    named = ""
    while (found := _STRING.search(text, position)) is not None:
        content = json.loads(found.group())
        kind = kind_of_name(before) if is_name_of_next or is_option_of_next else None
        if is_name_of_next and before == "value":
            kind = kind_of_name(named)
        elif is_name_of_next and before == "name":
            named = content
        redacted = redact(content)
        if kind is not None and not is_harmless(redacted):
            redacted = f"[redacted: {kind}]"
        pieces += [
            text[position : found.start()],
            found.group() if redacted == content else _encoded(redacted, found.group()),
        ]
        position = found.end()
        colon = _COLON.match(text, position)
        is_name_of_next = colon is not None
        is_option = _OPTION.fullmatch(content) is not None
        is_option_of_next = is_option and _COMMA.match(text, position) is not None
        before = content
        number = _NUMBER.match(text, colon.end()) if colon is not None else None
        if colon is not None and number is not None and kind_of_name(content) is not None:
            pieces += [text[position : colon.end()], f'"[redacted: {kind_of_name(content)}]"']
            position = number.end()
    return "".join([*pieces, text[position:]])


def _encoded(content: str, original: str) -> str:
    return json.dumps(content, ensure_ascii=original.isascii())
