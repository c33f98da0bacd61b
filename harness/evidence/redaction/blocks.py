"""Values on the lines after their name: YAML's scalars and lists, in files and behind a journal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from harness.evidence.redaction.syntax import LOG_PREFIX, LOOK_BACK, Span, quoted_span

# Behind the colon: nothing, or what says how the lines below are to be joined.
_HEAD = re.compile(
    r"[ \t]*+(?:[!&][\w!]++[ \t]++)*+(?P<scalar>[|>][+-]?+\d?+[+-]?+[ \t]*+)?+(?:#[ \t][^\n\\]*+)?+"
    r"(?=\r?\n|(?P<escaped>(?:\\++r)?\\++n))"
)
_LINE_BREAK = re.compile(r"[\n\r]")
# Inside a string a line begins behind an escape, or where the string does.
_ESCAPED_BREAK = re.compile(r"\\[nr]|[\"']")
_INDENT = re.compile(rf"(?:{LOG_PREFIX})?([ \t]*(?:- +)*)")
_BEGINNING = rf"(?:{LOG_PREFIX})?(?P<indent>[ \t]*+)(?P<item>-[ \t]+)?+"
_LINE = re.compile(rf"\r?\n{_BEGINNING}(?P<text>[^\n\r]*+)")
# Inside a string: it ends where the string ends.
_ESCAPED_LINE = re.compile(
    rf"(?:\\++r)?\\++n{_BEGINNING}(?P<text>\\*+[\"'][^\n\r\\\"']*+|(?:[^\n\r\\\"]|\\++(?![\\nr\"]))*+)"
)
_MEMBER = re.compile(r"[\"'\\]*[\w./-]{1,80}[\"'\\]*[ \t]*:(?:[ \t]|\Z)")


def block_values(
    text: str, name_start: int, position: int, accept: Callable[[str], bool]
) -> list[Span] | None:
    """Return each value below a name, None where the name's line goes on.

    The name starts at `name_start`, its separator ends at `position`; `accept` says of a value
    whether it is a secret. Lines that belong to it are indented deeper, or are items of a list.
    """
    head = _HEAD.match(text, position)
    if head is None:
        return None
    lines = _lines(text, head, _indent(text, name_start, head))
    if not head.group("scalar"):
        return list(_plain_values(text, lines, accept))
    texts = [line.span("text") for line in lines]
    if not texts or not accept(text[texts[0][0] : texts[-1][1]]):
        return []
    return [Span(texts[0][0], texts[-1][1])]


def _indent(text: str, name_start: int, head: re.Match[str]) -> int:
    """Return how far the line is indented that the name stands on."""
    line = max(0, name_start - LOOK_BACK)
    line_break = _LINE_BREAK if head.group("escaped") is None else _ESCAPED_BREAK
    for found in line_break.finditer(text, line, name_start):
        line = found.end()
    indent = _INDENT.match(text, line, name_start)
    return 0 if indent is None else len(indent.group(1))


def _lines(text: str, head: re.Match[str], indent: int) -> Iterator[re.Match[str]]:
    """Yield the lines below that are indented deeper than `indent`, or are items of a list."""
    pattern = _LINE if head.group("escaped") is None else _ESCAPED_LINE
    position = head.end()
    while (line := pattern.match(text, position)) is not None:
        position = line.end()
        inner = len(line.group("indent"))
        is_item = line.group("item") is not None and not head.group("scalar")
        # A blank line ends nothing.
        if line.group("text").strip():
            if inner < indent or (inner == indent and not is_item):
                return
            yield line


def _plain_values(
    text: str, lines: Iterator[re.Match[str]], accept: Callable[[str], bool]
) -> Iterator[Span]:
    """Yield the items of a list, or the one value that stands alone; none of a mapping."""
    for line in lines:
        if _MEMBER.match(line.group("text")):
            return
        start, end = line.span("text")
        quoted = quoted_span(text, start)
        if quoted is not None:
            start, end = quoted.start, min(quoted.end, end)
        if accept(text[start:end]):
            yield Span(start, end)
        if line.group("item") is None:
            return
