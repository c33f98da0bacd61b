"""The catalogue of scenarios and the log of runs: what each shows, and how its real runs ended.

`scenarios/runs.json` has every run, taken from its own `report.json`. `docs/scenarios.md` is
rendered from it and from the scenario files, `docs/log/` from it alone, and CI renders both again
to compare. So no result in them is anybody's word.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.base.errors import UsageError
from harness.base.untrusted import MIB, Limits, json_value, read_text
from harness.engine.outcome import Outcome
from harness.engine.replay import A_REPLAY
from harness.evidence.recorder import reason_of
from harness.probe.shape import fits
from harness.report.formatting import duration
from harness.report.markdown import cell, code_cell
from harness.scenario.load import FOR_VMS, LoadedScenario

RUNS = "runs.json"
"""The file beside scenarios that has their runs."""
# A run has 30 values and 1 kB.
_RUNS = Limits("a list of runs", most_bytes=16 * MIB, most_values=500_000)


@dataclass(frozen=True)
class CataloguedRun:
    """One real run of a scenario, as its report has it.

    `seconds` is the whole run with its share of a lab; `artifacts` has sha256 and origin by kind;
    `scenario_sha256` is of the file that was run, so that a later change of it shows.
    """

    run_id: str
    ended: str
    outcome: str
    seconds: float
    substrate: str
    k0s: str
    artifacts: Mapping[str, Mapping[str, str]]
    scenario_sha256: str


def run_of(report: Mapping[str, Any]) -> CataloguedRun:
    """Return the run that a `report.json` is of.

    Raises `KeyError`, `TypeError` or `ValueError` for another shape.
    """
    began, ended = (datetime.fromisoformat(report[name]) for name in ("started", "ended"))
    if not isinstance(report["scenario"], str):
        raise TypeError("the scenario's name is no text")
    return _run(
        run_id=report["run_id"],
        ended=report["ended"],
        outcome=report["outcome"],
        seconds=(ended - began).total_seconds(),
        substrate=report["substrate"],
        k0s=report["versions"].get("k0s", ""),
        artifacts={
            each["kind"]: {"sha256": each["sha256"], "origin": each["origin"]}
            for each in report["artifacts"]
        },
        scenario_sha256=report["scenario_sha256"],
    )


def _run(**fields: Any) -> CataloguedRun:  # noqa: ANN401  # of any file
    run = CataloguedRun(**fields)
    if not fits(CataloguedRun)(run):
        raise TypeError("a field of a run is of another type")
    # A page of the log is named after it.
    datetime.fromisoformat(run.ended)
    return run


def why_unlisted(report: Mapping[str, Any]) -> str | None:
    """Return why a `report.json` proves nothing of the whole scenario; None where it may."""
    if report["substrate"].startswith(A_REPLAY):
        return "it is of a replay, in which nothing ran"
    if report["outcome"] == Outcome.MET and report["not_entered"]:
        return f"a part of the scenario was not run: {', '.join(report['not_entered'])}"
    return None


def read_runs(path: Path) -> dict[str, tuple[CataloguedRun, ...]]:
    """Return the runs by scenario, the last one last; none where there is no such file."""
    if not path.exists():
        return {}
    try:
        data = json_value(read_text(path, _RUNS), _RUNS)
        return {name: tuple(_run(**each) for each in runs) for name, runs in data.items()}
    except OSError as error:
        raise UsageError(f"Reading {path}", reason_of(error)) from None
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"Reading {path}", f"this is not a list of runs: {error}") from None


def past_seconds(folders: Iterable[Path]) -> Mapping[str, float]:
    """Return the median of how long each scenario took, from the catalogue in each folder."""
    return {
        name: statistics.median(run.seconds for run in runs)
        for folder in sorted(set(folders))
        for name, runs in read_runs(folder / RUNS).items()
        if runs
    }


def with_reports(
    runs: Mapping[str, Sequence[CataloguedRun]], reports: Iterable[Mapping[str, Any]]
) -> dict[str, tuple[CataloguedRun, ...]]:
    """Return `runs` with those of `reports`, each once, in order of time."""
    known = {name: {each.run_id: each for each in members} for name, members in runs.items()}
    for report in reports:
        run = run_of(report)
        known.setdefault(report["scenario"], {})[run.run_id] = run
    return {
        name: tuple(sorted(members.values(), key=lambda each: each.ended))
        for name, members in sorted(known.items())
    }


def _by_substrate(runs: Iterable[CataloguedRun]) -> dict[str, list[CataloguedRun]]:
    """Return the runs by what their machines were, each in order of time, the latest kind first."""
    found: defaultdict[str, list[CataloguedRun]] = defaultdict(list)
    for run in sorted(runs, key=lambda each: each.ended):
        found[run.substrate].append(run)
    return dict(sorted(found.items(), key=lambda item: item[1][-1].ended, reverse=True))


def runs_text(runs: Mapping[str, Sequence[CataloguedRun]]) -> str:
    """Return the text of `scenarios/runs.json`."""
    data = {name: [asdict(each) for each in members] for name, members in sorted(runs.items())}
    return json.dumps(data, indent=1) + "\n"


def scenario_sha256(path: Path) -> str:
    """Return the sha256 of a scenario file as it stands."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def render(scenarios: Sequence[LoadedScenario], runs: Mapping[str, Sequence[CataloguedRun]]) -> str:
    """Return the text of `docs/scenarios.md`."""
    lines = [
        "# Scenarios",
        "",
        "Made by `k0s-harness catalogue` from `scenarios/` and from the reports of real runs: do",
        "not edit it. A scenario without a run, or changed since its last one, is said to be so;",
        "it is never listed as passing. Runs are counted for each kind of machine by itself;",
        "the [log](log/) has every one.",
        "",
        "| scenario | what it shows | last run | in a row |",
        "|---|---|---|---|",
    ]
    for each in scenarios:
        lines += _rows(each, runs.get(each.scenario.name, ()))
    lines += ["", "## What the last runs were made of", ""]
    lines += _made_of(scenarios, runs)
    return "\n".join(lines) + "\n"


