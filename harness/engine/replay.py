"""A run's judgement, diagnosis and result again, from its bundle alone; nothing is started.

The same code judges as in the run: phases are entered by `Phases`, on a clock and a prober that
play the recording back. What changed the cluster is not done again; the recording says when it was
over, or how k0sctl refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.base.errors import UsageError
from harness.base.untrusted import MIB
from harness.cluster.k0sctl import ApplyFailedError
from harness.diagnose.judge import diagnose
from harness.diagnose.model import Diagnosis
from harness.engine.context import RunContext
from harness.engine.events import Event
from harness.engine.outcome import Outcome, outcome_of
from harness.engine.phases import Phases, judged_ends
from harness.engine.preconditions import settled
from harness.engine.recorded import BesideExecutor, RecordedClock, RecordedProber
from harness.engine.recorded_run import began_of, look_instead, plan_of, result_of
from harness.engine.results import AppliedChange, PhaseResult, ScenarioResult
from harness.engine.settling import PreconditionsUnmetError, Settling
from harness.engine.steps import Steps
from harness.engine.timeline import Segment, end_of, seconds_of, segments_of
from harness.engine.timing import Timing
from harness.evidence.bundle import Bundle
from harness.evidence.reading import Reading
from harness.plan.model import PhasePlan, Plan

# What every report of a replay begins with where a run says what it ran on.
A_REPLAY = "a replay, with nothing started, of "


# A walk up the ladder of a hundred machines: 27 kB for each, and 100 kB of the API.
_MOST_OF_A_WALK = 12 * MIB


@dataclass(frozen=True)
class Difference:
    """Something that the replay came to otherwise than the run; `what` names it."""

    phase: str
    what: str
    run: str
    replay: str

    def text(self) -> str:
        """Return the difference as a line."""
        return f"{self.phase}/{self.what}: the run said {self.run}, the replay says {self.replay}"


@dataclass(frozen=True)
class Replayed:
    """What a replay came to.

    `result` is shaped as the run's own, with what was judged anew in it. `differences` is empty
    where the replay says what the run said. `notes` says what of the run could not be judged again.
    """

    result: ScenarioResult
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def replay(
    bundle: Bundle,
    *,
    folder: Path,
    record: Callable[[Sequence[Reading]], None] = lambda _: None,
    emit: Callable[[Event], None] = lambda _: None,
) -> Replayed:
    """Judge the run in `bundle` again.

    `folder` is what the result names as its own. `record` and `emit` hear what they would in a run.
    Raises `UsageError` for a bundle of which no run can be judged: one of a cluster that was only
    looked at, or one without the times of its phases.
    """
    doing = f"Reading the bundle {bundle.path}"
    recorded = result_of(bundle)
    plan = plan_of(bundle, recorded)
    segments = segments_of(bundle.events)
    if not segments:
        raise UsageError(
            doing, "it does not say when its phases began", remedy=look_instead(bundle)
        )
    clock = RecordedClock(began=began_of(bundle, recorded))
    by_phase = {each.name: each for each in recorded.phases}
    prober = RecordedProber(clock, bundle.readings)
    context = RunContext(
        prober=prober,
        clock=clock,
        started=0.0,
        steps=Steps(clock, emit),
        record=record,
        emit=emit,
        pace=recorded.pace,
        pool=lambda: BesideExecutor(clock),
    )
    settling = Settling(context, endpoint_ready=seconds_of(bundle.meta.get("endpoint_ready")))
    means = _Recorded(plan, settling, clock, segments, by_phase)
    phases = Phases(context, plan, means, settling)
    results: dict[str, PhaseResult] = {}
    differences: list[Difference] = []
    notes: list[str] = []
    for phase in plan.phases:
        segment = segments.get(phase.name)
        if segment is None:
            continue
        if not _is_whole(phase, segment, by_phase):
            notes.append(f"phase {phase.name} was cut off in the run, so it is not judged")
            continue
        clock.advance(segment.entered)
        prober.show(
            segment.entered,
            end_of(segment, segments.values()),
            samples=len(phase.expectations),
        )
        try:
            results[phase.name] = phases.enter(phase)
        except PreconditionsUnmetError as error:
            results[phase.name] = PhaseResult(phase.name, preconditions=error.seen)
        differences += _differences(results[phase.name], segment, by_phase.get(phase.name))
    outcome = _outcome(recorded, results.values())
    if outcome is not recorded.outcome and bundle.report:
        differences.append(Difference("run", "outcome", recorded.outcome, outcome))
    result = replace(
        recorded,
        phases=tuple(results.values()),
        not_entered=tuple(each.name for each in plan.phases if each.name not in results),
        outcome=outcome,
        folder=folder,
        substrate=replay_of(bundle),
    )
    return Replayed(result, tuple(differences), tuple(notes))


def replay_of(bundle: Bundle) -> str:
    """Return what every report says instead of what stood there: a replay, of what, when, on what.

    The recorded run's own words are in it, so that no replay is taken for a run.
    """
    return f"{A_REPLAY}{bundle.manifest.describe()}"


def diagnose_again(bundle: Bundle) -> Diagnosis:
    """Return the diagnosis from the bundle's readings: of a run, from those of its last phase."""
    return diagnose(readings_of(bundle))


