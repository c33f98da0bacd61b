"""Every recorded cause is named again from its readings, and from all but one of them.

`tests/recordings/diagnosis/CAUSE/N.jsonl` is one walk up the ladder each, as `k0s-harness diagnose
--save` wrote it while the cause stood on a real cluster.
"""

from __future__ import annotations

import json

import jsonschema
import pytest

from harness.diagnose.causes import KINDS
from harness.diagnose.judge import diagnose
from harness.diagnose.model import Confidence, HopId
from harness.report import diagnosis as report
from harness.vocabulary.words import Cause
from tests.unit.fuzz import some
from tests.unit.paths import PROJECT, RECORDINGS
from tests.unit.recorded import diagnosed, id_of, readings, redacted

# What a cause is a case of: without the look that tells it, that is still so.
CASE_OF = {Cause.POD_NOT_STARTED: Cause.METRICS_SERVER_NOT_READY}
FOLDER = RECORDINGS / "diagnosis"
SCHEMA = PROJECT / "schema/diagnosis.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
# Where each cause breaks the way first, of the hops that its recordings can show.
FIRST_BROKEN = {
    Cause.HEALTHY: {None},
    Cause.SETTLING: {
        HopId.NODES,
        HopId.BACKEND,
        HopId.ALIVE,
        HopId.SCRAPING,
        HopId.SERVICE,
        HopId.TUNNEL,
        HopId.MESH,
        HopId.CONDITION,
        HopId.DATA,
    },
    Cause.APISERVER_UNREACHABLE: {HopId.API_SERVER},
    Cause.NOTHING_CAN_BE_WRITTEN: {HopId.API_SERVER, HopId.NODES},
    Cause.PACKETS_NOT_FORWARDED: {HopId.NODES},
    Cause.CONNECTION_TABLE_FULL: {HopId.NODES},
    Cause.NODE_NOT_READY: {HopId.NODES},
    Cause.NODE_ADDRESSES_WRONG: {HopId.NODES},
    Cause.NETWORKS_OVERLAP: {HopId.NODES},
    Cause.CLOCK_SKEW: {HopId.NODES},
    Cause.METRICS_SERVER_MISSING: {HopId.BACKEND},
    Cause.APISERVICE_LEADS_NOWHERE: {HopId.ALIVE, HopId.SERVICE},
    Cause.CONTROLLERS_STOPPED: {HopId.BACKEND},
    Cause.PODS_NOT_ADMITTED: {HopId.BACKEND},
    Cause.POD_NOT_SCHEDULED: {HopId.BACKEND},
    Cause.POD_NOT_STARTED: {HopId.BACKEND},
    Cause.METRICS_SERVER_FORBIDDEN: {HopId.BACKEND, HopId.ALIVE},
    Cause.APISERVER_UNREACHABLE_FROM_PODS: {HopId.BACKEND, HopId.ALIVE},
    Cause.CERTIFICATE_NOT_TRUSTED: {HopId.DATA},
    Cause.IMAGE_MISSING: {HopId.BACKEND},
    Cause.APISERVICE_MISSING: {HopId.CONDITION},
    Cause.KUBELETS_REFUSE_METRICS_SERVER: {HopId.SCRAPING},
    Cause.KUBELET_CERTIFICATE_NOT_TRUSTED: {HopId.SCRAPING},
    Cause.NODE_NAMES_NOT_RESOLVED: {HopId.SCRAPING},
    Cause.KUBELET_UNREACHABLE_FROM_PODS: {HopId.SCRAPING},
    Cause.KUBELET_CERTIFICATES_NOT_APPROVED: {HopId.SCRAPING},
    Cause.NODE_NOT_SCRAPED: {HopId.SCRAPING, HopId.DATA},
    Cause.PODS_WITHOUT_FIGURES: {HopId.DATA},
    Cause.POD_UNREACHABLE_FROM_OWN_NODE: {HopId.ALIVE},
    Cause.CLUSTER_IP_NOT_TRANSLATED: {HopId.DIAL, HopId.PATH},
    Cause.METRICS_SERVER_NOT_READY: {
        HopId.BACKEND,
        HopId.ALIVE,
        HopId.SERVICE,
    },
    Cause.PROXY_IN_ENVIRONMENT: {HopId.EGRESS},
    Cause.TUNNEL_DOWN: {HopId.TUNNEL},
    Cause.CONTROLLERS_DIFFER: {HopId.MESH},
    Cause.AGENTS_TURNED_AWAY: {HopId.SCRAPING, HopId.TUNNEL},
    Cause.AGENTS_REACH_TOO_FEW_SERVERS: {HopId.TUNNEL, HopId.MESH},
    Cause.AGENTS_CANNOT_CONNECT: {HopId.BACKEND, HopId.TUNNEL},
    Cause.AGENT_MISSING: {HopId.TUNNEL},
    Cause.NO_ROUTE_TO_SERVICE_NETWORK: {HopId.ROUTE},
    Cause.NO_ROUTE_TO_POD_NETWORK: {HopId.ROUTE},
    Cause.WAY_TO_SERVICE_BLOCKED: {HopId.DIAL, HopId.PATH},
    Cause.CROSS_NODE_TRAFFIC_CUT: {HopId.SCRAPING, HopId.DIAL, HopId.PATH},
    Cause.LARGE_PACKETS_LOST: {HopId.SCRAPING, HopId.LARGE},
}
RECORDED = sorted(FOLDER.glob("*/*.jsonl"))


