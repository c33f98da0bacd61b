"""What a run's reports say, and that no failure, absence or own build can hide in them.

Texts of conditions are the ones measured on k0s v1.32.3+k0s.0 with the docker provider; names,
durations and verdicts are made up around them.
"""

from __future__ import annotations

import dataclasses
import io
import json
import secrets
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from harness.artifacts.model import ArtifactKind, ArtifactRef
from harness.artifacts.problems import Lack, MissingArtifactsError
from harness.base.errors import InfrastructureError
from harness.base.settings import Settings
from harness.check.model import Verdict
from harness.diagnose.model import Confidence, Diagnosis, Hop, HopId, HopState
from harness.engine import events
from harness.engine.outcome import Outcome
from harness.engine.results import (
    AppliedChange,
    ArtifactUsed,
    ExpectationResult,
    PhaseResult,
    Precondition,
    PreconditionId,
    ScenarioResult,
    SettingUsed,
    Transition,
    settings_used,
)
from harness.report import json_report, junit, nightly, summary
from harness.report.files import write_reports
from harness.report.html import page
from harness.report.terminal import Narrator
from harness.vocabulary.words import Cause
from tests.unit.paths import PROJECT, UNIT

SCHEMA = PROJECT / "schema/report.schema.json"
GOLDEN = UNIT / "golden/summary-konnectivity-off.md"

# Measured on real clusters: the conditions of the APIService, konnectivity off and on.
UNAVAILABLE = (
    "False FailedDiscoveryCheck failing or missing response from "
    "https://10.110.84.73:443/apis/metrics.k8s.io/v1beta1: "
    'Get "https://10.110.84.73:443/apis/metrics.k8s.io/v1beta1": context deadline exceeded'
)
DIALS_ITSELF = "absent: the API server dials by itself"
AVAILABLE = "True Passed all checks passed"
DIAGNOSIS = Diagnosis(
    cause=Cause.NO_ROUTE_TO_SERVICE_NETWORK,
    confidence=Confidence.HIGH,
    hops=(
        Hop(HopId.EGRESS, "egress selector", HopState.HOLDS, DIALS_ITSELF),
        Hop(
            HopId.ROUTE,
            "route to the service network",
            HopState.BROKEN,
            "10.110.84.73 would leave by the default route",
            "ip route get 10.110.84.73",
        ),
        Hop(HopId.DATA, "metrics", HopState.NOT_SEEN, "not looked at"),
    ),
    facts=("konnectivity is off, so the API server dials 10.110.84.73 from the controller",),
    remedies=("turn konnectivity-server on",),
)


def expectation(identifier, verdict=Verdict.MET, **values) -> ExpectationResult:
    given = {
        "kind": identifier,
        "expected_text": f"{identifier} as expected",
        "observed_text": "as seen",
        "explanation": "held for 45s",
        "seconds": 52.0,
    }
    return ExpectationResult(id=identifier, verdict=verdict, **{**given, **values})


