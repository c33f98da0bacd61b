"""Which of a program's words say what went wrong, where nobody knows the program's failure.

The last lines alone do not: behind a panic stand goroutines, behind an error its usage, and before
a reason a heading that says that there is one ("The error message is shown below:").
"""

from __future__ import annotations

import re

from harness.base.output import TAIL_CHARACTERS, TAIL_LINES, last_words

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
# What begins a paragraph that says only that the reason comes next.
_HEADING = re.compile(
    r"(?:\bbelow\b[^.:]*[.:]?|:)\s*\Z|\AAn error occurred while executing (?:the action|multiple)",
)
_NOTHING = re.compile(r"^(?:exit status \d+|Stdout:\s*|make: \*\*\* .*|\^)$")
_DUMP = re.compile(r"^(?:goroutine \d+ .*|\t.*|\S+\(.*\)|created by .*|\s+from .*:\d+:in .*)$")
_FAILURE = (
    r"\b(?:failed|failure|denied|refused|cannot|can't|could not|couldn't|unable|not permitted"
    r"|not found|no such|no space|timed out|unreachable|already|invalid|unknown)\b"
)
# The more a line says, the further up; whoever prints both `fatal` and `error` ends by the first.
_TELLING = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        r"^panic: |\bPANIC\b",
        r"^(?:\S+: )?fatal\b|\bFATA\b|level=fatal",
        r"^(?:\S+: )?(?:\S+ )?error\b|\bERRO\b|level=error",
        _FAILURE,
    )
)
_MOST_TELLING = 5
# A failure is told at the end; so much of it is looked at, and of a line its beginning.
READ_CHARACTERS = 32_000
_LINE_CHARACTERS = 2_000
_SENTENCE_CHARACTERS = 600


def plain(text: str) -> str:
    """Return the end of `text` without the colours of a terminal, each line ended as here."""
    return _ESCAPE.sub("", text[-READ_CHARACTERS:]).replace("\r\n", "\n")


def plain_lines(text: str) -> list[str]:
    """Return the lines of `plain(text)`, of a long one its beginning."""
    return [line[:_LINE_CHARACTERS] for line in plain(text).splitlines()]


def telling_lines(text: str) -> str:
    """Return what to quote of `text`: its last lines, and before them what tells more.

    A text that is short is quoted as it is.
    """
    last = last_words(text)
    if len(last) >= len(text.rstrip("\r\n")):
        return last
    shown = set(last.splitlines())
    before = [line for line in _lines(text) if line not in shown and _rank(line) < len(_TELLING)]
    best = sorted(dict.fromkeys(before), key=_rank)[:_MOST_TELLING]
    if not best:
        return last
    kept = [line for line in dict.fromkeys(before) if line in best]
    tail = last.splitlines()[-(TAIL_LINES - len(kept) - 1) :]
    return "\n".join([*kept, "…", *tail])[-TAIL_CHARACTERS:]


def telling_sentence(text: str) -> str:
    """Return the words of `text` that say most, on one line; nothing where it says nothing."""
    after = after_heading(text)
    if after:
        return after
    lines = _lines(text)
    if not lines:
        return ""
    # Of equals the last one: it ended the program.
    best = min(reversed(lines), key=_rank)
    return _short(best)


def after_heading(text: str) -> str:
    """Return the paragraph that the last heading announces, nothing without one."""
    announced = found = ""
    for paragraph in re.split(r"\n\s*\n", plain(text).strip()):
        words = paragraph.strip()
        said = words.removeprefix("Stderr:").strip()
        if words.startswith(("Command:", "Stdout:")) or not said:
            continue
        if _HEADING.search(words) is not None:
            announced = words
        elif announced:
            found, announced = said, ""
    return _short(" ".join(found.split()))


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in plain_lines(text) if line.strip()]
    return [
        line.strip()
        for line in lines
        if _NOTHING.match(line.strip()) is None and _DUMP.match(line) is None
    ]


def _rank(line: str) -> int:
    """Return how much a line tells, 0 for most."""
    ranks = (place for place, words in enumerate(_TELLING) if words.search(line) is not None)
    return next(ranks, len(_TELLING))


def _short(line: str) -> str:
    """Return a line as a sentence has room for it: the beginning says what, the end says why."""
    if len(line) <= _SENTENCE_CHARACTERS:
        return line
    half = _SENTENCE_CHARACTERS // 2
    return f"{line[:half]} … {line[-half:]}"
