"""A kind of change or of expectation is one module and one registration: all else knows it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from ipaddress import IPv4Network
from typing import Any, ClassVar

import jsonschema
import pytest

from harness.artifacts.pins import load_pins
from harness.changes import CHANGES
from harness.changes.action import Action, Before, Check, Command
from harness.changes.addresses import Addresses, machines
from harness.changes.kind import DirectChange, OnMachine, Undo
from harness.cli import reference
from harness.evidence.reading import Reading
from harness.expectations import EXPECTATIONS
from harness.expectations.kind import Seen, Streamed
from harness.expectations.sample import Match
from harness.plan.build import build
from harness.plan.show import describe
from harness.probe.core import Probe, observe, require_success
from harness.providers.registry import provider
from harness.scenario.load import load_text
from harness.scenario.mistakes import ScenarioError
from harness.scenario.schema import json_schema
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.part import Found
from tests.unit.paths import PROJECT

PAGE = (PROJECT / "docs/reference.md").read_text("utf-8")


def hostname_probe(machine: str) -> Probe[str]:
    return Probe("hostname", machine, ("hostname",), lambda each: require_success(each).strip())


class Hostname(OnMachine, DirectChange):
    """Give a machine another name."""

    kind: ClassVar[str] = "hostname"
    undo: ClassVar[Undo] = "none"
    body: ClassVar[str] = "{machine: MACHINE, to: NAME}"
    does: ClassVar[str] = "gives a machine another name"

    to: str
    """The name."""

    def describe(self) -> str:
        return f"call {self.machine} {self.to}"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return (*super().rules(around), self._is_new(around))

    def _is_new(self, around: Surroundings) -> Found:
        if self.to in around.cluster.machine_names:
            yield ("to",), f"there is a `{self.to}` already"

    def action(self, addresses: Addresses, before: Before) -> Action:
        def wrong(name: str) -> str | None:
            return None if name == self.to else f"it is {name}"

        where = machines(self.machine, addresses)
        return Action(
            self.describe(),
            do=tuple(Command(each, ("hostname", self.to)) for each in where),
            undo=(),
            check=tuple(Check("the name is new", hostname_probe(each), wrong) for each in where),
        )


class Kernel(Streamed):
    """The kernel of a machine."""

    kind: ClassVar[str] = "kernel"
    notes: ClassVar[Mapping[str, str]] = {"release": "how it begins"}

    machine: str
    """Name of the machine."""

    release: str
    """How its release begins."""

    def describe(self) -> str:
        return f"kernel of {self.machine}: {self.release}"

    def probe(self) -> Probe[str]:
        return Probe("kernel", self.machine, ("uname", "-r"), require_success)

    def judge(self, value: str, nodes: tuple[str, ...]) -> Seen:
        return Seen(value.startswith(self.release), value, value)


@pytest.fixture(autouse=True)
def registered():
    with ExitStack() as registrations:
        registrations.enter_context(CHANGES.added(Hostname))
        registrations.enter_context(EXPECTATIONS.added(Kernel))
        yield registrations


def scenario(change: str, expect: str) -> str:
    return (
        "format: k0s-harness/1\nname: x\ntitle: X\nphases:\n"
        f"- name: p\n  change:\n  - hostname: {change}\n  expect:\n  - kernel: {expect}\n"
    )


GOOD = scenario("{machine: worker0, to: other}", '{machine: worker0, release: "6.1"}')


def mistakes_in(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_text(text, "s.yaml")
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_scenario_may_use_them():
    (phase,) = load_text(GOOD, "s.yaml").scenario.phases
    assert phase.change == (Hostname(machine="worker0", to="other"),)
    assert phase.expect == (Kernel(machine="worker0", release="6.1"),)


def test_their_mistakes_are_sentences_with_their_place_all_at_once():
    text = scenario("{machine: worker7, to: worker1}", "{machin: worker0, release: 6}")
    assert mistakes_in(text) == [
        "s.yaml:7:25: there is no machine `worker7`; did you mean `worker1`?",
        "s.yaml:7:38: there is a `worker1` already",
        "s.yaml:9:5: `kernel` lacks `machine`",
        "s.yaml:9:14: unknown key `machin` in `kernel`; did you mean `machine`?",
        (
            "s.yaml:9:40: `release`: write text, not `6`; "
            "in quotes if it is meant to look like a number"
        ),
    ]


def test_a_word_that_is_nearly_theirs_is_told_so():
    assert mistakes_in(GOOD.replace("kernel:", "kernl:")) == [
        "s.yaml:9:5: unknown expectation `kernl`; did you mean `kernel`?"
    ]


def test_a_plan_says_them_in_words():
    planned = build(
        load_text(GOOD, "s.yaml"),
        subnet=IPv4Network("10.9.0.0/24"),
        provider=provider("docker"),
        pins=load_pins(),
        arch="amd64",
    )
    lines = describe(planned).splitlines()
    assert "    change  call worker0 other; undo: none" in lines
    assert "    expect  kernel       kernel of worker0: 6.1; within 2m (line 9)" in lines
    assert planned.leaves_something


def test_the_schema_has_them():
    validator = jsonschema.Draft202012Validator(json_schema())

    def fits(change: Any, expect: Any) -> bool:
        phases = [{"name": "p", "change": [change], "expect": [expect]}]
        head = {"format": "k0s-harness/1", "name": "x", "title": "X"}
        return validator.is_valid({**head, "phases": phases})

    expectation = {"kernel": {"machine": "worker0", "release": "6.1"}}
    assert fits({"hostname": {"machine": "worker0", "to": "other"}}, expectation)
    assert not fits({"hostname": {"machine": "worker0"}}, expectation)


def test_the_reference_has_them():
    new = {*reference.changes(), *reference.expectations()} - set(PAGE.splitlines())
    assert new == {
        "| `{hostname: {machine: MACHINE, to: NAME}}` | gives a machine another name | none |",
        "| `kernel` | `machine`, `release` (how it begins) | 2m | 0s |",
    }


def test_a_reading_is_judged_by_the_expectation_s_own_module():
    # What `uname -r` prints.
    release = os.uname().release
    expectation = Kernel(machine="worker0", release=release[:2])
    probe = expectation.probe()
    reading = Reading(probe.name, probe.where, probe.argv, "", 1.0, 0.5, 0, f"{release}\n", "")
    sample = expectation.sample(observe(probe.parse, reading), ("worker0",))
    assert (sample.match, sample.at) == (Match.MATCH, 1.5)


def test_a_change_is_made_by_its_own_module():
    (phase,) = load_text(GOOD, "s.yaml").scenario.phases
    (change,) = phase.change
    assert isinstance(change, DirectChange)
    action = change.action(Addresses(machines={"worker0": None}, workers=("worker0",)), Before(()))
    assert action.do == (Command("worker0", ("hostname", "other")),)


def test_a_second_kind_of_one_name_is_refused():
    with pytest.raises(ValueError, match="hostname"), CHANGES.added(Hostname):
        pass


def test_afterwards_nobody_knows_them_any_more(registered):
    registered.close()
    assert mistakes_in(GOOD)[0].startswith("s.yaml:7:5: unknown change `hostname`")
