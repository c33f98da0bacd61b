"""The verb `validate`: every mistake of scenario files, and what in them will collide."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from harness.base.errors import ExitCode, HarnessError
from harness.base.printing import say
from harness.base.process import LocalRunner
from harness.cli.options import scenario_files
from harness.host.subnets import NAT_RANGES, PRIVATE_RANGE, host_networks
from harness.plan.conflicts import conflicts
from harness.scenario.load import LoadedScenario, load_all


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "scenarios", nargs="+", metavar="SCENARIO", help="a file, or the name of one in scenarios/"
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Say what of the scenarios will collide; their mistakes were raised when they were found."""
    loaded = [each for path in scenario_files(options.scenarios) for each in load_all(path)]
    warn(loaded)
    say(f"{len(loaded)} scenario{'' if len(loaded) == 1 else 's'} without a mistake")
    return ExitCode.OK


def warn(scenarios: Sequence[LoadedScenario]) -> None:
    """Say what of the scenarios will collide, with its place; none of it is a mistake."""
    private = next(PRIVATE_RANGE.subnets(new_prefix=24))
    try:
        host = host_networks(LocalRunner())
    except HarnessError as error:
        say(f"warning: not compared with this host's networks: {error}")
        host = ()
    found = [
        each
        for loaded in scenarios
        for each in conflicts(loaded, private=private, nat=NAT_RANGES, host=host)
    ]
    for each in dict.fromkeys(found):
        say(each.as_warning)
