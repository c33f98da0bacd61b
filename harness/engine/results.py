"""What a run came to: frozen values that know their JSON form, for every kind of report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.artifacts.model import Artifact
from harness.base.errors import ExitCode, HarnessError, InfrastructureError
from harness.base.settings import Settings
from harness.check.model import Verdict
from harness.diagnose.model import Diagnosis
from harness.engine.outcome import Outcome
from harness.engine.plain import Value
from harness.plan.model import Plan
from harness.probe.flows import FlowResult


@dataclass(frozen=True)
class Transition(Value):
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
class Precondition(Value):
    """What a phase presumes; `holds` is None where it could not be seen."""

    id: PreconditionId
    name: str
    holds: bool | None
    text: str


@dataclass(frozen=True)
class ExpectationResult(Value):
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
class AppliedChange(Value):
    """A fault or a remedy that was applied on entering a phase.

    `at` is when, in seconds since the run began, `seconds` how long it took, and `took_effect` what
    showed that it did.
    """

    text: str
    seconds: float
    at: float = 0.0
    took_effect: str = ""


@dataclass(frozen=True)
class Sums(Value):
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
class PhaseResult(Value):
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
class ArtifactUsed(Value):
    """One file a run was made of; `origin` is `official`, `unverified` or `own-build`."""

    kind: str
    version: str
    file_name: str
    sha256: str
    origin: str
    source: str

    @classmethod
    def of(cls, artifact: Artifact) -> ArtifactUsed:
        """Return what a report says of an artifact."""
        return cls(
            kind=artifact.ref.kind,
            version=artifact.ref.version,
            file_name=artifact.ref.file_name,
            sha256=artifact.sha256,
            origin=artifact.origin,
            source=artifact.source,
        )


@dataclass(frozen=True)
class SettingUsed(Value):
    """An effective setting: its value as text, and the default, variable or option it is from."""

    value: str
    origin: str


@dataclass(frozen=True)
class ScenarioResult(Value):
    """Everything a run of one scenario came to.

    `scenario_sha256` is of the scenario's file as it was run. `not_entered` names the phases that
    nobody asked for, or that an early end kept from being entered: the outcome says nothing of
    them. `substrate` says what stood there ("three containers sharing this host's kernel"), `pace`
    how many times slower than this host those machines were measured to be (every bound was scaled
    by it), `seed` what they were made with of k0s. `versions` says what was run (k0s, k0sctl,
    kubectl, bundle), `timings` seconds by step, `sums` where those of the phases went, `shared_lab`
    which scenario's machines these were before, and how they are known to be as before it, None
    where they were made for this one. `isolation` has each layer and whether it held, `leftovers`
    what could not be removed. `started` and `ended` are ISO 8601 in UTC. `error` is the text of
    what ended the run early, None where nothing did.
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


def settings_used(settings: Settings) -> Mapping[str, SettingUsed]:
    """Return the effective settings by name, as a user writes them, each with its origin."""
    return {
        each.name: SettingUsed(
            _as_written(getattr(settings, each.name)), settings.origin.get(each.name, "default")
        )
        for each in fields(settings)
        if each.name != "origin" and getattr(settings, each.name) is not None
    }


def _as_written(value: object) -> str:
    # A switch is read from 1 and 0 alone, and the command that repeats a run is made of these.
    return str(int(value)) if isinstance(value, bool) else str(value)


def versions_of(plan: Plan) -> Mapping[str, str]:
    """Return the version of each release file that the plan wants, by its kind."""
    return {str(each.kind): each.version for each in sorted(plan.artifacts, key=lambda r: r.kind)}


def error_text(error: BaseException | None) -> str | None:
    """Return what ended a run early, as its sentence; None where nothing did."""
    if error is None:
        return None
    if isinstance(error, HarnessError):
        return error.text()
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return InfrastructureError(
        "Running the scenario",
        f"{type(error).__name__}: {error}",
        remedy="this is a fault of the harness: report it with the bundle of this run",
    ).text()


def known_before(result: ScenarioResult) -> Mapping[str, Any]:
    """Return what is known before anything was seen, for a run that never ends by itself."""
    later = {"exit_code", "outcome", "ended", "phases", "not_entered", "leftovers", "error"}
    return {name: value for name, value in result.to_dict().items() if name not in later}
