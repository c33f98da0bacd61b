"""Text that others wrote, as a terminal may show it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.base.printable import pasted, printable, printable_line
from tests.unit.fuzz import examples
from tests.unit.hostile import KINDS, hostile_text, obeyed

# All but the letters and marks that show nothing.
VISIBLE = st.characters(
    categories=("L", "M", "N", "P", "S", "Zs"),
    exclude_characters="\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0",
)
any_text = st.text() | hostile_text | st.text(st.characters(exclude_categories=()))


def test_nothing_in_all_of_unicode_is_obeyed_or_hidden():
    # From plane 4 on there is nothing but tags and private use: a hundredth of it will do.
    planes = (range(0x40000), range(0x40000, sys.maxunicode, 101), range(0xE0000, 0xE1000))
    everything = "".join(chr(code) for plane in planes for code in plane)
    shown = printable(everything)
    assert obeyed(everything)
    assert not obeyed(shown)
    assert printable(shown) == shown


@settings(max_examples=examples(25), deadline=None)
@given(any_text)
def test_nothing_is_obeyed_and_the_second_time_is_the_same(text):
    for shown in (printable(text), printable_line(text)):
        assert not obeyed(shown)
        assert printable(shown) == shown
    assert not set(printable_line(text)) & {"\n", "\t"}


@settings(max_examples=examples(25), deadline=None)
@given(st.text(VISIBLE))
def test_ordinary_text_of_every_language_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Zażółć gęślą jaźń",
        "e\u0301 is é",
        "中文 日本語 한국어",
        "עברית العربية",
        "हिन्दी ไทย",
        "❤️ 🇪🇺 👍🏽",
        "a\tb\nc",
        "no-break\xa0blank",
        "…“”—",
    ],
)
def test_people_can_read_what_they_wrote(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b", r"\x9b"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("10%\r20%", r"10%\r20%"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\r\r\nb", "a\\r\nb"),
        ("👩\u200d🚒", r"👩\u200d🚒"),
    ],
)
def test_what_is_shown_can_be_read_and_searched_for(text, shown):
    assert printable(text) == shown


def test_in_one_line_nothing_can_pass_for_a_line_of_ours():
    assert printable_line("a\nk0s-harness: exit 0: done") == r"a\nk0s-harness: exit 0: done"


WORDS = ["plain", "", "a b", "it's", "$(reboot)", "`id`", "a\\b", "--all; reboot", "a\nb'"]
WORDS += [*KINDS, "\udcff", "\x1bc"]


@pytest.mark.parametrize("word", WORDS)
def test_a_command_to_paste_is_printable_and_names_the_same_words(word):
    line = pasted("printf", "%s", word)
    assert printable_line(line) == line
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode(errors="surrogateescape") == word
