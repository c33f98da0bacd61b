"""The reference is what the code says, and the pages explain what a scenario may say."""

from __future__ import annotations

import re

import pytest

from harness import cli
from harness.cli import reference
from harness.scenario.schema import json_schema
from harness.vocabulary.cluster_config import all_reserved
from harness.vocabulary.words import CAUSES
from tests.unit.paths import PROJECT

PAGE = (PROJECT / "docs/reference.md").read_text("utf-8")
WRITING = (PROJECT / "docs/writing-scenarios.md").read_text("utf-8")
READ = re.compile(r"environ(?:\.get\(|\[)\"([A-Z_0-9]+)\"")
# Of every program: where it runs, and where each user's folders are.
OF_THE_SYSTEM = {"HOME", "PATH", "TERM", "TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME"}


def test_the_reference_is_the_generated_one():
    """Where not: `python -m harness.cli.reference docs/reference.md`."""
    assert reference.page() == PAGE


def test_the_reference_has_every_cause_in_the_order_of_asking():
    assert (
        re.findall(r"^\| `([a-z-]+)` \| [^|]*\|$", "\n".join(reference.causes()), re.MULTILINE)
        == CAUSES[:-1]
    )


def test_the_reference_has_every_variable_that_is_read():
    read = {
        name for path in PROJECT.glob("harness/**/*.py") for name in READ.findall(path.read_text())
    }
    assert {name for name in read - OF_THE_SYSTEM if f"| `{name}` |" not in PAGE} == set()


def test_the_page_on_security_says_what_every_command_does():
    text = (PROJECT / "docs/security.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text.partition("## What each command")[2], re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`([a-z]+)`", row)}
    assert set(cli.VERBS) <= named


def test_every_key_of_the_format_is_explained():
    keys = set()

    def walk(schema: object) -> None:
        if isinstance(schema, list):
            for item in schema:
                walk(item)
        elif isinstance(schema, dict):
            properties = schema.get("properties", {})
            keys.update(properties)
            for value in schema.values():
                walk(value)

    walk(json_schema())
    assert len(keys) > 20
    text = WRITING + PAGE
    assert [key for key in sorted(keys) if not re.search(rf"`[{{]*{key}\b|\b{key}: ", text)] == []


@pytest.mark.parametrize("reserved", all_reserved(), ids=lambda reserved: reserved.dotted)
def test_every_value_that_the_harness_sets_is_named(reserved):
    assert f"`{reserved.dotted}`" in WRITING
