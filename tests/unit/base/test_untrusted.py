"""Text of others: what is within the limits is read, what is over one is refused by name."""

import contextlib
import json
import os
import resource
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.base.untrusted import (
    Limits,
    RefusedError,
    json_value,
    read_bytes,
    read_text,
    require_yaml_within,
)
from tests.unit.fuzz import examples

LIMITS = Limits("a test's file", most_bytes=64 * 1024, most_levels=32, most_values=5000)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=40,
)


@given(PLAIN)
def test_json_within_the_limits_is_read_as_it_is(value: object) -> None:
    assert json_value(json.dumps(value), LIMITS) == value


@given(PLAIN)
def test_yaml_within_the_limits_is_let_through(value: object) -> None:
    require_yaml_within(yaml.safe_dump(value), LIMITS)


def bomb_of_aliases(width: int, levels: int, *, merge: bool) -> str:
    lines = ["a0: &a0 {k: v}" if merge else "a0: &a0 [x]"]
    for level in range(1, levels):
        names = ", ".join([f"*a{level - 1}"] * width)
        body = f"{{<<: [{names}]}}" if merge else f"[{names}]"
        lines.append(f"a{level}: &a{level} {body}")
    return "\n".join(lines)


@settings(max_examples=examples(15), deadline=None)
@given(
    width=st.integers(2, 60),
    levels=st.integers(14, 60),
    merge=st.booleans(),
)
def test_a_yaml_bomb_is_refused_at_once(width: int, levels: int, *, merge: bool) -> None:
    text = bomb_of_aliases(width, levels, merge=merge)
    began = time.monotonic()
    with pytest.raises(RefusedError, match=r"values|levels|KiB"):
        require_yaml_within(text, LIMITS)
    assert time.monotonic() - began < 1.0


@given(opening=st.sampled_from(["[", "{a: ", "- ", "? "]), levels=st.integers(33, 3000))
# One more than the depth at which libyaml ends by itself.
@example(opening="[", levels=1001)
@settings(max_examples=examples(12), deadline=None)
def test_deep_yaml_is_refused_by_its_levels(opening: str, levels: int) -> None:
    with pytest.raises(RefusedError, match="deeper than 32 levels in line 1"):
        require_yaml_within(opening * levels, LIMITS)


@given(levels=st.integers(33, 30_000), opening=st.sampled_from(["[", '{"a":']))
@settings(max_examples=examples(12), deadline=None)
def test_deep_json_is_refused_by_its_levels(levels: int, opening: str) -> None:
    with pytest.raises(RefusedError, match="deeper than 32 levels"):
        json_value(opening * levels, LIMITS)


def test_marks_inside_strings_do_not_count_as_values() -> None:
    text = json.dumps({"log": "[{,:" * 10_000})
    assert json_value(text, Limits("it", most_bytes=10**6)) == json.loads(text)


def test_many_small_values_are_refused_before_they_are_made() -> None:
    text = "[" + "[]," * 2_000_000 + "[]]"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RefusedError, match="more than 5000 values"):
        json_value(text, LIMITS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_large_text_takes_time_in_proportion_to_its_size() -> None:
    wide = Limits("it", most_bytes=10**9, most_values=10**9)
    times = []
    for lines in (20_000, 80_000):
        text = "[\n" + "1,\n" * lines + "[[]]]" + "[" * 33
        tries = []
        for _ in range(2):
            began = time.process_time()
            with pytest.raises(RefusedError, match="deeper than 32 levels in line"):
                json_value(text, wide)
            tries.append(time.process_time() - began)
        times.append(min(tries))
    # Four times the text; a square would be sixteen times the time.
    assert times[1] < 9 * times[0]


def test_a_list_in_itself_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"`\*a` in line 1 stands for itself"):
        require_yaml_within("a: &a [*a]", LIMITS)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_no_json(word: str) -> None:
    with pytest.raises(RefusedError, match=f"{word} is no number"):
        json_value(f"[{word}]", LIMITS)


def test_a_number_with_thousands_of_digits_is_a_sentence() -> None:
    with pytest.raises(RefusedError, match="not JSON"):
        json_value("9" * 5000, LIMITS)


@given(st.text())
def test_any_text_is_json_or_a_sentence(text: str) -> None:
    with contextlib.suppress(RefusedError):
        json_value(text, LIMITS)


@given(st.text(alphabet="&*[]{}:,-? \n<|>a0'\"%!#\t"))
def test_any_text_is_let_through_or_refused_with_a_sentence(text: str) -> None:
    with contextlib.suppress(RefusedError):
        require_yaml_within(text, LIMITS)


def test_a_file_over_the_limit_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * (64 * 1024 + 1))
    with pytest.raises(RefusedError, match="more than 64 KiB, which a test's file never has"):
        read_bytes(path, LIMITS)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(RefusedError, match="not a plain file"):
        read_bytes(path, LIMITS)


def test_bytes_that_are_no_text_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"abc\xff")
    with pytest.raises(RefusedError, match="not UTF-8 text: byte 3"):
        read_text(path, LIMITS)
