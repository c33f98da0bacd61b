"""Whatever is given to the loader, it answers with a scenario or with `ScenarioError`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.scenario.load import LoadedScenario, load_text
from harness.scenario.mistakes import ScenarioError
from tests.unit.fuzz import examples
from tests.unit.paths import SCENARIOS

VALID = (SCENARIOS / "konnectivity-off.yaml").read_text("utf-8")
# Pieces that parsers stumble over, between pieces that are good.
PIECES = st.sampled_from(
    [
        *VALID.splitlines(keepends=True),
        *VALID.split(" "),
        *"{}[],:-?&*!|>'\"%@`#\n\t ",
        "null",
        "off",
        "1e3",
        "0o17",
        "12:30",
        "<<: ",
        "*a",
        "&a ",
        "!!int ",
        "k0s: ",
        "  k0s: {spec: ",
        "break: [spec.api.address]\n",
        '"\\U00110000"',
        "%YAML 1.99\n---\n",
        "---\n",
        "...\n",
        "\u2028",
        "\ufeff",
        "\x85",
    ]
)
BRIEF = settings(max_examples=examples(10), deadline=None, database=None, derandomize=True)


def answer_to(content: str | bytes) -> None:
    answer: LoadedScenario | ScenarioError
    try:
        answer = load_text(content, "s.yaml")
    except ScenarioError as error:
        answer = error
    if isinstance(answer, ScenarioError):
        assert answer.mistakes
        assert all(mistake.line >= 1 and mistake.column >= 1 for mistake in answer.mistakes)
        assert answer.text().startswith("s.yaml:")
    else:
        assert answer.scenario.phases


def test_the_file_that_the_pieces_come_from_is_valid():
    assert load_text(VALID, "s.yaml").scenario.name == "konnectivity-off"


@BRIEF
@given(st.text())
def test_any_text_is_answered(text):
    answer_to(text)


@BRIEF
@given(st.binary())
def test_any_bytes_are_answered(content):
    answer_to(content)


@BRIEF
@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_pieces_of_yaml_are_answered(text):
    answer_to(text)


@BRIEF
@given(st.integers(0, len(VALID)), st.integers(0, 40), PIECES)
def test_a_valid_file_with_something_replaced_is_answered(start, length, piece):
    answer_to(VALID[:start] + piece + VALID[start + length :])
