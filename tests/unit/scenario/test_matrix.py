"""A file with a matrix is several scenarios."""

from __future__ import annotations

import pytest

from harness.scenario.load import ScenarioNotFoundError, load_all_text, load_text
from harness.scenario.matrix import MOST_VARIANTS
from harness.scenario.mistakes import ScenarioError

HEAD = "format: k0s-harness/1\nname: x\ntitle: With ${cni}\n"
PHASES = "phases: [{name: p, expect: [{pods: {selector: a=b, ready: 1}}]}]\n"
CLUSTER = 'cluster: {workers: "${n}", k0s: {spec: {network: {provider: "${cni}"}}}}\n'
TWO = HEAD + "matrix: {cni: [kuberouter, calico], n: [1, 2]}\n" + CLUSTER + PHASES


def mistakes_in(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_all_text(text, "s.yaml")
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_file_is_one_scenario_for_each_combination_named_after_it():
    loaded = load_all_text(TWO, "s.yaml")
    assert [each.variant for each in loaded] == [
        "kuberouter-1",
        "kuberouter-2",
        "calico-1",
        "calico-2",
    ]
    assert [each.scenario.name for each in loaded][:2] == ["x-kuberouter-1", "x-kuberouter-2"]
    assert loaded[2].scenario.title == "With calico"
    assert [each.scenario.cluster.workers for each in loaded] == [1, 2, 1, 2]
    assert loaded[3].scenario.cluster.k0s == {"spec": {"network": {"provider": "calico"}}}


def test_a_file_without_a_matrix_is_itself():
    (loaded,) = load_all_text(
        TWO.replace("${cni}", "calico")
        .replace('"${n}"', "1")
        .replace("matrix: {cni: [kuberouter, calico], n: [1, 2]}\n", ""),
        "s.yaml",
    )
    assert (loaded.variant, loaded.scenario.name) == ("", "x")


def test_one_variant_can_be_loaded_by_its_name():
    assert load_text(TWO, "s.yaml", "calico-2").scenario.cluster.workers == 2


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("", "its matrix makes several of it"),
        ("calico", "it has no `calico`"),
    ],
)
def test_a_variant_that_is_not_there_is_answered_with_those_that_are(variant, said):
    with pytest.raises(ScenarioNotFoundError) as caught:
        load_text(TWO, "s.yaml", variant)
    assert caught.value.happened == said
    assert caught.value.remedy == "there are: kuberouter-1, kuberouter-2, calico-1, calico-2"


def test_a_value_keeps_its_type_where_it_stands_alone_and_is_text_within_text():
    text = (
        "format: k0s-harness/1\nname: x\ntitle: ${v} and ${on} and $${v}\n"
        "matrix: {v: ['4', v1.35.1+k0s.0], on: [true]}\n"
        'cluster: {k0s: {spec: {a: "${v}", b: ["${on}"], c: "<${on}>"}}}\n' + PHASES
    )
    first, second = load_all_text(text, "s.yaml")
    assert first.scenario.cluster.k0s == {"spec": {"a": "4", "b": [True], "c": "<true>"}}
    assert first.scenario.title == "4 and true and ${v}"
    assert second.scenario.name == "x-v1-35-1-k0s-0-true"


def test_a_mistake_that_only_one_variant_has_is_found_and_one_of_all_is_said_once():
    text = TWO.replace("n: [1, 2]", "n: [1, 7]").replace("ready: 1", "ready: one")
    assert mistakes_in(text) == [
        "s.yaml:5:20: `workers`: 7 is more than 6",
        's.yaml:6:59: `ready`: write a whole number, not `"one"`',
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("With ${cni}", "With ${cin}", ["s.yaml:3:8: unknown input `${cin}`; did you mean `cni`?"]),
        (
            'workers: "${n}"',
            "workers: 1",
            ["s.yaml:4:37: the input `n` is not used: write ${n}"],
        ),
        (
            "[kuberouter, calico]",
            "[calico, Calico]",
            ["s.yaml:4:24: two values would name one scenario `calico`"],
        ),
        ("[1, 2]", "['+']", ["s.yaml:4:41: a scenario cannot be named after this value"]),
        (
            "[1, 2]",
            "[{a: 1}]",
            [
                (
                    's.yaml:4:41: `n`: `{"a": 1}` is not a value of a matrix: write a number, '
                    "true, false, or text of 1 to 100 characters"
                )
            ],
        ),
        ("[1, 2]", "[]", ["s.yaml:4:37: `n`: the list is empty; it needs at least one entry"]),
        ("[1, 2]", "1", ["s.yaml:4:40: `n`: write a list (`[…]` or `- …`), not `1`"]),
        (
            "{cni: [kuberouter, calico], n: [1, 2]}",
            "[a]",
            ['s.yaml:4:1: `matrix`: write a mapping (`key: value`), not `["a"]`'],
        ),
        (
            "[1, 2]",
            f"[{', '.join(map(str, range(MOST_VARIANTS)))}]",
            [f"s.yaml:4:1: these are 48 scenarios; at most {MOST_VARIANTS} are run"],
        ),
    ],
)
def test_a_matrix_that_cannot_be_is_a_sentence_with_its_place(old, new, expected):
    assert [
        line for line in mistakes_in(TWO.replace(old, new)) if "workers" not in line
    ] == expected


def test_an_input_without_a_matrix_is_a_mistake():
    text = "format: k0s-harness/1\nname: x\ntitle: With ${cni}\n" + PHASES
    assert mistakes_in(text) == ["s.yaml:3:8: unknown input `${cni}`; there is no `matrix`"]


def test_two_combinations_with_one_name_are_a_mistake():
    text = TWO.replace("[kuberouter, calico]", "[a, a-b]").replace("[1, 2]", "[b-c, c]")
    assert "s.yaml:4:1: two combinations would name one scenario `a-b-c`" in mistakes_in(text)


def test_a_long_value_used_often_does_not_make_a_large_scenario():
    text = TWO.replace("[1, 2]", f"[{'x' * 20000}]")
    assert any("is not a value of a matrix" in line for line in mistakes_in(text))
