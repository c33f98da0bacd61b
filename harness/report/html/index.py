"""The page of all runs of a command: what each came to and why, with a link to its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.base.errors import HarnessError
from harness.check.model import Verdict
from harness.engine.outcome import Outcome, outcome_of, worst
from harness.engine.results import ScenarioResult
from harness.evidence.redaction import redact
from harness.report import json_report, nightly
from harness.report.formatting import duration, origin_line, run_seconds
from harness.report.html.elements import Child, Markup, element, file_link, table
from harness.report.html.marks import outcome_css, outcome_word
from harness.report.html.shell import whole
from harness.report.html.top import main_phase

_HEADINGS = ("scenario", "verdict", "cause", "expectations met", "why", "took")


def render(
    run_id: str, results: Sequence[ScenarioResult], not_started: Mapping[str, HarnessError]
) -> str:
    """Return the page; a report is linked in the folder beside it that is its run's.

    `not_started` has why a scenario has no run.
    """
    refused = {name: outcome_of((), error) for name, error in not_started.items()}
    outcome = worst([*(result.outcome for result in results), *refused.values()])
    met = sum(result.outcome is Outcome.MET for result in results)
    total = len(results) + len(refused)
    counted = f"{met} of {total} scenario{'' if total == 1 else 's'} met"
    stood = dict.fromkeys(redact(result.substrate) for result in results)
    builds = dict.fromkeys(redact(origin_line(result)) for result in results)
    header = element(
        "header",
        element("p", f"run {run_id}", class_="over"),
        element("h1", counted),
        element(
            "p",
            element("strong", outcome.replace("-", " "), class_=f"outcome {outcome_css(outcome)}"),
            f" Stood there: {'; '.join(stood)}." if stood else None,
            class_="verdict",
        ),
    )
    rows = [
        *map(_row, results),
        *(
            _cells(name, refused[name], "", "", not_started[name].text(), "")
            for name in not_started
        ),
    ]
    return whole(
        f"{run_id}: {counted}",
        header,
        table(
            "Scenarios in the order in which they were run", _HEADINGS, rows, class_="runs right"
        ),
        element("p", f"Builds: {'; '.join(builds)}.", class_="quiet") if builds else None,
        skip="To the scenarios",
        foot=f"run {run_id}",
    )


def _row(result: ScenarioResult) -> Markup:
    phase = main_phase(json_report.document(result))
    verdicts = [each.verdict for phase in result.phases for each in phase.verdicts]
    took = run_seconds(result)
    return _cells(
        file_link(f"{result.folder.name}/report.html", redact(result.scenario)),
        result.outcome,
        phase["diagnosis"]["cause"] if phase is not None else "",
        f"{verdicts.count(Verdict.MET)} of {len(verdicts)}",
        nightly.why(result),
        duration(took) if took is not None else "",
    )


def _cells(scenario: Child, outcome: str, *rest: str) -> Markup:
    *texts, took = rest
    return element(
        "tr",
        element("th", scenario, scope="row"),
        element("td", outcome_word(outcome)),
        (element("td", redact(each)) for each in texts),
        element("td", took, class_="number"),
    )
