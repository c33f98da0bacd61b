"""The verb `run`: scenarios as pytest tests, in this process."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from harness import pytest_plugin
from harness.base.context import Context
from harness.base.errors import (
    ExitCode,
    HarnessError,
    InfrastructureError,
    InterruptedRunError,
    UsageError,
)
from harness.base.printable import printable_line
from harness.base.printing import say
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.cli import plain_folders
from harness.cli.ending import show_result, show_total
from harness.cli.options import add_provider, add_verbose, scenario_files, settings_of
from harness.cli.shards import add_shard, own_part
from harness.engine.capacity import labs_at_once
from harness.engine.outcome import outcome_of, worst
from harness.engine.results import ScenarioResult
from harness.engine.session import RunSession, plan_of
from harness.engine.shared_lab import start_state
from harness.pytest_session import ON_VERDICT, OPTIONS, SESSION
from harness.scenario.load import load_all


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "scenarios", nargs="+", metavar="SCENARIO", help="a file, or the name of one in scenarios/"
    )
    add_provider(verb)
    verb.add_argument("--keep", metavar="WHEN", help="keep the machines: never, failure or always")
    add_runs(verb)
    verb.add_argument(
        "--fresh", action="store_const", const="1", help="new machines for each scenario"
    )
    verb.add_argument(
        "--reuse",
        action="store_const",
        const="1",
        help="take the lab that an earlier command left; leave one for the next",
    )
    add_jobs(verb)
    add_shard(verb)
    verb.add_argument(
        "-k", dest="select", metavar="WORDS", help="only expectations that match, as pytest's -k"
    )
    add_verbose(verb)


def add_jobs(verb: argparse.ArgumentParser) -> None:
    """Add `--jobs`."""
    verb.add_argument(
        "--jobs",
        metavar="N",
        help="labs at once, a process each; auto: what this host carries",
    )


def add_runs(verb: argparse.ArgumentParser) -> None:
    """Add `--runs`."""
    verb.add_argument(
        "--runs",
        dest="runs_dir",
        metavar="DIR",
        help="folder for evidence and reports; default: runs",
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Run the scenarios that are named."""
    settings = settings_of(options)
    paths = own_part(scenario_files(options.scenarios), settings, options.shard)
    return run_scenarios(paths, settings, select=options.select, verbose=options.verbose)


def run_scenarios(
    paths: Sequence[Path], settings: Settings, *, select: str | None = None, verbose: bool = False
) -> ExitCode:
    """Run scenarios as pytest tests, print what they came to, return the exit code.

    Each result is printed before its machines are given back or removed; what became of them is
    said afterwards.
    """
    printed: set[str] = set()

    def tell(result: ScenarioResult) -> None:
        printed.update(result.leftovers)
        show_result(result, verbose=verbose)

    session = through_pytest(paths, settings, select, on_verdict=tell, verbose=verbose)
    for result in session.results:
        for leftover in result.leftovers:
            if leftover not in printed:
                say(f"{result.scenario}: {leftover}")
    runs = [(result.scenario, result.outcome) for result in session.results]
    runs += [(str(each), outcome_of((), error)) for each, error in session.not_started.items()]
    show_total(runs, session.folder, verbose=verbose)
    return worst(outcome for _, outcome in runs).exit_code


