"""The verbs that run scenarios, as pytest tests: some of them, or every one at night."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.engine.outcome import outcome_of
from harness.engine.outcome import worst
from harness.engine.session import RunSession
from harness.errors import ExitCode
from harness.errors import HarnessError
from harness.errors import InfrastructureError
from harness.errors import InterruptedRunError
from harness.errors import UsageError
from harness.evidence.recorder import write_whole
from harness.printable import printable_line
from harness.printing import say
from harness.printing import show
from harness.pytest_plugin import SESSION
from harness.report import junit
from harness.report import nightly as nightly_report
from harness.report import summary
from harness.scenario.load import load_all
from harness.settings import Settings


def run_scenarios(
    paths: Sequence[Path], settings: Settings, *, select: str | None = None
) -> ExitCode:
    """Run scenarios as pytest tests, print what a person would paste, return the exit code."""
    session = through_pytest(paths, settings, select)
    for result in session.results:
        show(summary.render(result))
    outcomes = [result.outcome for result in session.results]
    outcomes += [outcome_of((), error) for error in session.not_started.values()]
    return worst(outcomes).exit_code


def nightly(paths: Sequence[Path], settings: Settings, job_summary: Path | None) -> ExitCode:
    """Run every scenario, and report on all of them together.

    A planned scenario without a verdict makes the whole inconclusive: a nightly that ran nothing
    is not a good one.
    """
    session = through_pytest(paths, settings, None)
    planned = [each.scenario.name for path in paths for each in load_all(path)]
    text = nightly_report.job_summary(planned, session.results) + "\n"
    show(text.removesuffix("\n"))
    write_whole(session.folder, "summary.md", text)
    write_whole(session.folder, "junit.xml", junit.render(planned, session.results))
    if job_summary is not None:
        with job_summary.open("a") as file:
            file.write(text)
    missing = nightly_report.without_verdict(planned, session.results)
    if missing:
        raise InfrastructureError(
            "Running every scenario", f"no verdict on {', '.join(missing)}", where=session.folder
        )
    return worst(result.outcome for result in session.results).exit_code


def through_pytest(paths: Sequence[Path], settings: Settings, select: str | None) -> RunSession:
    """Return the session of runs that pytest has made of the scenarios.

    Raises what kept every one of them from beginning.
    """
    doing = "Running the scenarios through pytest"
    if select is not None and printable_line(select) != select:
        # pytest says what it cannot read of them as they stand.
        raise UsageError(doing, f"the words of -k are no plain text: {printable_line(select)}")
    keeper = _SessionKeeper()
    status = pytest.main(
        [
            *map(str, paths),
            # Narration and summary are the harness's own; pytest's would say it all again.
            "-p",
            "no:terminal",
            "-p",
            "no:cacheprovider",
            # The plugin reads the environment itself, and says where each value came from.
            *(
                f"{option}={value:d}" if isinstance(value, bool) else f"{option}={value}"
                for name, option in _OPTIONS.items()
                if settings.origin.get(name, "").startswith("--")
                for value in [getattr(settings, name)]
            ),
            *(["-k", select] if select else []),
        ],
        plugins=[keeper],
    )
    session = keeper.session
    if session is not None and (session.results or session.not_started):
        for error in session.not_started.values():
            say(error.text())
        return session
    if keeper.interrupted:
        raise InterruptedRunError(doing, "interrupted before any scenario began")
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise UsageError(doing, f"no expectation matches -k {select}")
    raise keeper.error or InfrastructureError(doing, f"it ended with status {int(status)}")


_OPTIONS = {
    "runs_dir": "--k0s-runs",
    "keep": "--k0s-keep",
    "provider": "--k0s-provider",
    "fresh": "--k0s-fresh",
}


class _SessionKeeper:
    """Keeps the session of runs beyond the end of pytest's."""

    session: RunSession | None = None
    error: HarnessError | None = None
    interrupted: bool = False

    def pytest_configure(self, config: pytest.Config) -> None:
        self.session = config.stash.get(SESSION, None)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell a Ctrl-C from a mistake in a file: pytest has one exit status for both."""
        self.interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)

    def pytest_exception_interact(self, call: pytest.CallInfo[object]) -> None:
        """Keep the first error of ours: a mistake in a file has no result to tell it."""
        error = call.excinfo.value if call.excinfo is not None else None
        if self.error is None and isinstance(error, HarnessError):
            self.error = error
