"""The verb `labs`: what is left on this host from earlier runs, and removing it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from harness.base.context import Context
from harness.base.errors import ExitCode, InfrastructureError, UsageError
from harness.base.printable import printable_line
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.base.run_id import NotARunIdError, RunId
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.cli.options import settings_of
from harness.lab import leftovers, listing


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "--clean", action="store_true", help="remove the labs that no run uses; kept labs stay"
    )
    verb.add_argument("--all", action="store_true", help="with --clean: kept labs, too")
    verb.add_argument("names", nargs="*", metavar="ID", help="with --clean: this kept lab, too")


def command(options: argparse.Namespace) -> ExitCode:
    """List the labs, or remove some."""
    settings = settings_of(options)
    if options.clean:
        return clean_labs(settings, named=options.names, kept_too=options.all)
    return show_labs(settings)


def show_labs(settings: Settings) -> ExitCode:
    """Print what is on this host of labs; nothing is changed."""
    labs = listing.list_labs(settings.labs_dir, LocalRunner(), now=SystemClock().now())
    for lab in labs:
        show(printable_line(f"{lab.title}  {lab.state:<8}  {lab.text}"))
    if not labs:
        say("no labs on this host")
    return ExitCode.OK


def clean_labs(settings: Settings, *, named: Sequence[str], kept_too: bool) -> ExitCode:
    """Remove what dead runs left, and labs that are named; print each.

    Raises `UsageError` for a name that no lab has, before anything is removed.
    """
    ids = _ids(named)
    removals = leftovers.clean(
        Context(LocalRunner(), SystemClock(), settings),
        lambda step, detail: say(f"    {step}: {detail}" if detail else f"    {step}"),
        named=ids,
        kept_too=kept_too,
    )
    for removal in removals:
        ending = "removed" if not removal.problems else "not removed"
        show(printable_line(f"{removal.run_id}  {ending}"))
    problems = [problem for removal in removals for problem in removal.problems]
    if problems:
        raise InfrastructureError(
            "Removing labs",
            "; ".join(problems),
            remedy="put that right, and call k0s-harness labs --clean again",
        )
    unknown = sorted(set(ids) - {removal.run_id for removal in removals})
    if unknown:
        say(f"not removed, because not there, alive, or another user's: {', '.join(unknown)}")
    return show_labs(settings)


def _ids(names: Sequence[str]) -> tuple[RunId, ...]:
    try:
        return tuple(RunId(name) for name in names)
    except NotARunIdError as odd:
        raise UsageError("Removing labs", str(odd), remedy="k0s-harness labs lists them") from None
