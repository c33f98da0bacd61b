"""The verb `catalogue`: keeps the page of scenarios, and the log of their runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.base.errors import ExitCode, UsageError
from harness.base.printing import say
from harness.base.untrusted import json_value, read_text
from harness.cli.next_step import require_checkout
from harness.cli.options import SCENARIOS
from harness.evidence.bundle import DOCUMENT
from harness.report import catalogue
from harness.scenario.load import files_in, load_all

RUNS = SCENARIOS / catalogue.RUNS
PAGE = Path("docs/scenarios.md")
LOG = Path("docs/log")


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "reports", nargs="*", type=Path, metavar="REPORT", help="report.json of a run"
    )
    verb.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a page is out of date"
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Write the pages, or check them."""
    require_checkout("Keeping the catalogue")
    return refresh(files_in(SCENARIOS), options.reports, check=options.check)


def refresh(paths: Sequence[Path], reports: Sequence[Path], *, check: bool) -> ExitCode:
    """Take runs from their `report.json` into the catalogue and the log, and write their pages.

    With `check` nothing is written: a page that is not what it would be is exit code 1.
    """
    runs = catalogue.with_reports(catalogue.read_runs(RUNS), map(_report, reports))
    scenarios = [each for path in paths for each in load_all(path)]
    pages = {PAGE: catalogue.render(scenarios, runs)}
    pages |= {LOG / name: text for name, text in catalogue.log(runs).items()}
    if check:
        stale = [path for path, text in pages.items() if _text(path) != text]
        if not stale:
            return ExitCode.OK
        say(
            f"not what the scenarios and their runs say: {', '.join(map(str, stale))}; "
            "k0s-harness catalogue writes it again"
        )
        return ExitCode.NOT_MET
    RUNS.write_text(catalogue.runs_text(runs))
    LOG.mkdir(exist_ok=True)
    for path, text in pages.items():
        path.write_text(text)
    return ExitCode.OK


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _report(path: Path) -> Mapping[str, Any]:
    doing = f"Reading {path}"
    try:
        report: Mapping[str, Any] = json_value(read_text(path, DOCUMENT), DOCUMENT)
        catalogue.run_of(report)
        why_not = catalogue.why_unlisted(report)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(doing, f"this is no report.json of a run: {error!r}") from None
    if why_not is not None:
        raise UsageError(doing, why_not)
    return report
