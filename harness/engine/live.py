"""Bringing a phase about on a live cluster: take back, deploy, then act."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from harness.base.context import Say
from harness.base.errors import HarnessError, InconclusiveError
from harness.base.wait import WaitTimeoutError, wait_until
from harness.changes.deployment import Deployment
from harness.changes.footprint import Footprint
from harness.changes.kind import Change, DeploymentChange, DirectChange
from harness.changes.undo import UndoPhase
from harness.cluster.cluster import Cluster
from harness.cluster.k0sctl import ApplyFailedError, apply_seconds, wait_seconds
from harness.diagnose.facts import facts_from
from harness.engine import preconditions
from harness.engine.changes import Changes
from harness.engine.context import RunContext
from harness.engine.events import StepId
from harness.engine.phases import judged_ends
from harness.engine.results import AppliedChange, Precondition
from harness.engine.settling import (
    PRECONDITIONS_EVERY_SECONDS,
    PreconditionsUnmetError,
    Settling,
    until_they_hold,
)
from harness.engine.timing import Timing
from harness.plan.model import PhasePlan, Plan
from harness.probe import workloads
from harness.ssh.pace import between_looks
from harness.vocabulary.words import ApplyOutcome

# As long as k0s itself gives its API server.
API_SECONDS = 120.0
# New nodes are Ready about 20 s after k0s was started on them; who waits three times that long is
# told for what.
SLOW_NODES_SECONDS = 60.0


@dataclass
class LiveCluster:
    """Changes a cluster that is there; `save` keeps how a new one is once it has settled."""

    context: RunContext
    plan: Plan
    cluster: Cluster
    changes: Changes
    settling: Settling
    save: Callable[[], None] | None = None

    def bring_about(
        self, phase: PhasePlan, timing: Timing
    ) -> tuple[tuple[AppliedChange, ...], ApplyFailedError | None]:
        """Take back, deploy, then act; return what was done, or how k0sctl ended instead."""
        undone, deployed, acts = _by_means(phase.changes)
        made: list[AppliedChange] = []

        def note(changes: Sequence[Change], took_effect: str) -> None:
            seconds = timing.changes()
            made.extend(
                AppliedChange(
                    each.describe(),
                    seconds,
                    round(self.context.now(), 1),
                    took_effect,
                )
                for each in changes
            )

        if undone:
            self._take_back([each.phase for each in undone], phase.deployment)
            note(undone, "everything is as it was before")
        exact = any(each.undo == "exact" for each in (*acts, *deployed))
        if self.cluster.deployed is None:
            self._settle_first(phase, needed=exact)
            timing.cold_start()
        if exact:
            self.changes.remember(phase.name)
        cold = self.cluster.deployed is None
        ended_badly = self._deploy(phase.deployment, judged=judged_ends(phase))
        # However it ended, k0sctl had that time and not the harness.
        if cold:
            timing.cold_start()
        if ended_badly is not None:
            timing.changes()
            return (), ended_badly
        note(deployed, "k0sctl applied it")
        if acts:
            with self.context.steps.step(StepId.CHANGE) as tell:
                for act in acts:
                    tell(act.describe())
                    note([act], self.changes.make(phase.name, act))
        return tuple(made), None

    def _settle_first(self, phase: PhasePlan, *, needed: bool) -> None:
        """Deploy what stands before the first change, and save it where that is wanted.

        Changes that are compared are `needed` on a cluster that has settled, or nobody could say
        what they changed.
        """
        save = None if judged_ends(phase) else self.save
        if not needed and save is None:
            return
        self._deploy(self.plan.start)
        try:
            self.settling.wait("a settled cluster", preconditions.comparable(self.plan))
        except PreconditionsUnmetError:
            if needed:
                raise
        else:
            if save is not None:
                save()

    def confirm(self, phase: str) -> tuple[str, ...]:
        """Look again that what the phase changed still is so; see `Changes.confirm`."""
        return self.changes.confirm(phase)

    def give_back(self, tell: Say) -> tuple[str, ...]:
        """Take back whatever the phases changed and is not taken back yet.

        Returns what is not as it was before: nothing, for a lab that may be used again.
        """
        names = self.changes.outstanding()
        self.changes.take_back(names, tell)
        self._deploy(self.plan.start)
        return self.changes.differences(names)

    def settled_footprint(self) -> Footprint:
        """Return how everything is once the cluster has settled, with nothing changed.

        Raises `InconclusiveError` where it does not settle, or cannot be read.
        """
        self.settling.wait("a settled cluster", preconditions.comparable(self.plan))
        return self.changes.changer.footprint()

    def _take_back(self, phases: Sequence[str], deployment: Deployment) -> None:
        doing = f"Taking back the changes of {', '.join(phases)}"
        with self.context.steps.step(StepId.TAKE_BACK) as tell:
            self.changes.take_back(phases, tell)
            self._deploy(deployment)
            left = self.changes.differences(phases)
        if left:
            raise InconclusiveError(
                doing,
                "inconclusive, for what they changed is not as it was before: " + "; ".join(left),
            )

    def _deploy(
        self, deployment: Deployment, *, judged: Collection[ApplyOutcome] = ()
    ) -> ApplyFailedError | None:
        """Apply what is not there yet; return how it ended badly where that end is `judged`."""
        if self.cluster.deployed == deployment:
            return None
        may_fail = ApplyOutcome.FAILED in judged
        # Where the end of k0sctl is judged, it is k0sctl's own, with all that it waits for.
        joining = self.cluster.deployed is None and not judged
        try:
            with self.context.steps.step(
                StepId.APPLY, apply_seconds(self.context.pace, may_fail=may_fail)
            ) as tell:
                self.cluster.apply(deployment, may_fail=may_fail, joining=joining, on_phase=tell)
                self._wait_for_api()
                if joining:
                    tell("Wait for the nodes")
                    self._wait_for_nodes(tell)
        except ApplyFailedError as error:
            if error.outcome not in judged:
                raise
            return error
        return None

    def _wait_for_api(self) -> None:
        """Return once the API server answers: a controller that was restarted takes 5-15 s."""

        def says() -> str:
            try:
                self.cluster.kubectl.run(["get", "--raw", "/readyz"])
            except HarnessError as error:
                return str(error)
            return ""

        wait_until(
            "the API server to answer",
            says,
            lambda refusal: not refusal,
            bound=API_SECONDS * self.context.pace,
            every=between_looks(PRECONDITIONS_EVERY_SECONDS, self.context.pace),
            clock=self.context.clock,
        )

    def _wait_for_nodes(self, tell: Say) -> None:
        """Return once every node is Ready, or might have been: preconditions judge that."""
        presumed = preconditions.settled(self.plan, self.plan.start)
        clock = self.context.clock
        slow = clock.monotonic() + SLOW_NODES_SECONDS * self.context.pace
        told = ""

        def look() -> tuple[Precondition, ...]:
            nonlocal told
            readings = self.context.take([workloads.NODES.look()])
            found = preconditions.nodes(presumed, facts_from(readings))
            if not found.holds and found.text != told and clock.monotonic() >= slow:
                told = found.text
                tell(f"{found.name}: {told}")
            return (found,)

        bound = wait_seconds(self.context.pace)
        with contextlib.suppress(WaitTimeoutError):
            until_they_hold(self.context, "every node to be Ready", look, bound=bound)


def _by_means(
    changes: Iterable[Change],
) -> tuple[list[UndoPhase], list[DeploymentChange], list[DirectChange]]:
    """Return what takes phases back, what k0sctl does, and what is done to the cluster itself."""
    undone: list[UndoPhase] = []
    deployed: list[DeploymentChange] = []
    acts: list[DirectChange] = []
    for change in changes:
        if isinstance(change, UndoPhase):
            undone.append(change)
        elif isinstance(change, DeploymentChange):
            deployed.append(change)
        elif isinstance(change, DirectChange):
            acts.append(change)
    return undone, deployed, acts