BROKEN = PhaseResult(
    name="broken",
    preconditions=(
        Precondition(PreconditionId.NODES_READY, "nodes are Ready", holds=True, text="2 of 2"),
    ),
    verdicts=(
        expectation(
            "apiservice",
            expected_text="v1beta1.metrics.k8s.io unavailable, FailedDiscoveryCheck",
            observed_text=UNAVAILABLE,
            transitions=(Transition(0.4, UNAVAILABLE),),
        ),
        expectation("top_nodes", observed_text="api-not-available"),
    ),
    diagnosis=DIAGNOSIS,
    seconds=61.5,
)
REPAIRED = PhaseResult(
    name="repaired",
    verdicts=(
        expectation(
            "apiservice",
            expected_text="v1beta1.metrics.k8s.io available",
            observed_text=AVAILABLE,
            seconds=51.2,
        ),
        expectation(
            "top_nodes",
            Verdict.NOT_MET,
            expected_text="complete: worker0, worker1",
            observed_text="partial: worker0 (<unknown>: worker1)",
            explanation="not within 120s",
            seconds=120.0,
        ),
    ),
    changes=(AppliedChange("enable konnectivity-server", 12.4),),
    seconds=133.0,
)
RESULT = ScenarioResult(
    run_id="20261123-050000-1a2b",
    scenario="konnectivity-off",
    title="Without konnectivity the metrics API is unavailable, and turning it on repairs it",
    outcome=Outcome.NOT_MET,
    started="2026-11-23T05:00:00+00:00",
    ended="2026-11-23T05:04:41+00:00",
    folder=Path("runs/20261123-050000-1a2b/konnectivity-off"),
    references=("https://github.com/k0sproject/k0s/issues/5781",),
    phases=(BROKEN, REPAIRED),
    substrate="three containers sharing this host's kernel",
    provider="docker",
    provider_reason="no /dev/kvm on this host",
    versions={"k0s": "v1.32.3+k0s.0", "k0sctl": "v0.31.0"},
    artifacts=(
        ArtifactUsed("k0s", "v1.32.3+k0s.0", "k0s", "e065" * 16, "official", "the cache"),
        ArtifactUsed("k0sctl", "v0.31.0", "k0sctl", "ab12" * 16, "own-build", "--own-build"),
    ),
    settings={
        "provider": SettingUsed("docker", "PROVIDER"),
        "keep": SettingUsed("never", "default"),
    },
    timings={"k0sctl apply": 38.0},
    isolation={"machines": "each machine drops and counts what leaves by its NAT interface"},
)


def changed(**values) -> ScenarioResult:
    return dataclasses.replace(RESULT, **values)


# --- summary ----------------------------------------------------------------------------------


def test_the_summary_is_the_one_that_was_agreed_on():
    assert summary.render(RESULT) + "\n" == GOLDEN.read_text()


def test_the_summary_is_short_and_says_first_what_stood_there():
    lines = summary.render(RESULT).splitlines()
    assert lines[0] == (
        "**konnectivity-off: not-met** on three containers sharing this host's kernel"
    )
    assert len(lines) <= 40


def test_an_own_build_and_an_unverified_file_are_named_in_every_report():
    unverified = ArtifactUsed("bundle", "v1.32.3+k0s.0", "b", "cd34" * 16, "unverified", "x")
    result = changed(artifacts=(*RESULT.artifacts, unverified))
    for text in (
        summary.render(result),
        junit.render([], [result]),
        nightly.job_summary([], [result]),
    ):
        assert "built from source, not the official release: k0sctl (sha256 ab12ab12" in text
        assert "of unverified origin: bundle (sha256 cd34cd34" in text
    official = changed(artifacts=RESULT.artifacts[:1])
    assert "official builds" in summary.render(official)
    assert "official builds" not in summary.render(result)


def test_a_run_without_its_release_files_says_on_the_terminal_which_and_what_to_do():
    k0s = ArtifactRef(ArtifactKind.K0S, "v1.32.3+k0s.0", "amd64", "k0s-v1.32.3+k0s.0-amd64")
    kubectl = ArtifactRef(ArtifactKind.KUBECTL, "v1.32.3", "amd64", "kubectl")
    tried = tuple(f"https://example.invalid/{number}: cannot be reached" for number in range(9))
    error = MissingArtifactsError([Lack(k0s, tried), Lack(kubectl, tried)], wanted=4)
    text = summary.render(changed(error=error.text(), phases=()))
    assert "2 of 4 cannot be had; no machine was made: k0s-v1.32.3+k0s.0-amd64, kubectl\n" in text
    assert "more lines of this are in report.json" in text
    assert text.count("cannot be reached") < len(tried)
    for way in (
        "K0S_HARNESS_MIRROR=DIR",
        "artifacts import DIR",
        "K0S_BINARY=FILE",
        "`k0s-harness demo`",
    ):
        assert way in text
    # The step's line, which stands above the summary, has the names as well.
    assert "k0s-v1.32.3+k0s.0-amd64, kubectl" in str(error)


