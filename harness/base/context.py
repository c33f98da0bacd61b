"""What everything that works on this host is given, in one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.base.process import Runner
from harness.base.settings import Settings
from harness.base.wait import Clock

# A line for the user.
Say = Callable[[str], None]
# A step by its title, and what there is of it.
Narrate = Callable[[str, str], None]


def silent(*_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Context:
    """Programs, time, settings, and whom to tell."""

    runner: Runner
    clock: Clock
    settings: Settings
    say: Say = silent
