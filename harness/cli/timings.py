"""The verb `timings`: where the seconds of recorded runs went; nothing is started."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from harness.base.errors import ExitCode, UsageError
from harness.base.printing import show
from harness.cli.options import settings_of
from harness.engine.timings import Timings, timings_of
from harness.evidence.bundle import read_bundle
from harness.evidence.recorder import TIMELINE
from harness.report import timings as timings_report
from harness.report.html import run_folder


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "runs", nargs="+", metavar="RUN", help="a run's folder, a command's run id, or a bundle"
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Print the timings of each run that is named."""
    runs_dir = settings_of(options).runs_dir
    found = [each for named in options.runs for each in _timings(named, runs_dir)]
    show("\n\n".join(timings_report.render(name, timings) for name, timings in found))
    return ExitCode.OK


def _timings(named: str, runs_dir: Path) -> Iterator[tuple[str, Timings]]:
    """Yield name and timings of the runs that `named` means.

    Raises `UsageError` where there are none.
    """
    path = next((each for each in (Path(named), runs_dir / named) if each.exists()), None)
    if path is not None and path.is_file():
        bundle = read_bundle(path)
        yield path.name, timings_of(bundle.events)
        return
    folders = [] if path is None else [path, *sorted(path.iterdir())]
    recorded = [each for each in folders if (each / TIMELINE).is_file()]
    if not recorded:
        raise UsageError(
            f"Looking for the run {named}",
            "there is no file or folder of that name"
            if path is None
            else f"there is no {TIMELINE} in it",
            remedy=f"name a run's folder, its bundle, or the id of a command in {runs_dir}",
        )
    for folder in recorded:
        yield folder.name, timings_of(run_folder.read(folder).events)
