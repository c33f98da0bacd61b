"""How a run ends: evidence, machines that are handed on, kept, or removed.

What goes wrong here is told as a leftover of the run; it changes no verdict, except that machines
which could not be removed are no success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from harness.base.errors import HarnessError
from harness.base.printable import pasted
from harness.base.wait import Clock
from harness.changes.footprint import Footprint, differences
from harness.cluster.prober import ApiClient
from harness.engine.collect import collect
from harness.engine.events import StepId
from harness.engine.live import LiveCluster
from harness.engine.shared_lab import SharedLab
from harness.engine.steps import Steps
from harness.evidence.recorder import Recorder
from harness.lab.lab import Lab
from harness.state.records import KUBECONFIG
from harness.vocabulary.machines import CONTROLLER

# Pieces have 5 s each and are taken four at a time; a dead machine costs its own pieces only.
EVIDENCE_SECONDS = 30.0
# A kept lab is for a look the same day; the nightly's clean-up takes it after that.
KEPT_FOR = timedelta(hours=12)
# What is said of a kept lab, and of nothing else that a run leaves.
KEPT = "is kept until"


def take_evidence(
    lab: Lab, roles: Mapping[str, str], api: ApiClient | None, recorder: Recorder, steps: Steps
) -> tuple[str, ...]:
    """Take the evidence; return what to tell of a failure, which ends nothing."""
    remotes = {name: lab.remote(name) for name in lab.machines}
    try:
        with steps.step(StepId.EVIDENCE, EVIDENCE_SECONDS * lab.pace):
            collect(remotes, roles, api, recorder, pace=lab.pace)
    except HarnessError as error:
        return (f"evidence: {error}",)
    return ()


def give_back(live: LiveCluster, steps: Steps) -> tuple[str, ...]:
    """Take every change back; return why the machines cannot be handed on, nothing if they can."""
    try:
        with steps.step(StepId.GIVE_BACK) as tell:
            return live.give_back(tell)
    except HarnessError as error:
        return (str(error),)


def proven(live: LiveCluster, taken: SharedLab | None) -> tuple[Footprint | None, tuple[str, ...]]:
    """Return the footprint by which the next command knows the lab, or what to tell instead.

    A lab that was `taken` from an earlier command must end as that one left it.
    """
    was = None if taken is None else taken.footprint
    try:
        now = live.settled_footprint()
    except HarnessError as error:
        return None, (f"the machines are not left to another command: {error}",)
    differs = differences(was, now) if was is not None else ()
    if differs:
        return None, (f"the machines are not left to another command: {'; '.join(differs)}",)
    return was or now, ()


def pause(lab: Lab, phase: str, wait: Callable[[str], None], clock: Clock) -> str:
    """Say how to enter the machines, `wait` for a person; return what is to be told of that."""
    kubectl = pasted("kubectl", "--kubeconfig", str(lab.folder / KUBECONFIG), "get", "pods", "-A")
    began = clock.monotonic()
    wait(
        f"Phase {phase} failed; its machines are up:\n  {_way_in(lab)}\n  {kubectl}\n"
        "Enter goes on, Ctrl-C ends the run; the machines go with it."
    )
    seconds = clock.monotonic() - began
    return f"paused for {seconds:.0f}s after phase {phase}: what was done meanwhile is not known"


def _way_in(lab: Lab) -> str:
    return pasted("ssh", "-F", str(lab.ssh_config), CONTROLLER)


def keep(lab: Lab, clock: Clock) -> str:
    """Keep the machines; return until when, how to enter them and how to remove them."""
    until = clock.now() + KEPT_FOR
    lab.keep(until)
    return (
        f"lab {lab.run_id} {KEPT} {until.isoformat(timespec='minutes')}: "
        f"{_way_in(lab)}; "
        f"{pasted('k0s-harness', 'labs', '--clean', lab.run_id)}"
    )


def remove(lab: Lab, steps: Steps) -> HarnessError | None:
    """Remove the machines; return what kept some of them from it."""
    try:
        with steps.step(StepId.TEARDOWN):
            lab.destroy()
    except HarnessError as error:
        return error
    return None
