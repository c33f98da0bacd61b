"""A parser's value is of the type that it declares, or it was not seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Any

import pytest

from harness.probe.core import observe
from harness.probe.shape import fits


class Word(StrEnum):
    YES = "yes"


@dataclass(frozen=True)
class Inner:
    name: str
    at: float = 0.0


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    word: Word = Word.YES
    pair: tuple[str, int] = ("a", 1)
    maybe: int | None = None
    by_name: Mapping[str, int] | None = None


FINE = Outer((Inner("a", 1), Inner("b", 1.5)))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (FINE, Outer),
        (replace(FINE, maybe=3, by_name={"a": 1}), Outer),
        ((), tuple[Inner, ...]),
        (frozenset({1, 2}), frozenset[int]),
        ({"a": ("b",)}, dict[str, tuple[str, ...]]),
        ({"a": [None]}, Mapping[str, Any]),
        (IPv4Network("10.0.0.0/8"), IPv4Network),
        (None, None),
    ],
)
def test_what_is_of_its_type_fits(value, wanted):
    assert fits(wanted)(value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (replace(FINE, inner=[Inner("a")]), Outer),
        (replace(FINE, inner=(Inner("a"), Inner(5))), Outer),
        (replace(FINE, inner=(Inner("a", "1"),)), Outer),
        (replace(FINE, inner=(Inner("a", True),)), Outer),
        (replace(FINE, inner=(Inner("a", float("nan")),)), Outer),
        (replace(FINE, inner=(Inner("a", float("inf")),)), Outer),
        (replace(FINE, inner=(Inner("a", 10**400),)), Outer),
        (replace(FINE, word="no"), Outer),
        (replace(FINE, pair=("a", 1, 2)), Outer),
        (replace(FINE, pair=("a", True)), Outer),
        (replace(FINE, maybe="3"), Outer),
        (replace(FINE, maybe=2**63), Outer),
        (replace(FINE, by_name={1: 1}), Outer),
        (replace(FINE, by_name={"a": "1"}), Outer),
        ((1, "a"), frozenset[int]),
        ({1, "a"}, frozenset[int]),
        (Inner("a"), Outer),
        (None, str),
    ],
)
def test_what_is_of_another_type_anywhere_does_not(value, wanted):
    assert not fits(wanted)(value)


def parsed(reading) -> Inner:
    return Inner(**json.loads(reading.stdout))


@pytest.mark.parametrize("stdout", ['{"name": 5}', '{"name": "a", "at": "b"}', "[" * 100_000, "{}"])
def test_such_a_reading_is_a_gap_with_a_reason(recording, stdout):
    (reading, *_) = recording("konnectivity-off/states")
    seen = observe(parsed, replace(reading, stdout=stdout))
    assert seen.value is None
    assert f"printed what {reading.probe} does not know" in seen.problem
    assert len(seen.problem) < 500
