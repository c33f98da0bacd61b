"""The verb `nightly`: every scenario, and one report on all of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from harness.base import shipped
from harness.base.errors import ExitCode, InfrastructureError
from harness.base.printing import show
from harness.base.settings import Settings
from harness.cli.ending import is_short, show_total
from harness.cli.options import SCENARIOS, add_verbose, settings_of
from harness.cli.run import add_runs, add_side_by_side, part_here, through_pytest
from harness.engine.outcome import worst
from harness.engine.results import ScenarioResult
from harness.evidence.recorder import write_whole
from harness.providers.registry import provider
from harness.report import junit
from harness.report import nightly as nightly_report
from harness.scenario.load import files_in


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    add_runs(verb)
    add_side_by_side(verb)
    add_verbose(verb)
    add_summary(verb)


def add_summary(verb: argparse.ArgumentParser) -> None:
    """Add `--summary`."""
    verb.add_argument(
        "--summary",
        type=Path,
        metavar="FILE",
        help="append the job summary, Markdown, to this file",
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Run every scenario of this folder, else of the harness, that the machines can run."""
    settings = settings_of(options)
    vms = provider(settings.provider).own_kernel
    folder = SCENARIOS if SCENARIOS.is_dir() else shipped.SCENARIOS
    paths = files_in(folder, for_vms=vms)
    return nightly(paths, settings, options.summary, verbose=options.verbose)


def nightly(
    paths: Sequence[Path], settings: Settings, job_summary: Path | None, *, verbose: bool = False
) -> ExitCode:
    """Run every scenario, and report on all of them together.

    A planned scenario without a verdict makes the whole inconclusive: a nightly that ran nothing
    is not a good one.
    """
    part = part_here(paths, settings)
    if not part.taken:
        return ExitCode.OK
    session = through_pytest(part, settings, None, verbose=verbose)
    planned = [each.scenario.name for each in part.taken]
    report_on_all(planned, session.results, session.folder, job_summary, verbose=verbose)
    missing = nightly_report.without_verdict(planned, session.results)
    if missing:
        raise InfrastructureError(
            "Running every scenario",
            f"no verdict on {', '.join(missing)}",
            remedy="what kept them from one is said above; run one alone: k0s-harness run NAME",
            where=session.folder,
        )
    return worst(result.outcome for result in session.results).exit_code


def report_on_all(
    planned: Sequence[str],
    results: Sequence[ScenarioResult],
    folder: Path,
    job_summary: Path | None,
    *,
    verbose: bool,
) -> None:
    """Print what all runs came to, and write one summary and one JUnit file into their folder."""
    text = nightly_report.job_summary(planned, results) + "\n"
    if is_short(verbose=verbose):
        runs = [(each.scenario, each.outcome) for each in results]
        show_total(runs, folder, verbose=verbose)
    else:
        show(text.removesuffix("\n"))
    write_whole(folder, "summary.md", text)
    write_whole(folder, "junit.xml", junit.render(planned, results))
    if job_summary is not None:
        with job_summary.open("a") as file:
            file.write(text)
