"""What is missing, or broken besides, never makes the diagnosis sure of something else."""

from __future__ import annotations

import itertools

import pytest

from harness.diagnose.causes import KINDS
from harness.diagnose.judge import diagnose
from harness.diagnose.model import Confidence, HopId
from harness.vocabulary.words import Cause
from tests.unit.diagnose import pasted
from tests.unit.fuzz import some
from tests.unit.paths import RECORDINGS
from tests.unit.recorded import diagnosed, id_of, readings

RECORDED = sorted((RECORDINGS / "diagnosis").glob("*/*.jsonl"))
OTHERS = [
    *sorted((RECORDINGS / "mended").glob("*.jsonl")),
    *sorted((RECORDINGS / "konnectivity-faults").glob("*.jsonl")),
    *(RECORDINGS / "konnectivity-off" / f"{name}.jsonl" for name in ("broken", "repaired")),
]
# Looks that older recordings do not have: without all of one kind it is as it was then.
NEWER = {
    *("kernel", "etcd_health", "node_leases", "service_rules", "pod_metrics", "node_pods"),
    "pod_after",
}
# Where the API server does not answer, or all is well, nothing else is there to be pasted onto.
ALONE = {Cause.APISERVER_UNREACHABLE, Cause.HEALTHY, Cause.SETTLING}
# To these the Service, its pod or the route to it has to be there.
OF_THE_WAY = {
    *(HopId.EGRESS, HopId.TUNNEL, HopId.ROUTE, HopId.DIAL, HopId.PATH, HopId.LARGE),
    *(HopId.ALIVE, HopId.SCRAPING),
}
OF_PODS = {kind.cause for kind in KINDS if kind.backend_down}
EXPLAINS = {kind.cause: {kind.cause, *kind.explains} for kind in KINDS}


every_recording = pytest.mark.parametrize("path", [*RECORDED, *OTHERS], ids=id_of)


def is_no_other_cause(found, whole):
    return found.cause in {whole.cause, Cause.UNKNOWN} or found.confidence is Confidence.LOW


@every_recording
def test_without_a_machine_no_other_cause_is_sure(path):
    walk = readings(path)
    whole = diagnosed(path)
    for machine in {each.where for each in walk}:
        found = diagnose(each for each in walk if each.where != machine)
        assert is_no_other_cause(found, whole), f"without {machine}: {found.cause}"


@pytest.mark.fuzz
@every_recording
def test_without_a_reading_no_other_cause_is_sure(path):
    walk = readings(path)
    whole = diagnosed(path)
    asked = ((each.probe, each.where) for each in walk)
    looks = [each for each in dict.fromkeys(asked) if not each[0].startswith("pod_after:")]
    for look in some(looks, 5, [*RECORDED, *OTHERS].index(path)):
        found = diagnose(each for each in walk if (each.probe, each.where) != look)
        assert is_no_other_cause(found, whole), f"without {look}: {found.cause}"
        less = whole.confidence is Confidence.HIGH or found.confidence is Confidence.LOW
        assert less, f"surer without {look}"


@every_recording
def test_without_a_kind_of_look_no_other_cause_is_sure(path):
    walk = readings(path)
    whole = diagnosed(path)
    for kind in {each.probe.partition(":")[0] for each in walk} - NEWER:
        found = diagnose(each for each in walk if each.probe.partition(":")[0] != kind)
        assert is_no_other_cause(found, whole), f"without every {kind}: {found.cause}"


PAIRS = [
    (one, other)
    for one, other in itertools.permutations(RECORDED, 2)
    if one.parent != other.parent and not {one.parent.name, other.parent.name} & ALONE
]


@pytest.mark.fuzz
@pytest.mark.parametrize("one", sorted({one for one, _ in PAIRS}), ids=id_of)
def test_what_is_broken_besides_is_named_or_hidden_and_nothing_else_is(one):
    others = [other for each, other in PAIRS if each == one]
    for other in some(others, 4, RECORDED.index(one)):
        walk = pasted.pasted(one, other)
        if walk is None:
            continue
        found = diagnose(walk)
        said = f"with {id_of(other)}: {found.cause} ({found.confidence}), also {found.also}"
        causes = {pasted.told(one).cause, pasted.told(other).cause}
        if found.cause == Cause.UNKNOWN or found.confidence is Confidence.LOW:
            continue
        assert found.cause in causes, said
        named = {found.cause, *found.also}
        unnamed = causes - set().union(*(EXPLAINS[each] for each in named))
        # A pod that is not there cannot crash as well: one cause of a pod hides the others.
        no_pod = bool(named & OF_PODS)
        hidden = all(
            pasted.RESTS_ON.get(each, OF_THE_WAY) & OF_THE_WAY or (no_pod and each in OF_PODS)
            for each in unnamed
        )
        assert hidden, said
