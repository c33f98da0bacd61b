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
from harness.base.printing import require_terminal, say
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.cli import plain_folders
from harness.cli.ending import show_result, show_total
from harness.cli.options import add_provider, add_verbose, scenario_files, settings_of
from harness.cli.recorded import read_run
from harness.engine.capacity import labs_at_once
from harness.engine.outcome import Outcome, outcome_of, worst
from harness.engine.parts import PLANNED, NotStarted, Part, Planned, part_of
from harness.engine.results import ScenarioResult
from harness.engine.session import RunSession, Which, group_key, plan_of
from harness.pytest_session import ON_VERDICT, OPTIONS, SESSION
from harness.report.catalogue import past_seconds
from harness.report.files import write_report
from harness.report.formatting import duration
from harness.scenario.load import LoadedScenario, load_all


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
        help="begin on the lab that an earlier command left or saved; leave one",
    )
    verb.add_argument(
        "--pause-on-failure",
        action="store_const",
        const="1",
        help="where a phase failed, wait for Enter with the machines up",
    )
    verb.add_argument(
        "--last-failed",
        action="store_true",
        help="only scenarios whose last run did not meet everything; all where each did",
    )
    add_side_by_side(verb)
    verb.add_argument(
        "-k", dest="select", metavar="WORDS", help="only expectations that match, as pytest's -k"
    )
    add_verbose(verb)


def add_side_by_side(verb: argparse.ArgumentParser) -> None:
    """Add `--jobs` and `--shard`."""
    verb.add_argument(
        "--jobs",
        metavar="N",
        help="labs at once, a process each; default: auto, as many as this host carries",
    )
    verb.add_argument(
        "--shard",
        metavar="K/N",
        help="the K-th of N parts, a host each; merge makes one report of them",
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
    paths = scenario_files(options.scenarios)
    settings = settings_of(options)
    if options.last_failed:
        paths = _failed_last(paths, settings.runs_dir) or paths
    return run_scenarios(paths, settings, select=options.select, verbose=options.verbose)


def run_scenarios(
    paths: Sequence[Path], settings: Settings, *, select: str | None = None, verbose: bool = False
) -> ExitCode:
    """Run scenarios as pytest tests, print what they came to, return the exit code.

    Each result is printed before its machines are given back or removed; what became of them is
    said afterwards.
    """
    if settings.pause_on_failure:
        require_terminal(settings.origin["pause_on_failure"])
    part = part_here(paths, settings)
    if not part.taken:
        return ExitCode.OK
    printed: set[str] = set()

    def tell(result: ScenarioResult) -> None:
        printed.update(result.leftovers)
        show_result(result, verbose=verbose)

    session = through_pytest(part, settings, select, on_verdict=tell, verbose=verbose)
    for result in session.results:
        for leftover in result.leftovers:
            if leftover not in printed:
                say(f"{result.scenario}: {leftover}")
    runs = [(result.scenario, result.outcome) for result in session.results]
    runs += [(str(each), outcome_of((), error)) for each, error in session.not_started.items()]
    show_total(runs, session.folder, verbose=verbose)
    return worst(outcome for _, outcome in runs).exit_code


def _failed_last(paths: Sequence[Path], runs_dir: Path) -> list[Path]:
    """Return the files with a scenario whose last run did not meet everything, or never ended."""
    met: dict[str, bool] = {}
    for folder in sorted(runs_dir.glob("[0-9]*/*/")):
        try:
            met[folder.name] = read_run(folder).outcome is Outcome.MET
        except UsageError:
            met[folder.name] = False
    return [
        path
        for path in paths
        if not all(met.get(each.scenario.name, True) for each in load_all(path))
    ]


def part_here(paths: Sequence[Path], settings: Settings) -> Part:
    """Return the scenarios in `paths` that this host runs, and say which these are of how many.

    Raises `ScenarioError` for a file with mistakes.
    """
    scenarios = tuple(each for path in paths for each in load_all(path))
    if settings.shard is None:
        return Part(scenarios)
    seconds = past_seconds(path.parent for path in paths)
    part = part_of(scenarios, settings.shard, settings, seconds)
    name = f"part {settings.shard.part} of {settings.shard.of}"
    if part.taken:
        say(f"{name}: runs {_counted(part.taken)}, about {duration(part.seconds)}")
    else:
        say(f"{name}: nothing to run in this part, there are fewer start states than parts")
    if part.left:
        say(f"{name}: leaves {_counted(part.left)} to the others")
    return part


def _counted(scenarios: Sequence[LoadedScenario]) -> str:
    names = dict.fromkeys(each.scenario.name for each in scenarios)
    return f"{len(names)} scenario{'s' if len(names) > 1 else ''} ({', '.join(names)})"


def through_pytest(
    part: Part,
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
    jobs = _jobs(part.taken, settings)
    paths = [each.path.absolute() for each in part.taken]
    keeper = _SessionKeeper(on_verdict)
    with _no_settings_of_pytest():
        status = pytest.main(
            [
                # Whole, so that no name is taken for an option, or for a file of them (`@name`).
                *(
                    f"{path}::{each.variant}" if each.variant else str(path)
                    for path, each in zip(paths, part.taken, strict=True)
                ),
                *_NOTHING_ELSE,
                # Otherwise every folder above a scenario is looked through, entry by entry.
                f"--confcutdir={os.path.commonpath([path.parent for path in paths])}",
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
        if settings.shard is not None or session.not_started:
            _tell_the_others(part, session)
        return session
    if keeper.interrupted:
        raise InterruptedRunError(doing, "interrupted before any scenario began")
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise UsageError(
            doing,
            f"no expectation matches -k {select}"
            f"{' in this part' if settings.shard is not None else ''}",
            remedy="k0s-harness plan SCENARIO lists its expectations",
        )
    raise keeper.error or InfrastructureError(
        doing,
        f"pytest ended with status {int(status)} and said no more",
        remedy="this is a fault of the harness: report it with the lines above",
    )


def _tell_the_others(part: Part, session: RunSession) -> None:
    """Write what all hosts together were to run, and why some of it has no run here."""
    names = {
        Which(each.path.absolute(), each.variant): each.scenario.name
        for each in (*part.taken, *part.left)
    }
    not_started = {
        names.get(which, str(which)): NotStarted.of(error)
        for which, error in session.not_started.items()
    }
    planned = Planned(tuple(names.values()), not_started)
    try:
        write_report(session.folder / PLANNED, planned.to_json())
    except HarnessError as error:
        # The runs here count without it.
        say(error.text())


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


def _jobs(scenarios: Sequence[LoadedScenario], settings: Settings) -> int:
    """Return how many processes share the scenarios: no more than there are start states."""
    if settings.jobs == 1 or settings.pause_on_failure:
        return 1
    plans = [plan_of(loaded, settings) for loaded in scenarios]
    groups = len({group_key(plan, settings) for plan in plans})
    if groups == 1:
        return 1
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