every_case = pytest.mark.parametrize("path", RECORDED, ids=id_of)


@every_case
def test_the_cause_is_named_with_its_first_broken_hop(path):
    found = diagnosed(path)
    assert found.cause == path.parent.name
    broken = found.broken.id if found.broken is not None else None
    assert broken in FIRST_BROKEN[found.cause]
    assert found.also == ()
    assert found.confidence is Confidence.HIGH, found.not_seen


@pytest.mark.fuzz
@every_case
def test_any_single_missing_reading_gives_the_same_cause_or_none(path):
    walk = readings(path)
    whole = diagnosed(path)
    # Of each recording others: each look is missing in some of them, and all where it is asked for.
    for missing in some(walk, 5, RECORDED.index(path)):
        found = diagnose(each for each in walk if each is not missing)
        said = f"without {missing.probe} on {missing.where}: {found.cause}, {found.not_seen}"
        assert found.cause in {whole.cause, CASE_OF.get(whole.cause), Cause.UNKNOWN}, said
        if found.cause is not whole.cause:
            assert found.confidence is Confidence.LOW, said


@every_case
def test_a_machine_of_which_nothing_is_seen_never_gives_another_cause_with_confidence(path):
    walk = readings(path)
    whole = diagnosed(path)
    for machine in {each.where for each in walk} - {"api"}:
        found = diagnose(each for each in walk if each.where != machine)
        known = found.cause in {whole.cause, Cause.UNKNOWN}
        assert known or found.confidence is Confidence.LOW, f"without {machine}: {found.cause}"


@every_case
def test_what_is_printed_is_short_first_and_keeps_to_its_schema(path):
    found = diagnosed(path)
    lines = report.head(found)
    assert len(lines) <= 12
    assert lines[0].startswith(f"cause: {found.cause} (")
    assert any(line.startswith("check again: ") for line in lines)
    assert [error.message for error in VALIDATOR.iter_errors(report.document(found))] == []


@pytest.mark.fuzz
@every_case
def test_a_recording_holds_nothing_that_redaction_would_take_out(path):
    for reading in some(readings(path), 4, RECORDED.index(path)):
        assert redacted(reading) == reading


def test_every_cause_that_a_rule_can_name_has_its_hop_in_the_table():
    assert {rule.cause for rule in KINDS} == set(FIRST_BROKEN) == set(Cause) - {Cause.UNKNOWN}


def test_the_schema_file_is_the_models():
    assert SCHEMA.read_text() == report.schema_text()
