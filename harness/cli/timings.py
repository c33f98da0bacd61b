"""The verb `timings`: where the seconds of recorded runs went; nothing is started."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from harness.base.errors import ExitCode
from harness.base.printing import show
from harness.cli.options import settings_of
from harness.cli.recorded import find
from harness.engine.timings import Timings, timings_of
from harness.evidence.recorder import TIMELINE
from harness.report import timings as timings_report
from harness.report.html import run_folder


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="a run's folder, its bundle or its id",
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Print the timings of each run that is named."""
    runs_dir = settings_of(options).runs_dir
    found = [each for named in options.runs for each in _timings(named, runs_dir)]
    show("\n\n".join(timings_report.render(name, timings) for name, timings in found))
    return ExitCode.OK


def _timings(named: Path, runs_dir: Path) -> Iterator[tuple[str, Timings]]:
    """Yield name and timings of the runs that `named` means; one that was cut off has some, too."""
    found = find(named, runs_dir, TIMELINE)
    if found.bundle is not None:
        yield found.path.name, timings_of(found.bundle.events)
    for folder in found.folders:
        yield folder.name, timings_of(run_folder.read(folder).events)
