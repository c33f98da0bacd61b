"""What a reader can do next, as a command that works where it is typed."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.base.errors import UsageError
from harness.base.printing import say
from harness.base.shipped import CHECKOUT, SCENARIOS
from harness.scenario.load import files_in, load_all
from harness.vocabulary.words import Cause

# Broken from its first phase on, with nothing but k0s's own settings: the first one to try.
FIRST = "konnectivity-off"


def suggest(what: str, command: str) -> None:
    """Say what can be done next, after all else."""
    say(f"next: {what}:\n    {command}")


def this_command() -> str:
    """Return how `k0s-harness` is typed here: a checkout's own is not on a reader's PATH."""
    program, here = Path(sys.argv[0]).absolute(), Path.cwd()
    if CHECKOUT is not None and program.is_relative_to(here):
        return str(program.relative_to(here))
    return "k0s-harness"


def run_command(scenario: str) -> str:
    """Return the command that runs a scenario of those that the harness comes with."""
    if Path.cwd() != CHECKOUT:
        return f"{this_command()} run {scenario}"
    if scenario == FIRST:
        return f"make test-{FIRST}"
    return f"make test-scenario SCENARIO=scenarios/{scenario}.yaml"


def suggest_run(cause: str) -> None:
    """Name the scenario in which a cluster fails for `cause`, the first one where none does."""
    name = scenario_with(cause)
    if name is None:
        suggest("a real cluster broken and repaired on this host", run_command(FIRST))
    else:
        suggest("the same failure and its repair, on a cluster of its own", run_command(name))


def scenario_with(cause: str) -> str | None:
    """Return the scenario that comes to `cause` earliest, of those that every provider can run."""
    if cause == Cause.HEALTHY:
        return None
    found = [
        (index, path.stem != FIRST, path.stem)
        for path in files_in(SCENARIOS, for_vms=False)
        # Most of them name another one: reading all takes a second.
        if cause in path.read_text(encoding="utf-8")
        for loaded in load_all(path)
        for index, phase in enumerate(loaded.scenario.phases)
        for expectation in phase.expect
        if getattr(expectation, "cause", None) == cause
    ]
    return min(found)[-1] if found else None


def require_checkout(doing: str) -> None:
    """Raise `UsageError` where this does not run from a checkout of the project."""
    if CHECKOUT is None:
        raise UsageError(
            doing,
            "this changes files of the project, and k0s-harness is installed without a checkout",
            remedy="clone the project, and call it there through make",
        )
