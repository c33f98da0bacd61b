"""Secrets known by the name in front of them: `password=…`, `"token": "…"`, `--token …`.

The value's end is found from its quotes at whatever depth of JSON escaping it stands, so that text
which parsed before still parses afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TOKENS = dict.fromkeys(
    ["identity", "registry", "bearer", "access", "refresh", "auth", "id", "api", "session", "join"],
    "token",
)
# Each name that means a secret, by its kind: what it ends with, and what may stand before that.
# An empty beginning means that the ending is a name by itself.
_BEGINNINGS: Mapping[str, Mapping[str, str]] = {
    "client-key-data": {"": "client key"},
    "client-certificate-data": {"": "client certificate"},
    "token": {"": "token", **_TOKENS},
    "password": {"": "password"},
    "passwd": {"": "password"},
    "passphrase": {"": "password"},
    "secret": {"client": "secret", "": "secret"},
    "key": {
        f"{word}{dash}": "private key" if word == "private" else "secret"
        for word in ("secret", "access", "api", "encryption", "certificate", "private")
        for dash in ("_", "-", "")
    }
    | {"tls.": "private key", "ssh-private": "private key"},
    "dockerconfigjson": {"": "registry credentials"},
    "dockercfg": {"": "registry credentials"},
    "auth": {"": "registry credentials"},
}
# Literals in lower case are what `re` finds fast.
_LAST_WORD = re.compile("|".join(re.escape(word) for word in _BEGINNINGS))
# What joins a name to its value. A name ends right there: `token-file` is another name.
_JOINT = re.compile(
    r"""
    (?P<close>\\*+["'])?+
    (?:
      # {"name": "DB_PASSWORD", "value": "…"}, as in a pod's environment
      (?P<pair>(?:,|\s|\\++[nr])++(?:(?P<quote>\\*+["']))?+value(?P=quote)?+\s*+:\s*+)
    | (?P<assign>[ \t]*+(?:=>|:=|=|:)[ \t]*+(?:\[\s*+(?=\\*+["']))?+)
      # ["--token", "…"] and --token …
    | (?P<next>[ \t]*+,\s*+(?=\\*+["'])|[ \t]++)
    )
    """,
    re.VERBOSE,
)
_OPTION = re.compile(r"(?<![\w-])--?[\w-]*\Z")
_OPENING = re.compile(r"(\\*+)([\"'])")
# Unquoted values end at white space, a quote, or an escape that stands for one of them.
_BARE = re.compile(r"(?:[^\s\"'\\]|\\++(?![\\nrt\"']))++")
# Where a name begins a line, as in YAML, its value is the rest of the line, spaces included.
_REST_OF_LINE = re.compile(r"(?:[^\r\n\"\\]|\\++(?![\\nrt\"']))++")
_BARE_IN_JSON = re.compile(r"[^\s\"'\\,}\]]++")
_BLOCK_SCALAR = re.compile(
    r"[|>][+-]?[ \t]*\n[ \t]+[A-Za-z0-9+/=]+(?:\n[ \t]+[A-Za-z0-9+/=]{20,})*"
)
_LINE_START = re.compile(r"(?:\A|[\n\r]|\\[nr])[ \t]*(?:- )?[\w.-]*\Z")
_HARMLESS = re.compile(
    r"""
    \[?redacted.* | true | false | null | none | ~ | <.*> | \*+ | \$\(.*\) | \$\{.*\}
    # Paths are where a secret is, not what it is.
    | /(?:var|etc|run|home|root|tmp|usr|opt)/.*
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
# What opens a structure, or is the next option, is no value.
_NO_BARE_VALUE = ("[", "{", "(", "--")
# How far back a name's beginning, its option or its line is looked for: names are not longer.
_LOOK_BACK = 80
# In prose ("invalid bearer token: expired") a word is taken for a token from this length on, or
# from the shorter one if it has a digit.
_LONG_WORD = 16
_SHORT_WORD = 6


def kind_of_name(name: str) -> str | None:
    """Return the kind of secret that a member or an option called `name` holds, None for none."""
    lowered = name.lower()
    for word, beginnings in _BEGINNINGS.items():
        if len(lowered) == len(name) and lowered.endswith(word):
            kind = _kind(name, lowered, len(name) - len(word), beginnings)
            if kind is not None:
                return kind[0]
    return None


def is_harmless(value: str) -> bool:
    """Return whether `value` is no secret whatever its name: empty, a placeholder, a path."""
    return not value.strip() or _HARMLESS.fullmatch(value) is not None


@dataclass(frozen=True)
class _Found:
    """A name that means a secret: its kind, the text before it, and what joins its value to it."""

    kind: str
    name: str
    before: str
    joint: re.Match[str]


def redact_keyed_values(text: str) -> str:
    """Return `text` with the value after each name that means a secret replaced by its kind."""
    lowered = text.lower()
    if len(lowered) != len(text):
        # A few letters grow when lowered; offsets must stay those of `text`.
        lowered = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    pieces: list[str] = []
    position = looked = 0
    while (word := _LAST_WORD.search(lowered, looked)) is not None:
        looked = word.end()
        found = _found(text, lowered, word)
        span = None if found is None else _value(text, found)
        if span is None:
            continue
        start, end, replacement = span
        pieces += [text[position:start], replacement]
        position = looked = end
    return "".join([*pieces, text[position:]])


def _found(text: str, lowered: str, word: re.Match[str]) -> _Found | None:
    joint = _JOINT.match(text, word.end())
    if joint is None:
        return None
    kind = _kind(text, lowered, word.start(), _BEGINNINGS[word.group()])
    if kind is None:
        return None
    before = text[max(0, kind[1] - _LOOK_BACK) : kind[1]]
    return _Found(kind[0], lowered[kind[1] : word.end()], before, joint)


def _kind(
    text: str, lowered: str, end: int, beginnings: Mapping[str, str]
) -> tuple[str, int] | None:
    """Return the kind and the start of the name whose last word starts at `end`."""
    for beginning, kind in beginnings.items():
        start = end - len(beginning)
        if lowered.endswith(beginning, 0, end) and _is_boundary(text, start):
            return kind, start
    return None


def _is_boundary(text: str, start: int) -> bool:
    """Return whether a name may start at `start`.

    After anything but a letter or digit, after an escaped newline, or at a capital in the middle
    (accessToken).
    """
    previous = text[start - 1 : start]
    if not (previous.isascii() and previous.isalnum()):
        return True
    if previous in "nrt" and text[start - 2 : start - 1] == "\\":
        return True
    return text[start].isupper() and not previous.isupper()


def _value(text: str, found: _Found) -> tuple[int, int, str] | None:
    """Return start and end of the value and what stands there from now on, None for no secret."""
    start = found.joint.end()
    if found.joint.group("next") is not None and not _OPTION.search(found.before):
        return None
    opening = _OPENING.match(text, start)
    if opening is None:
        return _bare_value(text, start, found)
    start = opening.end()
    end = _end_of_quoted(text, start, len(opening.group(1)), opening.group(2))
    value = text[start:end]
    if is_harmless(value):
        return None
    return start, end, f"[redacted: {found.kind}]"


def _bare_value(text: str, start: int, found: _Found) -> tuple[int, int, str] | None:
    mark = f"[redacted: {found.kind}]"
    close = found.joint.group("close")
    block = _BLOCK_SCALAR.match(text, start)
    bare = (_BARE_IN_JSON if close else _BARE).match(text, start)
    # Only docker's own form of `auth`, a quoted value, means credentials.
    if bare is None or found.name == "auth" or _is_no_secret(bare.group()):
        return None
    if block is not None:
        return start, block.end(), mark
    if close:
        # Where the name was quoted, a bare value is a number of JSON: it becomes a string.
        return start, bare.end(), f"{close}{mark}{close}"
    if ":" in (found.joint.group("assign") or ""):
        if _LINE_START.search(found.before):
            rest = _REST_OF_LINE.match(text, start)
            return start, rest.end() if rest is not None else bare.end(), mark
        if found.kind == "token" and not _is_like_a_token(bare.group()):
            return None
    return start, bare.end(), mark


def _is_no_secret(bare: str) -> bool:
    return bare.startswith(_NO_BARE_VALUE) or is_harmless(bare)


def _is_like_a_token(word: str) -> bool:
    """Return whether `word`, found in prose behind "token:", is more than a plain word."""
    return len(word) >= _LONG_WORD or (
        len(word) >= _SHORT_WORD and any(letter.isdigit() for letter in word)
    )


def _end_of_quoted(text: str, start: int, depth: int, quote: str) -> int:
    """Return where the value that starts at `start` ends: at its quote, or where the line ends.

    `depth` backslashes stood before the opening quote. A backslash of the value itself is written
    as 2 * (depth + 1) of them and a quote of the value has 2 * depth + 1, so the closing quote is
    the one whose row of backslashes leaves `depth` when divided by 2 * (depth + 1).
    """
    position = start
    while (found := text.find(quote, position)) != -1:
        line_end = text.find("\n", position, found)
        if line_end != -1:
            return line_end
        if quote == "'" and depth == 0:
            # YAML doubles a quote inside single quotes; nothing escapes there.
            if text[found + 1 : found + 2] != "'":
                return found
            position = found + 2
            continue
        row = found
        while row > position and text[row - 1] == "\\":
            row -= 1
        if (found - row) % (2 * (depth + 1)) == depth:
            return found - depth
        position = found + 1
    line_end = text.find("\n", position)
    return len(text) if line_end == -1 else line_end
