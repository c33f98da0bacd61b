"""A cause of one's own is one value that is registered; scenarios, schemas and reports know it."""

from __future__ import annotations

import json

import jsonschema
import pytest

from harness.base.errors import UsageError
from harness.cli import reference
from harness.diagnose.causes import KINDS, register
from harness.diagnose.causes.kind import CauseKind
from harness.diagnose.judge import diagnose
from harness.diagnose.model import HopId
from harness.probe import machines
from harness.report import diagnosis as report
from harness.scenario.load import load_text
from harness.scenario.schema import json_schema
from harness.vocabulary.words import CAUSES, Cause

SCENARIO = (
    "format: k0s-harness/1\nname: x\ntitle: X\ncluster: {}\n"
    "phases: [{name: p, expect: [{diagnosis: {cause: old-release}}]}]\n"
)
OLD = CauseKind(
    "old-release",
    "k0s is of an old release",
    lambda facts, _: any(
        each.startswith("v1.32.") for each in facts.on(machines.K0S_VERSION).values()
    ),
    (HopId.API_SERVER,),
    remedy=lambda facts: f"upgrade k0s on {facts.controller}",
)


@pytest.fixture
def old_release():
    register(OLD)
    yield OLD.cause
    KINDS.remove(OLD)
    CAUSES.remove(OLD.cause)


def test_a_registered_cause_is_named_with_its_proof_and_its_remedy(old_release, recording):
    found = diagnose(recording("diagnosis/healthy/1"))
    assert found.cause == old_release
    assert found.remedies == ("upgrade k0s on controller0",)
    assert "k0s v1.32." in found.facts[0]
    assert report.render(found).startswith("cause: old-release (high confidence)")


def test_a_cause_that_is_asked_before_it_comes_first(old_release, recording):
    assert diagnose(recording("diagnosis/clock-skew/1")).cause == Cause.CLOCK_SKEW


def test_its_word_is_one_of_a_scenario_s(old_release):
    (wanted,) = load_text(SCENARIO, "s.yaml").scenario.phases[0].expect
    assert wanted.cause == old_release
    assert '"old-release"' in json.dumps(json_schema())


def test_without_it_the_word_is_a_mistake():
    with pytest.raises(UsageError) as caught:
        load_text(SCENARIO, "s.yaml")
    assert "unknown cause `old-release`" in caught.value.text()


def test_documents_with_it_are_as_their_schema_says(old_release, recording):
    document = report.document(diagnose(recording("diagnosis/healthy/1")))
    jsonschema.validate(document, report.json_schema())


@pytest.mark.parametrize(("cause", "before"), [("settling", "healthy"), ("mine", "no-such-cause")])
def test_a_word_that_is_taken_or_a_place_that_is_none_is_refused(cause, before):
    with pytest.raises(ValueError, match=r"there is a cause|not in list"):
        register(CauseKind(cause, "", OLD.shown, ()), before=before)
    assert [kind.cause for kind in KINDS] == CAUSES[:-1]


def test_the_reference_lists_it(old_release):
    assert "| `old-release` | k0s is of an old release |" in reference.causes()
