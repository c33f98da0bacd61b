"""How a verb ends on stdout: shortly on a terminal, in full where something else reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.base.printing import is_terminal, show, show_lines, stdout
from harness.cli.next_step import this_command
from harness.diagnose.model import Diagnosis
from harness.engine.outcome import Outcome
from harness.engine.results import ScenarioResult
from harness.report import closing, diagnosis, summary
from harness.report.files import INDEX, PAGE
from harness.report.formatting import terminal_width


def is_short(*, verbose: bool) -> bool:
    """Whether a person looks on who did not ask for everything."""
    return is_terminal(stdout()) and not verbose


def show_cause(found: Diagnosis, *, verbose: bool) -> None:
    """Print a diagnosis: cause, proof and remedy on a terminal, in full with every hop."""
    if is_short(verbose=verbose):
        show_lines(closing.of_diagnosis(found, terminal_width()))
    else:
        show(diagnosis.render(found))


def show_result(result: ScenarioResult, *, verbose: bool) -> None:
    """Print what a run came to: the last lines of a terminal, or the summary to be pasted."""
    if not is_short(verbose=verbose):
        show(summary.render(result))
        return
    # A replay that writes nothing has the bundle there.
    page = result.folder / PAGE if result.folder.is_dir() else None
    show_lines(closing.of_run(result, terminal_width(), page=page, program=this_command()))


def show_total(runs: Sequence[tuple[str, Outcome]], folder: Path, *, verbose: bool) -> None:
    """Print on a terminal what several runs came to together; one has said so itself."""
    if len(runs) > 1 and is_short(verbose=verbose):
        page = folder / INDEX
        show_lines(closing.of_runs(runs, page if page.is_file() else folder, terminal_width()))
