"""Any scenario and any k0sctl.yaml, wrong types everywhere: an answer or sentences, and no harm.

`K0S_HARNESS_FUZZ=5000 pytest tests/unit/scenario` tries that many of each kind.
"""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.artifacts.pins import load_pins
from harness.base.errors import UsageError
from harness.cluster.existing import ExistingHost, read_cluster
from harness.cluster.k0sctl_checks import CONTROLS, WORKS
from harness.plan.build import build
from harness.plan.conflicts import conflicts
from harness.plan.show import describe
from harness.providers.registry import provider
from harness.scenario.document import read
from harness.scenario.load import LoadedScenario, files_in, load_all_text
from harness.scenario.mistakes import ScenarioError
from harness.scenario.schema import schema_text
from tests.unit.fuzz import examples
from tests.unit.paths import PROJECT

TRIED = settings(
    max_examples=examples(12),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
SUBNET = IPv4Network("192.168.56.0/24")


class Raw(str):
    """YAML as it is to stand in the text."""

    __slots__ = ()


# What stands where a word, a number, a list or a mapping is meant.
LEAVES = [
    Raw(text)
    for text in (
        *("", "~", "null", "yes", "off", "''", "[]", "{}", "[x]", "{a: b}", "[[x], {a: [b]}]"),
        *("0", "-1", "0b", "0o17", "0x1F", "010", "1_0", "1e999", ".nan", "-.inf", "22.0", "65536"),
        *("9" * 5000, "1." + "9" * 400, "12:30", "2001-13-45", "2001-12-14t21:59:43.10-05:00"),
        *("!!int ''", "!!float 'x'", "!!binary 'x'", "!!set {a}", "!x y", "!!timestamp 'x'"),
        "!!python/object/apply:os.system ['touch MARKED']",
        *("*a", "&a [*a]", "&a x", "{<<: {a: b}}", "{<<: 1}", "{a: 1, a: 2}", "{[a]: b}", "{? }"),
        *(r'"\e[31m"', r'"\u202Ex"', r'"\x9b1m"', r'"a\0b"', r'"\ud800"', r'"a\nb"', '"é ü"'),
        *('"-oProxyCommand=touch MARKED"', '"- "', '"a b"', '"x@y"', '"$(touch MARKED)"'),
        *('"`touch MARKED`"', '";touch MARKED"', '"a\'b"', r'"a\\"', '"%h%p"', '"${x}"', '"$HOME"'),
        *("~nobody/x", "~/x", "../../x", "/", '"/a b"', '"a,b"', "'::1%eth0'", "'[::1]'"),
    )
]
ANY = st.one_of(
    st.sampled_from(LEAVES),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=4,
    ),
)


def written(value: Any) -> str:
    """The value as YAML in flow style, `Raw` as it is."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is good, and anything now and then: a file has twenty values, and is to have hosts."""
    return st.integers(0, 24).flatmap(lambda chance: good if chance else ANY)


# ---- scenarios

SCHEMA = json.loads(schema_text())
VALID = [read(path.read_text("utf-8")).data for path in files_in(PROJECT / "scenarios")]
WORDS = st.sampled_from(
    [
        *("a", "controller", "controller0", "worker0", "workers", "pods-on-worker1", "10.0.0.0/8"),
        *("10s", "1h", "eth0", "eth1", "k0s >= 1.35.1", "v1.35.1+k0s.0", "calico", "${x}"),
    ]
)


def of_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values in the schema's own words; anything at all stands in for one of them now and then."""
    return mostly(_in_words(schema))