def test_what_went_wrong_beside_the_verdicts_stands_in_the_summary():
    error = InfrastructureError("Applying k0s", "no end", remedy="look", details="line\n" * 30)
    text = summary.render(
        changed(
            error=error.text(),
            leftovers=("network k0s-1a2b",),
            phases=(
                dataclasses.replace(
                    BROKEN,
                    preconditions=(
                        Precondition(
                            PreconditionId.NODES_READY,
                            "nodes are Ready",
                            holds=False,
                            text="1 of 2",
                        ),
                        Precondition(
                            PreconditionId.KONNECTIVITY_OFF,
                            "konnectivity is off",
                            holds=None,
                            text="no reading",
                        ),
                    ),
                ),
            ),
        )
    )
    assert "Applying k0s: no end" in text
    assert text.count("    line") < 10
    assert "**left behind:** network k0s-1a2b" in text
    assert "precondition does not hold: nodes are Ready: 1 of 2" in text
    assert "precondition not seen: konnectivity is off: no reading" in text


def test_a_table_cell_never_breaks_its_table():
    verdict = expectation("apiservice", observed_text="a | b\n<unknown> " + "x" * 500)
    text = summary.render(changed(phases=(PhaseResult("p", verdicts=(verdict,)),)))
    row = next(line for line in text.splitlines() if "apiservice as" in line)
    assert "a \\| b &lt;unknown> xxx" in row
    assert row.replace("\\|", "").count("|") == 5
    assert len(row) < 400


def test_a_healthy_diagnosis_of_a_phase_that_met_everything_is_not_shown():
    healthy = Diagnosis(
        Cause.HEALTHY, Confidence.HIGH, (Hop(HopId.NODES, "x", HopState.HOLDS, "ok"),), ()
    )
    met = PhaseResult("repaired", verdicts=(expectation("apiservice"),), diagnosis=healthy)
    assert "Cause" not in summary.render(changed(phases=(met,)))


def test_the_command_to_repeat_has_what_the_user_chose():
    result = changed(
        settings={
            "provider": SettingUsed("libvirt", "--provider"),
            "k0s_binary": SettingUsed("/builds/my k0s", "K0S_BINARY"),
            "state_dir": SettingUsed("/var/x", "K0S_HARNESS_STATE"),
        }
    )
    assert summary.repeat_command(result) == (
        "K0S_BINARY='/builds/my k0s' k0s-harness run konnectivity-off --provider=libvirt"
    )


def test_a_switch_in_the_command_to_repeat_is_one_that_can_be_read():
    chosen = Settings.from_environment({"HOME": "/home/ann", "SAME_NAT_ADDRESS": "1"})
    repeat = summary.repeat_command(changed(settings=settings_used(chosen)))
    variable, _command = repeat.split(" ", maxsplit=1)
    assert Settings.from_environment({"HOME": "/home/ann", **dict([variable.split("=")])}) == chosen


def test_the_cause_stands_before_everything_else_in_the_summary():
    lines = summary.render(RESULT).splitlines()
    cause = lines.index("Cause in phase broken: **no-route-to-service-network** (high confidence)")
    assert cause < next(index for index, line in enumerate(lines) if line.startswith("Run "))
    assert "- first broken hop: **route to the service network**" in lines[cause + 1]


def test_the_summary_has_every_hop_folded():
    text = summary.render(RESULT)
    folded = text[text.index("<details>") : text.index("</details>")]
    assert "<summary>Hop by hop: 1 hold, 1 broken, 1 not seen</summary>" in folded
    assert all(f"| {hop.name} |" in folded for hop in DIAGNOSIS.hops)


