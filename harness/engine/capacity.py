"""Whether this host can carry a run now, and waiting for other labs where they take the room."""

from __future__ import annotations

import os
from collections.abc import Sequence

from harness.base.context import Context, Say
from harness.base.wait import WaitTimeoutError, wait_until
from harness.engine import warm
from harness.engine.machines import lab_needs
from harness.host.needs import Problem
from harness.lab.listing import list_labs
from harness.plan.model import Plan
from harness.preflight.choice import choose_provider, problems, refuse
from harness.preflight.survey import survey
from harness.providers.base import ProviderChoice
from harness.providers.registry import provider
from harness.state.entries import LabState

# Four runs of the longest scenario there is, one after another, on a busy host.
ROOM_SECONDS = 2400.0
# Reading the host takes half a second of a processor that others are using.
ROOM_EVERY_SECONDS = 10.0


def wait_for_capacity(plan: Plan, context: Context, tell: Say) -> ProviderChoice:
    """Return the provider and why it is that one, once this host can carry the plan.

    While nothing is short but what other labs give back (memory, inotify instances) and some are
    alive, it waits for them and tells for whom. Raises `HostLacksError` with every problem where
    waiting would not help, or did not.
    """
    needs = lab_needs(plan, context.settings)

    def look() -> tuple[ProviderChoice, tuple[Problem, ...]]:
        facts = survey(context.runner, context.settings, os.environ)
        choice = choose_provider(facts, context.settings.provider)
        return choice, problems(facts, choice.provider, needs)

    choice, found = look()
    if found and all(problem.passes for problem in found) and warm.make_room(context, tell):
        choice, found = look()
    if found and all(problem.passes for problem in found):
        others = _live_labs(context)
        if others:
            tell(f"{found[0].happened}: waits for {', '.join(others)}")
            try:
                history = wait_until(
                    "what other labs use of this host",
                    look,
                    lambda seen: not seen[1] or not _live_labs(context),
                    bound=ROOM_SECONDS,
                    every=ROOM_EVERY_SECONDS,
                    clock=context.clock,
                )
            except WaitTimeoutError as error:
                history = error.history
            choice, found = history[-1].value
    refuse(found, choice.provider)
    return choice


def labs_at_once(plans: Sequence[Plan], groups: int, context: Context) -> tuple[int, str]:
    """Return how many labs this host carries of those that `plans` need, and what limits them.

    `groups` is how many labs there are to be made at all. A lab is mostly waited for, so there is
    one for each processor; emulated machines want one each.
    """
    facts = survey(context.runner, context.settings, os.environ, versions=False)
    choice = choose_provider(facts, context.settings.provider)
    chosen = provider(choice.provider)
    needs = [lab_needs(plan, context.settings) for plan in plans]
    available, _ = chosen.available_mib(facts)
    memory = max(chosen.memory_mib(each) for each in needs)
    limits = {
        f"{groups} start states": groups,
        f"{facts.cpus} processors": facts.cpus,
        f"{available} MiB of memory, {memory} a lab": available // memory if available else groups,
    }
    if choice.emulated:
        machines = max(len(plan.machines) for plan in plans)
        why = f"{facts.cpus} processors for {machines} emulated machines"
        limits[why] = facts.cpus // machines
    if facts.free_inotify is not None and not chosen.own_kernel:
        inotify = max(each.inotify for each in needs)
        why = f"{facts.free_inotify} inotify instances, {inotify} a lab"
        limits[why] = facts.free_inotify // inotify
    why = min(limits, key=lambda each: limits[each])
    return max(limits[why], 1), why


def _live_labs(context: Context) -> tuple[str, ...]:
    labs = list_labs(context.settings.labs_dir, context.runner, now=context.clock.now())
    there = (LabState.LIVE, LabState.FOREIGN)
    # What only says that it is a lab's takes no room.
    return tuple(f"{lab.run_id} ({lab.text})" for lab in labs if lab.run_id and lab.state in there)
