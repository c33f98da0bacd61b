"""The tables of all kinds, and of all causes, in docs/writing-scenarios.md.

`python -m harness.scenario.tables docs/writing-scenarios.md` writes them again.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pydantic import BaseModel

from harness.changes import CHANGES
from harness.changes.kind import Change
from harness.diagnose.causes import KINDS
from harness.diagnose.causes.kind import CauseKind
from harness.expectations import EXPECTATIONS
from harness.expectations.kind import Expectation
from harness.vocabulary.fields import duration_text

# All kinds have the first, and a column says what of the others they have.
_WHEN = "when"
_TIMES = ("within", "hold")


def with_tables(page: str) -> str:
    """Return `page` with each of its tables of kinds as the kinds are now."""
    tables = {
        "| change | what it does | undo |": map(_change, CHANGES),
        "| expectation | keys | `within` | `hold` |": map(_expectation, EXPECTATIONS),
        "| cause | what it says |": map(_cause, KINDS),
    }
    for head, rows in tables.items():
        pattern = rf"^({re.escape(head)}\n\|[-|]+\|\n)(?:\|.*\n)*"
        table = "".join(f"{row}\n" for row in rows).replace("\\", r"\\")
        page = re.sub(pattern, rf"\g<1>{table}", page, flags=re.MULTILINE)
    return page


def _change(kind: type[Change]) -> str:
    return f"| `{{{kind.kind}: {kind.body}}}` | {kind.does} | {kind.undo} |"


def _expectation(kind: type[Expectation]) -> str:
    keys = [
        f"`{name}`" + (f" ({kind.notes[name]})" if name in kind.notes else "")
        for name in kind.model_fields
        if name not in (_WHEN, *_TIMES)
    ]
    return f"| `{kind.kind}` | {', '.join(keys)} | {' | '.join(_time(kind, e) for e in _TIMES)} |"


def _cause(kind: CauseKind) -> str:
    more = f" ([more]({kind.link}))" if kind.link is not None else ""
    return f"| `{kind.cause}` | {kind.text}{more} |"


def _time(kind: type[BaseModel], name: str) -> str:
    field = kind.model_fields.get(name)
    return "never" if field is None else duration_text(field.default)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_tables(path.read_text("utf-8")), "utf-8")