def through_pytest(
    paths: Sequence[Path],
    settings: Settings,
    select: str | None,
    *,
    on_verdict: Callable[[ScenarioResult], None] = lambda _: None,
    verbose: bool = False,
) -> RunSession:
    """Return the session of runs that pytest has made of the scenarios.

    Nothing is loaded but pytest's own plugins and the harness's: a scenario may be somebody else's,
    and so may what lies around it. `on_verdict` hears each result before its machines go. Raises
    what kept every one of them from beginning.
    """
    doing = "Running the scenarios through pytest"
    if select is not None and printable_line(select) != select:
        # pytest says what it cannot read of them as they stand.
        raise UsageError(doing, f"the words of -k are no plain text: {printable_line(select)}")
    jobs = _jobs(paths, settings)
    keeper = _SessionKeeper(on_verdict)
    with _no_settings_of_pytest():
        status = pytest.main(
            [
                # Whole, so that no name is taken for an option, or for a file of them (`@name`).
                *(str(path.absolute()) for path in paths),
                *_NOTHING_ELSE,
                # Otherwise every folder above a scenario is looked through, entry by entry.
                f"--confcutdir={os.path.commonpath([path.absolute().parent for path in paths])}",
                # The plugin reads the environment itself, and says where each value came from.
                *(
                    f"{option}={value:d}" if isinstance(value, bool) else f"{option}={value}"
                    for name, option in OPTIONS.items()
                    if settings.origin.get(name, "").startswith("--")
                    for value in [getattr(settings, name)]
                ),
                *(["-k", select] if select else []),
                *(["--k0s-verbose"] if verbose else []),
                *(_side_by_side(jobs) if jobs > 1 else ()),
            ],
            plugins=[keeper, *([pytest_plugin, plain_folders] if jobs == 1 else ())],
        )
    session = keeper.session
    if jobs > 1 and keeper.interrupted:
        raise InterruptedRunError(doing, "interrupted", where=session.folder if session else None)
    if session is not None and (session.results or session.not_started):
        for error in session.not_started.values():
            say(error.text())
        return session
    if keeper.interrupted:
        raise InterruptedRunError(doing, "interrupted before any scenario began")
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise UsageError(
            doing,
            f"no expectation matches -k {select}",
            remedy="k0s-harness plan SCENARIO lists its expectations",
        )
    raise keeper.error or InfrastructureError(
        doing,
        f"pytest ended with status {int(status)} and said no more",
        remedy="this is a fault of the harness: report it with the lines above",
    )


# Told to pytest so that of all files of its own beside a scenario, above it and in the current
# folder none is read, and no module is imported.
_NOTHING_ELSE = (
    *("-c", os.devnull),
    "--noconftest",
    "--disable-plugin-autoload",
    # Narration and summary are the harness's own; pytest's would say it all again.
    *("-p", "no:terminal"),
    *("-p", "no:cacheprovider"),
)


def _jobs(paths: Sequence[Path], settings: Settings) -> int:
    """Return how many processes share the scenarios: no more than there are start states."""
    if settings.jobs == 1:
        return 1
    plans = [plan_of(loaded, settings) for path in paths for loaded in load_all(path)]
    groups = len(plans) if settings.fresh else len({start_state(plan).key for plan in plans})
    if settings.jobs:
        return min(settings.jobs, groups)
    context = Context(LocalRunner(), SystemClock(), settings)
    jobs, why = labs_at_once(plans, groups, context)
    say(f"{jobs} labs at once: {why}")
    return jobs


def _side_by_side(jobs: int) -> Sequence[str]:
    """Return what has pytest share the scenarios out; its processes load plugins by their names."""
    names = ("xdist.plugin", pytest_plugin.__name__, plain_folders.__name__)
    return (
        *(word for name in names for word in ("-p", name)),
        *("-n", str(jobs), "--dist=loadgroup", "--max-worker-restart=0"),
    )


@contextlib.contextmanager
def _no_settings_of_pytest() -> Iterator[None]:
    """Take the variables out that add options and plugins to every pytest, and put them back."""
    taken = {name: value for name, value in os.environ.items() if name.startswith("PYTEST_")}
    for name in taken:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(taken)


class _SessionKeeper:
    """Keeps the session of runs beyond the end of pytest's."""

    def __init__(self, on_verdict: Callable[[ScenarioResult], None]) -> None:
        self._on_verdict = on_verdict
        self.session: RunSession | None = None
        self.error: HarnessError | None = None
        self.interrupted = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Say who hears results, before there is a run."""
        config.stash[ON_VERDICT] = self._on_verdict

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Take the runs, once the plugin has ended them."""
        self.session = session.config.stash.get(SESSION, None)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell a Ctrl-C from a mistake in a file: pytest has one exit status for both."""
        self.interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)

    def pytest_exception_interact(self, call: pytest.CallInfo[object]) -> None:
        """Keep the first error of ours: a mistake in a file has no result to tell it."""
        error = call.excinfo.value if call.excinfo is not None else None
        if self.error is None and isinstance(error, HarnessError):
            self.error = error
