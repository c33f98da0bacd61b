"""What a run came to, as Markdown that a person pastes into a bug report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from collections.abc import Sequence
from datetime import datetime

from harness.check.model import Verdict
from harness.diagnose.model import Diagnosis
from harness.diagnose.model import HopState
from harness.engine.events import ExpectationResult
from harness.engine.events import PhaseResult
from harness.engine.events import ScenarioResult
from harness.evidence.redaction import redact
from harness.report.words import duration
from harness.report.words import one_line
from harness.report.words import origin_line

# A condition's message is about 200 characters; the whole text is in report.json.
_CELL_CHARACTERS = 260
_ERROR_LINES = 8
# The settings that decide what is run; the others say where it leaves what it saw.
_DECIDING = (
    "provider",
    "driver",
    "pool",
    "seed",
    "same_nat_address",
    "box_url",
    "box_sha256",
    "k0s_binary",
    "mirror",
)


def render(result: ScenarioResult) -> str:
    """Return the summary, about 40 lines of Markdown without a trailing newline.

    The first line says the outcome and what stood there; then versions and whether they are the
    official builds, what was expected and seen in each phase, the first broken hop with its
    evidence, the remedy, and the command that repeats the run.
    """
    return redact("\n".join(_lines(result)))


def repeat_command(result: ScenarioResult) -> str:
    """Return the command line that repeats the run, with the settings that were not defaults."""
    chosen = [result.settings[name] for name in _DECIDING if name in result.settings]
    said = [f"{each.origin}={shlex.quote(each.value)}" for each in chosen]
    variables = [text for text, each in zip(said, chosen, strict=True) if each.origin.isupper()]
    options = [text for text, each in zip(said, chosen, strict=True) if each.origin[:2] == "--"]
    return " ".join([*variables, "k0s-harness", "run", result.scenario, *options])


def _lines(result: ScenarioResult) -> Iterator[str]:
    yield f"**{result.scenario}: {result.outcome}** on {result.substrate}"
    yield ""
    yield f"- {result.title}"
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    yield f"- {versions or 'no versions seen'}: {origin_line(result)}"
    if result.provider is not None:
        reason = f" ({result.provider_reason})" if result.provider_reason else ""
        yield f"- Vagrant provider {result.provider}{reason}"
    if result.pace > 1:
        yield f"- machines {result.pace:g} times slower than the host; bounds are scaled by that"
    if result.seed is not None:
        yield f"- machines made with {result.seed}: nothing was uploaded"
    seconds = _seconds(result)
    took = f", {duration(seconds)}" if seconds is not None else ""
    yield f"- run {result.run_id}, {result.started}{took}"
    for reference in result.references:
        yield f"- {reference}"
    for phase in result.phases:
        yield ""
        yield from _phase(phase)
    if result.not_entered:
        yield ""
        yield f"Not entered, so nothing is said of: {', '.join(result.not_entered)}"
    if result.error is not None:
        yield from ("", "What ended the run:", "```")
        yield from result.error.splitlines()[:_ERROR_LINES]
        yield "```"
    for leftover in result.leftovers:
        yield f"- **left behind:** {one_line(leftover)}"
    yield ""
    yield f"Evidence: `{result.folder}` · again: `{repeat_command(result)}`"


def _phase(phase: PhaseResult) -> Iterator[str]:
    changes = "; ".join(f"{each.text}, {duration(each.seconds)}" for each in phase.changes)
    yield f"### Phase {phase.name}" + (f" — after {changes}" if changes else "")
    for each in phase.preconditions:
        if each.holds is not True:
            state = "not seen" if each.holds is None else "does not hold"
            yield f"- precondition {state}: {each.name}: {one_line(each.text)}"
    if phase.verdicts:
        yield "| expected | observed | verdict | after |"
        yield "|---|---|---|---|"
        yield from (_row(verdict) for verdict in phase.verdicts)
    for skipped in phase.skipped:
        yield f"- left out: {one_line(skipped)}"
    if phase.diagnosis is not None:
        yield from _diagnosis(phase.diagnosis, phase.verdicts)


def _row(verdict: ExpectationResult) -> str:
    why = "" if verdict.verdict is Verdict.MET else f": {verdict.explanation}"
    cells = (
        verdict.expected_text,
        verdict.observed_text,
        f"{verdict.verdict}{why}",
        duration(verdict.seconds),
    )
    return f"| {' | '.join(cell(each) for each in cells)} |"


def _diagnosis(diagnosis: Diagnosis, verdicts: Sequence[ExpectationResult]) -> Iterator[str]:
    broken = next((hop for hop in diagnosis.hops if hop.state is HopState.BROKEN), None)
    if broken is None and all(each.verdict is Verdict.MET for each in verdicts):
        return
    yield ""
    yield f"Cause: **{diagnosis.cause}** ({diagnosis.confidence} confidence)"
    if broken is not None:
        command = f" — `{broken.command}`" if broken.command else ""
        yield f"- first broken hop: **{broken.name}**: {one_line(broken.text)}{command}"
    for fact in diagnosis.facts:
        yield f"- {one_line(fact)}"
    for missing in diagnosis.not_seen:
        yield f"- not seen: {one_line(missing)}"
    if diagnosis.remedy is not None:
        yield f"- remedy: {one_line(diagnosis.remedy)}"


def cell(text: str) -> str:
    """Return `text` as a cell of a table: one line, of bounded length, nothing taken for a tag."""
    text = one_line(text)
    if len(text) > _CELL_CHARACTERS:
        text = text[: _CELL_CHARACTERS - 1] + "…"
    # A bar ends a cell, and GitHub takes <unknown> for a tag and shows nothing.
    return text.replace("|", "\\|").replace("<", "&lt;")


def _seconds(result: ScenarioResult) -> float | None:
    try:
        started, ended = (datetime.fromisoformat(at) for at in (result.started, result.ended))
    except ValueError:
        return None
    return (ended - started).total_seconds()
