"""The colours of the pages can be told from what they lie on, light and dark (WCAG 2.2, AA).

The browser test looks at every text as it is drawn; this needs no browser.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.report import html

STYLE = (Path(html.__file__).parent / "report.css").read_text(encoding="utf-8")
TEXT, SIGN = 4.5, 3.0
PAIRS = {
    **{(ink, ground): TEXT for ink in ("ink", "quiet", "link") for ground in ("ground", "panel")},
    **{
        (word, ground): TEXT
        for word in ("good", "bad", "unsure")
        for ground in ("ground", f"{word}-ground")
    },
    # What stands in the bars of the timeline and in the first broken hop.
    **{("ink", f"{name}-ground"): TEXT for name in ("good", "bad", "unsure")},
    ("ink", "state"): TEXT,
    ("ink", "preparing"): TEXT,
    # Lines of the drawing that mean something, and the outline of what has the focus.
    ("strong-rule", "ground"): SIGN,
    ("link", "ground"): SIGN,
}


def schemes():
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    )
    return {"light": light, "dark": dark}


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_colour_can_be_told_from_its_ground(scheme, pair):
    colours = schemes()[scheme]
    assert ratio(*(colours[name] for name in pair)) >= PAIRS[pair]


def test_black_on_white_is_the_most_there_is():
    assert ratio("#000000", "#ffffff") == pytest.approx(21.0)


def test_no_colour_is_written_outside_of_the_two_schemes():
    rest = re.sub(r":root \{.*?\}", "", STYLE, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-f]{3,8}\b|rgb|hsl", rest)


def test_both_schemes_name_the_same_colours():
    found = schemes()
    assert found["light"].keys() == found["dark"].keys()


def test_the_dark_scheme_is_for_screens():
    assert "@media screen and (prefers-color-scheme: dark)" in STYLE
    printed = STYLE.partition("@media print")[2]
    assert "print-color-adjust: exact" in printed
    assert "details::details-content { content-visibility: visible" in printed