def log(runs: Mapping[str, Sequence[CataloguedRun]]) -> dict[str, str]:
    """Return the pages of `docs/log/` by their names: a table a month, a row for each run."""
    rows = sorted(
        (
            (datetime.fromisoformat(run.ended).astimezone(UTC), name, run)
            for name, members in runs.items()
            for run in members
        ),
        key=lambda row: row[:2],
    )
    months = groupby(rows, key=lambda row: f"{row[0]:%Y-%m}")
    return {f"{month}.md": "\n".join(_month(month, members)) for month, members in months}


def _month(month: str, rows: Iterable[tuple[datetime, str, CataloguedRun]]) -> Iterator[str]:
    yield f"# Runs of {month}\n"
    yield "Made by `k0s-harness catalogue` from the runs' own reports: do not edit it.\n"
    yield "| ended (UTC) | scenario | came to | took | machines | k0s | files | run |"
    yield "|---|---|---|---|---|---|---|---|"
    for at, name, run in rows:
        origins = ", ".join(sorted({each["origin"] for each in run.artifacts.values()}))
        made_of = f"{cell(run.substrate)} | {cell(run.k0s)} | {cell(origins)} | {cell(run.run_id)}"
        what = f"{cell(name)} | {_outcome(run)} | {duration(run.seconds)}"
        yield f"| {at:%Y-%m-%d %H:%M} | {what} | {made_of} |"
    yield ""


def _rows(loaded: LoadedScenario, runs: Sequence[CataloguedRun]) -> Iterator[str]:
    """Return a row for each kind of machine that the scenario ran on, the latest first."""
    scenario = loaded.scenario
    folder = f"{FOR_VMS}/" if loaded.path.parent.name == FOR_VMS else ""
    link = f"[{cell(scenario.name)}](../scenarios/{folder}{quote(loaded.path.name)})"
    first = f"{link} | {cell(scenario.title)}"
    if not runs:
        yield f"| {first} | **not run** | |"
    for members in _by_substrate(runs).values():
        yield f"| {first} | {_ended(members[-1], loaded.path)} | {_in_a_row(members)} |"
        first = "|"


def _ended(run: CataloguedRun, path: Path) -> str:
    text = (
        f"{_outcome(run)} in {duration(run.seconds)}, {cell(run.ended[:10])}, {cell(run.substrate)}"
    )
    return text if run.scenario_sha256 == scenario_sha256(path) else f"{text}; **changed since**"


def _outcome(run: CataloguedRun) -> str:
    return run.outcome if run.outcome == Outcome.MET else f"**{cell(run.outcome)}**"


def _in_a_row(runs: Sequence[CataloguedRun]) -> str:
    """Return how many of the last runs, of the same file, were met one after another."""
    count = 0
    for run in reversed(runs):
        if run.outcome != Outcome.MET or run.scenario_sha256 != runs[-1].scenario_sha256:
            break
        count += 1
    return f"{count} met"


def _made_of(
    scenarios: Sequence[LoadedScenario], runs: Mapping[str, Sequence[CataloguedRun]]
) -> Iterable[str]:
    seen: dict[tuple[str, str, str], str] = {}
    for each in scenarios:
        for members in _by_substrate(runs.get(each.scenario.name, ())).values():
            for kind, artifact in members[-1].artifacts.items():
                seen[kind, artifact["sha256"], artifact["origin"]] = members[-1].k0s
    if not seen:
        yield "No scenario has been run."
        return
    yield "| file | for k0s | sha256 | origin |"
    yield "|---|---|---|---|"
    for (kind, sha256, origin), k0s in sorted(seen.items()):
        said = "built from source" if origin == "own-build" else origin
        yield f"| {cell(kind)} | {cell(k0s)} | {code_cell(sha256)} | {cell(said)} |"
