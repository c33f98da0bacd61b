"""The page of runs against each other: whether they came to the same, then what differs."""

from __future__ import annotations

from harness.base.errors import ExitCode
from harness.report.html.compare import side_by_side
from harness.report.html.elements import Markup, element, table
from harness.report.html.shell import whole
from harness.report.run_comparison import (
    FORMAT,
    Comparison,
    Comparisons,
    Difference,
    headline,
    side_text,
    time_texts,
)

_ANSWERS = {
    ExitCode.OK: ("same", "good"),
    ExitCode.NOT_MET: ("differs", "bad"),
    ExitCode.INFRASTRUCTURE: ("nothing judged", "unsure"),
}
_TABLES = (
    ("Verdicts and causes that differ", "results"),
    ("Hops that differ", "hops"),
    ("What they were made of, where it differs", "made_of"),
)


def render(compared: Comparisons) -> str:
    """Return the page of all comparisons."""
    word, css = _ANSWERS[compared.exit_code]
    first, *more = compared.comparisons
    differing = sum(bool(each.results) for each in compared.comparisons)
    answer = (
        f"Of {len(more) + 1} scenarios {differing} differ"
        if more
        else f"{first.a.scenario}: {headline(first)}"
    )
    header = element(
        "header",
        element("p", "two runs against each other", class_="over"),
        element("h1", answer),
        element(
            "p",
            element("strong", word, class_=f"outcome {css}"),
            (
                f" Run in {name} only: {', '.join(names)}."
                for name, names in (("A", compared.only_a), ("B", compared.only_b))
                if names
            ),
            class_="verdict",
        ),
    )
    sections = (
        _section(each, "The runs" if not more else f"{each.a.scenario}: {headline(each)}", index)
        for index, each in enumerate(compared.comparisons)
    )
    return whole(answer, header, sections, skip="To what differs", foot=FORMAT)


def _section(comparison: Comparison, heading: str, index: int) -> Markup:
    identifier = f"comparison-{index}"
    return element(
        "section",
        element("h2", heading, id=identifier),
        element(
            "dl",
            (
                element("div", element("dt", name), element("dd", side_text(side)))
                for name, side in (("A", comparison.a), ("B", comparison.b))
            ),
            class_="facts",
        ),
        element("ul", (element("li", note) for note in comparison.notes))
        if comparison.notes
        else None,
        (
            _differences(caption, getattr(comparison, field))
            for caption, field in _TABLES
            if getattr(comparison, field)
        ),
        _times(comparison),
        aria_labelledby=identifier,
    )


def _differences(caption: str, differences: tuple[Difference, ...]) -> Markup:
    return side_by_side(caption, ("A", "B"), ((each.what, each.a, each.b) for each in differences))


def _times(comparison: Comparison) -> Markup:
    return table(
        "Times, and how many times as long B took",
        ("step", "A", "B", "B/A"),
        (
            element(
                "tr",
                element("th", step, scope="row"),
                (element("td", number, class_="number") for number in numbers),
            )
            for step, *numbers in map(time_texts, comparison.times)
        ),
        class_="numbers short",
    )
