"""Waiting until what a phase presumes holds, before it is judged or anything is compared."""

from __future__ import annotations

from collections.abc import Callable

from harness.base.errors import InconclusiveError
from harness.base.wait import Attempt, WaitTimeoutError, wait_until
from harness.engine import preconditions
from harness.engine.context import RunContext
from harness.engine.events import StepId
from harness.engine.results import Precondition
from harness.expectations.kind import SETTLE_SECONDS
from harness.probe import apiservice
from harness.probe.core import observe
from harness.ssh.pace import between_looks

# metrics-server became Ready 29-33 s after a cold apply (readiness delay 20 s and two scrapes).
# Five times that is well below what a broken one would need to look like a slow one.
PRECONDITIONS_SECONDS = 180.0
PRECONDITIONS_EVERY_SECONDS = 1.0
# Of a restored cluster whose condition keeps changing that is what there is to see.
MOST_ANEW_SECONDS = 3 * SETTLE_SECONDS


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
    may_hold: Callable[[], bool] = lambda: True,
) -> tuple[Attempt[tuple[Precondition, ...]], ...]:
    """Look until all preconditions hold and `may_hold`, when the API tells; as `wait_until`."""

    def until_told(seen: tuple[Precondition, ...]) -> None:
        probe = preconditions.until_told(seen)
        if probe is not None:
            context.prober.wait_for(probe)

    return wait_until(
        what,
        look,
        lambda seen: all(each.holds for each in seen) and may_hold(),
        bound=bound,
        every=between_looks(PRECONDITIONS_EVERY_SECONDS, context.pace),
        clock=context.clock,
        on_change=on_change,
        until_told=until_told,
    )


class Settling:
    """Waits for preconditions on one cluster.

    `endpoint_ready` is when metrics-server's endpoint became ready, on the clock; None where it is
    not, or was not looked at; `held_at_once` whether the last wait ended with its first look.
    `restored` is whether the machines were just put back to a saved state: what the API says is
    older than that at first, the aggregator's condition for longest. On emulated VMs it was True
    for some seconds, then False, once 50 s later: agents connect again, and all that is due by the
    clock begins at once. It has to stay for one look of the aggregator.
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
        self.held_at_once = False
        now = context.clock.monotonic()
        self._latest = now + MOST_ANEW_SECONDS if restored else now
        self._not_before = min(now + SETTLE_SECONDS, self._latest)
        # Its status, and since when.
        self._condition: tuple[bool | None, str] | None = None

    def wait(
        self, what: str, presumed: preconditions.Presumed
    ) -> tuple[tuple[Precondition, ...], float]:
        """Return the preconditions as they held, and when, in seconds since the run began."""
        context = self._context

        def look() -> tuple[Precondition, ...]:
            self._watch_condition()
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
                    may_hold=lambda: context.clock.monotonic() >= self._not_before,
                )
            except WaitTimeoutError as error:
                raise PreconditionsUnmetError(what, error.history[-1].value) from None
        self.held_at_once = len(history) == 1
        return history[-1].value, context.now()

    def _watch_condition(self) -> None:
        """Begin to settle anew where the APIService's condition has changed since the restore."""
        now = self._context.clock.monotonic()
        if now >= self._not_before:
            return
        (reading,) = self._context.take((apiservice.PROBE.look(),))
        seen = observe(apiservice.PROBE.parse, reading).value
        if seen is not None and (seen.available, seen.since) != self._condition:
            self._condition = seen.available, seen.since
            self._not_before = min(now + SETTLE_SECONDS, self._latest)
