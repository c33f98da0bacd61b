"""Verbs of the command line that start something: scenarios through pytest, cleaning up."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cluster import existing
from harness.diagnose.causes import diagnose
from harness.engine.background import take_ladder
from harness.engine.outcome import outcome_of
from harness.engine.outcome import worst
from harness.engine.session import RunSession
from harness.errors import ExitCode
from harness.errors import HarnessError
from harness.errors import InfrastructureError
from harness.errors import InterruptedRunError
from harness.errors import UsageError
from harness.evidence.recorder import write_whole
from harness.lab import leftovers
from harness.lab import records
from harness.lab.openssh import OpenSSHRemote
from harness.probe.prober import Prober
from harness.process import LocalRunner
from harness.pytest_plugin import SESSION
from harness.report import diagnosis
from harness.report import junit
from harness.report import nightly as nightly_report
from harness.report import summary
from harness.scenario.load import load
from harness.scenario.words import Cause
from harness.settings import Settings
from harness.wait import SystemClock

# A connection through a bastion on a slow line; ssh's own bound on connecting is below this.
REACH_SECONDS = 30.0


def run_scenarios(
    paths: Sequence[Path], settings: Settings, *, select: str | None = None
) -> ExitCode:
    """Run scenarios as pytest tests, print what a person would paste, return the exit code."""
    session = _through_pytest(paths, settings, select)
    for result in session.results:
        print(summary.render(result))
    outcomes = [result.outcome for result in session.results]
    outcomes += [outcome_of((), error) for error in session.not_started.values()]
    return worst(outcomes).exit_code


def nightly(paths: Sequence[Path], settings: Settings, job_summary: Path | None) -> ExitCode:
    """Run every scenario, and report on all of them together.

    A planned scenario without a verdict makes the whole inconclusive: a nightly that ran nothing
    is not a good one.
    """
    session = _through_pytest(paths, settings, None)
    planned = [load(path).scenario.name for path in paths]
    text = nightly_report.job_summary(planned, session.results) + "\n"
    print(text, end="")
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


def _through_pytest(paths: Sequence[Path], settings: Settings, select: str | None) -> RunSession:
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
                f"{option}={getattr(settings, name)}"
                for name, option in _OPTIONS.items()
                if settings.origin.get(name, "").startswith("--")
            ),
            *(["-k", select] if select else []),
        ],
        plugins=[keeper],
    )
    doing = "Running the scenarios through pytest"
    session = keeper.session
    if session is not None and (session.results or session.not_started):
        for error in session.not_started.values():
            _say(error.text())
        return session
    if keeper.interrupted:
        raise InterruptedRunError(doing, "interrupted before any scenario began")
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise UsageError(doing, f"no expectation matches -k {select}")
    raise keeper.error or InfrastructureError(doing, f"it ended with status {int(status)}")


_OPTIONS = {"runs_dir": "--k0s-runs", "keep": "--k0s-keep", "provider": "--k0s-provider"}


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


def show_labs(settings: Settings) -> ExitCode:
    """Print what is on this host of labs; nothing is changed."""
    labs = records.list_labs(settings.labs_dir, LocalRunner(), now=SystemClock().now())
    for lab in labs:
        print(f"{lab.run_id}  {lab.state:<8}  {lab.text}")
    if not labs:
        _say("no labs on this host")
    return ExitCode.OK


def clean_labs(settings: Settings, *, named: Sequence[str], kept_too: bool) -> ExitCode:
    """Remove what dead runs left, and kept labs that are named; print each."""
    removals = leftovers.clean(
        runner=LocalRunner(),
        clock=SystemClock(),
        settings=settings,
        narrate=lambda step, detail: _say(f"    {step}: {detail}" if detail else f"    {step}"),
        named=named,
        kept_too=kept_too,
    )
    for removal in removals:
        print(f"{removal.run_id}  {'removed' if not removal.problems else 'not removed'}")
    problems = [problem for removal in removals for problem in removal.problems]
    if problems:
        raise InfrastructureError("Removing labs", "; ".join(problems))
    unknown = set(named) - {removal.run_id for removal in removals}
    if unknown:
        _say(f"not removed, because not there, alive, or another user's: {', '.join(unknown)}")
    return show_labs(settings)


def diagnose_existing(k0sctl: Path, *, as_json: bool) -> ExitCode:
    """Print why the metrics API of somebody's own cluster is unavailable; nothing is changed."""
    hosts = existing.read_hosts(k0sctl, os.environ)
    controller = next((host for host in hosts if host.controls), None)
    if controller is None:
        raise UsageError(f"Reading {k0sctl}", "no host in it runs a control plane")
    runner = LocalRunner()
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="k0s-harness-ssh-") as sockets:
        remote = OpenSSHRemote(
            controller.name,
            controller.ssh,
            root=controller.root,
            sockets=Path(sockets),
            runner=runner,
        )
        # One look before the others, so that a wrong key is one sentence and not ten.
        remote.run(["true"], doing=f"Reaching {controller.name}", deadline=REACH_SECONDS)
        prober = Prober(
            existing.K0sKubectl(controller, remote),
            {controller.name: remote},
            clock,
            clock.monotonic(),
        )
        readings = take_ladder(prober, controller.name, in_lab=False)
        remote.close()
    found = diagnose(readings)
    print(diagnosis.as_json(found) if as_json else diagnosis.render(found))
    if found.cause is Cause.HEALTHY:
        return ExitCode.OK
    if found.first_broken_hop is None:
        return ExitCode.INFRASTRUCTURE
    return ExitCode.NOT_MET


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
