"""The verb `plan`: what would be built for a scenario; nothing is started."""

from __future__ import annotations

import argparse

from harness.base.errors import ExitCode
from harness.base.printing import show
from harness.cli.options import add_provider, scenario_files, settings_of
from harness.cli.validate import warn
from harness.engine.session import plan_of
from harness.plan.show import describe
from harness.scenario.load import load_all


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "scenario", metavar="SCENARIO", help="a file, or the name of one in scenarios/"
    )
    add_provider(verb)


def command(options: argparse.Namespace) -> ExitCode:
    """Print what would be built for each variant of a scenario."""
    settings = settings_of(options)
    (path,) = scenario_files([options.scenario])
    loaded = load_all(path)
    plans = [plan_of(each, settings) for each in loaded]
    warn(loaded)
    show("\n\n".join(map(describe, plans)))
    return ExitCode.OK
