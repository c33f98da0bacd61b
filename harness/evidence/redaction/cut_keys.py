"""The middle of a private key, whose beginning and end are both cut off.

Lines of base64 as PEM has them, two or more, of what is no text. A certificate's middle has the
numbers of its algorithms and names in it; a private key's has nothing but random numbers.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterator, Sequence

_LINE = 64
# Two lines of PEM.
_SHORTEST = 90
# The object identifiers of X.500, of ANSI's curves and PKCS, and of certificates' transparency.
_IDENTIFIERS = re.compile(
    rb"\x06[\x03-\x0b](?:\x55[\x04\x1d]|\x2a\x86\x48|\x2b[\x06\x0e\x65\x81]|\x60\x86\x48)",
    re.DOTALL,
)
_FULL = re.compile(r"(?=[0-9a-f]*[A-Zg-z+/])[A-Za-z0-9+/]{64}")
# What stands around blocks that are meant to be read: certificates, public keys, signatures.
_PUBLIC = re.compile(r"(?:BEGIN|END) (?![A-Z0-9 ]*PRIVATE)[A-Z0-9 ]{3,40}-----")
_NEAR = 300
# How much a log puts between the ends of two lines at most.
_LONGEST_FRAME = 400


def is_middle_of_key(data: bytes) -> bool:
    """Return whether `data`, decoded from lines of base64, may be of a private key."""
    if len(data) < _SHORTEST or _IDENTIFIERS.search(data):
        return False
    try:
        data.decode()
    except UnicodeDecodeError as error:
        # Text that was cut off ends inside a character.
        return error.start < len(data) - len("\N{GRINNING FACE}".encode())
    return False


def lines_of_keys(text: str, runs: Sequence[re.Match[str]]) -> frozenset[int]:
    """Return where those of `runs` start that are a cut key's lines, each behind a log's prefix."""
    full = [
        run for run in runs if run.end() - run.start() == _LINE and _FULL.fullmatch(run.group())
    ]
    if len(full) < 2:  # noqa: PLR2004  # one line alone is no block
        return frozenset()
    return frozenset(itertools.chain.from_iterable(_blocks(text, full, runs)))


def _blocks(
    text: str, full: Sequence[re.Match[str]], runs: Sequence[re.Match[str]]
) -> Iterator[list[int]]:
    block = [full[0]]
    for before, line in [*itertools.pairwise(full), (full[-1], None)]:
        if line is not None and _is_next_line(text, before, line):
            block.append(line)
            continue
        if len(block) > 1 and _is_key(text, block):
            yield [run.start() for run in block] + _last_line(text, block[-1], runs)
        block = [] if line is None else [line]


def _is_next_line(text: str, before: re.Match[str], line: re.Match[str]) -> bool:
    gap = text[before.end() : line.start()] if line.start() - before.end() < _LONGEST_FRAME else ""
    # `ps` shows the end of a line as a blank.
    return gap == " " or gap.count("\n") == 1


def _is_key(text: str, block: Sequence[re.Match[str]]) -> bool:
    around = text[max(0, block[0].start() - _NEAR) : block[0].start()]
    around += text[block[-1].end() : block[-1].end() + _NEAR]
    data = base64.b64decode("".join(line.group() for line in block))
    return _PUBLIC.search(around) is None and is_middle_of_key(data)


def _last_line(text: str, before: re.Match[str], runs: Sequence[re.Match[str]]) -> list[int]:
    """Return where the shorter last line starts that follows the full line `before`, if any."""
    at = next((i for i, run in enumerate(runs) if run.start() > before.start()), len(runs))
    return [
        run.start()
        for run in runs[at : at + 4]
        if _is_next_line(text, before, run)
        and text[run.end() : run.end() + 1] in {"", "\n", '"', "\\"}
    ]
