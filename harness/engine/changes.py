"""The changes of a run: made phase by phase, taken back, and compared with what was before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.base.context import Say
from harness.base.errors import InconclusiveError
from harness.base.wait import Clock, WaitTimeoutError, wait_until
from harness.changes.action import Action
from harness.changes.footprint import Footprint, differences
from harness.changes.kind import DirectChange
from harness.cluster.changer import Changer
from harness.cluster.kubectl import Kubectl
from harness.engine.context import RunContext
from harness.lab.lab import Lab
from harness.plan.model import Plan

# What was changed comes back by itself where Kubernetes has a hand in it: a restarted controller
# applies its manifests again within 30 s, a Deployment makes its pod again in 5-30 s.
RESTORED_SECONDS = 90.0
RESTORED_EVERY_SECONDS = 3.0


def changes_on(lab: Lab, plan: Plan, kubectl: Kubectl, context: RunContext) -> Changes:
    """Return the changes of a run to the cluster on `lab`, of which there are none yet."""
    changer = Changer(
        plan,
        context.prober,
        {name: lab.remote(name) for name in lab.machines},
        kubectl,
        clock=context.clock,
        record=context.record,
        started=context.started,
        pace=context.pace,
        second_ways=lab.second_ways(),
    )
    return Changes(changer, context.clock, context.pace)


@dataclass
class Changes:
    """What the phases did to one cluster beyond k0sctl.yaml, in the order it was done."""

    changer: Changer
    clock: Clock
    pace: float = 1.0
    _before: dict[str, Footprint] = field(default_factory=dict, init=False)
    _made: dict[str, list[Action]] = field(default_factory=dict, init=False)

    def remember(self, phase: str) -> None:
        """Take down how everything is before the phase's changes, to compare with later."""
        self._before[phase] = self.changer.footprint()
        self._made[phase] = []

    def make(self, phase: str, change: DirectChange) -> str:
        """Make one change, and return what was seen of its taking effect.

        Raises `InconclusiveError` when it could not be made or did not.
        """
        made = self.changer.make(change)
        self._made.setdefault(phase, []).append(made)
        return "; ".join(check.what for check in made.check if check.required)

    def confirm(self, phase: str) -> tuple[str, ...]:
        """Look again that what the phase changed still is so; return what the evidence says.

        What earlier phases changed may be hidden by it, as a route is by a blackhole; where the
        phase made no change of its own, theirs is what it was watched with. Raises
        `InconclusiveError` where it is not so: what was watched meanwhile proves nothing.
        """
        own = self._made.get(phase)
        in_force = own or [each for made in self._made.values() for each in made]
        return tuple(said for each in in_force for said in self.changer.confirm(each))

    def outstanding(self) -> tuple[str, ...]:
        """Return the phases whose changes are not taken back, the last one first."""
        return tuple(reversed(self._before))

    def take_back(self, phases: Sequence[str], tell: Say) -> None:
        """Take back the actions of these phases, the last one first."""
        for phase in phases:
            for made in reversed(self._made.pop(phase, [])):
                tell(made.text)
                self.changer.undo(made)

    def differences(self, phases: Sequence[str]) -> tuple[str, ...]:
        """Return what is not as it was before the phases, once it has had its time to come back."""
        known = [self._before.pop(phase) for phase in phases if phase in self._before]
        if not known:
            return ()
        before = known[-1]

        def look() -> tuple[str, ...]:
            try:
                return differences(before, self.changer.footprint())
            except InconclusiveError as unread:
                # A restarted API server does not answer yet.
                return (str(unread),)

        try:
            history = wait_until(
                "everything to be as it was before",
                look,
                lambda found: not found,
                bound=RESTORED_SECONDS * self.pace,
                every=RESTORED_EVERY_SECONDS,
                clock=self.clock,
            )
        except WaitTimeoutError as error:
            last: tuple[str, ...] = error.history[-1].value
            return last
        return history[-1].value
