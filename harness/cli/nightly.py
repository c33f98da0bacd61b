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
from harness.cli.run import add_jobs, add_runs, through_pytest
from harness.cli.shards import add_shard, own_part
from harness.engine.outcome import worst
from harness.evidence.recorder import write_whole
from harness.providers.registry import provider
from harness.report import junit
from harness.report import nightly as nightly_report
from harness.scenario.load import files_in, load_all


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    add_runs(verb)
    add_jobs(verb)
    add_shard(verb)
    add_verbose(verb)
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
    paths = own_part(files_in(folder, for_vms=vms), settings, options.shard)
    return nightly(paths, settings, options.summary, verbose=options.verbose)


def nightly(
    paths: Sequence[Path], settings: Settings, job_summary: Path | None, *, verbose: bool = False
) -> ExitCode:
    """Run every scenario, and report on all of them together.

    A planned scenario without a verdict makes the whole inconclusive: a nightly that ran nothing
    is not a good one.
    """
    session = through_pytest(paths, settings, None, verbose=verbose)
    planned = [each.scenario.name for path in paths for each in load_all(path)]
    text = nightly_report.job_summary(planned, session.results) + "\n"
    if is_short(verbose=verbose):
        runs = [(each.scenario, each.outcome) for each in session.results]
        show_total(runs, session.folder, verbose=verbose)
    else:
        show(text.removesuffix("\n"))
    write_whole(session.folder, "summary.md", text)
    write_whole(session.folder, "junit.xml", junit.render(planned, session.results))
    if job_summary is not None:
        with job_summary.open("a") as file:
            file.write(text)
    missing = nightly_report.without_verdict(planned, session.results)
    if missing:
        raise InfrastructureError(
            "Running every scenario",
            f"no verdict on {', '.join(missing)}",
            remedy="what kept them from one is said above; run one alone: k0s-harness run NAME",
            where=session.folder,
        )
    return worst(result.outcome for result in session.results).exit_code
