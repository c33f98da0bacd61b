"""Private keys in blocks: whole, escaped inside JSON, prefixed by a log, cut off at either end.

Certificates and public keys are no secrets and stay: they are evidence when TLS is the cause.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

MARK = "[redacted: private key]"

# PEM, PGP and SSH2 have such markers, and OpenVPN for its shared keys; PuTTY counts the lines.
_WHAT = r"(?:[A-Z0-9 ]{0,40}?PRIVATE KEY|OpenVPN [\w -]{0,20}?[Kk]ey)[A-Z0-9 ]{0,10}-{4,5}"
_BEGIN = re.compile(rf"-{{4,5}} ?BEGIN {_WHAT}|Private-Lines: ?\d{{1,4}}")
_END = re.compile(rf"-{{4,5}} ?END {_WHAT}|Private-MAC: ?[0-9a-f]*")
_SIGNS = ("PRIVATE KEY", "OpenVPN ", "Private-Lines", "Private-MAC")
# Between lines: real white space, or its escape inside a JSON string at any depth.
# The look-behind keeps a long row of backslashes from being tried once per backslash.
_GAP = r"(?:(?<!\\)\\++[nrt]|\s)++"
_GAP_PATTERN = re.compile(_GAP)
# What may stand before a key's line (`    controller0: MIIE…`, as Vagrant prints) or in its head.
_PREFIX = r"(?:[|>] ?+|[\w.\[\]-]{1,64}+:[ \t]++)?+"
_HEAD = r"(?:Proc-Type|DEK-Info|Comment|Version):[ \t]*+[^\s\\\"]*+"
_BASE64_LINE = r"[A-Za-z0-9+/]{16,}+={0,2}+"
# The body of a block that has no end: everything that is still base64, and one last short line.
_CUT_BODY = re.compile(
    rf"(?:{_GAP}(?:{_HEAD}|{_PREFIX}(?:{_HEAD}|{_BASE64_LINE})))*+"
    # Behind a prefix it may be a word of the log's: letters, a capital only in front.
    rf"(?:{_GAP}(?:{_PREFIX}(?![A-Za-z]?[a-z]*+(?:\s|\Z)))?"
    rf"[A-Za-z0-9+/]{{1,15}}+={{0,2}}+(?=\s|\\|\"|\Z))?+"
)
_BASE64 = string.ascii_letters + string.digits + "+/"
# A line of a key in a string of its own: with a letter, so no number, and no name of a member.
_QUOTED_LINE = re.compile(
    r"(?:(?<=[\"'\s])|(?<=\\[nrt]))(?=\d*+[A-Za-z+/])[A-Za-z0-9+/]{16,}+={0,2}+"
    r"(?=[\"'\\\s])(?!\\*+[\"']\s*+:)"
)
# The last line of a key as the whole message of a log's line.
_SHORT_MESSAGE = re.compile(
    r"(\b(?:msg|message|log|MESSAGE)\\*[\"']?[=:]\s?\\*[\"'])[A-Za-z0-9+/]{1,15}={0,2}(?=(?:\\+n)?\\*[\"'])"
)
_BASE64_TOKEN = re.compile(r"[A-Za-z0-9+/]++={0,2}")
_LOG_PREFIX = re.compile(r"[\w.\[\]-]{1,64}:")
# A full line of a key inside the line of a log: what stands before it, the key's, what follows.
_AFTER_BODY = r"(?:(?:\\+[nr])*\\*[\"'][^\n]{0,400}|[ \t\r]*)"
_FRAMED = re.compile(
    rf"(?P<frame>[^\n]{{0,200}}?[\s\"'=:])(?P<body>[A-Za-z0-9+/]{{64,76}}){_AFTER_BODY}"
)
# The last line of a key is shorter; it stands behind the same as the others.
_FRAMED_END = re.compile(rf"(?P<body>[A-Za-z0-9+/]{{1,76}}={{0,2}}){_AFTER_BODY}")
_SAME_FRAME = 4
# An RSA key of 16384 bits is 12.7 kB of PEM; twice that leaves room for a log's line prefixes.
# An END further away belongs to another block.
_LONGEST_BLOCK = 26_000
# A line of PEM is 64 characters; a shorter one before the END can only be the last.
_SHORTEST_FULL_LINE = 16


def redact_private_keys(text: str) -> str:
    """Return `text` with every private key block, whole or cut off, replaced by `MARK`."""
    if not any(sign in text for sign in _SIGNS):
        return text
    pieces: list[str] = []
    position = 0
    for start, end, replacement in _blocks(text):
        pieces += [text[position:start], replacement]
        position = end
    return "".join([*pieces, text[position:]])


def _blocks(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, replacement) of each block, in order and without overlap.

    Each marker is looked for once, so the time is linear however many of them have no partner.
    """
    position = 0
    begin = _BEGIN.search(text)
    end = _END.search(text)
    while begin is not None or end is not None:
        if begin is None or (end is not None and end.start() < begin.start()):
            assert end is not None
            yield from _tail(text, position, end)
            position = end.end()
        else:
            following = _BEGIN.search(text, begin.end())
            limit = following.start() if following is not None else len(text)
            limit = min(limit, begin.end() + _LONGEST_BLOCK)
            if end is not None and end.start() <= limit:
                body = text[begin.end() : end.start()]
                yield begin.start(), end.end(), _without_body(body)
                position = end.end()
            else:
                cut = _CUT_BODY.match(text, begin.end())
                position = cut.end() if cut is not None else begin.end()
                yield begin.start(), position, MARK
                for line in _framed_below(text, position, limit):
                    position = line[1]
                    yield *line, MARK
            begin = following
        if end is not None and end.start() < position:
            end = _END.search(text, position)


