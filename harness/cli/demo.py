"""The verb `demo`: the recorded run that comes with the harness, judged again."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.base.errors import ExitCode
from harness.base.printing import say
from harness.base.shipped import RECORDED_RUN
from harness.cli.ending import is_short
from harness.cli.next_step import FIRST, run_command, suggest, this_command
from harness.cli.options import add_verbose, settings_of
from harness.cli.replay import replay_bundle
from harness.report.files import PAGE

_OPENING = """\
You are about to see a recorded run of the scenario konnectivity-off (k0s issue 5781), judged again.
Phase broken: k0s without konnectivity. `kubectl top nodes` fails, and the cause is named.
Phase repaired: konnectivity is turned on, and the metrics API is available.
The times are the run's own, five minutes; this takes seconds and starts nothing."""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the reports; default: runs/demo"
    )
    add_verbose(verb)


def command(options: argparse.Namespace) -> ExitCode:
    """Judge the recorded run again, and say where its page is and what to do next."""
    folder: Path = options.output or settings_of(options).runs_dir / "demo"
    say(_OPENING)
    code = replay_bundle(RECORDED_RUN, output=folder, verbose=options.verbose)
    if not is_short(verbose=options.verbose):
        say(f"the page of this run, for a browser: {(folder / PAGE).absolute()}")
    suggest(
        "why the metrics API of your own cluster is unavailable, read-only",
        f"{this_command()} diagnose --k0sctl k0sctl.yaml",
    )
    suggest("the same on a real cluster of this host, in minutes", run_command(FIRST))
    return code
