"""The runs of a pytest session, and how they are told: what the plugin and its items share.

Nothing of clusters is imported before somebody asks for the runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import pytest

from harness.base.errors import HarnessError, UsageError
from harness.base.printable import printable
from harness.base.settings import Settings

if TYPE_CHECKING:
    from harness.engine.plain import Value
    from harness.engine.results import ScenarioResult
    from harness.engine.session import RunSession, Which
    from harness.report.terminal import Narrator

OPTIONS = {
    "provider": "--k0s-provider",
    "keep": "--k0s-keep",
    "fresh": "--k0s-fresh",
    "reuse": "--k0s-reuse",
    "pause_on_failure": "--k0s-pause-on-failure",
    "runs_dir": "--k0s-runs",
}
"""The options of pytest by the setting that each is for."""
SESSION: pytest.StashKey[RunSession] = pytest.StashKey()
"""The runs of a session that has some, in `config.stash`; the command line reads their results."""
ON_VERDICT: pytest.StashKey[Callable[[ScenarioResult], None]] = pytest.StashKey()
"""Who hears each result before the machines go, in `config.stash`; put there before any run."""
NARRATOR: pytest.StashKey[Narrator] = pytest.StashKey()
"""Who tells of the runs to people, in `config.stash` of the process that shares them out."""
RUN_ID = "k0s_harness_run_id"
"""Where a process of pytest-xdist finds the run id of its command, in `config.workerinput`."""
TELL = "k0s_harness_tell"
"""Where it finds the channel on which it tells what it does."""
STATE: pytest.StashKey[tuple[Which, str] | None] = pytest.StashKey()
"""The scenario and the phase that an item wants, in `item.stash`; None where it wants none."""


def session_of(config: pytest.Config) -> RunSession:
    """Return the runs of this pytest session, which begin with the first one who asks."""
    if SESSION not in config.stash:
        from harness.base.printing import require_terminal
        from harness.engine.session import RunSession
        from harness.providers.registry import names
        from harness.report.files import write_reports
        from harness.report.terminal import Narrator

        overrides = {name: config.getoption(option) for name, option in OPTIONS.items()}
        worker = getattr(config, "workerinput", None)
        try:
            settings = Settings.from_environment(os.environ, overrides, providers=names())
            if settings.pause_on_failure:
                require_terminal(settings.origin["pause_on_failure"], alone=worker is None)
        except UsageError as error:
            raise usage(error) from None
        verbose = config.getoption("--k0s-verbose") or config.getoption("verbose", 0) > 0
        narrator = config.stash[NARRATOR] = Narrator(verbose=verbose)
        tell = partial(_tell, config)
        config.stash[SESSION] = RunSession(
            settings,
            emit=narrator if worker is None else tell,
            on_verdict=config.stash.get(ON_VERDICT, lambda _: None) if worker is None else tell,
            on_result=write_reports,
            pause=_pause if settings.pause_on_failure else lambda _: None,
            run_id="" if worker is None else worker[RUN_ID],
        )
    return config.stash[SESSION]


def _pause(text: str) -> None:
    """Wait for a person to go on; where the terminal went away nobody can."""
    from harness.base.printing import wait_for_enter

    with suppress(OSError):
        wait_for_enter(text)


def _tell(config: pytest.Config, value: Value) -> None:
    """Tell the process that has shared the work out what goes on in this one."""
    told = [session_of(config).current, type(value).__name__, value.to_dict()]
    config.workerinput[TELL].send(json.dumps(told))  # type: ignore[attr-defined]  # pytest-xdist's


def write_page_of_all(runs: RunSession) -> None:
    """Write the page of all runs of this session, if there are some; they count without it, too."""
    from harness.base.printing import say
    from harness.report.files import write_index

    if not any(result.folder.is_dir() for result in runs.results):
        return
    not_started = {str(which): error for which, error in runs.not_started.items()}
    try:
        write_index(runs.folder, runs.results, not_started)
    except HarnessError as error:
        say(error.text())


def closing_lines(runs: RunSession, *, terminal: bool) -> Iterator[str]:
    """Yield what is said last of the runs, in plain lines, wrapped for a `terminal`."""
    from harness.report import closing
    from harness.report.files import PAGE
    from harness.report.formatting import terminal_width

    width = terminal_width() if terminal else closing.WHOLE
    for result in runs.results:
        page = result.folder / PAGE if result.folder.is_dir() else None
        yield from map(printable, closing.plain(closing.of_run(result, width, page=page)))
    for error in runs.not_started.values():
        yield printable(error.text())


@contextmanager
def narration(config: pytest.Config) -> Iterator[None]:
    """Let what is narrated through pytest's capture: a person waits minutes here."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        # It has just written which file the test is of, and no line end.
        reporter.ensure_newline()
    manager = config.pluginmanager.getplugin("capturemanager")
    if manager is None:
        yield
        return
    with manager.global_and_fixture_disabled():
        yield


@contextmanager
def sentence_alone() -> Iterator[None]:
    """Let an error of ours end a set-up without the traceback that pytest shows there."""
    try:
        yield
    except HarnessError as error:
        fail(error.text())


# pytest writes what it is given to the terminal as it stands.
def usage(error: UsageError) -> pytest.UsageError:
    """Return an error of ours as pytest's own."""
    return pytest.UsageError(printable(error.text()))


def fail(sentence: str) -> NoReturn:
    """End a test with a sentence and without a traceback."""
    pytest.fail(printable(sentence), pytrace=False)
