"""The reports of a run as files in its folder."""

from __future__ import annotations

from harness.engine.events import ScenarioResult
from harness.errors import InfrastructureError
from harness.evidence.recorder import reason_of
from harness.evidence.recorder import write_whole
from harness.report import json_report
from harness.report import junit
from harness.report import summary


def write_reports(result: ScenarioResult) -> None:
    """Write `report.json`, `summary.md` and `junit.xml` into the run's folder.

    Raises `InfrastructureError` when they cannot be written; what is there already stays.
    """
    files = {
        "report.json": json_report.render(result),
        "summary.md": summary.render(result) + "\n",
        "junit.xml": junit.render([result.scenario], [result]),
    }
    for name, text in files.items():
        try:
            write_whole(result.folder, name, text)
        except OSError as error:
            raise InfrastructureError(
                f"Writing {result.folder / name}",
                reason_of(error),
                remedy="make room there, or name another folder in K0S_HARNESS_RUNS",
            ) from error
