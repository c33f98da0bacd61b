"""The page of a command's runs and that of runs against each other: what they say, and no more."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from harness.base.errors import HostLacksError
from harness.check.model import Verdict
from harness.cli.recorded import find_runs
from harness.engine.outcome import Outcome
from harness.engine.recorded_run import result_in
from harness.evidence.old_format import report_with_ids
from harness.report.html import index, run_comparison
from harness.report.html.page import render
from harness.report.html.run_folder import of_bundle, read
from harness.report.run_comparison import compare
from tests.unit.paths import DEMO, PROJECT
from tests.unit.report.html.test_html import HOSTILE, RUN, Parsed, marked

LACKS = HostLacksError("Looking for memory", "2 GB are free", remedy="free some")


def run_with(mark=""):
    """The recorded run, not met, with `mark` in every free text."""
    said = report_with_ids(json.loads((RUN / "report.json").read_text()))
    said = marked(said, mark) if mark else said
    if mark:
        # An id is one of a few words in every report that is read.
        known = report_with_ids(json.loads((RUN / "report.json").read_text()))
        for phase, good in zip(said["phases"], known["phases"], strict=True):
            for of, as_is in (
                (phase["preconditions"], good["preconditions"]),
                (phase["diagnosis"]["hops"], good["diagnosis"]["hops"]),
            ):
                for each, id_of in zip(of, as_is, strict=True):
                    each["id"] = id_of["id"]
    run = result_in(said, doing="Reading")
    first, *others = run.phases
    verdicts = [
        replace(each, verdict=Verdict.NOT_MET, explanation=f"lost again{mark}")
        for each in first.verdicts
    ]
    phases = (replace(first, verdicts=tuple(verdicts)), *others)
    return replace(run, outcome=Outcome.NOT_MET, phases=phases, error=f"an error{mark}")


@pytest.fixture(scope="module")
def met():
    return find_runs(RUN, PROJECT).results[0]


def policy(html):
    return [each["content"] for each in Parsed(html).named("meta") if each.get("http-equiv")]


def shape(html):
    return [(tag, sorted(each)) for tag, each in Parsed(html).elements]


def test_hostile_text_adds_no_element_and_no_attribute_to_a_page(met):
    def pages(mark):
        run = run_with(mark)
        lacks = HostLacksError(f"Looking{mark}", mark, remedy=mark)
        known = replace(met, scenario=run.scenario)
        return [
            index.render(f"run{mark}", [run], {f"file{mark}": lacks}),
            run_comparison.render(compare([run], [known])),
            render(run, read(RUN)),
        ]

    for calm, bad in zip(pages(" calm"), pages(HOSTILE), strict=True):
        drawn = {"text", "tspan"}
        assert [each for each in shape(bad) if each[0] not in drawn] == [
            each for each in shape(calm) if each[0] not in drawn
        ]
        assert Parsed(bad).comments == 0
        assert "<script>alert(1)</script>" in Parsed(bad).text
        # One and the same on every page; that of a run is looked at word by word beside this.
        assert policy(bad) == policy(calm) == policy(render(met, read(RUN)))


def test_every_page_has_landmarks_one_heading_and_ids_that_are_unique(met):
    for html in (
        index.render("id", [met], {}),
        run_comparison.render(compare([met], [find_runs(DEMO, PROJECT).results[0]])),
    ):
        parsed = Parsed(html)
        tags = Counter(tag for tag, _ in parsed.elements)
        assert (tags["header"], tags["main"], tags["footer"], tags["h1"]) == (1, 1, 1, 1)
        ids = [each["id"] for _, each in parsed.elements if each.get("id")]
        assert len(ids) == len(set(ids))
        assert {each["href"] for each in parsed.named("a")} >= {"#main"}
        assert "main" in ids
        attributes = {name for _, each in parsed.elements for name in each}
        assert not attributes & {"src", "srcset", "style", "data", "action", "background"}


def test_the_page_of_all_runs_says_the_worst_first_and_links_each_report(met):
    bad = replace(run_with(), error=None, scenario="other", folder=RUN.parent / "other")
    parsed = Parsed(index.render("20261123-164805-3219", [met, bad], {"third.yaml": LACKS}))
    said = " ".join(parsed.text.split())
    top = said.partition("Scenarios in the order")[0]
    assert "1 of 3 scenarios met" in top
    assert "host lacks" in top
    assert [each["href"] for each in parsed.named("a")] == [
        "#main",
        "./run-konnectivity-off/report.html",
        "./other/report.html",
    ]
    for part in (
        "no-route-to-service-network",
        "6 of 6",
        "2 of 6",
        "broken/apiservice: lost again",
        "4m47s",
        "Looking for memory: 2 GB are free -> free some",
        "Builds: built from source, not the official release",
    ):
        assert part in said


def test_the_page_of_one_run_that_was_met_says_so(met):
    said = Parsed(index.render("id", [met], {})).text
    assert "1 of 1 scenario met" in said
    assert "Stood there: three containers sharing this host's kernel." in said


def test_the_page_of_two_runs_says_whether_they_are_the_same_first(met):
    demo = find_runs(DEMO, PROJECT).results[0]
    same = Parsed(run_comparison.render(compare([met], [demo]))).text
    assert "konnectivity-off: the same verdicts and causes" in same.partition("The runs")[0]
    differing = Parsed(run_comparison.render(compare([met], [run_with()])))
    said = " ".join(differing.text.split())
    assert "konnectivity-off: verdicts or causes differ" in said.partition("The runs")[0]
    assert "Verdicts and causes that differ" in said
    assert "not-met: lost again" in said
    assert "Times, and how many times as long B took" in said


def test_a_page_made_of_a_bundle_is_that_of_the_folder_but_for_the_links(tmp_path):
    runs = find_runs(DEMO, PROJECT)
    for path in runs.bundle.pieces:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(runs.bundle.pieces.data[path])
    of_folder, of_file = read(tmp_path), of_bundle(runs.bundle)
    assert of_folder.files
    assert replace(of_folder, files=()) == of_file
    assert not [
        each
        for each in Parsed(render(runs.results[0], of_file)).named("a")
        if (each["href"] or "").startswith("./")
    ]
