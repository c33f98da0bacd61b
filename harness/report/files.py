"""The reports of a run as files in its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.base.errors import InfrastructureError
from harness.engine.results import ScenarioResult
from harness.evidence.recorder import reason_of, write_whole
from harness.report import json_report, junit, summary
from harness.report.html import page

PAGE = "report.html"
REPORTS: Mapping[str, Callable[[ScenarioResult], str]] = {
    "report.json": json_report.render,
    "summary.md": lambda result: summary.render(result) + "\n",
    "junit.xml": lambda result: junit.render([result.scenario], [result]),
    PAGE: page.render,
}


def write_reports(result: ScenarioResult) -> None:
    """Write `report.json`, `summary.md`, `junit.xml` and `report.html` into the run's folder.

    Raises `InfrastructureError` when they cannot be written; what is there already stays.
    """
    # One after another: the page lists the files that are there, the other reports among them.
    for name, render in REPORTS.items():
        try:
            write_whole(result.folder, name, render(result))
        except OSError as error:
            raise InfrastructureError(
                f"Writing {result.folder / name}",
                reason_of(error),
                remedy="make room there, or name another folder in K0S_HARNESS_RUNS",
            ) from error