def _in_words(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    made: st.SearchStrategy[Any] = ANY
    if "$ref" in schema:
        made = _in_words(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    elif "oneOf" in schema or "anyOf" in schema:
        made = st.one_of([of_schema(each) for each in schema.get("oneOf", schema.get("anyOf"))])
    elif "enum" in schema or "const" in schema:
        made = st.sampled_from(schema.get("enum", [schema.get("const")]))
    elif schema.get("type") == "object":
        fields = {key: of_schema(each) for key, each in schema.get("properties", {}).items()}
        needed = {key: fields.pop(key) for key in schema.get("required", ())}
        made = st.fixed_dictionaries(needed, optional=fields)
    elif schema.get("type") == "array":
        made = st.lists(of_schema(schema.get("items", {})), min_size=1, max_size=3)
    elif schema.get("type") in BY_TYPE:
        made = BY_TYPE[schema["type"]]
    return made


BY_TYPE = {"integer": st.integers(0, 70_000), "boolean": st.booleans(), "string": WORDS}


def places_in(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    return [path, *(each for key, child in inner for each in places_in(child, (*path, key)))]


PLACES = [(number, path) for number, data in enumerate(VALID) for path in places_in(data) if path]
PARTS = [part for data in VALID for part in data.values()]


def with_another(value: Any, path: tuple[str | int, ...], other: Any) -> Any:
    """A copy of the value, `other` in the place of what is at `path`."""
    if not path:
        return other
    copied = value.copy()
    copied[path[0]] = with_another(value[path[0]], path[1:], other)
    return copied


@st.composite
def changed_scenarios(draw: st.DrawFn) -> Any:
    """A scenario of ours with one to three of its values replaced, or with one more key."""
    number, path = draw(st.sampled_from(PLACES))
    changed = with_another(VALID[number], path, draw(ANY | st.sampled_from(PARTS)))
    for _ in range(draw(st.integers(0, 2))):
        places = [each for each in places_in(changed) if each]
        changed = with_another(changed, draw(st.sampled_from(places)), draw(ANY))
    return changed


def answer_to(text: str) -> tuple[LoadedScenario, ...]:
    """What the loader says of the text: variants, or none for one with sentences."""
    try:
        return load_all_text(text, "s.yaml")
    except ScenarioError as error:
        sentences = error.text().splitlines()
    assert len(sentences) >= 3
    for line in sentences[:-2]:
        assert re.match(r"s\.yaml:\d+:\d+: \S|… and ", line), line
        assert line.isprintable(), line
    return ()


def plan_is_an_answer(loaded: LoadedScenario) -> None:
    """The verbs `plan` and `validate` go on with what the loader let through."""
    try:
        plan = build(
            loaded, subnet=SUBNET, provider=provider("libvirt"), pins=load_pins(), arch="amd64"
        )
    except ScenarioError:
        return
    assert describe(plan)
    found = conflicts(loaded, private=SUBNET, nat=[SUBNET], host=[IPv4Network("10.0.0.0/8")])
    assert all(each.line >= 1 for each in found)


def test_the_scenarios_that_are_changed_are_answered_as_they_stand():
    for data in VALID:
        assert answer_to(written(data)), data["name"]


@TRIED
@given(changed_scenarios())
def test_a_scenario_with_anything_in_it_is_loaded_or_answered_with_its_mistakes(data):
    for loaded in answer_to(written(data)):
        plan_is_an_answer(loaded)


@TRIED
@given(of_schema(SCHEMA))
def test_a_scenario_in_the_words_of_the_schema_is_loaded_or_answered_with_its_mistakes(data):
    for loaded in answer_to(written(data)):
        plan_is_an_answer(loaded)


# What k0s itself is told stands in a scenario as it is: every leaf of it, with everything.
K0S_LEAVES = (
    *("podCIDR", "serviceCIDR", "provider", "calico", "kuberouter", "clusterDomain"),
    *("agentPort", "adminPort", "port", "k0sApiPort", "address", "sans"),
)


@TRIED
@given(
    st.dictionaries(
        st.sampled_from(["api", "network", "konnectivity", "telemetry", "storage"]),
        ANY | st.dictionaries(st.sampled_from(K0S_LEAVES), ANY),
    )
)
def test_a_plan_is_made_or_refused_whatever_k0s_is_told(spec):
    data = {**VALID[0], "cluster": {"k0s": {"spec": spec}}}
    for loaded in answer_to(written(data)):
        plan_is_an_answer(loaded)


# ---- k0sctl.yaml

HOSTS = ("10.0.0.1", "node-1.example.org", "::1", "fe80::1%eth0", "a_b")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhuX4Vxdp3tzGkN2O2eXvXDxo1uEcrZxIYiN6eTuSJc"


def one_of(*good: Any) -> st.SearchStrategy[Any]:
    return mostly(st.sampled_from(good))


SSH = {
    "user": one_of("ops", "root", "a.b-c"),
    "port": one_of(22, 2222, 65535),
    "keyPath": one_of("/k", "~/k", "/b k", "key"),
    "hostKey": one_of(KEY),
}
WAY = st.deferred(
    lambda: st.fixed_dictionaries(
        {"address": one_of(*HOSTS)},
        optional={**SSH, "bastion": mostly(WAY)},
    )
)
OPTIONS = st.dictionaries(
    st.sampled_from(
        [
            *("ProxyCommand", "proxycommand", "ProxyJump", "HostName", "User", "Port", "Ciphers"),
            *("StrictHostKeyChecking", "ControlPath", "UserKnownHostsFile", "IdentityFile"),
            *("PKCS11Provider", "X=ProxyCommand", "X ProxyCommand", "-x", "", "Match", "Include"),
        ]
    ),
    one_of("yes", "ops", "a.example", "22", "/k", "-ssh-rsa", "touch MARKED"),
    max_size=2,
)
OPENSSH = st.fixed_dictionaries(
    {"address": one_of(*HOSTS)},
    optional={
        **{key: SSH[key] for key in ("user", "port", "keyPath")},
        "configPath": one_of("/c", "~/.ssh/config"),
        "options": mostly(OPTIONS),
    },
)
ROLE = one_of("controller", "worker", "single", "controller+worker")
OF_HOST = {"dataDir": one_of("/srv/k0s"), "k0sInstallPath": one_of("/opt/k0s"), "other": ANY}
HOST = st.one_of(
    st.fixed_dictionaries({"role": ROLE, "ssh": mostly(WAY)}, optional=OF_HOST),
    st.fixed_dictionaries({"role": ROLE, "openSSH": mostly(OPENSSH)}, optional=OF_HOST),
    st.fixed_dictionaries({"role": ROLE}, optional={"ssh": ANY, "openSSH": ANY}),
)
K0SCTL = st.fixed_dictionaries(
    {
        "apiVersion": one_of("k0sctl.k0sproject.io/v1beta1"),
        "kind": one_of("Cluster"),
        "spec": st.fixed_dictionaries({"hosts": mostly(st.lists(HOST, min_size=1, max_size=2))}),
    },
    optional={"metadata": ANY},
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "k0sctl.yaml"


def is_harmless(ssh: tuple[str, ...]) -> None:
    """Option words are ours, each has its value, and what is no option is the destination."""
    *options, destination = ssh
    for word, value in zip(options[::2], options[1::2], strict=True):
        assert word in {"-o", "-F", "-p", "-i"}, ssh
        assert not value.startswith("-"), ssh
        assert value.isprintable(), ssh
        if word == "-o":
            assert re.match(r"[A-Za-z0-9]+=.", value), ssh
    assert re.fullmatch(r"(?:[\w.+-]+@)?[A-Za-z0-9_:][\w.:%-]*", destination, re.ASCII), ssh


@TRIED
@given(K0SCTL)
def test_a_k0sctl_yaml_with_anything_in_it_gives_harmless_arguments_or_one_sentence(file, data):
    file.write_bytes(written(data).encode(errors="surrogatepass"))
    found: tuple[ExistingHost, ...] = ()
    try:
        found = read_cluster(file, {"HOME": "/h"}, agree=lambda _: None).hosts
    except UsageError as error:
        first, *rest = error.text().splitlines()
    else:
        first, rest = f"{file}: {len(found)} hosts", []
    assert re.match(rf"(?:Reading )?{re.escape(str(file))}(?::\d+:\d+)?: \S", first), first
    assert all(line.isprintable() for line in (first, *rest)), rest
    for host in found:
        is_harmless(host.ssh)
        assert host.role in CONTROLS | WORKS
        assert "/" not in host.name
        assert host.name not in {".", ".."}
        for remote in (host.k0s, host.data_dir):
            assert remote.isprintable()
            assert remote.startswith("/") or not remote


@TRIED
@given(st.text(alphabet="&*[]{}:,-? \n<|>a0'\"%!#\t$\\") | st.binary())
def test_any_text_in_the_place_of_a_k0sctl_yaml_is_one_sentence(file, text):
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError):
        read_cluster(file, {})
