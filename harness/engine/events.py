"""What the engine tells while it runs, and what a run came to.

Events are for the eye and the timeline; results are for reports, JUnit and the nightly. Both are
plain frozen values, so the command line, the pytest plugin and replay consume the same ones, and
all of them know their JSON form (`to_dict`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from harness.base.errors import ExitCode
from harness.check.model import Verdict
from harness.diagnose.model import Diagnosis
from harness.probe.flows import FlowResult


class Outcome(StrEnum):
    """What a whole run came to; each outcome has one exit code."""

    MET = "met"
    NOT_MET = "not-met"
    INCONCLUSIVE = "inconclusive"
    INFRASTRUCTURE = "infrastructure"
    HOST_LACKS = "host-lacks"
    REFUSED = "refused"
    """Wrong usage, or a scenario this provider cannot run: nothing was started."""
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code the README promises for this outcome."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Outcome.MET: ExitCode.OK,
    Outcome.NOT_MET: ExitCode.NOT_MET,
    Outcome.INCONCLUSIVE: ExitCode.INFRASTRUCTURE,
    Outcome.INFRASTRUCTURE: ExitCode.INFRASTRUCTURE,
    Outcome.HOST_LACKS: ExitCode.HOST_LACKS,
    Outcome.REFUSED: ExitCode.USAGE,
    Outcome.INTERRUPTED: ExitCode.INTERRUPTED,
}


def _plain(value: object) -> Any:  # noqa: ANN401  # the JSON form of a value has no narrower type
    """Return `value` as JSON knows it: dict, list, str, number, bool or None."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    return value


class _Value:
    """Base of the values below: knows its JSON form."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: field names to plain values."""
        plain: dict[str, Any] = _plain(self)
        return plain


# --- what a run came to -----------------------------------------------------------------------


@dataclass(frozen=True)
class Transition(_Value):
    """A change of what was observed: seconds since the phase's preconditions held, and the text."""

    elapsed: float
    text: str


class PreconditionId(StrEnum):
    """What a phase can presume."""

    NODES_READY = "nodes-ready"
    ADDRESSES = "node-addresses"
    KONNECTIVITY_ON = "konnectivity-on"
    KONNECTIVITY_OFF = "konnectivity-off"
    METRICS_SERVER = "metrics-server-ready"
    PLUGINS = "network-ready"
    CONFIG = "configuration"


PRECONDITION_NAMES: Mapping[PreconditionId, str] = {
    PreconditionId.NODES_READY: "nodes are Ready",
    PreconditionId.ADDRESSES: "node addresses are distinct and on the private network",
    PreconditionId.KONNECTIVITY_ON: "konnectivity is on",
    PreconditionId.KONNECTIVITY_OFF: "konnectivity is off",
    PreconditionId.METRICS_SERVER: "metrics-server is Ready",
    PreconditionId.PLUGINS: "kube-proxy and the network provider are Ready",
    PreconditionId.CONFIG: "k0s has the given configuration",
}
"""What people read; programs go by the ids."""


@dataclass(frozen=True)
class Precondition(_Value):
    """What a phase presumes; `holds` is None where it could not be seen."""

    id: PreconditionId
    name: str
    holds: bool | None
    text: str


@dataclass(frozen=True)
class ExpectationResult(_Value):
    """One expectation, what was seen of it, and the verdict.

    `id` is unique within its phase (`apiservice`, `apiservice-2`), `kind` the scenario's word.
    `explanation` is the sentence that JUnit shows as the failure's message. `seconds` runs from
    the moment the phase's preconditions held to the verdict.
    """

    id: str
    kind: str
    expected_text: str
    observed_text: str
    verdict: Verdict
    explanation: str
    transitions: tuple[Transition, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class AppliedChange(_Value):
    """A fault or a remedy that was applied on entering a phase.

    `at` is when, in seconds since the run began, `seconds` how long it took, and `took_effect` what
    showed that it did.
    """

    text: str
    seconds: float
    at: float = 0.0
    took_effect: str = ""


@dataclass(frozen=True)
class Sums(_Value):
    """Where the seconds went, so that the harness's own share can be seen.

    `cold_start` is machines and the first `k0sctl apply` up to a cluster that has settled;
    `changes` what changes, their taking back and the cluster's answer to them took; `holds` what
    the scenario asks to last; `own` the rest. Evidence and teardown stand apart, under `timings`.
    """

    cold_start: float = 0.0
    changes: float = 0.0
    holds: float = 0.0
    own: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            *(
                round(getattr(self, each.name) + getattr(other, each.name), 1)
                for each in fields(self)
            )
        )


