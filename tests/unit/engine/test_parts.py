"""Scenarios over several hosts: every one in one part, and the parts as even as can be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.base.errors import HostLacksError, InconclusiveError, UsageError
from harness.base.settings import Settings, Shard
from harness.engine.outcome import outcome_of
from harness.engine.parts import NotStarted, Planned, part_of, split
from harness.engine.session import group_key, plan_of
from harness.scenario.load import files_in, load_all
from tests.unit.paths import SCENARIOS

GROUPS = st.lists(st.floats(0, 1e5), max_size=40)
CATALOGUE = [each for path in files_in(SCENARIOS, for_vms=False) for each in load_all(path)]


QUICK = settings(max_examples=200, deadline=None, database=None, derandomize=True)
FEW = settings(QUICK, max_examples=10)


@QUICK
@given(GROUPS, st.integers(1, 12))
def test_every_group_is_in_one_part_and_the_longest_part_is_near_the_best(groups, count):
    parts = split(groups, count)
    assert len(parts) == count
    assert sorted(place for part in parts for place in part) == list(range(len(groups)))
    loads = [sum(groups[place] for place in part) for part in parts]
    # No split is better than an even one, or than the longest group alone.
    at_best = max([sum(groups) / count, *groups])
    assert max(loads) <= (at_best + max(groups, default=0)) * (1 + 1e-9)
    for load, part in zip(loads, parts, strict=True):
        # Without its last group no part was longer than any other is in the end.
        assert not part or load - groups[part[-1]] <= min(loads) + 1e-6


@FEW
@given(
    st.integers(1, 9),
    st.booleans(),
    st.dictionaries(
        st.sampled_from([each.scenario.name for each in CATALOGUE]), st.floats(0, 5000)
    ),
    st.randoms(),
)
def test_all_hosts_agree_however_the_scenarios_are_named_to_them(count, fresh, seconds, random):
    chosen = Settings.from_environment({"FRESH": f"{fresh:d}"})
    taken = []
    for number in range(1, count + 1):
        named = random.sample(CATALOGUE, len(CATALOGUE))
        part = part_of(named, Shard(number, count), chosen, seconds)
        assert {*map(name, part.taken)} ^ {*map(name, part.left)} == {*map(name, CATALOGUE)}
        taken.append({*map(name, part.taken)})
    assert sum(map(len, taken)) == len(CATALOGUE)


def name(loaded):
    return loaded.scenario.name


def test_scenarios_that_may_share_machines_stay_together():
    chosen = Settings.from_environment({})
    groups = [
        {group_key(plan_of(each, chosen), chosen) for each in part.taken}
        for part in (part_of(CATALOGUE, Shard(number, 3), chosen, {}) for number in (1, 2, 3))
    ]
    assert not groups[0] & groups[1] | groups[1] & groups[2] | groups[0] & groups[2]


@pytest.mark.parametrize("kind", [HostLacksError, UsageError, InconclusiveError])
def test_why_a_scenario_has_no_run_counts_elsewhere_as_it_did_here(tmp_path, kind):
    error = kind("Choosing", "no docker, password=hunter2hunter2", remedy="get it")
    (tmp_path / "planned.json").write_text(
        Planned(("a", "b"), {"a": NotStarted.of(error)}).to_json()
    )
    read = Planned.read(tmp_path / "planned.json")
    assert read.scenarios == ("a", "b")
    told = read.not_started["a"].error
    assert outcome_of((), told).exit_code == outcome_of((), error).exit_code
    assert "no docker" in told.text()
    assert "hunter2" not in told.text()
