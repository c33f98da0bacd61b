"""Runs as a person names them: a folder, a bundle, or a run's id."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from harness.base.errors import UsageError
from harness.base.untrusted import json_value, read_text
from harness.engine.recorded_run import result_in, result_of
from harness.engine.results import ScenarioResult
from harness.evidence.bundle import BUNDLE, DOCUMENT, REPORT, Bundle, read_bundle
from harness.evidence.old_format import report_with_ids
from harness.evidence.recorder import reason_of
from harness.report.html import run_folder
from harness.report.html.run_folder import RunFolder

_MOST_NAMED = 5
# Of a download with a folder for each artifact: artifact, command, scenario.
_LEVELS = ("", "*/", "*/*/", "*/*/*/")


@dataclass(frozen=True)
class Found:
    """What somebody named: the file of a bundle, or the folders of runs in `path`."""

    path: Path
    folders: tuple[Path, ...] = ()
    bundle: Bundle | None = None


@dataclass(frozen=True)
class RecordedRuns:
    """The runs that somebody named, in the order in which they began.

    `path` is the folder of one run or of a command's runs, or the file of a bundle.
    """

    path: Path
    results: tuple[ScenarioResult, ...]
    bundle: Bundle | None = None

    def evidence(self, result: ScenarioResult) -> RunFolder:
        """Return what was kept beside the report of one of them."""
        if self.bundle is not None:
            return run_folder.of_bundle(self.bundle)
        return run_folder.read(result.folder)


def find_runs(named: Path | None, runs_dir: Path) -> RecordedRuns:
    """Return the runs that `named` means, those of the last command in `runs_dir` where it is None.

    Raises `UsageError` where there are none, or where a report is none.
    """
    found = find(named, runs_dir, REPORT)
    if found.bundle is not None:
        return RecordedRuns(found.path, (result_of(found.bundle),), found.bundle)
    results = (read_run(folder) for folder in found.folders)
    return RecordedRuns(found.path, tuple(sorted(results, key=lambda each: each.started)))


def find(named: Path | None, runs_dir: Path, piece: str) -> Found:
    """Return what `named` means: a path, or one in `runs_dir`; the last command's runs for None.

    Raises `UsageError` where that is neither a bundle nor has the folder of a run with `piece`.
    """
    doing = "Looking for the last run" if named is None else f"Looking for the run {named}"
    known = sorted(path.parent.parent for path in runs_dir.glob(f"*/*/{piece}"))
    latest = ", ".join(dict.fromkeys(each.name for each in reversed(known[-_MOST_NAMED:])))
    remedy = f"name a run's folder, its {BUNDLE}, or a run in {runs_dir}"
    remedy += f": {latest}" if latest else ""
    try:
        if named is None:
            path = known[-1] if known else runs_dir
        else:
            path = next(each for each in (named, runs_dir / named) if each.exists())
        if path.is_file():
            return Found(path, bundle=read_bundle(path))
        folders = _folders(path, piece)
    except StopIteration:
        why = f"there is no file or folder of that name, and no such run in {runs_dir}"
        raise UsageError(doing, why, remedy=remedy) from None
    except OSError as error:
        raise UsageError(doing, reason_of(error), remedy=remedy) from None
    if not folders:
        raise UsageError(doing, f"there is no {piece} in {path}", remedy=remedy)
    return Found(path, folders)


def _folders(path: Path, piece: str) -> tuple[Path, ...]:
    """Return `path` where it is the folder of a run, else those of the runs in it."""
    inside = [path] if (path / piece).is_file() else sorted(path.iterdir())
    return tuple(each for each in inside if (each / piece).is_file())


def folders_below(path: Path, *pieces: str) -> tuple[Path, ...]:
    """Return the folders with one of `pieces`: `path` itself, or as a CI's download lays them."""
    patterns = (f"{below}{piece}" for below in _LEVELS for piece in pieces)
    return tuple(sorted({found.parent for each in patterns for found in path.glob(each)}))


def read_run(folder: Path) -> ScenarioResult:
    """Return the run whose report is in `folder`; raises `UsageError` where it is none."""
    doing = f"Reading {folder / REPORT}"
    try:
        report = json_value(read_text(folder / REPORT, DOCUMENT), DOCUMENT)
    except OSError as error:
        raise UsageError(doing, reason_of(error)) from None
    except ValueError as error:
        raise UsageError(doing, str(error)) from None
    if not isinstance(report, dict):
        raise UsageError(doing, "it is no report of a run")
    # Where the run is now: it may have been moved, or copied from another host.
    return replace(result_in(report_with_ids(report), doing=doing), folder=folder.absolute())