def readings_of(bundle: Bundle, phase: str | None = None) -> tuple[Reading, ...]:
    """Return what was read in a run's phase: in the last, where none is named.

    Of a bundle without phases these are all there are. Raises `UsageError` for a phase that the run
    did not enter.
    """
    segments = segments_of(bundle.events)
    if phase is not None and phase not in segments:
        raise UsageError(
            f"Looking for the phase {phase!r} in the bundle",
            # A stranger may have named them: what a terminal would obey is written out.
            f"it has {', '.join(map(repr, segments)) or 'no phases'}",
        )
    readings: Iterable[Reading] = bundle.readings
    if segments:
        last = max(segments.values(), key=lambda each: each.entered)
        segment = last if phase is None else segments[phase]
        end = end_of(segment, segments.values())
        readings = (each for each in bundle.readings if segment.entered <= each.elapsed < end)
    found = tuple(readings)
    latest = {(each.probe, each.where): each for each in found}
    if sum(len(each.stdout) + len(each.stderr) for each in latest.values()) > _MOST_OF_A_WALK:
        raise UsageError(
            f"Reading the bundle {bundle.path}",
            f"a walk up the ladder has more than {_MOST_OF_A_WALK} characters in it; that of a "
            "hundred machines has a quarter of them",
            remedy="name a bundle as k0s-harness wrote it",
        )
    return found


@dataclass(frozen=True)
class _Recorded:
    """Brings about phases that were entered before: what was changed is looked up, not done."""

    plan: Plan
    settling: Settling
    clock: RecordedClock
    segments: Mapping[str, Segment]
    recorded: Mapping[str, PhaseResult]

    def bring_about(
        self, phase: PhasePlan, timing: Timing
    ) -> tuple[tuple[AppliedChange, ...], ApplyFailedError | None]:
        segment = self.segments[phase.name]
        ended_badly = None
        if segment.ended_badly is not None:
            ended_badly = ApplyFailedError(segment.ended_badly, Path("k0sctl.log"))
            if ended_badly.outcome not in judged_ends(phase):
                raise ended_badly
        for at in segment.waited[:-1]:
            self.clock.advance(at)
            self.settling.wait("a settled cluster", settled(self.plan, self.plan.start))
        self.clock.advance(segment.observed_from)
        timing.changes()
        known = self.recorded.get(phase.name)
        return (known.changes if known is not None else ()), ended_badly

    def confirm(self, phase: str) -> tuple[str, ...]:
        # Nothing was changed again, so there are no counters to read.
        known = self.recorded.get(phase)
        return known.counted if known is not None else ()


def _is_whole(phase: PhasePlan, segment: Segment, recorded: Mapping[str, PhaseResult]) -> bool:
    """Whether the run itself came to an end with the phase, one way or the other."""
    if phase.name in recorded:
        return True
    return {each.id for each in phase.expectations} <= segment.verdicts.keys()


def _differences(
    found: PhaseResult, segment: Segment, recorded: PhaseResult | None
) -> list[Difference]:
    said = dict(segment.verdicts)
    if recorded is not None:
        said = {each.id: each.verdict.value for each in recorded.verdicts}
    says = {each.id: each for each in found.verdicts}
    differences = []
    for name in [*said, *(name for name in says if name not in said)]:
        now = says.get(name)
        if now is None or now.verdict.value != said.get(name):
            text = "nothing" if now is None else f"{now.verdict.value} ({now.explanation})"
            differences.append(Difference(found.name, name, said.get(name, "nothing"), text))
    if recorded is not None and _cause(recorded) != _cause(found):
        differences.append(Difference(found.name, "cause", _cause(recorded), _cause(found)))
    return differences


def _cause(phase: PhaseResult) -> str:
    return "none" if phase.diagnosis is None else phase.diagnosis.cause


def _outcome(recorded: ScenarioResult, phases: Iterable[PhaseResult]) -> Outcome:
    """Return the outcome of the verdicts; what ended the run early is not played back."""
    verdicts = [each.verdict for phase in phases for each in phase.verdicts]
    return recorded.outcome if recorded.error is not None else outcome_of(verdicts, None)
