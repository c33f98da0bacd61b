"""The verb `merge`: the runs of hosts that shared scenarios by `--shard`, as one report."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.base.errors import ExitCode, UsageError
from harness.base.printing import show
from harness.cli.recorded import find_runs
from harness.engine.outcome import worst
from harness.engine.results import ScenarioResult
from harness.evidence.recorder import reason_of
from harness.report import junit, nightly
from harness.report.files import write_index, write_report


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="the runs of a command, of each host"
    )
    verb.add_argument(
        "--output", type=Path, metavar="DIR", required=True, help="a new folder for all of them"
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Join the runs, and return what they came to together."""
    return merge(options.folders, options.output)


def merge(folders: Sequence[Path], output: Path) -> ExitCode:
    """Copy the runs into `output`, with one summary, `junit.xml` and page on all of them.

    What a host should have run and did not is known by its own exit code only. Raises `UsageError`
    for a folder without runs, a scenario that two have run, and an `output` that is there.
    """
    doing = f"Joining runs in {output}"
    results = [result for folder in folders for result in find_runs(folder, folder).results]
    names = [result.scenario for result in results]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(doing, f"more than one has run {', '.join(twice)}")
    try:
        output.mkdir(parents=True)
        joined = tuple(_copied(results, output))
    except OSError as error:
        raise UsageError(
            doing, reason_of(error), remedy="name a folder that is not there"
        ) from None
    text = nightly.job_summary(sorted(names), joined) + "\n"
    write_report(output / "summary.md", text)
    write_report(output / "junit.xml", junit.render(sorted(names), joined))
    write_index(output, joined)
    show(text.removesuffix("\n"))
    return worst(result.outcome for result in joined).exit_code


def _copied(results: Iterable[ScenarioResult], output: Path) -> Iterable[ScenarioResult]:
    for result in sorted(results, key=lambda each: each.started):
        folder = output / result.folder.name
        shutil.copytree(result.folder, folder, symlinks=True)
        yield replace(result, folder=folder.absolute())
