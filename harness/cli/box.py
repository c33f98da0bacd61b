"""The verb `box`: the box that VMs are made of."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from harness.artifacts.store import Store
from harness.base.errors import ExitCode
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.cli.options import settings_of
from harness.images import box_commands

Action = Callable[[Settings, argparse.Namespace], list[str]]


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the actions, each with what it is given."""
    actions = verb.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, lines: Action, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, help=text)
        added.set_defaults(command=command, lines=lines)
        return added

    build = action("build", _build, "make it, if the cache does not have it")
    build.add_argument("--provider", help="libvirt (default) or virtualbox")
    action("list", _list, "the boxes in the cache")
    remove = action("remove", _remove, "remove boxes from the cache")
    remove.add_argument("versions", nargs="*", metavar="VERSION", help="these only")
    action("lock", _lock, "renew the lock of its packages and boxes/catalog.json")


def command(options: argparse.Namespace) -> ExitCode:
    """Do the action, and print a line for each thing it did or found."""
    for line in options.lines(settings_of(options), options):
        show(line)
    return ExitCode.OK


def _build(settings: Settings, _options: argparse.Namespace) -> list[str]:
    return box_commands.build_lines(
        settings, Store(settings, say=say), runner=LocalRunner(), clock=SystemClock(), say=say
    )


def _list(settings: Settings, _options: argparse.Namespace) -> list[str]:
    lines = box_commands.list_lines(settings)
    if not lines:
        say("no boxes in the cache")
    return lines


def _remove(settings: Settings, options: argparse.Namespace) -> list[str]:
    return box_commands.remove_lines(settings, options.versions)


def _lock(settings: Settings, _options: argparse.Namespace) -> list[str]:
    return box_commands.lock_lines(settings, runner=LocalRunner(), clock=SystemClock(), say=say)