def _tail(text: str, floor: int, end: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    """Yield what of a block is left that has only its END."""
    framed = _framed_above(text, floor, end.start())
    if not framed:
        yield _start_of_tail(text, floor, end.start()), end.end(), MARK
        return
    yield from ((*line, MARK) for line in framed)
    yield end.start(), end.end(), MARK


def _framed_above(text: str, floor: int, position: int) -> list[tuple[int, int]]:
    """Return where the key's part is of each line above `position`, if logs frame it."""
    floor = max(floor, position - _LONGEST_BLOCK)
    lines: list[tuple[int, int]] = []
    last: tuple[int, int] | None = None
    end = text.rfind("\n", floor, position)
    while end > floor:
        start = text.rfind("\n", floor, end) + 1 or floor
        found = _FRAMED.fullmatch(text, start, end)
        if found is not None:
            if last is not None:
                # What stands between a full line and the END is the key's, whatever it looks like.
                lines += _framed_end(text, *last, found.group("frame"))
            lines.append(found.span("body"))
            last = None
        elif lines or last is not None:
            break
        else:
            last = (start, end)
        end = start - 1
    return lines[::-1]


def _framed_below(text: str, position: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield where the key's part is of each line below `position`, if logs frame it."""
    frame = ""
    end = text.find("\n", position, limit)
    while end != -1:
        start = end + 1
        end = text.find("\n", start, limit)
        stop = limit if end == -1 else end
        found = _FRAMED.fullmatch(text, start, stop)
        if found is None:
            yield from (
                span for span in _framed_end(text, start, stop, frame) if not _is_word(text, *span)
            )
            return
        frame = found.group("frame")
        yield found.span("body")


def _framed_end(text: str, start: int, stop: int, frame: str) -> list[tuple[int, int]]:
    """Return where the end of a key is in the line from `start` to `stop`, behind such a frame."""
    ending = frame[-_SAME_FRAME:]
    at = text.find(ending, start, stop) if ending else -1
    found = _FRAMED_END.fullmatch(text, at + len(ending), stop) if at != -1 else None
    return [] if found is None else [found.span("body")]


def _is_word(text: str, start: int, stop: int) -> bool:
    """Whether what stands there may be a word of the log's: letters, capitals only in front."""
    word = text[start:stop]
    return word.isalpha() and (word[1:].islower() or word.isupper() or len(word) == 1)


def _without_body(body: str) -> str:
    """Return what replaces a block: one mark, or, where quotes cross it, marks between them.

    A quote inside means that the lines stand in several strings (a list of lines, one JSON object
    a line); taking the quotes away would leave text that no longer parses.
    """
    if '"' not in body and "'" not in body:
        return MARK
    return MARK + _QUOTED_LINE.sub(MARK, _SHORT_MESSAGE.sub(rf"\1{MARK}", body))


def _escape_length(text: str, start: int) -> int:
    """Return how many letters at `start` belong to an escape: n of a newline, u003d of `=`."""
    if text[start - 1 : start] != "\\":
        return 0
    return 5 if text[start] == "u" else 1


def _start_of_tail(text: str, floor: int, end: int) -> int:
    """Return where the base64 lines before an END without a BEGIN start; not before `floor`."""
    floor = max(floor, end - _LONGEST_BLOCK)
    start = end
    gaps = list(_GAP_PATTERN.finditer(text, floor, end))
    stop = end
    for index in range(len(gaps), -1, -1):
        # The words between the gaps, from the last to the first.
        left = gaps[index - 1].end() if index > 0 else floor
        word = text[left:stop]
        if word and not _LOG_PREFIX.fullmatch(word):
            last_line = start == end
            if not _BASE64_TOKEN.fullmatch(word) or (
                len(word) < _SHORTEST_FULL_LINE and not last_line
            ):
                # The first line may follow a quote or an equals sign directly.
                inner = len(word) - len(word.rstrip(_BASE64 + "="))
                if inner < _SHORTEST_FULL_LINE:
                    return start
                return stop - inner + _escape_length(text, stop - inner)
            start = left
        stop = gaps[index - 1].start() if index > 0 else floor
    return start
