"""A probe is one module and one line of the registry; everything else follows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.diagnose import ladder
from harness.diagnose.facts import facts_from
from harness.evidence.reading import Reading
from harness.probe import machines, registry
from harness.probe.core import ApiProbe, Asked, MachineProbe, TargetProbe, require_json


def parse(reading: Reading) -> tuple[str, ...]:
    """Return the names of a machine's interfaces."""
    return tuple(each["ifname"] for each in require_json(reading))


INTERFACES = MachineProbe("interfaces", ("ip", "-json", "-4", "link"), parse, Asked.WORKERS)


@pytest.fixture
def made_up():
    registry.PROBES.append(INTERFACES)
    yield
    registry.PROBES.remove(INTERFACES)


def test_no_two_probes_have_one_name():
    names = [probe.name for probe in registry.PROBES]
    assert len(names) == len(set(names))


def test_a_registered_probe_is_asked_of_the_machines_that_it_names(made_up):
    looks = ladder.first_probes(["controller0"], ["worker0", "worker1"], in_lab=False)
    asked = [look.where for look in looks if look.name == INTERFACES.name]
    assert asked == ["worker0", "worker1"]


def test_its_readings_become_facts_of_its_type(made_up, recording):
    taken = recording("diagnosis/tunnel-down/1")
    as_ours = [
        replace(each, probe=INTERFACES.name)
        for each in taken
        if each.probe == machines.ADDRESSES.name and each.where != "controller0"
    ]
    facts = facts_from([*taken, *as_ours])
    assert set(facts.on(INTERFACES)) == {"worker0", "worker1"}
    assert "eth0" in facts.on(INTERFACES)["worker0"]
    assert "worker0" in facts.workers


def test_a_probe_that_is_not_registered_is_passed_over(recording):
    taken = [replace(each, probe="interfaces") for each in recording("diagnosis/tunnel-down/1")]
    assert not facts_from(taken).readings


@pytest.mark.parametrize("in_lab", [True, False])
def test_the_lab_s_own_counters_are_read_in_a_lab_only(in_lab):
    looks = ladder.first_probes(["controller0"], ["worker0"], in_lab=in_lab)
    assert any(look.name == "isolation" for look in looks) is in_lab


def test_every_probe_of_the_api_and_of_machines_is_asked_once(recording):
    looks = ladder.first_probes(["both"], ["both"], in_lab=True)
    first = [each for each in registry.PROBES if not isinstance(each, TargetProbe)]
    assert sorted(look.name for look in looks) == sorted(each.name for each in first)
    assert all(
        (look.where == "api") is isinstance(probe, ApiProbe)
        for look in looks
        for probe in first
        if probe.name == look.name
    )
