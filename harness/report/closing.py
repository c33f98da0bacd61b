"""What stands last on a terminal: at most twelve lines, of which the last say what to do.

Text of ours is wrapped between words, and cut. What may be pasted (commands, paths, what to do) has
no line end in it: blanks bring its next word to the terminal's next line, and what is copied of it
is one line.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import REMEDY, REST
from harness.base.printing import Code
from harness.check.model import Verdict
from harness.diagnose.model import Diagnosis, HopState
from harness.engine.ending import KEPT
from harness.engine.outcome import Outcome
from harness.engine.results import PhaseResult, ScenarioResult
from harness.evidence.redaction import redact
from harness.report.formatting import cut, duration, one_line, run_seconds
from harness.report.summary import repeat_command
from harness.vocabulary.words import Cause

MOST_LINES = 12
WHOLE = 10_000
"""The width of what is no terminal: nothing is wrapped or cut for it."""
# Where a row's text begins, after its name.
_INDENT = 11
_MOST_UNMET = 3
_DIAGNOSIS_LINES = MOST_LINES - 2
"""Two lines are for what to do next, which the command says itself."""
_SIGNS = {
    Outcome.MET: ("✓", Code.GREEN),
    Outcome.NOT_MET: ("✗", Code.RED),
    Outcome.INCONCLUSIVE: ("?", Code.YELLOW),
    Outcome.INTERRUPTED: ("?", Code.YELLOW),
}
_FAILED = ("✗", Code.RED)

Line = tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    """A name and its text: in `lines` at most, or all of it, unbroken by us, where that is None.

    What `shrinks` is whole where there is room for it, else one line of it, else left out.
    """

    name: str
    text: str
    lines: int | None = None
    shrinks: bool = False


def of_run(
    result: ScenarioResult, width: int, *, page: Path | None, program: str = "k0s-harness"
) -> list[Line]:
    """Return verdict, cause, remedy, where the report is, how to run again, what to do next.

    `page` is the report for people, where one is written; `program` is how the harness is called.
    """
    sign, colour = _SIGNS.get(result.outcome, _FAILED)
    took = run_seconds(result)
    within = f", in {duration(took)}" if took is not None else ""
    taken = f", those of {result.shared_lab}" if result.shared_lab is not None else ""
    where = f" on {one_line(f'{result.substrate}{taken}')}"
    head = redact(f"{one_line(result.scenario)}: {_words(result.outcome)}{within}{where}")
    first = (colour, sign, Code.PLAIN, " ", cut(head, width - len("✓ ")))
    return [first, *_fitted(list(_of_run(result, page, program)), width)]


def of_runs(runs: Sequence[tuple[str, Outcome]], reports: Path, width: int) -> list[Line]:
    """Return what several runs came to; of those that met everything there is only the count.

    `reports` is the page of all of them, or the folder where there is none.
    """
    others = [each for each in runs if each[1] is not Outcome.MET]
    sign, colour = ("✓", Code.GREEN) if not others else _FAILED
    rows = [_Row(_words(outcome), name, 1) for name, outcome in others]
    shown = MOST_LINES - 3
    if len(rows) > shown:
        rows[shown - 1 :] = [_Row("", f"and {len(rows) - shown + 1} more", 1)]
    rows.append(_Row("reports", str(reports)))
    head = f"{len(runs) - len(others)} of {len(runs)} scenarios met everything"
    return [(colour, sign, Code.PLAIN, " ", head), *_fitted(rows, width)]


def of_diagnosis(diagnosis: Diagnosis, width: int) -> list[Line]:
    """Return cause, proof and remedy."""
    healthy = diagnosis.cause == Cause.HEALTHY
    name = "not known" if diagnosis.cause == Cause.UNKNOWN else diagnosis.cause
    sign, colour = ("✓", Code.GREEN) if healthy else _FAILED
    head = f"cause: {name} ({diagnosis.confidence} confidence)"
    rows = list(_of_diagnosis(diagnosis, healthy=healthy))
    rows.append(_Row("all hops", "the same command with --verbose"))
    return [(colour, sign, Code.PLAIN, " ", head), *_fitted(rows, width, _DIAGNOSIS_LINES)]


def plain(lines: Iterable[Line]) -> list[str]:
    """Return the lines without their colours."""
    return ["".join(part for part in line if not isinstance(part, Code)) for line in lines]


def _of_run(result: ScenarioResult, page: Path | None, program: str) -> Iterator[_Row]:
    yield from _unmet(result)
    happened, remedies, places = _error(result)
    if happened:
        yield _Row("because", happened, 3)
    explained = next(_explained(result.phases), None)
    if explained is not None:
        name, diagnosis = explained
        found = f"{diagnosis.cause} ({diagnosis.confidence} confidence), phase {name}"
        yield _Row("cause", found, 1)
        if diagnosis.broken is not None:
            yield _Row("", diagnosis.broken.sentence, 2)
        if not remedies:
            yield from _remedies(diagnosis)
    yield _Row("phases", _counted(result), 1)
    for left in result.leftovers:
        # How to enter the machines and how to remove them is to be pasted.
        yield _Row("left", left, None if _is_kept(left) else 2)
    yield from (_Row("log", each) for each in places)
    for index, each_remedy in enumerate(remedies):
        yield _Row("" if index else "do", each_remedy)
    if page is not None:
        yield _Row("report", str(page))
    again = repeat_command(result, program)
    yield _Row("again", again)
    next_step = _next(result, program, again)
    if next_step and not remedies:
        yield _Row("next", next_step)


def _unmet(result: ScenarioResult) -> Iterator[_Row]:
    unmet = [
        (phase, each)
        for phase in result.phases
        for each in phase.verdicts
        if each.verdict is not Verdict.MET
    ]
    for phase, each in unmet[:_MOST_UNMET]:
        text = f"{phase.name}: {each.expected_text}; {each.explanation}"
        yield _Row("not met" if each.verdict is Verdict.NOT_MET else "not seen", text, 2)
    if len(unmet) > _MOST_UNMET:
        yield _Row("", f"and {len(unmet) - _MOST_UNMET} more", 1)


def _error(result: ScenarioResult) -> tuple[str, list[str], list[str]]:
    """Return the first line of what ended a run early, what it says to do, where the rest is."""
    lines = (result.error or "").splitlines()
    first = next((at for at, line in enumerate(lines) if line.startswith(REMEDY)), len(lines))
    places = [line.removeprefix(REST) for line in lines if line.startswith(REST)]
    # A remedy's alternatives stand below it.
    remedies = [line.removeprefix(REMEDY) for line in lines[first:] if not line.startswith(REST)]
    return (lines[0] if lines else ""), remedies, places


def _explained(phases: Sequence[PhaseResult]) -> Iterator[tuple[str, Diagnosis]]:
    """Yield the diagnoses that found something, those of phases that went wrong first."""
    found = [each for each in phases if each.diagnosis is not None]
    found.sort(key=lambda phase: all(each.verdict is Verdict.MET for each in phase.verdicts))
    for phase in found:
        if phase.diagnosis is not None and phase.diagnosis.cause != Cause.HEALTHY:
            yield phase.name, phase.diagnosis


def _counted(result: ScenarioResult) -> str:
    counts = [
        f"{phase.name} {sum(each.verdict is Verdict.MET for each in phase.verdicts)}"
        f" of {len(phase.verdicts)} met"
        for phase in result.phases
    ]
    return ", ".join([*counts, *(f"{name} not entered" for name in result.not_entered)])


def _next(result: ScenarioResult, program: str, again: str) -> str:
    """Return what a person does next; nothing where all is said."""
    match result.outcome:
        case Outcome.MET:
            return ""
        case Outcome.INTERRUPTED:
            return f"{program} labs (what is left on this host)"
        case Outcome.INFRASTRUCTURE if not result.phases:
            return f"{program} doctor (what this host can do), then once more"
        case Outcome.HOST_LACKS:
            return f"{program} doctor (what this host lacks, and the command that gets it)"
        case _ if any(map(_is_kept, result.leftovers)):
            return f"{program} diagnose (of the machines that are kept)"
        case _:
            return f"{again} --keep failure, then {program} diagnose"


def _words(outcome: Outcome) -> str:
    return outcome.replace("-", " ")


def _is_kept(leftover: str) -> bool:
    return KEPT in leftover


def _of_diagnosis(diagnosis: Diagnosis, *, healthy: bool) -> Iterator[_Row]:
    if diagnosis.also:
        yield _Row("also", ", ".join(diagnosis.also), 1)
    if diagnosis.look_again is not None:
        yield _Row("settling", f"look again {diagnosis.look_again}", 1)
    if healthy:
        held = [hop.name for hop in diagnosis.hops if hop.state is HopState.HOLDS]
        yield _Row("checked", ", ".join(held), 3)
    if diagnosis.broken is not None:
        yield _Row("broken", diagnosis.broken.sentence, 2)
    proofs = [each for each in diagnosis.facts if not healthy]
    broken = diagnosis.broken.sentence if diagnosis.broken is not None else None
    for index, fact in enumerate([each for each in proofs if each != broken][:2]):
        yield _Row("" if index else "because", fact, 1)
    if diagnosis.not_seen:
        yield _Row("not seen", "; ".join(diagnosis.not_seen), 1)
    yield from _remedies(diagnosis)
    if diagnosis.ruled_out:
        others = "; ".join(each.removeprefix("not ") for each in diagnosis.ruled_out)
        yield _Row("ruled out", others, 1)
    if diagnosis.check_again is not None:
        yield _Row("check", diagnosis.check_again, shrinks=True)
    if diagnosis.link is not None:
        yield _Row("see", diagnosis.link, shrinks=True)


def _remedies(diagnosis: Diagnosis) -> Iterator[_Row]:
    for index, remedy in enumerate(diagnosis.remedies):
        yield _Row("" if index else "remedy", remedy, shrinks=index > 0)


def _fitted(rows: Sequence[_Row], width: int, most: int = MOST_LINES) -> list[Line]:
    """Return the rows as the lines that follow the first one, together at most `most`.

    Rows that come first are given room first, what stands whole before what is wrapped.
    """
    shown = [(row, redact(one_line(row.text))) for row in rows]
    while (room := _room(shown, width, most)) < 0 and any(row.shrinks for row, _ in shown):
        shown.remove([each for each in shown if each[0].shrinks][-1])
    texts: dict[int, list[str]] = {}
    for at, (row, text) in enumerate(shown):
        if row.lines is None:
            more = _height(text, width) - 1 if row.shrinks else 0
            texts[at] = [_spaced(text, width) if more <= room else cut(text, width - _INDENT)]
            room -= more if more <= room else 0
    room += 1
    for at, (row, text) in enumerate(shown):
        if row.lines is not None:
            texts[at] = _wrapped(text, width - _INDENT, min(row.lines, room))
            room -= len(texts[at])
    return [
        (Code.BOLD, f"{'' if index else row.name:<{_INDENT}}", Code.PLAIN, text)
        for at, (row, _) in enumerate(shown)
        for index, text in enumerate(texts[at])
    ]


def _room(shown: Sequence[tuple[_Row, str]], width: int, most: int) -> int:
    """Return how many lines are left when all rows have the least that they need.

    One line is for what is wrapped: the first of it says what was seen. One stands above.
    """
    least = (1 if row.shrinks else _height(text, width) for row, text in shown if row.lines is None)
    return most - 2 - sum(least)


def _height(text: str, width: int) -> int:
    """Return how many lines a terminal makes of a row without a line end."""
    return -(-(_INDENT + len(_spaced(text, width))) // width)


def _spaced(text: str, width: int) -> str:
    """Return `text` with blanks up to where the terminal's next line has the next word."""
    lines = _wrapped(text, width - _INDENT, len(text))
    spaced = (f"{line}{' ' * (-(_INDENT + len(line)) % width + _INDENT)}" for line in lines[:-1])
    return "".join([*spaced, *lines[-1:]])


def _wrapped(text: str, columns: int, most: int) -> list[str]:
    if most < 1:
        return []
    return textwrap.wrap(
        text,
        max(columns, _INDENT),
        max_lines=most,
        placeholder=" …",
        break_on_hyphens=False,
        break_long_words=False,
    )
