"""The verb `timings`: where the seconds of recorded runs went; nothing is started."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from harness.base.errors import ExitCode
from harness.base.printing import show
from harness.cli.options import settings_of
from harness.cli.recorded import find
from harness.evidence.recorder import TIMELINE
from harness.report.html import run_folder
from harness.report.timings import profile


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
    show("\n\n".join(each for named in options.runs for each in _profiles(named, runs_dir)))
    return ExitCode.OK


def _profiles(named: Path, runs_dir: Path) -> Iterator[str]:
    """Yield the profiles of the runs that `named` means; one that was cut off has some, too."""
    found = find(named, runs_dir, TIMELINE)
    if found.bundle is not None:
        yield profile(found.path.name, found.bundle.events)
    for folder in found.folders:
        yield profile(folder.name, run_folder.events(folder))