def test_a_diagnosis_says_in_the_summary_what_else_it_found():
    diagnosis = dataclasses.replace(
        DIAGNOSIS,
        hops=(Hop(HopId.NODES, "x", HopState.BROKEN, "<unknown>", "ps | grep `x`"),),
        remedies=("first step", "second step"),
        also=(Cause.TUNNEL_DOWN,),
        ruled_out=("the pod answers",),
        not_seen=("the sockets",),
        link="https://docs.k0sproject.io/stable/networking/",
        check_again="kubectl top nodes",
        look_again="in 40 s",
    )
    lines = summary.render(
        changed(phases=(dataclasses.replace(BROKEN, diagnosis=diagnosis),))
    ).splitlines()
    for line in (
        "- first broken hop: **x**: &lt;unknown> — `` ps | grep `x` ``",
        "| x | broken | &lt;unknown> | `` ps \\| grep `x` `` |",
        "- ruled out: the pod answers",
        "- not seen: the sockets",
        "- remedy: first step",
        "  - second step",
        "- check again: `kubectl top nodes`",
        "- settling, look again in 40 s",
        "- <https://docs.k0sproject.io/stable/networking/>",
    ):
        assert line in lines
    assert any(line.endswith("(high confidence), and also tunnel-down") for line in lines)


# --- JSON -------------------------------------------------------------------------------------


def test_the_committed_schema_is_the_one_the_model_makes():
    assert json.loads(SCHEMA.read_text()) == json_report.json_schema()


