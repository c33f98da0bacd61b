"""The verb `box`: the box that VMs are made of."""

from __future__ import annotations

from collections.abc import Sequence

from harness.artifacts.store import Store
from harness.base.errors import ExitCode
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.images import box_commands


def build_box(settings: Settings) -> ExitCode:
    """Make the box, if the cache does not have it, and print a line about it."""
    store = Store(settings, say=say)
    runner, clock = LocalRunner(), SystemClock()
    lines = box_commands.build_lines(settings, store, runner=runner, clock=clock, say=say)
    show("\n".join(lines))
    return ExitCode.OK


def list_boxes(settings: Settings) -> ExitCode:
    """Print a line for each box in the cache."""
    lines = box_commands.list_lines(settings)
    for line in lines:
        show(line)
    if not lines:
        say("no boxes in the cache")
    return ExitCode.OK


def remove_boxes(settings: Settings, versions: Sequence[str]) -> ExitCode:
    """Remove boxes from the cache, all of them without `versions`, and print a line for each."""
    for line in box_commands.remove_lines(settings, versions):
        show(line)
    return ExitCode.OK


def renew_lock(settings: Settings) -> ExitCode:
    """Renew the lock of the box's packages and the catalogue, and print what came out."""
    runner, clock = LocalRunner(), SystemClock()
    show("\n".join(box_commands.lock_lines(settings, runner=runner, clock=clock, say=say)))
    return ExitCode.OK
