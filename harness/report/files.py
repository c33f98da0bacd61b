"""The reports of a run as files in its folder, and the page of all runs of a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.base.errors import HarnessError, InfrastructureError
from harness.engine.results import ScenarioResult
from harness.evidence.recorder import reason_of, write_whole
from harness.report import json_report, junit, summary
from harness.report.html import index, page

PAGE = "report.html"
INDEX = "index.html"
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
        write_report(result.folder / name, render(result))


def write_index(
    folder: Path,
    results: Sequence[ScenarioResult],
    not_started: Mapping[str, HarnessError] | None = None,
) -> None:
    """Write `index.html`, the page of a command's runs, into their common folder.

    `not_started` has why a scenario has no run. Raises `InfrastructureError` as `write_reports`.
    """
    write_report(folder / INDEX, index.render(folder.name, results, not_started or {}))


def write_report(path: Path, text: str) -> None:
    """Write one report; raises `InfrastructureError` when that cannot be done."""
    try:
        write_whole(path.parent, path.name, text)
    except OSError as error:
        raise InfrastructureError(
            f"Writing {path}",
            reason_of(error),
            remedy="make room there, or name another folder in K0S_HARNESS_RUNS",
        ) from error
