"""docs/reference.md, made of the code: commands, settings, exit codes, words, reports.

`python -m harness.cli.reference docs/reference.md` writes it; a test holds the page equal.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from harness.base.errors import ExitCode
from harness.base.settings import VARIABLES
from harness.changes import CHANGES
from harness.cli import ENDINGS, VERBS, parser
from harness.cluster.k0sctl_fields import CLUSTER
from harness.diagnose.causes import KINDS
from harness.expectations import EXPECTATIONS
from harness.expectations.kind import Expectation
from harness.report import json_report
from harness.vocabulary import words
from harness.vocabulary.fields import duration_text

# What 0 and 1 are of a verb that judges something else than expectations.
_JUDGED = {
    "diagnose": ("healthy", "a broken hop was found"),
    "flows": ("all that is needed works", "one that is needed does not work"),
    "replay": ("it came to the same as the run", "it came to something else"),
    "compare": ("the runs came to the same", "something differs"),
}
OTHERS = {
    "YES": ("`1`", "set-up asks nothing: packages are installed, the engine is started"),
    "CI": ("any text", "as `YES`"),
    "NO_INSTALL": ("`1`", "set-up changes nothing: what is missing is said, exit 3"),
    "PYTHON": ("a program", "the Python, 3.11 or newer, that `.venv` is made with"),
    "NO_COLOR": ("any text", "no colours on a terminal"),
    "TERM": ("`dumb`", "plain lines on a terminal, as in a log"),
    "SSH_KNOWN_HOSTS": ("a file", "in place of `known_hosts`, for clusters of k0sctl.yaml"),
    "DOCKER_HOST": ("an address", "docker's own: where its engine is"),
    "VAGRANT_HOME": ("a folder", "Vagrant's own: where boxes and plugins are"),
    "HTTPS_PROXY": ("a URL", "for downloads; also `HTTP_PROXY` and `NO_PROXY`"),
}
"""Read outside of `Settings`: by set-up, by the terminal, by tools of others."""
_WORDS: tuple[type[StrEnum], ...] = (
    words.Component,
    words.ApiserviceReason,
    words.MessageClass,
    words.TopOutcome,
    words.Flow,
    words.FlowOutcome,
    words.ApplyOutcome,
    words.Hook,
    words.Protocol,
    words.Answer,
)
# Keys that every expectation has, or that have a column of their own.
_OF_ALL = ("when", "within", "hold")
# A list of more words than these is named, not repeated.
_FEW = 8


def page() -> str:
    """Return the text of docs/reference.md."""
    lines = [
        "# Reference",
        "",
        "Made of the code by `python -m harness.cli.reference docs/reference.md`: do not edit it.",
        *("", "## Commands", "", *_commands()),
        *("", "## Exit codes", "", *_exit_codes()),
        *("", "## Settings", "", *_settings()),
        *("", "## Changes", "", *changes()),
        *("", "## Expectations", "", *expectations()),
        *("", "## Causes", "", *causes()),
        *("", "## Words", "", *_words()),
        *("", "## report.json", "", *_report()),
        *("", "## Keys of k0sctl.yaml", "", *_k0sctl()),
    ]
    return "\n".join(lines) + "\n"


def _table(head: str, rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {head} |"
    yield "|" + "---|" * (head.count("|") + 1)
    for row in rows:
        # Inside code a bar ends the cell, too.
        yield "| " + " | ".join(each.replace("|", "\\|") for each in row) + " |"


def _commands() -> Iterator[str]:
    yield from _table("command | what it does", ((f"[`{v}`](#{v})", t) for v, t in VERBS.items()))
    for verb in VERBS:
        yield from ("", f"### {verb}", "")
        (verbs,) = (each for each in parser([verb])._actions if _parsers(each))  # noqa: SLF001
        yield from _options(f"k0s-harness {verb}", _parsers(verbs)[verb])


def _parsers(action: argparse.Action) -> Mapping[str, argparse.ArgumentParser]:
    return action.choices if isinstance(action, argparse._SubParsersAction) else {}  # noqa: SLF001


def _options(command: str, verb: argparse.ArgumentParser) -> Iterator[str]:
    actions = [each for each in verb._actions if each.dest != "help"]  # noqa: SLF001
    below = {name: each for action in actions for name, each in _parsers(action).items()}
    if below:
        for number, (name, each) in enumerate(below.items()):
            yield from [""] * (number > 0)
            yield from _options(f"{command} {name}", each)
        return
    if not actions:
        yield f"`{command}` takes nothing."
        return
    yield from _table(f"`{command}` | | what for", map(_option, actions))


def _option(action: argparse.Action) -> tuple[str, str, str]:
    several = "…" if action.nargs in ("*", "+") else ""
    value = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    name = action.option_strings[-1] if action.option_strings else f"{value}{several}"
    takes = ""
    if action.option_strings and action.nargs != 0:
        takes = ", ".join(action.choices) if action.choices else f"{value}{several}"
    return f"`{name}`", f"`{takes}`" if takes else "", action.help or ""


def _exit_codes() -> Iterator[str]:
    yield from _table("code | meaning", ((f"{int(code)}", ENDINGS[code]) for code in ExitCode))
    yield ""
    judged = ((f"`{verb}`", *meaning) for verb, meaning in _JUDGED.items())
    yield from _table("of | 0 | 1", judged)
    yield ""
    yield (
        "The last line on stderr, `k0s-harness: exit N: …`, has the code, as has `exit_code` in "
        "report.json. `make` turns every failure into 2."
    )


def _settings() -> Iterator[str]:
    yield "An option beats its variable, a variable beats the default. A report says which it was."
    yield ""
    known = ((f"`{each.name}`", each.values, each.decides) for each in VARIABLES.values())
    others = ((f"`{name}`", *texts) for name, texts in OTHERS.items())
    yield from _table("variable | values and default | what it decides", (*known, *others))


def changes() -> Iterator[str]:
    """Yield the table of every kind of change."""
    rows = ((f"`{{{each.kind}: {each.body}}}`", each.does, each.undo) for each in CHANGES)
    return _table("change | what it does | undo", rows)


def expectations() -> Iterator[str]:
    """Yield the table of every kind of expectation."""
    rows = ((f"`{each.kind}`", _keys(each), *_times(each)) for each in EXPECTATIONS)
    return _table("expectation | keys | `within` | `hold`", rows)


def causes() -> Iterator[str]:
    """Yield the table of every cause, in the order in which they are asked."""
    rows = (
        (f"`{each.cause}`", each.text + (f" ([more]({each.link}))" if each.link else ""))
        for each in KINDS
    )
    return _table("cause | what it says", rows)


def _keys(kind: type[Expectation]) -> str:
    names = (name for name in kind.model_fields if name not in _OF_ALL)
    return ", ".join(
        f"`{name}`" + (f" ({kind.notes[name]})" if name in kind.notes else "") for name in names
    )


def _times(kind: type[BaseModel]) -> Iterator[str]:
    for name in ("within", "hold"):
        field = kind.model_fields.get(name)
        yield "never" if field is None else duration_text(field.default)


def _words() -> Iterator[str]:
    rows = (
        (_first(each.__doc__ or ""), ", ".join(f"`{word}`" for word in each)) for each in _WORDS
    )
    return _table("what | words", rows)


def _report() -> Iterator[str]:
    schema = json_report.json_schema()
    yield "The JSON Schema is `schema/report.schema.json`. Of a diagnosis `diagnose --output json`"
    yield "prints [Diagnosis](#diagnosis), with its `format`."
    for name, shape in {schema["title"]: schema, **schema["$defs"]}.items():
        yield from ("", f"### {name}", "")
        yield from shape.get("description", "").splitlines()
        if "properties" in shape:
            fields = ((f"`{field}`", _type(of)) for field, of in shape["properties"].items())
            yield from ("", *_table("field | type", fields))
        elif "enum" in shape:
            yield from ("", ", ".join(f"`{word}`" for word in shape["enum"]))


def _type(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            text = f"[{name}](#{name.lower()})"
        case {"anyOf": several}:
            text = " or ".join(map(_type, several))
        case {"const": value}:
            text = f"`{value}`"
        case {"enum": values}:
            text = ", ".join(f"`{each}`" for each in values) if len(values) <= _FEW else "a word"
        case {"type": "array", "items": items}:
            text = f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            text = f"mapping to {_type(values)}"
        case {"type": list(several)}:
            text = " or ".join(several)
        case _:
            text = str(schema.get("type", "any"))
    return text


def _k0sctl() -> Iterator[str]:
    yield "*used*: it decides where and how the harness looks. *checked*: what k0sctl refuses is"
    yield "refused. *ignored*: its kind is checked, and nothing else."
    yield ""
    rows = ((f"`{path}`", each.use, each.why) for path, each in CLUSTER.paths())
    yield from _table("key | | what for, or why not", rows)


def _first(text: str) -> str:
    """Return the first sentence of a docstring, as one line."""
    return " ".join(re.split(r"(?<=\.)\s|\n\n", text.strip())[0].split()).rstrip(".")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
