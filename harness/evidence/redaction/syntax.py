"""Where a value begins and ends: quotes at any depth of escaping, bare words, lines, blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass

# How far back the beginning of a line, a log's prefix in it, or a word is looked for.
LOOK_BACK = 200
# What stands for white space inside a string of JSON or of a log, or ends an entry of /proc.
_NO_ESCAPE = r"(?![\\nrt\"'0]|u00(?:00|0[adAD]|2[267]|3[cdeCDE])|x0)"
# One character of a value without quotes: it ends at white space, a quote, or an escape of either.
BARE_CHARACTER = rf"(?:[^\s\"'\\\x00]|\\++{_NO_ESCAPE})"
_BARE = re.compile(rf"{BARE_CHARACTER}++")
_REST_OF_LINE = re.compile(rf"(?:[^\r\n\"\\\x00]|\\++{_NO_ESCAPE})++")
# A value ends where the next assignment of its row begins: a=1;b=2, a=1&b=2, a=1,b=2.
_NEXT_OF_ROW = re.compile(r"(?:[;,&]|%26)[ ]?(?=[\w.][\w. -]{0,40}[=:])|&quot;|&#34;|%22")
_OPENING = re.compile(r"(?:[bBrRuUfF$@]{0,2}(?=[\"']))?(\\*+)([\"'])")
# Inside single quotes YAML doubles one, a shell leaves and comes back, Python escapes it.
_QUOTE_INSIDE = re.compile(r"(?s:.)''|(?s:.)'\\''|\\'(?=\w)")
# What a journal, a log or a history puts before each line it passes on.
LOG_PREFIX = (
    r"(?:[A-Z][a-z]{2}[ ]+\d{1,2}[ ][\d:.]{8,}[ ]\S{1,64}[ ][^\s:\[]{1,64}(?:\[\d+\])?:[ ]"
    r"|\d{4}-\d\d-\d\d[T ][\d:.,]{5,}(?:Z|[+-][\d:]{4,5})?[ ]"
    r"(?:\S{1,64}[ ][^\s:\[]{1,64}(?:\[\d+\])?:[ ]"
    r"|std(?:out|err)[ ][FP][ ])?"
    r"|[\w.-]{1,64}[ ]+\|[ ]"
    # the number or the time that a shell's history begins with
    r"|[ ]*\d{1,6}[ ]{2}|:[ ]\d{9,}:\d+;)"
)
# Indentation, the marks of lists, comments and differences, and a log's prefix.
_LINE_BEGINNING = re.compile(
    rf"(?:{LOG_PREFIX}|[ ]{{4}}[\w.-]{{1,64}}:[ ])?[ \t]*(?:[-+>|#;/]{{1,2}}[ \t]?)*"
)
_STRING_BEGINNING = re.compile(r"(?:\A|[\s=:,(\[])\\*[\"']\Z")
_LONGEST_OPENING = 10
_LINE_ENDS = ("\n", "\r", r"\n", r"\r")


@dataclass(frozen=True)
class Span:
    """A value in a text: where it is, and the depth and kind of the quotes around it, if any."""

    start: int
    end: int
    depth: int = 0
    quote: str = ""

    def of(self, text: str) -> str:
        """Return the value as it stands in `text`."""
        return text[self.start : self.end]


def quoted_span(text: str, position: int) -> Span | None:
    """Return the value in quotes whose opening quote stands at `position`, None for no quote."""
    opening = _OPENING.match(text, position)
    if opening is None:
        return None
    depth, quote = len(opening.group(1)), opening.group(2)
    return Span(opening.end(), _end_of_quoted(text, opening.end(), depth, quote), depth, quote)


def bare_span(text: str, position: int, most: int, *, in_row: bool = True) -> Span | None:
    """Return the value without quotes at `position`, without what closes a list around it.

    In a row (a=1,b=2) it ends where the next assignment begins. None where there is none, or one
    of more than `most` characters.
    """
    found = _BARE.match(text, position, min(len(text), position + most + 1))
    if found is None:
        return None
    end = found.end()
    following = _NEXT_OF_ROW.search(text, position, end) if in_row else None
    if following is not None:
        end = following.start()
    elif end - position > most:
        return None
    return Span(position, _without_closers(text, position, end))


def rest_of_line(text: str, position: int, quote: str, most: int) -> Span | None:
    """Return what stands from `position` to the end of its line, or of the string it is in.

    `quote` is what opened that string, empty for none. `most` characters are looked at.
    """
    found = _REST_OF_LINE.match(text, position, min(len(text), position + most))
    if found is None:
        return None
    end = text.find(quote, position, found.end()) if quote else -1
    return Span(position, found.end() if end == -1 else end)


def line_start(text: str, position: int) -> str | None:
    """Return None unless `position` begins a line, or a string such as a header in an argument.

    Of a string it is the quote that opened it, of a line nothing. Before the position on its line
    may stand indentation, the mark of a list or a comment, and a log's prefix.
    """
    floor = max(0, position - LOOK_BACK)
    ends = ((text.rfind(end, floor, position), len(end)) for end in _LINE_ENDS)
    start = max((found + length for found, length in ends if found != -1), default=floor)
    # Without an end of a line in sight, only the beginning of the text is one of a line.
    if (start > floor or start == 0) and _LINE_BEGINNING.fullmatch(text, start, position):
        return ""
    if text[position - 1 : position] in {'"', "'"} and _STRING_BEGINNING.search(
        text, max(0, position - _LONGEST_OPENING), position
    ):
        return text[position - 1]
    return None


def after_quote(span: Span) -> int:
    """Return where the text goes on behind the quote that closes `span`."""
    return span.end + span.depth + len(span.quote)


def _without_closers(text: str, start: int, end: int) -> int:
    """Return `end` without the brackets and commas that belong to what the value stands in."""
    while end > start + 1 and text[end - 1] in ",;)}]>`":
        opener = {")": "(", "}": "{", "]": "[", ">": "<"}.get(text[end - 1])
        if opener is not None and opener in text[start : min(end, start + LOOK_BACK)]:
            break
        end -= 1
    return end


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
            inner = _QUOTE_INSIDE.match(text, found - 1)
            if inner is None:
                return found
            position = inner.end()
            continue
        row = found
        while row > position and text[row - 1] == "\\":
            row -= 1
        if (found - row) % (2 * (depth + 1)) == depth:
            return found - depth
        position = found + 1
    line_end = text.find("\n", position)
    return len(text) if line_end == -1 else line_end
