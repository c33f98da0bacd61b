"""Two runs against each other: verdicts and causes, hops, what they were made of, their times.

What is compared are recorded runs, out of which secrets were redacted when they were read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from harness.base.errors import ExitCode, UsageError
from harness.check.model import Verdict
from harness.diagnose.model import Diagnosis
from harness.engine.replay import A_REPLAY
from harness.engine.results import ArtifactUsed, ScenarioResult
from harness.evidence.manifest import ORIGINS
from harness.report.formatting import duration, one_line, run_seconds
from harness.report.summary import DECIDING

FORMAT = "k0s-harness-comparison/1"
ABSENT = "\N{EN DASH}"
"""What stands where a run has nothing that the other one has."""
_SHA256_SHOWN = 16
# What is compared, and what is shown of it.
_Said: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class Difference:
    """Something in which two runs differ: what each has, None where it has nothing of it."""

    what: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Times:
    """The seconds of one step in both runs, None where a run did not take it."""

    step: str
    a: float | None
    b: float | None
    ratio: float | None


@dataclass(frozen=True)
class Side:
    """One of two runs; `seconds` is None where it does not say when it began and ended."""

    run_id: str
    scenario: str
    outcome: str
    started: str
    seconds: float | None
    on: str


@dataclass(frozen=True)
class Comparison:
    """Two runs against each other, only what differs.

    `results` has the outcome, each verdict and each cause, `hops` those whose state differs,
    `made_of` versions, builds, machines and settings. `times` has all steps. `judged` is whether
    any expectation was judged at all. `notes` say what makes the two less comparable than they
    look.
    """

    a: Side
    b: Side
    judged: bool
    results: tuple[Difference, ...]
    hops: tuple[Difference, ...]
    made_of: tuple[Difference, ...]
    times: tuple[Times, ...]
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether both runs came to the same verdicts and causes; not where there are none."""
        return self.judged and not self.results


