"""Waiting until what a phase presumes holds, before it is judged or anything is compared."""

from __future__ import annotations

import math
from collections.abc import Callable

from harness.base.errors import InconclusiveError
from harness.base.wait import Attempt, WaitTimeoutError, wait_until
from harness.engine import preconditions
from harness.engine.context import RunContext
from harness.engine.events import StepId
from harness.engine.results import Precondition
from harness.expectations.kind import SETTLE_SECONDS
from harness.ssh.pace import between_looks

# metrics-server became Ready 29-33 s after a cold apply (readiness delay 20 s and two scrapes).
# Five times that is well below what a broken one would need to look like a slow one.
PRECONDITIONS_SECONDS = 180.0
PRECONDITIONS_EVERY_SECONDS = 1.0


class PreconditionsUnmetError(InconclusiveError):
    """What a phase presumes did not come; `seen` is how each precondition stood at the end."""

    def __init__(self, what: str, seen: tuple[Precondition, ...]) -> None:
        self.seen = seen
        unmet = [each for each in seen if not each.holds]
        super().__init__(
            f"Entering {what}",
            "inconclusive, its preconditions do not hold: "
            + "; ".join(f"{each.name}: {each.text}" for each in unmet),
        )


def until_they_hold(
    context: RunContext,
    what: str,
    look: Callable[[], tuple[Precondition, ...]],
    *,
    bound: float,
    on_change: Callable[[tuple[Precondition, ...]], None] | None = None,
    not_before: float = -math.inf,
) -> tuple[Attempt[tuple[Precondition, ...]], ...]:
    """Look until all preconditions hold, when the API tells that they may; as `wait_until`.

    They are not taken to hold `not_before` that time, on the clock.
    """

    def until_told(seen: tuple[Precondition, ...]) -> None:
        probe = preconditions.until_told(seen)
        if probe is not None:
            context.prober.wait_for(probe)

    return wait_until(
        what,
        look,
        lambda seen: all(each.holds for each in seen) and context.clock.monotonic() >= not_before,
        bound=bound,
        every=between_looks(PRECONDITIONS_EVERY_SECONDS, context.pace),
        clock=context.clock,
        on_change=on_change,
        until_told=until_told,
    )


class Settling:
    """Waits for preconditions on one cluster.

    `endpoint_ready` is when metrics-server's endpoint became ready, on the clock; None where it is
    not, or was not looked at. `restored` is whether the machines were just put back to a saved
    state: what the API says is older than that at first, the aggregator's condition for longest.
    On emulated VMs it was True for some seconds, then False: the agents had to connect again.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        endpoint_ready: float | None = None,
        restored: bool = False,
    ) -> None:
        self._context = context
        self.endpoint_ready = endpoint_ready
        self._not_before = context.clock.monotonic() + (SETTLE_SECONDS if restored else 0.0)

    def wait(
        self, what: str, presumed: preconditions.Presumed
    ) -> tuple[tuple[Precondition, ...], float]:
        """Return the preconditions as they held, and when, in seconds since the run began."""
        context = self._context

        def look() -> tuple[Precondition, ...]:
            readings = context.take(preconditions.probes(presumed))
            ready = preconditions.endpoint_is_ready(readings)
            if ready is False:
                # Gone since an earlier phase: the cluster has to settle again once it is back.
                self.endpoint_ready = None
            elif ready and self.endpoint_ready is None:
                self.endpoint_ready = context.clock.monotonic()
            return preconditions.judge(presumed, readings)

        bound = PRECONDITIONS_SECONDS * context.pace
        with context.steps.step(StepId.PRECONDITIONS, bound) as tell:

            def say_unmet(seen: tuple[Precondition, ...]) -> None:
                unmet = [f"{each.name}: {each.text}" for each in seen if not each.holds]
                if unmet:
                    tell("; ".join(unmet))

            try:
                history = until_they_hold(
                    context,
                    f"the preconditions of {what}",
                    look,
                    bound=bound,
                    on_change=say_unmet,
                    not_before=self._not_before,
                )
            except WaitTimeoutError as error:
                raise PreconditionsUnmetError(what, error.history[-1].value) from None
        return history[-1].value, context.now()
