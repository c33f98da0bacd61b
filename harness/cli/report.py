"""The verb `report`: the page of a run, or of all runs of a command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.base.errors import ExitCode
from harness.base.printing import say, show
from harness.base.process import leave_running
from harness.cli.options import settings_of
from harness.cli.recorded import RecordedRuns, find_runs
from harness.cli.run import add_runs
from harness.report.files import INDEX, PAGE, write_index, write_report
from harness.report.html import page


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "run",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="a run's folder, its bundle or its id; the last run by default",
    )
    add_runs(verb)
    verb.add_argument("--again", action="store_true", help="make the page anew")
    verb.add_argument(
        "--no-open", action="store_true", help="print where the page is; open nothing"
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Print the page's path, make the page where it is missing, and open it on a display."""
    runs = find_runs(options.run, settings_of(options).runs_dir)
    path = page_of(runs, again=options.again)
    show(str(path))
    if not options.no_open:
        _open(path)
    return ExitCode.OK


def page_of(runs: RecordedRuns, *, again: bool = False) -> Path:
    """Return where the page of `runs` is; it is made where it is not there, or `again`.

    That of a bundle lies beside it. Raises `InfrastructureError` where it cannot be written.
    """
    if runs.bundle is not None:
        path = runs.path.with_name(f"{runs.path.name.removesuffix('.tar.gz')}.{PAGE}")
        again = True
    elif len(runs.results) == 1:
        path = runs.results[0].folder / PAGE
    else:
        path = runs.path / INDEX
    path = path.absolute()
    if not again and path.is_file():
        return path
    if path.name == INDEX:
        write_index(path.parent, runs.results)
    else:
        result = runs.results[0]
        write_report(path, page.render(result, runs.evidence(result)))
    return path


def opener(platform: str, environment: Mapping[str, str]) -> str | None:
    """Return the program that shows a file to a person; None where there is no display."""
    if platform == "darwin":
        return None if "SSH_CONNECTION" in environment else "open"
    has_display = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    return "xdg-open" if has_display else None


def _open(path: Path) -> None:
    program = opener(sys.platform, os.environ)
    if program is None:
        say("there is no display here, so nothing was opened: open the page in a browser")
    elif not leave_running([program, str(path)]):
        say(f"{program} did not open it: open the page in a browser")