@pytest.mark.parametrize(
    "result",
    [RESULT, changed(phases=(), error="x", provider=None), changed(outcome=Outcome.INTERRUPTED)],
)
def test_a_report_keeps_to_its_schema(result):
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    validator.check_schema(json.loads(SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(json_report.document(result))] == []


def test_the_schema_refuses_what_is_no_report():
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    report = json_report.document(RESULT)
    assert not validator.is_valid({**report, "unknown": 1})
    assert not validator.is_valid({**report, "exit_code": 7})
    assert not validator.is_valid({key: report[key] for key in report if key != "outcome"})


@pytest.mark.parametrize("outcome", Outcome)
def test_the_exit_code_goes_with_the_outcome(outcome):
    report = json.loads(json_report.render(changed(outcome=outcome)))
    assert report["outcome"] == outcome.value
    assert (report["exit_code"] == 0) == (outcome is Outcome.MET)
    assert report["exit_code"] in {0, 1, 2, 3, 4, 130}


def test_the_report_has_the_first_broken_hop_of_each_phase():
    phases = json_report.document(RESULT)["phases"]
    assert phases[0]["diagnosis"]["first_broken_hop"] == "route to the service network"
    assert phases[1]["diagnosis"] is None


def test_no_report_shows_a_secret():
    secret = "p7" + secrets.token_hex(12)
    leaking = expectation("top_nodes", Verdict.NOT_MET, explanation=f"password={secret}")
    result = changed(
        error=f"proxy http://user:{secret}@proxy:3128 refused",
        settings={"mirror": SettingUsed(f"https://x:{secret}@mirror", "K0S_HARNESS_MIRROR")},
        phases=(PhaseResult("p", verdicts=(leaking,)),),
        versions={"k0s": f"token={secret}"},
    )
    stream = io.StringIO()
    Narrator(stream)(events.StepProgress(f"password={secret}"))
    for text in (
        json_report.render(result),
        summary.render(result),
        junit.render([], [result]),
        nightly.job_summary([], [result]),
        page.render(result),
        stream.getvalue(),
    ):
        assert secret not in text
        assert "redacted" in text


# --- JUnit and nightly ------------------------------------------------------------------------


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314  # what the harness itself just wrote


def test_a_failure_in_junit_is_the_verdict_and_never_just_failed():
    root = parsed(junit.render(["konnectivity-off"], [RESULT]))
    assert root.attrib == {"name": "k0s-harness", "tests": "4", "failures": "1", "errors": "0"}
    failure = root.find(".//testcase[@classname='konnectivity-off.repaired']/failure")
    assert failure.get("message") == (
        "not-met: not within 120s (expected complete: worker0, worker1; "
        "observed partial: worker0 (<unknown>: worker1))"
    )
    properties = {each.get("name"): each.get("value") for each in root.iter("property")}
    assert properties["version.k0s"] == "v1.32.3+k0s.0"
    assert properties["provider"] == "docker"
    assert properties["seconds.k0sctl apply"] == "38.0"
    assert properties["cause"] == "no-route-to-service-network"


def test_a_failure_in_junit_ends_with_the_cause():
    failing = dataclasses.replace(BROKEN, verdicts=(expectation("top_nodes", Verdict.NOT_MET),))
    root = parsed(junit.render([], [changed(phases=(failing,))]))
    assert (
        root.find(".//failure")
        .get("message")
        .endswith(
            "; cause: no-route-to-service-network (high confidence), "
            "first broken hop: route to the service network"
        )
    )


@pytest.mark.parametrize(
    ("planned", "results", "errors"),
    [
        (["konnectivity-off", "konnectivity-on"], [RESULT], 1),
        (["konnectivity-off"], [], 1),
        (["konnectivity-off"], [changed(phases=(), error="no machine\ncame up")], 1),
        (["konnectivity-off"], [changed(phases=(), outcome=Outcome.INCONCLUSIVE)], 1),
        (["konnectivity-off"], [changed(error="interrupted")], 1),
        (
            ["konnectivity-off"],
            [
                changed(
                    phases=(PhaseResult("p", verdicts=(expectation("x", Verdict.INCONCLUSIVE),)),)
                )
            ],
            1,
        ),
    ],
)
def test_what_has_no_verdict_is_an_error_in_junit(planned, results, errors):
    root = parsed(junit.render(planned, results))
    assert root.get("errors") == str(errors)
    assert len(list(root.iter("error"))) == errors
    assert all(each.get("message") for each in root.iter("error"))


def test_junit_holds_what_xml_cannot():
    result = changed(error="\x1b[31mred\x00 <b>&\n]]>")
    root = parsed(junit.render([], [result]))
    assert root.find(".//error").text == "\\x1b[31mred\\x00 <b>&\n]]>"


def test_the_nightly_shows_a_scenario_that_never_ran():
    planned = ["konnectivity-off", "konnectivity-on"]
    text = nightly.job_summary(planned, [RESULT])
    assert "| konnectivity-on | **no verdict** |" in text
    assert "| konnectivity-off | **not-met** | 3 of 4 |" in text
    assert "repaired/top_nodes: not within 120s" in text
    assert nightly.without_verdict(planned, [RESULT]) == ("konnectivity-on",)
    assert nightly.without_verdict(planned[:1], [changed(phases=())]) == ("konnectivity-off",)


def test_a_job_summary_never_grows_beyond_what_is_shown(monkeypatch):
    results = [changed(scenario=f"s{number}", title="x" * 5000) for number in range(9)]
    monkeypatch.setattr(nightly, "_LONGEST", 20_000)
    text = nightly.job_summary([], results)
    assert len(text.encode()) < 20_000
    assert all(f"| s{number} |" in text for number in range(9))
    assert "left out here" in text


# --- files ------------------------------------------------------------------------------------


def test_a_run_leaves_its_reports(tmp_path):
    write_reports(changed(folder=tmp_path / "run/scenario"))
    files = {path.name for path in (tmp_path / "run/scenario").iterdir()}
    assert files == {"report.json", "summary.md", "junit.xml", "report.html"}
    html = (tmp_path / "run/scenario/report.html").read_text()
    # It lists what was written before it.
    assert all(f'href="./{name}"' in html for name in files - {"report.html"})


def test_reports_that_cannot_be_written_are_an_error_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="part of its path is a file") as caught:
        write_reports(changed(folder=tmp_path / "file/run"))
    assert "K0S_HARNESS_RUNS" in caught.value.text()