@dataclass(frozen=True)
class PhaseResult(_Value):
    """One phase: what was changed, what it presumed, what was seen, and why.

    `flows` are the ways of the flow matrix, where the phase expects something of it.
    `counted` is what the counters of the changes in force said at its end. `skipped` names
    expectations that a version gate left out. `seconds` is the whole phase, and `sums` says of
    what.
    """

    name: str
    preconditions: tuple[Precondition, ...] = ()
    verdicts: tuple[ExpectationResult, ...] = ()
    diagnosis: Diagnosis | None = None
    changes: tuple[AppliedChange, ...] = ()
    seconds: float = 0.0
    skipped: tuple[str, ...] = ()
    flows: tuple[FlowResult, ...] = ()
    sums: Sums = field(default_factory=Sums)
    counted: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArtifactUsed(_Value):
    """One file a run was made of; `origin` is `official`, `unverified` or `own-build`."""

    kind: str
    version: str
    file_name: str
    sha256: str
    origin: str
    source: str


@dataclass(frozen=True)
class SettingUsed(_Value):
    """An effective setting: its value as text, and the default, variable or option it is from."""

    value: str
    origin: str


@dataclass(frozen=True)
class ScenarioResult(_Value):
    """Everything a run of one scenario came to.

    `scenario_sha256` is of the scenario's file as it was run. `not_entered` names the phases that
    nobody asked for, or that an early end kept from being entered: the outcome says nothing of
    them. `substrate` says what stood there ("three containers sharing this host's kernel"), `pace`
    how many times slower than this host those machines were measured to be (every bound was scaled
    by it), `seed` what they were made with of k0s. `versions` says what was run (k0s, k0sctl,
    kubectl, bundle), `timings` seconds by step, `sums` where those of the phases went, `shared_lab`
    which scenario's machines these were before, None where they were made for this one. `isolation`
    has each layer and whether it held, `leftovers` what could not be removed. `started` and `ended`
    are ISO 8601 in UTC. `error` is the text of what ended the run early, None where nothing did.
    """

    run_id: str
    scenario: str
    title: str
    outcome: Outcome
    started: str
    ended: str
    folder: Path
    references: tuple[str, ...] = ()
    scenario_sha256: str = ""
    phases: tuple[PhaseResult, ...] = ()
    not_entered: tuple[str, ...] = ()
    substrate: str = "no machines"
    pace: float = 1.0
    seed: str | None = None
    provider: str | None = None
    provider_reason: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[ArtifactUsed, ...] = ()
    settings: Mapping[str, SettingUsed] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    sums: Sums = field(default_factory=Sums)
    shared_lab: str | None = None
    isolation: Mapping[str, str] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()
    error: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that goes with the outcome."""
        return self.outcome.exit_code

    @property
    def not_official(self) -> tuple[ArtifactUsed, ...]:
        """The artifacts whose origin is not official; every report must name them."""
        return tuple(used for used in self.artifacts if used.origin != "official")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, with the exit code that follows from the outcome."""
        return {"exit_code": int(self.exit_code), **super().to_dict()}


# --- what is told while it runs ---------------------------------------------------------------


class StepId(StrEnum):
    """The steps of a run."""

    HOST = "host"
    ARTIFACTS = "artifacts"
    MACHINES = "machines"
    CHANGE = "change"
    TAKE_BACK = "take-back"
    APPLY = "apply"
    PRECONDITIONS = "preconditions"
    OBSERVE = "observe"
    EVIDENCE = "evidence"
    GIVE_BACK = "give-back"
    TEARDOWN = "teardown"


_STEP_TITLES: Mapping[StepId, str] = {
    StepId.HOST: "This host",
    StepId.ARTIFACTS: "Artifacts",
    StepId.MACHINES: "{} machines through Vagrant ({})",
    StepId.CHANGE: "Change the cluster",
    StepId.TAKE_BACK: "Take back",
    StepId.APPLY: "k0sctl apply",
    StepId.PRECONDITIONS: "Preconditions",
    StepId.OBSERVE: "Observe {}",
    StepId.EVIDENCE: "Evidence",
    StepId.GIVE_BACK: "Give the machines back",
    StepId.TEARDOWN: "Teardown",
}


def title_of(step: StepId, *of: str) -> str:
    """Return what people read of a step, `of` being what it is about; programs go by the id."""
    return _STEP_TITLES[step].format(*of)


class _Event(_Value):
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
    """An expectation of the phase has its verdict."""

    id: str
    verdict: Verdict
    text: str


Event: TypeAlias = (
    StepStarted | StepProgress | StepEnded | PhaseEntered | TransitionSeen | VerdictReached
)
