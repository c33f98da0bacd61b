"""What a run came to, as Markdown that a person pastes into a bug report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.base.errors import REMEDY
from harness.base.printable import pasted
from harness.check.model import Verdict
from harness.diagnose.model import Diagnosis, Hop, HopState
from harness.engine.results import ExpectationResult, PhaseResult, ScenarioResult
from harness.evidence.redaction import redact
from harness.report import timings
from harness.report.formatting import duration, origin_line, run_seconds
from harness.report.html.run_folder import events
from harness.report.markdown import block, cell, code, code_cell, folded, link, prose

_ERROR_LINES = 8
DECIDING = (
    "provider",
    "libvirt_uri",
    "driver",
    "pool",
    "seed",
    "same_nat_address",
    "box_url",
    "box_sha256",
    "k0s_binary",
    "mirror",
    "allow_unpinned",
)
"""The settings that decide what is run; the others say where it leaves what it saw."""


def render(result: ScenarioResult) -> str:
    """Return the summary, about 50 lines of Markdown that are seen, without a trailing newline.

    The first line says the outcome and what stood there. Then come the cause with the first broken
    hop, its evidence and the remedy; versions and whether they are the official builds; what was
    expected and seen in each phase, all hops folded, as is where the seconds went; and the command
    that repeats the run.
    """
    return "\n".join(_lines(result))


def repeat_command(result: ScenarioResult, program: str = "k0s-harness") -> str:
    """Return the command line that repeats the run, with the settings that were not defaults."""
    chosen = [result.settings[name] for name in DECIDING if name in result.settings]
    said = [f"{each.origin}={pasted(each.value)}" for each in chosen]
    variables = [text for text, each in zip(said, chosen, strict=True) if each.origin.isupper()]
    options = [text for text, each in zip(said, chosen, strict=True) if each.origin[:2] == "--"]
    return " ".join([*variables, program, "run", pasted(result.scenario), *options])


def _lines(result: ScenarioResult) -> Iterator[str]:
    yield f"**{prose(result.scenario)}: {result.outcome}** on {prose(result.substrate)}"
    yield ""
    yield prose(result.title)
    yield from _causes(result.phases)
    yield ""
    yield from _run(result)
    for phase in result.phases:
        yield ""
        yield from _phase(phase)
    if result.not_entered:
        yield ""
        yield f"Not entered, so nothing is said of: {prose(', '.join(result.not_entered))}"
    if result.error is not None:
        yield from ("", "What ended the run:")
        yield block("\n".join(_error(redact(result.error).splitlines())))
    for leftover in result.leftovers:
        yield f"- **left behind:** {prose(leftover)}"
    yield from _seconds(result)
    yield ""
    yield f"Evidence: {code(str(result.folder))} · again: {code(repeat_command(result))}"


def _error(lines: Sequence[str]) -> Iterator[str]:
    """Yield what ended the run: its details as far as there is room, its remedies all.

    A `HarnessError` says what happened, its details, then what to do and where the rest is.
    """
    to_do = next((at for at, line in enumerate(lines) if line.startswith(REMEDY)), len(lines))
    said = lines[:to_do]
    yield from said[:_ERROR_LINES]
    if len(said) > _ERROR_LINES:
        yield f"    … {len(said) - _ERROR_LINES} more lines of this are in report.json"
    yield from lines[to_do:]


def _seconds(result: ScenarioResult) -> Iterator[str]:
    """Yield where the seconds went, folded; nothing of a run without its timeline."""
    profile = timings.profile(result.scenario, events(result.folder))
    if profile:
        yield from ("", folded("Where the seconds went"), "", block(profile), "</details>")


def _run(result: ScenarioResult) -> Iterator[str]:
    """Yield what the run is known by; a line without a mark keeps two lists apart."""
    seconds = run_seconds(result)
    took = f", {duration(seconds)}" if seconds is not None else ""
    yield f"Run {prose(result.run_id)}, {prose(result.started)}{took}:"
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    yield f"- {prose(versions or 'no versions seen')}: {prose(origin_line(result))}"
    if result.provider is not None:
        reason = f" ({result.provider_reason})" if result.provider_reason else ""
        yield f"- Vagrant provider {prose(f'{result.provider}{reason}')}"
    if result.pace > 1:
        yield f"- machines {result.pace:g} times slower than the host; bounds are scaled by that"
    if result.seed is not None:
        yield f"- machines made with {prose(result.seed)}: nothing was uploaded"
    if result.shared_lab is not None:
        yield f"- on the machines of {prose(result.shared_lab)}"
    elif result.isolation:
        yield "- on machines made for it"
    for reference in result.references:
        yield f"- {link(reference)}"


def _phase(phase: PhaseResult) -> Iterator[str]:
    changes = "; ".join(f"{each.text}, {duration(each.seconds)}" for each in phase.changes)
    yield f"### Phase {prose(phase.name)}" + (f" — after {prose(changes)}" if changes else "")
    for each in phase.preconditions:
        if each.holds is not True:
            state = "not seen" if each.holds is None else "does not hold"
            yield f"- precondition {state}: {prose(f'{each.name}: {each.text}')}"
    if phase.verdicts:
        yield "| expected | observed | verdict | after |"
        yield "|---|---|---|---|"
        yield from (_row(verdict) for verdict in phase.verdicts)
    for skipped in phase.skipped:
        yield f"- left out: {prose(skipped)}"
    if phase.diagnosis is not None:
        yield from _hops(phase.diagnosis)


def _row(verdict: ExpectationResult) -> str:
    why = "" if verdict.verdict is Verdict.MET else f": {verdict.explanation}"
    cells = (
        verdict.expected_text,
        verdict.observed_text,
        f"{verdict.verdict}{why}",
        duration(verdict.seconds),
    )
    return f"| {' | '.join(cell(each) for each in cells)} |"


def _causes(phases: Sequence[PhaseResult]) -> Iterator[str]:
    """Yield the cause of each phase but those that are whole and met everything."""
    for phase in phases:
        if phase.diagnosis is None:
            continue
        met = all(each.verdict is Verdict.MET for each in phase.verdicts)
        if phase.diagnosis.broken is not None or not met:
            yield from _diagnosis(phase.name, phase.diagnosis)


def _diagnosis(phase: str, diagnosis: Diagnosis) -> Iterator[str]:
    broken = diagnosis.broken
    also = f", and also {', '.join(diagnosis.also)}" if diagnosis.also else ""
    yield ""
    cause = f"**{diagnosis.cause}** ({diagnosis.confidence} confidence){also}"
    yield f"Cause in phase {prose(phase)}: {cause}"
    if broken is not None:
        command = f" — {code(broken.command)}" if broken.command else ""
        yield f"- first broken hop: **{prose(broken.name)}**: {prose(broken.text)}{command}"
    for fact in diagnosis.facts:
        # The broken hop's own stands above.
        if broken is None or fact != broken.sentence:
            yield f"- {prose(fact)}"
    for ruled_out in diagnosis.ruled_out:
        yield f"- ruled out: {prose(ruled_out)}"
    for missing in diagnosis.not_seen:
        yield f"- not seen: {prose(missing)}"
    yield from _remedy(diagnosis)


def _remedy(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.remedies:
        first, *others = diagnosis.remedies
        yield f"- remedy: {prose(first)}"
        yield from (f"  - {prose(other)}" for other in others)
    if diagnosis.check_again is not None:
        yield f"- check again: {code(diagnosis.check_again)}"
    if diagnosis.look_again is not None:
        yield f"- settling, look again {prose(diagnosis.look_again)}"
    if diagnosis.link is not None:
        yield f"- {link(diagnosis.link)}"


def _hops(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield the ladder, folded: whoever reads the issue may want all of it, most do not."""
    if not diagnosis.hops:
        return
    yield ""
    yield folded(f"Hop by hop: {_counted(diagnosis.hops)}")
    # The blank line lets GitHub read the Markdown inside.
    yield ""
    yield "| hop | state | seen | shown by |"
    yield "|---|---|---|---|"
    for hop in diagnosis.hops:
        shown_by = code_cell(hop.command or "")
        state = hop.state.replace("-", " ")
        yield f"| {cell(hop.name)} | {state} | {cell(hop.text)} | {shown_by} |"
    yield ""
    yield "</details>"


def _counted(hops: Sequence[Hop]) -> str:
    counts = {state: sum(hop.state is state for hop in hops) for state in HopState}
    words = {HopState.HOLDS: "hold", HopState.BROKEN: "broken", HopState.NOT_SEEN: "not seen"}
    return ", ".join(f"{count} {words[state]}" for state, count in counts.items() if count)
