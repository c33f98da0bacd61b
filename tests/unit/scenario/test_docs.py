"""What the documentation shows is what the loader takes."""

from __future__ import annotations

import re

import pytest

from harness.changes import CHANGES
from harness.expectations.apiservice import HOLD_SECONDS
from harness.expectations.kind import WITHIN_SECONDS
from harness.scenario.load import load_all_text
from harness.scenario.schema import json_schema
from harness.scenario.tables import with_tables
from harness.vocabulary.cluster_config import all_reserved
from harness.vocabulary.fields import duration_text
from harness.vocabulary.words import (
    CAUSES,
    Answer,
    Flow,
    FlowOutcome,
    Hook,
    MessageClass,
    Protocol,
    TopOutcome,
)
from tests.unit.paths import PROJECT

TEXT = (PROJECT / "docs/writing-scenarios.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_there_are_examples():
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_valid_scenario(example):
    for loaded in load_all_text(example, "docs/writing-scenarios.md"):
        assert loaded.scenario.phases


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
    assert [key for key in sorted(keys) if not re.search(rf"`[{{]*{key}\b|\b{key}: ", TEXT)] == []


@pytest.mark.parametrize(
    "word", [*TopOutcome, *MessageClass, *CAUSES, *Flow, *FlowOutcome, *Hook, *Protocol, *Answer]
)
def test_every_word_is_listed(word):
    assert f"`{word}`" in TEXT


@pytest.mark.parametrize("change", list(CHANGES), ids=lambda change: change.kind)
def test_every_kind_of_change_is_listed_with_its_undo(change):
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{{{change.kind}: ")]
    assert row.endswith(f"| {change.undo} |")


def test_the_tables_of_kinds_are_the_generated_ones():
    """Where not: `python -m harness.scenario.tables docs/writing-scenarios.md`."""
    assert with_tables(TEXT) == TEXT


@pytest.mark.parametrize("reserved", all_reserved(), ids=lambda reserved: reserved.dotted)
def test_every_value_that_the_harness_sets_is_named(reserved):
    assert f"`{reserved.dotted}`" in TEXT


def test_the_default_times_are_the_ones_in_the_table():
    row = next(line for line in TEXT.splitlines() if line.startswith("| `apiservice`"))
    assert f"| {duration_text(WITHIN_SECONDS)} | {duration_text(HOLD_SECONDS)} |" in row
