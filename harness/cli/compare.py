"""The verb `compare`: two runs, or the runs of two commands, against each other."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.base.errors import ExitCode, UsageError
from harness.base.printing import say, show, show_json
from harness.cli.options import settings_of
from harness.cli.recorded import find_runs
from harness.cli.run import add_runs
from harness.evidence.recorder import reason_of, write_whole
from harness.report import run_comparison
from harness.report.html import run_comparison as page


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    for name in ("a", "b"):
        verb.add_argument(
            name, type=Path, metavar=name.upper(), help="a run's folder, its bundle or its id"
        )
    add_runs(verb)
    verb.add_argument("--output", choices=("text", "json"), default="text", help="default: text")
    verb.add_argument(
        "--html", type=Path, metavar="FILE", help="write the comparison as a page, too"
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Print what of the runs differs."""
    runs_dir = settings_of(options).runs_dir
    compared = run_comparison.compare(
        *(find_runs(named, runs_dir).results for named in (options.a, options.b))
    )
    if options.output == "json":
        show_json(run_comparison.document(compared))
    else:
        show(run_comparison.text(compared))
    if options.html is not None:
        _write(options.html, page.render(compared))
    return compared.exit_code


def _write(path: Path, html: str) -> None:
    try:
        write_whole(path.absolute().parent, path.name, html)
    except OSError as error:
        raise UsageError(f"Writing {path}", reason_of(error), remedy="name another file") from error
    say(f"the page is {path.absolute()}")
