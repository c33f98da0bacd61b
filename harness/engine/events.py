"""What the engine tells while it runs, for the eye and the timeline: frozen values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from harness.check.model import Verdict
from harness.engine.plain import Value


class StepId(StrEnum):
    """The steps of a run."""

    HOST = "host"
    REUSE = "reuse"
    ARTIFACTS = "artifacts"
    MACHINES = "machines"
    CHANGE = "change"
    TAKE_BACK = "take-back"
    APPLY = "apply"
    SAVE = "save"
    RESTORE = "restore"
    PRECONDITIONS = "preconditions"
    OBSERVE = "observe"
    EVIDENCE = "evidence"
    GIVE_BACK = "give-back"
    LEAVE = "leave"
    TEARDOWN = "teardown"


_STEP_TITLES: Mapping[StepId, str] = {
    StepId.HOST: "This host",
    StepId.REUSE: "A lab that was left for this",
    StepId.ARTIFACTS: "Artifacts",
    StepId.MACHINES: "{} machines through Vagrant ({})",
    StepId.CHANGE: "Change the cluster",
    StepId.TAKE_BACK: "Take back",
    StepId.APPLY: "k0sctl apply",
    StepId.SAVE: "Save the machines with their memory",
    StepId.RESTORE: "Restore the machines",
    StepId.PRECONDITIONS: "Preconditions",
    StepId.OBSERVE: "Observe {}",
    StepId.EVIDENCE: "Evidence",
    StepId.GIVE_BACK: "Give the machines back",
    StepId.LEAVE: "Leave the lab to the next command",
    StepId.TEARDOWN: "Teardown",
}


def title_of(step: StepId, *of: str) -> str:
    """Return what people read of a step, `of` being what it is about; programs go by the id."""
    return _STEP_TITLES[step].format(*of)


class _Event(Value):
    """Base of the events: their JSON form says which event it is (`step-started`)."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form with the event's name under `event`."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()
        return {"event": name, **super().to_dict()}


@dataclass(frozen=True)
class StepStarted(_Event):
    """A step began; `bound` is the seconds it may take, None where it has no bound of its own."""

    step: StepId
    title: str
    bound: float | None = None


@dataclass(frozen=True)
class StepProgress(_Event):
    """What the step in progress waits for and last saw."""

    text: str


@dataclass(frozen=True)
class StepEnded(_Event):
    """A step ended after `seconds`; `text` says with what, `reason` what of it went wrong.

    Both may be empty.
    """

    step: StepId
    title: str
    seconds: float
    ok: bool
    text: str = ""
    reason: str = ""


@dataclass(frozen=True)
class PhaseEntered(_Event):
    """A phase begins: its name, what is changed on entering it, and what it expects, as text."""

    name: str
    changes: tuple[str, ...] = ()
    expectations: tuple[str, ...] = ()


@dataclass(frozen=True)
class TransitionSeen(_Event):
    """What was observed at `where` (an expectation's id or a machine) changed to `text`."""

    elapsed: float
    where: str
    text: str


@dataclass(frozen=True)
class VerdictReached(_Event):
    """An expectation of the phase, `expected` in words, has its verdict."""

    id: str
    verdict: Verdict
    text: str
    expected: str = ""


Event: TypeAlias = (
    StepStarted | StepProgress | StepEnded | PhaseEntered | TransitionSeen | VerdictReached
)
