"""The verbs `plan` and `validate`: what scenario files ask for; nothing is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.base.errors import ExitCode, HarnessError
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.engine.session import plan_of
from harness.host.subnets import NAT_RANGES, PRIVATE_RANGE, host_networks
from harness.plan.conflicts import conflicts
from harness.plan.show import describe
from harness.scenario.load import LoadedScenario, find, load_all
from harness.scenario.mistakes import Mistake, ScenarioError


def scenario_files(names: Sequence[str], folder: Path) -> list[Path]:
    """Return the files of the scenarios; raises one error with every mistake in all of them."""
    paths = [find(name, folder) for name in names]
    mistakes: list[Mistake] = []
    for path in paths:
        try:
            load_all(path)
        except ScenarioError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ScenarioError(mistakes)
    return paths


def show_plan(path: Path, settings: Settings) -> ExitCode:
    """Print what would be built for each variant of a scenario."""
    loaded = load_all(path)
    plans = [plan_of(each, settings) for each in loaded]
    _warn(loaded)
    show("\n\n".join(map(describe, plans)))
    return ExitCode.OK


def validate(paths: Sequence[Path]) -> ExitCode:
    """Say what of the scenarios will collide; their mistakes were raised when they were found."""
    loaded = [each for path in paths for each in load_all(path)]
    _warn(loaded)
    say(f"{len(loaded)} scenario{'' if len(loaded) == 1 else 's'} without a mistake")
    return ExitCode.OK


def _warn(scenarios: Sequence[LoadedScenario]) -> None:
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
