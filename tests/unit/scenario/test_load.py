"""Loading: good files become models, bad files become sentences with line and column."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from harness.base.errors import ExitCode
from harness.changes.enable_component import EnableComponent
from harness.expectations.apiservice import Apiservice
from harness.expectations.top_nodes import TopNodes
from harness.scenario.load import (
    MOST_BYTES,
    ScenarioNotFoundError,
    files_in,
    find,
    is_scenario,
    load,
    load_all,
    load_text,
)
from harness.scenario.mistakes import MOST_SHOWN, ScenarioError
from harness.vocabulary.words import ApiserviceReason, Component, TopOutcome
from tests.unit.paths import SCENARIOS

HEAD = "format: k0s-harness/1\nname: x\ntitle: X\n"
PODS = "{pods: {selector: a=b, ready: 1}}"


def mistakes_in(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_text(text, "s.yaml")
    return [str(mistake) for mistake in caught.value.mistakes]


def with_expectation(entry: str) -> str:
    return f"{HEAD}phases:\n- name: p\n  expect:\n  - {entry}\n"


def with_cluster(body: str) -> str:
    return f"{HEAD}phases: [{{name: p, expect: [{PODS}]}}]\ncluster:\n{body}"


def with_changes(changes: str, cluster: str = "{}") -> str:
    return (
        f"{HEAD}cluster: {cluster}\nphases:\n- name: p\n  change: {changes}\n  expect: [{PODS}]\n"
    )


@pytest.mark.parametrize("name", ["konnectivity-on", "konnectivity-off", "article-config-refused"])
def test_every_scenario_of_the_repository_loads_under_its_own_name(name):
    assert load(SCENARIOS / f"{name}.yaml").scenario.name == name


def test_konnectivity_off_says_what_the_issue_says():
    loaded = load(SCENARIOS / "konnectivity-off.yaml")
    broken, repaired = loaded.scenario.phases
    assert loaded.scenario.cluster.disable_components == (Component.KONNECTIVITY_SERVER,)
    apiservice, top_nodes, pods, diagnosis = broken.expect
    assert isinstance(apiservice, Apiservice)
    assert apiservice.available is False
    assert apiservice.reason is ApiserviceReason.FAILED_DISCOVERY_CHECK
    assert (apiservice.within, apiservice.hold) == (120.0, 45.0)
    assert [each.kind for each in (top_nodes, pods, diagnosis)] == [
        "top_nodes",
        "pods",
        "diagnosis",
    ]
    assert isinstance(repaired.change[0], EnableComponent)
    assert repaired.change[0].component is Component.KONNECTIVITY_SERVER
    top = repaired.expect[1]
    assert isinstance(top, TopNodes)
    assert (top.outcome, top.nodes) == (TopOutcome.COMPLETE, ("worker0", "worker1"))


def test_the_article_configuration_keeps_the_key_that_k0s_refuses():
    cluster = load(SCENARIOS / "article-config-refused.yaml").scenario.cluster
    assert cluster.k0s is not None
    assert cluster.k0s["spec"]["konnectivity"]["enabled"] is True


def test_every_part_of_a_loaded_file_has_its_line():
    path = SCENARIOS / "konnectivity-off.yaml"
    marks = load(path).marks
    assert marks.key(("phases", 0, "expect", 1)).line == 13
    hold = marks.value(("phases", 0, "expect", 0, "apiservice", "hold"))
    line = path.read_text("utf-8").splitlines()[hold.line - 1]
    assert line[hold.column - 1 :] == "45s}"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("45s", 45.0), ("2m", 120.0), ("1m30s", 90.0), ("1h", 3600.0), ("10.5s", 10.5)],
)
def test_a_duration_is_read_with_its_unit(written, seconds):
    entry = f"{{pods: {{selector: a=b, ready: 1, hold: {written}}}}}"
    loaded = load_text(with_expectation(entry), "s.yaml")
    assert loaded.scenario.phases[0].expect[0].hold == seconds


def test_a_hold_may_be_longer_than_the_time_to_reach_the_state():
    entry = "{pods: {selector: a=b, ready: 1, within: 30s, hold: 5m}}"
    expectation = load_text(with_expectation(entry), "s.yaml").scenario.phases[0].expect[0]
    assert (expectation.within, expectation.hold) == (30.0, 300.0)


@pytest.mark.parametrize(
    "selector",
    [
        "k8s-app=metrics-server",
        "a==b,c!=d",
        "app.kubernetes.io/name=x",
        "env in (a, b),tier notin (c)",
        "!gone",
        "there",
    ],
)
def test_selectors_of_kubectl_are_taken(selector):
    load_text(with_expectation(f'{{pods: {{selector: "{selector}", ready: 1}}}}'), "s.yaml")


@pytest.mark.parametrize("selector", ["a b", "=x", "a=b,", "a in b", "a in ()x", "a=b c=d", "ä=b"])
def test_other_selectors_are_mistakes(selector):
    found = mistakes_in(with_expectation(f'{{pods: {{selector: "{selector}", ready: 1}}}}'))
    assert len(found) == 1
    assert "is not a label selector, as in k8s-app=metrics-server" in found[0]


EXPECTATIONS = [
    (
        "{apiservice: {name: v1, available: off}}",
        ["s.yaml:7:40: `available`: write false, not `off`"],
    ),
    (
        "{apiservice: {name: v1, available: yes}}",
        ["s.yaml:7:40: `available`: write true, not `yes`"],
    ),
    (
        "{apiservice: {name: v1, available: 1}}",
        ["s.yaml:7:40: `available`: write true or false, not `1`"],
    ),
    (
        "{apiservice: {name: v1, available: true, hold: 45}}",
        ["s.yaml:7:52: `hold`: `45` has no unit; write 45s or 45m"],
    ),
    (
        "{apiservice: {name: v1, available: true, hold: 5s}}",
        [("s.yaml:7:52: `hold`: `5s` is out of range; write 0s or a duration between 10s and 1h")],
    ),
    (
        "{apiservice: {name: v1, available: true, within: 2 minutes}}",
        ["s.yaml:7:54: `within`: `2 minutes` is not a duration; write it as in 45s, 2m or 1m30s"],
    ),
    (
        "{apiservice: {name: v1, available: false, reason: FailedDiscovryCheck}}",
        [
            (
                "s.yaml:7:55: unknown reason `FailedDiscovryCheck`; "
                "did you mean `FailedDiscoveryCheck`?"
            )
        ],
    ),
    (
        "{apiservice: {name: v1, available: true, reason: MissingEndpoints}}",
        [("s.yaml:7:54: an available APIService never has the reason `MissingEndpoints`")],
    ),
    (
        "{apiservice: {name: v1, available: true, message_class: timed-out}}",
        ["s.yaml:7:61: only a failed check has a message class"],
    ),
    (
        "{apiservice: {name: v1, avaliable: true}}",
        [
            "s.yaml:7:6: `apiservice` lacks `available`",
            "s.yaml:7:29: unknown key `avaliable` in `apiservice`; did you mean `available`?",
        ],
    ),
    (
        "{top_nodes: {outcome: complet}}",
        ["s.yaml:7:27: unknown outcome `complet`; did you mean `complete`?"],
    ),
    (
        "{top_nodes: {outcome: complete, nodes: [worker0, worker2]}}",
        ["s.yaml:7:54: there is no node `worker2`; the cluster's nodes are worker0, worker1"],
    ),
    (
        "{top_nodes: {outcome: complete, nodes: [controller0, worker1, worker1]}}",
        [
            (
                "s.yaml:7:45: `controller0` is no node: it runs no kubelet. "
                "Nodes are worker0, worker1"
            ),
            "s.yaml:7:67: `worker1` is listed twice",
        ],
    ),
    (
        "{top_nodes: {outcome: not-yet, nodes: [worker0]}}",
        ["s.yaml:7:36: there are no rows when the outcome is `not-yet`: leave `nodes` out"],
    ),
    (
        "{top_nodes: {outcome: complete, nodes: worker0}}",
        ["s.yaml:7:44: `nodes`: write a list (`[…]` or `- …`), not `worker0`"],
    ),
    (
        '{pods: {selector: a=b, ready: "1"}}',
        ['s.yaml:7:35: `ready`: write a whole number, not `"1"`'],
    ),
    (
        "{pods: {selector: a=b, ready: 01}}",
        ['s.yaml:7:35: `ready`: write a whole number, not `"01"`'],
    ),
    (
        "{pods: {selector: a=b, ready: -1}}",
        ["s.yaml:7:35: `ready`: -1 is less than 0"],
    ),
    (
        "{pods: {selector: 7, ready: 1}}",
        [
            (
                "s.yaml:7:23: `selector`: write text, not `7`; "
                "in quotes if it is meant to look like a number"
            )
        ],
    ),
    (
        "{diagnosis: {cause: no-route}}",
        ["s.yaml:7:25: unknown cause `no-route`; did you mean `no-route-to-service-network`?"],
    ),
    (
        "{diagnosis: {cause: healthy, hold: 45s}}",
        ["s.yaml:7:34: a diagnosis is made once, from all the evidence: it has no `hold`"],
    ),
    (
        "{diagnosis: {cause: unknown, also: [unknown, tunnel-down, tunnel-down, healthy]}}",
        [
            "s.yaml:7:41: `unknown` is listed twice",
            "s.yaml:7:63: `tunnel-down` is listed twice",
            "s.yaml:7:76: a healthy cluster has no second cause",
        ],
    ),
    (
        "{diagnosis: {cause: unknwn, also: [tunnel-down, tunnel-down]}}",
        [
            "s.yaml:7:25: unknown cause `unknwn`; did you mean `unknown`?",
            "s.yaml:7:53: `tunnel-down` is listed twice",
        ],
    ),
    (
        "{flows: {cells: {controller-to-pods: works}}}",
        ["s.yaml:7:22: unknown flow `controller-to-pods`; did you mean `controller-to-pod`?"],
    ),
    (
        "{flows: {cells: {controller-to-pod: timeout}}}",
        ["s.yaml:7:41: unknown outcome of a flow `timeout`; did you mean `timed-out`?"],
    ),
    (
        "{flows: {cells: {}}}",
        ["s.yaml:7:14: `cells`: the mapping is empty; it needs at least one entry"],
    ),
    (
        "{reachability: {whole: partial}}",
        ["s.yaml:7:28: `whole`: write true or false, not `partial`"],
    ),
    (
        "{reachability: {whole: true, hold: 45s}}",
        ["s.yaml:7:34: one round of connections is judged at once: it has no `hold`"],
    ),
    (
        "{apply: {outcome: refused, within: 45s}}",
        [("s.yaml:7:32: `apply` is one event with the deadline of k0sctl: it has no `within`")],
    ),
    (
        "{apply: {outcome: applied, message_contains: x}}",
        [
            (
                "s.yaml:7:50: only a bad end has a message: write `outcome: refused` or `failed`, "
                "or leave this out"
            )
        ],
    ),
    (
        "{apply: {outcome: failed}}",
        [
            (
                "s.yaml:7:23: many things make an apply fail: say in `message_contains` "
                "which one is expected"
            )
        ],
    ),
    (
        '{apply: {outcome: refused, message_contains: ""}}',
        ["s.yaml:7:50: `message_contains`: the text is empty"],
    ),
    (
        "{pods: {selector: a=b, ready: 1, when: later}}",
        ["s.yaml:7:44: `when`: `later` is not a condition; write it as in k0s >= 1.35.1"],
    ),
    (
        "{pod: {selector: a=b, ready: 1}}",
        ["s.yaml:7:5: unknown expectation `pod`; did you mean `pods`?"],
    ),
    (
        "pods",
        [
            (
                "s.yaml:7:5: `expect`: `pods` is no expectation; write {kind: …}, where kind "
                "is one of: apiservice, top_nodes, pods, diagnosis, flows, reachability, apply"
            )
        ],
    ),
    ("{pods: }", ["s.yaml:7:11: `pods` has no value; remove the key or give it one"]),
    (
        "{pods: {selector: a=b, ready: 1}, within: 2m}",
        [
            (
                "s.yaml:7:39: one expectation has one kind; give `within` an entry of its own "
                "(`- …`), or indent it under `pods` if it belongs there"
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ("entry", "expected"), EXPECTATIONS, ids=[case[0] for case in EXPECTATIONS]
)
def test_a_mistake_in_an_expectation_is_a_sentence_with_its_place(entry, expected):
    assert mistakes_in(with_expectation(entry)) == expected


CLUSTERS = [
    (
        "  disable_component: [coredns]\n",
        [
            (
                "s.yaml:6:3: unknown key `disable_component` in `cluster`; "
                "did you mean `disable_components`?"
            )
        ],
    ),
    (
        "  disable_components: [konnectivity, coredns, coredns]\n",
        [
            "s.yaml:6:24: unknown component `konnectivity`; did you mean `konnectivity-server`?",
            "s.yaml:6:47: `coredns` is listed twice",
        ],
    ),
    (
        "  controller_role: worker\n",
        [("s.yaml:6:20: unknown role of a controller `worker`; did you mean `controller+worker`?")],
    ),
    ("  workers: 7\n", ["s.yaml:6:12: `workers`: 7 is more than 6"]),
    ("  workers: 0\n", ["s.yaml:6:12: `workers`: 0 is less than 1"]),
    ("  workers: two\n", ['s.yaml:6:12: `workers`: write a whole number, not `"two"`']),
    (
        "  version: 1.32\n",
        ["s.yaml:6:12: `version`: `1.32` is not text; write it as in v1.32.3+k0s.0"],
    ),
    (
        "  version: v1.32.3\n",
        [
            (
                "s.yaml:6:12: `version`: `v1.32.3` is not a k0s release; "
                "write it in full, as in v1.32.3+k0s.0"
            )
        ],
    ),
    (
        "  workers: 1\n  workers: 2\n",
        ["s.yaml:7:3: duplicate key `workers`, first on line 6"],
    ),
    (
        "  k0s: {spec: {telemetry: {enabled: true}}}\n  break: [spec.telemetry.enabled]\n",
        [
            (
                "s.yaml:6:37: the harness sets `spec.telemetry.enabled` to false, because nothing "
                "a lab does may leave the host; no scenario may change that"
            ),
            (
                "s.yaml:7:11: `spec.telemetry.enabled` cannot be broken: the harness sets it to "
                "false, because nothing a lab does may leave the host"
            ),
        ],
    ),
    (
        "  k0s:\n    spec:\n      api: {address: 10.0.2.15}\n",
        [
            (
                "s.yaml:8:22: the harness sets `spec.api.address` to the controllers' addresses on "
                "the private network; to set it wrong on purpose, list it under `cluster.break`"
            )
        ],
    ),
    (
        "  k0s: {spec: {telemetry: off}}\n",
        [
            (
                "s.yaml:6:27: `off` is not text to every YAML reader: "
                "write true, false or a plain number, or put it in quotes"
            ),
            (
                "s.yaml:6:27: the harness sets `spec.telemetry.enabled` to false, because nothing "
                "a lab does may leave the host; no scenario may change that"
            ),
        ],
    ),
    (
        "  k0s: {spec: {network: {kuberouter: {mtu: 010}}}}\n",
        [
            (
                "s.yaml:6:44: `010` is not text to every YAML reader: "
                "write true, false or a plain number, or put it in quotes"
            )
        ],
    ),
    (
        "  k0s: {konnectivity: {agentPort: 8132}}\n",
        [
            (
                "s.yaml:6:9: a ClusterConfig has no `konnectivity` at its top; "
                "its settings stand under `spec`"
            )
        ],
    ),
    (
        "  break: [spec.api.adress]\n",
        [
            (
                "s.yaml:6:11: the harness does not set `spec.api.adress`; "
                "did you mean `spec.api.address`?"
            )
        ],
    ),
    (
        "  break: [spec.api.address]\n",
        ["s.yaml:6:11: `spec.api.address` is listed here but not set under `cluster.k0s`"],
    ),
    ("  k0s:\n", ["s.yaml:6:7: `k0s` has no value; remove the key or give it one"]),
    (
        "  k0s: [spec]\n",
        ['s.yaml:6:3: `k0s`: write a mapping (`key: value`), not `["spec"]`'],
    ),
]


@pytest.mark.parametrize(("body", "expected"), CLUSTERS, ids=[case[0] for case in CLUSTERS])
def test_a_mistake_in_the_cluster_is_a_sentence_with_its_place(body, expected):
    assert mistakes_in(with_cluster(body)) == expected


@pytest.mark.parametrize(
    ("changes", "cluster", "expected"),
    [
        (
            "[{enable_component: konnectivity-server}]",
            "{}",
            ["s.yaml:7:31: `konnectivity-server` is not disabled here"],
        ),
        (
            "[{disable_component: coredns}]",
            "{disable_components: [coredns]}",
            ["s.yaml:7:32: `coredns` is already disabled here"],
        ),
        (
            "[{enable_component: coredns}, {enable_component: coredns}]",
            "{disable_components: [coredns]}",
            ["s.yaml:7:60: `coredns` is not disabled here"],
        ),
        (
            "[{clock_step: {machine: worker7, by: 2m}}]",
            "{}",
            ["s.yaml:7:35: there is no machine `worker7`; did you mean `worker1`?"],
        ),
        (
            "[{enable_components: coredns}]",
            "{}",
            [("s.yaml:7:12: unknown change `enable_components`; did you mean `enable_component`?")],
        ),
    ],
)
def test_a_change_that_cannot_be_made_is_a_mistake(changes, cluster, expected):
    assert mistakes_in(with_changes(changes, cluster)) == expected


def test_a_controller_that_is_a_node_may_have_a_row():
    text = with_cluster("  controller_role: controller+worker\n").replace(
        PODS, "{top_nodes: {outcome: complete, nodes: [controller0, worker0]}}"
    )
    assert load_text(text, "s.yaml").scenario.phases[0].expect[0].kind == "top_nodes"


def test_a_component_with_a_misspelled_name_is_not_reported_as_enabled_for_nothing():
    found = mistakes_in(
        with_changes("[{enable_component: konnectivity-server}]", "{disable_components: [konect]}")
    )
    assert len(found) == 1
    assert found[0].startswith("s.yaml:4:32: unknown component `konect`")


def test_a_value_that_is_broken_on_purpose_is_taken():
    body = "  k0s: {spec: {api: {address: 10.0.2.15}}}\n  break: [spec.api.address]\n"
    assert load_text(with_cluster(body), "s.yaml").scenario.cluster.break_ == ("spec.api.address",)


def test_a_value_that_agrees_with_the_harness_is_no_collision():
    body = "  k0s: {kind: ClusterConfig, spec: {telemetry: {enabled: false}}}\n"
    assert load_text(with_cluster(body), "s.yaml").scenario.cluster.k0s is not None


def test_two_phases_with_one_name_are_reported_with_the_line_of_the_first():
    text = f"{HEAD}phases:\n- name: p\n  expect: [{PODS}]\n- name: p\n  expect: [{PODS}]\n"
    assert mistakes_in(text) == [
        "s.yaml:7:9: two phases are called `p`, the first on line 5",
    ]


def test_nothing_can_be_expected_of_a_cluster_that_was_refused():
    text = (
        f"{HEAD}phases:\n- name: p\n  expect:\n  - apply: {{outcome: refused}}\n  - {PODS}\n"
        f"- name: q\n  expect: [{PODS}]\n"
    )
    assert mistakes_in(text) == [
        "s.yaml:8:5: `pods` cannot be expected here: a refused apply leaves no cluster",
        "s.yaml:9:3: no phase can follow: the first one's apply is refused, so there is no cluster",
    ]


def test_nothing_can_be_expected_of_a_cluster_whose_apply_failed():
    text = (
        f"{HEAD}phases:\n- name: p\n  expect:\n"
        f"  - apply: {{outcome: failed, message_contains: x}}\n  - {PODS}\n"
        f"- name: q\n  expect: [{PODS}]\n"
    )
    assert mistakes_in(text) == [
        "s.yaml:8:5: `pods` cannot be expected here: a failed apply leaves no cluster",
        "s.yaml:9:3: no phase can follow: the first one's apply is failed, so there is no cluster",
    ]


def test_a_later_apply_cannot_be_expected_to_fail():
    text = (
        f"{HEAD}phases:\n- name: p\n  expect: [{PODS}]\n"
        "- name: q\n  expect: [{apply: {outcome: failed, message_contains: x}}]\n"
    )
    assert mistakes_in(text) == [
        (
            "s.yaml:8:12: only a first apply can be expected to fail: "
            "nobody knows what a later one leaves"
        ),
    ]


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file():
    text = dedent("""\
        format: k0s-harness/2
        name: Konnectivity_Off
        titel: X
        phases:
        - name: p
          expect: []
        - name: p
          changes: []
          expect:
          - pods: {selector: a=b, ready: 1}
        """)
    assert mistakes_in(text) == [
        "s.yaml:1:1: the scenario lacks `title`",
        ("s.yaml:1:9: `format`: `k0s-harness/2` is not k0s-harness/1, which this harness reads"),
        (
            "s.yaml:2:7: `name`: `Konnectivity_Off` is not a name: lower case letters, digits and "
            "hyphens, at most 63, as in konnectivity-off"
        ),
        "s.yaml:3:1: unknown key `titel` in the scenario; did you mean `title`?",
        "s.yaml:6:3: `expect`: the list is empty; it needs at least one entry",
        "s.yaml:7:9: two phases are called `p`, the first on line 5",
        "s.yaml:8:3: unknown key `changes` in the phase; did you mean `change`?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "s.yaml:1:1: the file is empty; a scenario begins with `format: k0s-harness/1`"),
        (
            "# nothing\n",
            "s.yaml:1:1: the file is empty; a scenario begins with `format: k0s-harness/1`",
        ),
        (
            "name: [\n",
            (
                "s.yaml:2:1: not YAML: while parsing a flow node: "
                "expected the node content, but found '<stream end>'"
            ),
        ),
        (
            "a: 1\nb: c: d\n",
            "s.yaml:2:5: not YAML: mapping values are not allowed here",
        ),
        ("a: \x07\n", "s.yaml:1:4: not YAML: character U+0007 is not allowed"),
        (
            '"\\UFFFFFFFF": 1\n',
            "s.yaml:1:4: not YAML: Python int too large to convert to C int",
        ),
        (
            "a: 1\n---\nb: 1\n",
            (
                "s.yaml:2:1: not YAML: expected a single document in the stream: "
                "but found another document"
            ),
        ),
        ("- a\n", 's.yaml:1:1: a scenario is a mapping (`key: value`), not `["a"]`'),
        ("[" * 40, "s.yaml:1:33: nested deeper than 32 levels, which no scenario is"),
        (
            b"name: x\ntitle: \xff\n",
            "s.yaml:2:8: byte 0xff is not UTF-8 text",
        ),
        (
            "a" * (MOST_BYTES + 1),
            (
                f"s.yaml:1:1: {MOST_BYTES + 1} bytes are too many for a scenario, which has about "
                f"1000; at most {MOST_BYTES} are read"
            ),
        ),
    ],
)
def test_a_text_that_cannot_be_read_at_all_is_one_mistake(text, expected):
    assert mistakes_in(text) == [expected]


def test_an_anchors_bomb_is_refused_before_anything_is_expanded():
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 20)
    )
    found = mistakes_in(bomb)
    assert "s.yaml:2:10: `*a0`: aliases are not expanded in scenarios; write it out" in found
    assert len([line for line in found if "aliases are not expanded" in line]) == 19 * 9


def test_tags_and_merge_keys_are_refused_with_their_place():
    found = mistakes_in(HEAD + "phases: !!python/object:os.system x\n<<: {a: 1}\n")
    assert found == [
        "s.yaml:4:9: tags are not used in scenarios: `tag:yaml.org,2002:python/object:os.system`",
        "s.yaml:5:1: `<<` is not merged in scenarios; write it out",
    ]


def test_a_key_cannot_smuggle_control_characters_into_the_terminal():
    found = mistakes_in(HEAD + f'phases: [{{name: p, expect: [{PODS}]}}]\n"a\\e[31m": 1\n')
    assert found == ["s.yaml:5:1: the character U+001B is not text; leave it out"]


def test_a_byte_order_mark_is_not_part_of_the_first_key():
    text = f"{HEAD}phases: [{{name: p, expect: [{PODS}]}}]\n"
    assert load_text(b"\xef\xbb\xbf" + text.encode(), "s.yaml").scenario.name == "x"


def test_a_large_file_is_refused_by_its_size_before_it_is_read(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(10 * 1024 * 1024)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert str(caught.value.mistakes[0]).startswith(f"{path}:1:1: 10485760 bytes are too many")


def test_a_directory_is_refused_by_name(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path)
    assert str(caught.value.mistakes[0]) == (
        f"{tmp_path}:1:1: this is a directory; name a scenario file"
    )


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "gone.yaml")
    assert str(caught.value.mistakes[0]).endswith("cannot be read: No such file or directory")


def test_a_device_is_not_read():
    with pytest.raises(ScenarioError) as caught:
        load(Path("/dev/zero"))
    assert str(caught.value.mistakes[0]) == (
        "/dev/zero:1:1: this is not a file; name a scenario file"
    )


def test_a_wrong_scenario_ends_with_the_usage_exit_code_and_lines_that_editors_link():
    with pytest.raises(ScenarioError) as caught:
        load_text("", "s.yaml")
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.text().splitlines() == [
        "s.yaml:1:1: the file is empty; a scenario begins with `format: k0s-harness/1`",
        "Reading s.yaml: 1 mistake; nothing was started",
        "  -> docs/writing-scenarios.md has every key and its values",
    ]


def test_a_file_full_of_mistakes_does_not_flood_the_terminal():
    with pytest.raises(ScenarioError) as caught:
        load_text("a: 1\n" * 400, "s.yaml")
    lines = caught.value.text().splitlines()
    assert len(caught.value.mistakes) > MOST_SHOWN
    assert len(lines) == MOST_SHOWN + 3
    assert lines[MOST_SHOWN] == f"… and {len(caught.value.mistakes) - MOST_SHOWN} more"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"format: k0s-harness/1\n", True),
        (b"# comment\nname: x\nformat: 'k0s-harness/1'\n", True),
        (b"\xef\xbb\xbfformat: k0s-harness/1\n", True),
        (b"format: k0s-harness/9\nbroken: [", True),
        (b"a:\n  format: k0s-harness/1\n", False),
        (b"apiVersion: v1\n", False),
        (b"\xff\xfe\x00", False),
        (b"", False),
    ],
)
def test_only_a_file_with_the_format_key_is_a_scenario(tmp_path, content, expected):
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    assert is_scenario(path) is expected


def test_what_is_no_file_is_no_scenario(tmp_path):
    assert is_scenario(tmp_path) is False
    assert is_scenario(tmp_path / "gone.yaml") is False
    assert is_scenario(Path("a\0b")) is False


def test_a_scenario_is_found_by_path_by_name_and_by_file_name():
    expected = SCENARIOS / "konnectivity-off.yaml"
    assert find(str(expected), SCENARIOS) == expected
    assert find("konnectivity-off", SCENARIOS) == expected
    assert find("konnectivity-off.yaml", SCENARIOS) == expected
    for_vms = SCENARIOS / "vms" / "clock-skew.yaml"
    assert find("clock-skew", SCENARIOS) == for_vms
    assert find("clock-skew.yaml", SCENARIOS) == for_vms


def test_what_only_vms_can_run_is_among_the_files_where_it_is_asked_for():
    everywhere = files_in(SCENARIOS, for_vms=False)
    assert everywhere
    assert not [file for file in everywhere if file.parent != SCENARIOS]
    assert [file.stem for file in files_in(SCENARIOS) if file not in everywhere] == ["clock-skew"]


@pytest.mark.parametrize("path", files_in(SCENARIOS), ids=lambda path: path.stem)
def test_what_changes_a_kernel_is_where_only_vms_take_it_up(path):
    phases = load_all(path)[0].scenario.phases
    changes_kernel = any(change.needs_own_kernel for phase in phases for change in phase.change)
    assert changes_kernel is (path.parent.name == "vms")


def test_a_scenario_that_is_not_there_is_answered_with_the_nearest_names(tmp_path):
    for name in ("konnectivity-off", "konnectivity-on", "metrics-server-missing"):
        (tmp_path / f"{name}.yaml").touch()
    with pytest.raises(ScenarioNotFoundError) as caught:
        find("konectivity-of", tmp_path)
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.text() == (
        "Looking for a scenario: there is no `konectivity-of`\n"
        "  -> did you mean konnectivity-off or konnectivity-on?"
    )


@pytest.mark.parametrize("name", ["zzz", "", "a\0b", "x" * 5000])
def test_a_name_like_no_other_is_answered_with_all_names(name):
    with pytest.raises(ScenarioNotFoundError) as caught:
        find(name, SCENARIOS)
    assert caught.value.remedy is not None


def test_a_folder_without_scenarios_says_so(tmp_path):
    with pytest.raises(ScenarioNotFoundError, match="there is no `x`") as caught:
        find("x", tmp_path)
    assert caught.value.remedy == (
        f"there are no scenario files in {tmp_path}; name one by its path"
    )