@dataclass(frozen=True)
class Comparisons:
    """The runs of two commands against each other, by scenario.

    `only_a` and `only_b` are the scenarios that the other side has no run of.
    """

    comparisons: tuple[Comparison, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """How the verb ends: 0 for the same, 1 for a difference, 4 where nothing was judged."""
        if self.only_a or self.only_b or any(each.results for each in self.comparisons):
            return ExitCode.NOT_MET
        if all(each.same for each in self.comparisons):
            return ExitCode.OK
        return ExitCode.INFRASTRUCTURE


def compare(a: Sequence[ScenarioResult], b: Sequence[ScenarioResult]) -> Comparisons:
    """Return what differs between runs: of two alone these two, of more those of one scenario.

    Raises `UsageError` where no two are of the same scenario. The scenarios of one file with a
    matrix are compared where these are the only runs.
    """
    by_name = {run.scenario: run for run in b}
    pairs = [(run, by_name[run.scenario]) for run in a if run.scenario in by_name]
    if len(a) == len(b) == 1 and a[0].scenario_sha256 and _same_file(a[0], b[0]):
        pairs = [(a[0], b[0])]
    if not pairs:
        of = [", ".join(run.scenario for run in runs) for runs in (a, b)]
        raise UsageError(
            "Comparing the runs",
            f"they are of different scenarios: A of {of[0]}, B of {of[1]}",
            remedy="name two runs of one scenario",
        )
    both = {run.scenario for pair in pairs for run in pair}
    return Comparisons(
        tuple(_compared(*pair) for pair in pairs),
        *(tuple(run.scenario for run in runs if run.scenario not in both) for runs in (a, b)),
    )


def document(compared: Comparisons) -> dict[str, Any]:
    """Return the comparisons as JSON values."""
    return {
        "format": FORMAT,
        "exit_code": int(compared.exit_code),
        "only_a": list(compared.only_a),
        "only_b": list(compared.only_b),
        "comparisons": [
            {"same": each.same, **dataclasses.asdict(each)} for each in compared.comparisons
        ],
    }


def text(compared: Comparisons) -> str:
    """Return the comparisons for people, what matters first."""
    alone = [
        f"run in {name} only: {', '.join(names)}"
        for name, names in (("A", compared.only_a), ("B", compared.only_b))
        if names
    ]
    blocks = [list(_lines(each)) for each in compared.comparisons]
    return "\n\n".join("\n".join(each) for each in (*blocks, alone) if each)


def headline(comparison: Comparison) -> str:
    """Return what a comparison came to."""
    if comparison.results:
        return "verdicts or causes differ"
    return "the same verdicts and causes" if comparison.judged else "neither run judged anything"


def side_text(side: Side) -> str:
    """Return what one of two runs is known by, as a line."""
    took = f", {duration(side.seconds)}" if side.seconds is not None else ""
    return f"{side.run_id}, {side.outcome}, {side.started}{took}, {side.on}"


def time_texts(times: Times) -> tuple[str, str, str, str]:
    """Return a step, how long it took in both runs, and how many times as long in the second."""
    a, b = (ABSENT if each is None else duration(each) for each in (times.a, times.b))
    return one_line(times.step), a, b, ABSENT if times.ratio is None else f"{times.ratio:.2f}"


def _compared(a: ScenarioResult, b: ScenarioResult) -> Comparison:
    entered = {phase.name for phase in a.phases} & {phase.name for phase in b.phases}
    return Comparison(
        _side(a),
        _side(b),
        judged=any(phase.verdicts for phase in (*a.phases, *b.phases)),
        results=_differing(*(_results(run, entered) for run in (a, b))),
        hops=_differing(*(_hops(run, entered) for run in (a, b))),
        made_of=_differing(_made_of(a), _made_of(b)),
        times=tuple(_times(a, b)),
        notes=tuple(_notes(a, b)),
    )


def _same_file(a: ScenarioResult, b: ScenarioResult) -> bool:
    return a.scenario_sha256 == b.scenario_sha256


def _side(run: ScenarioResult) -> Side:
    return Side(run.run_id, run.scenario, run.outcome, run.started, run_seconds(run), run.substrate)


def _results(run: ScenarioResult, phases: Container[str]) -> Iterator[tuple[str, _Said]]:
    """Yield what a run came to: of `phases`, which both entered, each verdict and the cause."""
    ending = run.error.partition("\n")[0] if run.error is not None else run.outcome
    yield "outcome", (run.outcome, ending if ending == run.outcome else f"{run.outcome}: {ending}")
    for phase in run.phases:
        cause = _cause(phase.diagnosis) if phase.diagnosis is not None else "not diagnosed"
        if phase.name not in phases:
            met = sum(each.verdict is Verdict.MET for each in phase.verdicts)
            text = f"{met} of {len(phase.verdicts)} expectations met, cause: {cause}"
            yield f"phase {phase.name}", (text, text)
            continue
        for each in phase.verdicts:
            why = f": {each.explanation}" if each.verdict is not Verdict.MET else ""
            yield f"{phase.name}: {each.id}", (each.verdict, f"{each.verdict}{why}")
        yield f"{phase.name}: cause", (cause, cause)


def _cause(diagnosis: Diagnosis) -> str:
    return ", also ".join((diagnosis.cause, *diagnosis.also))


def _hops(run: ScenarioResult, phases: Container[str]) -> Iterator[tuple[str, _Said]]:
    for phase in run.phases:
        if phase.diagnosis is not None and phase.name in phases:
            for hop in phase.diagnosis.hops:
                # Addresses and pods have other names in every run.
                state = hop.state.replace("-", " ")
                yield f"{phase.name}: {hop.name}", (state, f"{state}: {hop.text}")


def _made_of(run: ScenarioResult) -> Iterator[tuple[str, _Said]]:
    known = {
        "scenario": run.scenario,
        "scenario's file": _sha256(run.scenario_sha256),
        "machines": run.substrate,
        "machines of": run.shared_lab or "their own",
        "pace": f"{run.pace:g}",
        "made with": run.seed,
        **{
            name: run.settings[name].value
            for name in DECIDING
            if name in run.settings and run.settings[name].origin != "default"
        },
        "provider": run.provider,
        **run.versions,
        **{f"{each.kind}, its file": _build(each) for each in run.artifacts},
    }
    yield from ((what, (value, value)) for what, value in known.items() if value)


def _build(used: ArtifactUsed) -> str:
    return f"{used.version}, {ORIGINS.get(used.origin, used.origin)}, {_sha256(used.sha256)}"


def _sha256(digest: str) -> str:
    return f"sha256 {digest[:_SHA256_SHOWN]}\N{HORIZONTAL ELLIPSIS}" if digest else ""


def _differing(
    a: Iterable[tuple[str, _Said]], b: Iterable[tuple[str, _Said]]
) -> tuple[Difference, ...]:
    left, right = dict(a), dict(b)
    return tuple(
        Difference(what, *(each[1] if each is not None else None for each in pair))
        for what in dict.fromkeys([*left, *right])
        for pair in [(left.get(what), right.get(what))]
        if pair[0] is None or pair[1] is None or pair[0][0] != pair[1][0]
    )


def _times(a: ScenarioResult, b: ScenarioResult) -> Iterator[Times]:
    def steps(run: ScenarioResult) -> dict[str, float]:
        whole = run_seconds(run)
        sums = {name.replace("_", " "): value for name, value in run.sums.to_dict().items()}
        return {
            **({"the whole run": whole} if whole is not None else {}),
            **{f"of it {name}": seconds for name, seconds in sums.items()},
            **run.timings,
        }

    left, right = steps(a), steps(b)
    for step in dict.fromkeys([*left, *right]):
        before, after = left.get(step), right.get(step)
        ratio = round(after / before, 2) if before and after is not None else None
        yield Times(step, before, after, ratio)


def _notes(a: ScenarioResult, b: ScenarioResult) -> Iterator[str]:
    if a.scenario != b.scenario:
        yield f"two scenarios of one file: A is {a.scenario}, B is {b.scenario}"
    elif not _same_file(a, b):
        yield "the scenario's file was changed between them: they may expect different things"
    unentered = [name for name in a.not_entered if name in b.not_entered]
    if unentered:
        yield f"neither entered {', '.join(unentered)}, so nothing is said of it"
    if (a.shared_lab is None) != (b.shared_lab is None):
        had = "A" if a.shared_lab is not None else "B"
        yield f"{had} had the machines of the scenario before it, so it has no cold start"
    replays = [name for name, run in (("A", a), ("B", b)) if run.substrate.startswith(A_REPLAY)]
    if replays:
        yield f"a replay: {' and '.join(replays)}; the times are those of the run that was recorded"
    elif a.pace != b.pace or a.substrate != b.substrate:
        yield "their machines differ: times say little"


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"{comparison.a.scenario}: {headline(comparison)}"
    for name, side in (("A", comparison.a), ("B", comparison.b)):
        yield f"  {name}  {side_text(side)}"
    yield from (f"note: {note}" for note in comparison.notes)
    for title, differences in (
        ("verdicts and causes", comparison.results),
        ("hops", comparison.hops),
        ("made of", comparison.made_of),
    ):
        if differences:
            yield f"{title}, where they differ:"
        for each in differences:
            yield f"  {one_line(each.what)}"
            yield f"    A  {one_line(each.a or ABSENT)}"
            yield f"    B  {one_line(each.b or ABSENT)}"
    rows = [("times", "A", "B", "B/A"), *(time_texts(each) for each in comparison.times)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for step, *numbers in rows:
        cells = (text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True))
        yield "  ".join((step.ljust(widths[0]), *cells))
