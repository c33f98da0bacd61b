"""The verb `merge`: the runs of several hosts as those of one command."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.base.errors import ExitCode, HarnessError, InfrastructureError, UsageError
from harness.base.printing import say
from harness.cli.nightly import add_summary, report_on_all
from harness.cli.options import add_verbose, settings_of
from harness.cli.recorded import folders_below, read_run
from harness.cli.run import add_runs
from harness.engine.outcome import outcome_of, worst
from harness.engine.parts import PLANNED, NotStarted, Planned
from harness.engine.results import ScenarioResult
from harness.evidence.bundle import REPORT
from harness.evidence.recorder import TIMELINE, reason_of
from harness.report.files import write_index, write_report

_DOING = "Making one report of several hosts' runs"


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="runs of a host, or a folder of such"
    )
    add_runs(verb)
    verb.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="a new folder; default: ID-merged beside the runs, of the last run's id",
    )
    add_summary(verb)
    add_verbose(verb)


def command(options: argparse.Namespace) -> ExitCode:
    """Make one folder of the runs, and say what they came to together."""
    runs = _runs_in(options.folders)
    output = options.output or settings_of(options).runs_dir / f"{runs.name}-merged"
    results = _copied(runs.results, output.absolute())
    for error in runs.without_result.values():
        say(error.text())
    write_report(output / PLANNED, runs.planned.to_json())
    write_index(output, results, runs.without_result)
    names = (*runs.planned.scenarios, *runs.without_result)
    report_on_all(names, results, output, options.summary, verbose=options.verbose)
    say(f"the runs together are in {output.absolute()}")
    outcomes = [each.outcome for each in results]
    outcomes += [outcome_of((), error) for error in runs.without_result.values()]
    return worst(outcomes).exit_code


@dataclass(frozen=True)
class _Runs:
    """The runs of all hosts, in the order in which they began.

    `without_result` has what cannot be read, and why a planned scenario has no run; `name` is that
    of the command that began last.
    """

    name: str
    results: Sequence[ScenarioResult]
    planned: Planned
    without_result: Mapping[str, HarnessError]


def _runs_in(named: Sequence[Path]) -> _Runs:
    """Return the runs in the folders; raises `UsageError` for none, and for two of one scenario."""
    results: list[ScenarioResult] = []
    without_result: dict[str, HarnessError] = {}
    for folder in _folders(named, TIMELINE, REPORT):
        try:
            result = read_run(folder)
        except UsageError as error:
            # One that was cut off has no report.
            without_result[folder.name] = _unreadable(error.doing, error.happened)
        else:
            _require_once(result, results)
            results.append(result)
    once = {each.scenario: each for each in reversed(results)}.values()
    results = sorted(once, key=lambda each: each.started)
    planned: dict[str, NotStarted | None] = {}
    parts = _folders(named, PLANNED)
    for folder in parts:
        try:
            part = Planned.read(folder / PLANNED)
        except (OSError, ValueError) as error:
            why = reason_of(error) if isinstance(error, OSError) else str(error)
            without_result[folder.name] = _unreadable(f"Reading {folder / PLANNED}", why)
        else:
            planned = {**dict.fromkeys(part.scenarios), **planned, **part.not_started}
    if not results and not without_result and not planned:
        raise UsageError(
            _DOING,
            f"there is no run in {', '.join(map(str, named))}",
            remedy="name the folders of commands' runs, or one that has them",
        )
    for name in planned.keys() - {each.scenario for each in results} - without_result.keys():
        told = planned[name]
        without_result[name] = told.error if told is not None else _missing(name)
    commands = [each.folder.parent for each in results] or [*parts, Path("runs")]
    not_started = {name: told for name, told in planned.items() if told is not None}
    return _Runs(commands[-1].name, results, Planned(tuple(planned), not_started), without_result)


def _folders(named: Sequence[Path], *pieces: str) -> Sequence[Path]:
    for path in named:
        if not os.path.isdir(path):  # noqa: PTH112  # it takes names that no file system does
            raise UsageError(_DOING, f"{path} is no folder", remedy="unpack what the hosts left")
    found = [each.resolve() for path in named for each in folders_below(path, *pieces)]
    return tuple(dict.fromkeys(found))


def _require_once(result: ScenarioResult, others: Sequence[ScenarioResult]) -> None:
    """Raise `UsageError` where there is another run of the scenario; the same one counts once."""
    for other in others:
        same = (result.scenario, result.folder.name)
        if (other.scenario, other.folder.name) == same and other.run_id == result.run_id:
            continue
        if result.scenario == other.scenario or result.folder.name == other.folder.name:
            raise UsageError(
                _DOING,
                f"there are two runs of {result.scenario}: {other.folder} and {result.folder}",
                remedy="name the one that counts",
            )


def _unreadable(doing: str, happened: str) -> HarnessError:
    return InfrastructureError(doing, happened, remedy="look at what its host said last")


def _missing(name: str) -> HarnessError:
    return InfrastructureError(
        _DOING, f"no part has a run of {name}", remedy="name the folders of every part"
    )


def _copied(results: Sequence[ScenarioResult], output: Path) -> Sequence[ScenarioResult]:
    """Return the results with their folders copied into `output`; raises `UsageError`."""
    try:
        if output.exists() and any(output.iterdir()):
            raise UsageError(
                _DOING, f"{output} is there already", remedy="remove it, or name another: --output"
            )
        for each in results:
            # Links stay links: where they lead is another host's word.
            shutil.copytree(each.folder, output / each.folder.name, symlinks=True)
    except OSError as error:
        raise UsageError(
            f"Copying the runs to {output}", reason_of(error), remedy="name another: --output"
        ) from None
    return tuple(replace(each, folder=output / each.folder.name) for each in results)
