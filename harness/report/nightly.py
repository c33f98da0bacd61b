"""Several runs as one: the Markdown of a nightly's job summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.check.model import Verdict
from harness.engine.results import ScenarioResult
from harness.report import summary
from harness.report.formatting import origin_line
from harness.report.markdown import cell, folded

# GitHub shows a step's summary up to 1024 kB and drops it whole above that.
_LONGEST = 1_000_000


def without_verdict(planned: Sequence[str], results: Iterable[ScenarioResult]) -> tuple[str, ...]:
    """Return the planned scenarios that no verdict was reached on, run or not."""
    judged = {
        result.scenario for result in results if any(phase.verdicts for phase in result.phases)
    }
    return tuple(name for name in planned if name not in judged)


def job_summary(planned: Sequence[str], results: Iterable[ScenarioResult]) -> str:
    """Return the summary of all runs: a table first, then each run on its own, folded.

    A planned scenario without a result has its row: absence is shown, never left out.
    """
    by_name = {result.scenario: result for result in results}
    text = "\n".join(_lines(dict.fromkeys([*planned, *by_name]), by_name))
    if len(text.encode()) <= _LONGEST:
        return text
    table, _, _ = text.partition("\n<details>")
    return f"{table}\nThe single runs are left out here: too long. Their folders have them.\n"


def _lines(names: Iterable[str], by_name: dict[str, ScenarioResult]) -> Iterator[str]:
    yield "| scenario | outcome | expectations met | on | builds | why |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        yield _row(name, by_name.get(name))
    for result in by_name.values():
        yield ""
        # A blank line lets GitHub read the Markdown inside.
        yield f"{folded(f'{result.scenario}: {result.outcome}')}\n"
        yield summary.render(result)
        yield "\n</details>"


def _row(name: str, result: ScenarioResult | None) -> str:
    if result is None:
        return f"| {cell(name)} | **no verdict** | 0 | nothing | | the run did not get this far |"
    verdicts = [verdict for phase in result.phases for verdict in phase.verdicts]
    met = sum(verdict.verdict is Verdict.MET for verdict in verdicts)
    cells = (
        cell(name),
        f"**{result.outcome}**",
        f"{met} of {len(verdicts)}",
        cell(result.substrate),
        cell(origin_line(result)),
        cell(why(result)),
    )
    return f"| {' | '.join(cells)} |"


def why(result: ScenarioResult) -> str:
    """Return why a run's outcome is what it is: what ended it, or each expectation not met."""
    if result.error is not None:
        return result.error.partition("\n")[0]
    return "; ".join(
        f"{phase.name}/{verdict.id}: {verdict.explanation}"
        for phase in result.phases
        for verdict in phase.verdicts
        if verdict.verdict is not Verdict.MET
    )
