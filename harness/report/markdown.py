"""Markdown made of text that others wrote: none of it is a link, an image, HTML or a mention.

What is pasted into an issue or a pull request is rendered by GitHub. Foreign text in it must not
reach out: an image or a link leads to somebody's server, `@name` calls people, `#1` writes into
other threads. Escapes do not stop those last ones, because GitHub looks for them in what has been
rendered; in code it does not look. So a word that could be one stands as code, and in all others
Markdown's own marks are escaped.

Every function redacts what it is given before it adds marks: afterwards a secret may be split.
"""

from __future__ import annotations

import re
from html import escape
from urllib.parse import urlsplit

from harness.base.printable import printable, printable_line
from harness.evidence.redaction import redact
from harness.report.formatting import one_line

# A condition's message is about 200 characters; the whole text is in report.json.
CELL_CHARACTERS = 260
_TICKS = re.compile("`+")
# What GitHub or a renderer links or acts on in plain text: mentions and mail addresses, issues by
# number, addresses with a scheme or www.
_ACTS = re.compile(r"@|#\d|://|\bwww\.|\bGH-\d", re.IGNORECASE)
# Marks of Markdown and of GitHub's dialect (~ strikes through, $ is mathematics). Between letters
# and digits `_` marks nothing, and names are full of it.
_MARK = re.compile(r"[\\`*\[\]|~$!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# What makes a heading, a list, a quotation, a rule or a table of a line that it begins.
_BEGINS_BLOCK = re.compile(
    r">|[-+=](?=[-= ]|$)|#{1,6}(?= |$)|:(?=-)|(?P<number>\d{1,9})(?=[.)](?: |$))"
)
# What the standard allows in an address, without the marks that could end or change a link's
# Markdown, and without the user name that makes one address look like another.
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+(?:[/?#][A-Za-z0-9/?#:.,;=&%+~_-]*)?")


def prose(text: str) -> str:
    """Return `text` as one line of running text, which may begin a line or a list's entry."""
    # A list's entry with nothing in it would make a heading of the line above.
    line = _inline(printable(one_line(redact(text))), in_cell=False) or "(nothing)"
    begins = _BEGINS_BLOCK.match(line)
    if begins is None:
        return line
    cut = begins.end("number") if begins["number"] else 0
    return f"{line[:cut]}\\{line[cut:]}"


def cell(text: str) -> str:
    """Return `text` as a cell of a table: one line of bounded length."""
    line = printable(one_line(redact(text)))
    if len(line) > CELL_CHARACTERS:
        line = line[: CELL_CHARACTERS - 1] + "…"
    return _inline(line, in_cell=True)


def code(text: str) -> str:
    """Return `text` as code in running text, in a fence longer than any it has inside."""
    return _span(printable(one_line(redact(text))))


def code_cell(text: str) -> str:
    """Return `text` as code that is the cell of a table, or a part of one."""
    return _span_in_cell(printable(one_line(redact(text))))


def block(text: str) -> str:
    """Return the lines of `text` as a block of code."""
    shown = printable(redact(text))
    longest = max((len(run) for run in _TICKS.findall(shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown}\n{fence}"


def link(address: str) -> str:
    """Return a link to the web address `address`, which is seen as it is; else code, no link."""
    shown = redact(address)
    try:
        whole = _ADDRESS.fullmatch(shown) is not None and bool(urlsplit(shown).hostname)
    except ValueError:
        whole = False
    return f"<{shown}>" if whole else code(address)


def folded(title: str) -> str:
    """Return the beginning of what is folded under `title`; `</details>` ends it.

    No Markdown is read in its line. The line after it must be blank, so that it is read again.
    """
    shown = escape(printable_line(redact(title)))
    # As in Markdown: in code GitHub looks for nobody to call.
    shown = f"<code>{shown}</code>" if _ACTS.search(shown) else shown
    return f"<details><summary>{shown}</summary>"


def _inline(line: str, *, in_cell: bool) -> str:
    span = _span_in_cell if in_cell else _span
    return " ".join(
        span(word) if _ACTS.search(word) else _escaped(word) for word in line.split(" ")
    )


def _escaped(word: str) -> str:
    # As entities: a renderer that does not know Markdown's escapes still sees no tag.
    word = _MARK.sub(r"\\\g<0>", word)
    return word.replace("&", "&amp;").replace("<", "&lt;")


def _span(line: str) -> str:
    if not line:
        return ""
    longest = max((len(run) for run in _TICKS.findall(line)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if longest else ""
    return f"{fence}{blank}{line}{blank}{fence}"


def _span_in_cell(line: str) -> str:
    """Return `line` as code in which no bar ends the cell: inside of code it would as well."""
    if "\\|" in line:
        # Renderers do not agree on an escaped bar behind a backslash, so bars stand between spans.
        return "&#124;".join(map(_span, line.split("|")))
    return _span(line).replace("|", "\\|")
