"""Whether this host can carry a run now, and waiting for other labs where they take the room."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from harness.base.process import Runner
from harness.base.settings import Settings
from harness.base.wait import Clock, WaitTimeoutError, wait_until
from harness.host.facts import facts_from, read_host
from harness.lab import listing
from harness.lab.listing import LabState
from harness.plan.model import Plan
from harness.preflight import choice

# Four runs of the longest scenario there is, one after another, on a busy host.
ROOM_SECONDS = 2400.0
# Reading the host takes half a second of a processor that others are using.
ROOM_EVERY_SECONDS = 10.0


def make_room(
    plan: Plan, *, settings: Settings, runner: Runner, clock: Clock, tell: Callable[[str], None]
) -> choice.ProviderChoice:
    """Return the provider and why it is that one, once this host can carry the plan.

    While nothing is short but what other labs give back (memory, inotify instances) and some are
    alive, it waits for them and tells for whom. Raises `HostLacksError` with every problem where
    waiting would not help, or did not.
    """
    needs = choice.LabNeeds(
        workers=len(plan.workers),
        memory_mib=plan.memory_mib,
        k0s_version=str(plan.k0s_version),
    )

    def look() -> tuple[choice.ProviderChoice, Sequence[choice.Problem]]:
        facts = facts_from(read_host(runner, settings, os.environ))
        chosen = choice.choose_provider(facts, settings.provider)
        return chosen, choice.problems(facts, chosen.provider, needs)

    chosen, found = look()
    if found and all(problem.passes for problem in found):
        others = _live_labs(settings, runner, clock)
        if others:
            tell(f"{found[0].happened}: waits for {', '.join(others)}")
            try:
                history = wait_until(
                    "what other labs use of this host",
                    look,
                    lambda seen: not seen[1] or not _live_labs(settings, runner, clock),
                    bound=ROOM_SECONDS,
                    every=ROOM_EVERY_SECONDS,
                    clock=clock,
                )
            except WaitTimeoutError as error:
                history = error.history
            chosen, found = history[-1].value
    choice.refuse(found, chosen.provider)
    return chosen


def _live_labs(settings: Settings, runner: Runner, clock: Clock) -> tuple[str, ...]:
    labs = listing.list_labs(settings.labs_dir, runner, now=clock.now())
    there = (LabState.LIVE, LabState.FOREIGN)
    # What only says that it is a lab's takes no room.
    return tuple(f"{lab.run_id} ({lab.text})" for lab in labs if lab.run_id and lab.state in there)
