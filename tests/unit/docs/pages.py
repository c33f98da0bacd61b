"""The pages that people read, and what stands in them."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.unit.paths import PROJECT

README = PROJECT / "README.md"
PAGES = [
    *sorted(PROJECT.glob("*.md")),
    *sorted(PROJECT.glob("docs/**/*.md")),
    *sorted(PROJECT.glob("tests/*/*.md")),
]
_PARSER = MarkdownIt("commonmark").enable("table")
# Where one command of a line ends and the next begins.
_BETWEEN = {"|", "&&", "||", ";"}
_REDIRECTS = {">", ">>", "<"}


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its page, its line there, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    """Return how a test calls a page."""
    return str(page.relative_to(PROJECT))


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in one of `languages`; without one, all of them."""
    return [
        Block(page, token.map[0] + 1, token.info, token.content)
        for page in PAGES
        for token in _tokens(page)
        if token.type in ("fence", "code_block") and (not languages or token.info in languages)
    ]


@functools.cache
def _tokens(page: Path) -> list[Token]:
    return _PARSER.parse(page.read_text("utf-8"))


def spans(page: Path) -> Iterator[str]:
    """Yield what stands as code in running text."""
    for token in _tokens(page):
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    lines = page.read_text("utf-8").splitlines()
    for token in _tokens(page):
        if token.type == "fence":
            lines[slice(*token.map)] = [""] * (token.map[1] - token.map[0])
    return "\n".join(lines)


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command that a person would type."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in _BETWEEN:
                words.append(word)
            elif words:
                yield _without_redirects(words)
                words = []


def _without_redirects(words: list[str]) -> list[str]:
    for at, word in enumerate(words):
        if word in _REDIRECTS:
            return words[:at]
    return words


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
