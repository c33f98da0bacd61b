"""The edge of the bench: runs commands of the harness as a person would, and times them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from harness.base.completed import CommandFailedError, Completed
from harness.base.context import Context, Say
from harness.base.errors import InfrastructureError
from harness.base.run_id import RunId
from harness.base.shipped import CHECKOUT, SCENARIOS
from harness.base.untrusted import json_value, read_text
from harness.base.wait import Clock
from harness.engine.events import StepId, title_of
from harness.engine.outcome import Outcome
from harness.engine.recorded_run import result_in
from harness.engine.results import ScenarioResult
from harness.evidence.bundle import DOCUMENT, REPORT
from harness.lab.listing import in_folder, own_labs

PROGRAM = str(Path(sys.executable).with_name("k0s-harness"))
DOING = "Measuring"
ON = str(SCENARIOS / "konnectivity-on.yaml")
# Of the whole catalogue, one lab after another, on a slow host.
_RUN_SECONDS = 6 * 3600.0
_SHORT_SECONDS = 600.0
# What `run` would take from the environment: here each way says it, or it is the default.
_UNSET = dict.fromkeys(("KEEP", "REUSE", "FRESH", "JOBS", "SHARD"), "")
_TRANSITION = re.compile(r" +(?:\d+m)?[\d.]+s  (?P<where>[\w-]+): (?P<text>.*)")
_OBSERVES = f"==> {title_of(StepId.OBSERVE, '')}"
_OBSERVED = f"    ok  {title_of(StepId.OBSERVE, '')}"


class Usage(NamedTuple):
    """What a process has used: seconds of processors, and at most so many MB of memory."""

    own: float
    with_programs: float
    memory: float


class Taken(NamedTuple):
    """What one way of doing it came to, once."""

    figures: dict[str, float]
    verdicts: dict[str, str]


@dataclass(frozen=True)
class Run:
    """A command that ran scenarios: what was measured of it, and their results."""

    figures: dict[str, float]
    results: tuple[ScenarioResult, ...]

    def taken(self, *figures: str) -> Taken:
        """Return those figures and all verdicts; raises where a figure was not seen."""
        missing = [name for name in figures if name not in self.figures]
        if missing:
            raise InfrastructureError(DOING, f"the run did not show: {', '.join(missing)}")
        return Taken(
            {name: self.figures[name] for name in figures},
            {each.scenario: verdict_of(each) for each in self.results},
        )


@dataclass
class Bench:
    """What a measurement works with on this host; what it leaves standing goes with `close`.

    `scenarios` are those that are run by jobs. `results` has every run of the measurement, `kept`
    the labs that its commands have left.
    """

    context: Context
    provider: str
    scenarios: Sequence[Path]
    results: list[ScenarioResult] = field(default_factory=list)
    kept: list[RunId] = field(default_factory=list)

    def warm_up(self) -> None:
        """Have made what is made once on a host, so that no way pays for it: image, checksums."""
        self.run("-k", "pods", ON)

    def run(self, *arguments: str) -> Run:
        """Run `k0s-harness run` with these arguments; raises as `run_command`."""
        return self.run_command(PROGRAM, "run", *arguments)

    def run_command(self, *argv: str, whatever: bool = False) -> Run:
        """Run a command that runs scenarios.

        Raises where it leaves no report, and, unless `whatever` they come to is wanted, where an
        expectation is not met.
        """
        settings = self.context.settings
        folder = settings.runs_dir / "bench"
        before, labs = set(folder.glob("*")), own_labs(settings.labs_dir)
        watch = Watch(self.context.clock, self.context.say)
        try:
            completed = self.command(*argv, seconds=_RUN_SECONDS, watch=watch, runs=folder)
        finally:
            # A run that was interrupted has less time to remove its lab than it may need.
            self._keep_labs_of(watch.child, labs)
        reports = [
            path
            for each in sorted(set(folder.glob("*")) - before)
            for path in sorted(each.glob(f"*/{REPORT}"))
        ]
        if not reports:
            raise CommandFailedError(DOING, completed)
        results = tuple(map(_result, reports))
        self.results += results
        for result in results:
            if result.outcome is not Outcome.MET and not whatever:
                raise InfrastructureError(
                    DOING,
                    f"{result.scenario} came to {result.outcome}, so its times say nothing",
                    where=result.folder,
                )
        teardown = results[0].timings.get(title_of(StepId.TEARDOWN))
        figures = {**watch.figures, "seconds": completed.duration}
        return Run(figures | ({} if teardown is None else {"teardown": teardown}), results)

    def _keep_labs_of(self, process: int | None, before: Collection[RunId]) -> None:
        """Remember the labs that a process has made, and none that others have made meanwhile."""
        self.kept += (
            each.run_id
            for each in in_folder(self.context.settings.labs_dir, self.context.clock.now())
            if each.run_id is not None
            and each.run_id not in before
            and each.record is not None
            and each.record.pid == process
        )

    def command(
        self,
        *argv: str,
        seconds: float = _SHORT_SECONDS,
        watch: Watch | None = None,
        runs: Path | None = None,
        check: bool = False,
    ) -> Completed:
        """Run any command, with this measurement's provider, to its end."""
        env = {**_UNSET, **({"PROVIDER": self.provider} if self.provider else {})}
        return self.context.runner.run(
            argv,
            doing=DOING,
            deadline=seconds,
            env=env | ({"K0S_HARNESS_RUNS": str(runs)} if runs else {}),
            cwd=CHECKOUT,
            on_line=watch.hear if watch is not None else None,
            check=check,
        )

    def close(self) -> None:
        """Remove the labs that were left."""
        if self.kept:
            self.command(PROGRAM, "labs", "--clean", *self.kept, check=True)
            self.kept.clear()


@dataclass
class Watch:
    """Listens to what a run tells: when something was first seen, and what looking costs it.

    The run is the child of this thread, started when this is made.
    """

    clock: Clock
    say: Say
    child: int | None = None
    figures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin to count."""
        self._began = self.clock.monotonic()
        self._before: tuple[float, Usage] | None = None

    def hear(self, line: str) -> None:
        """Take a line of the narration, and pass it on."""
        self.say(f"    {line}")
        self.child = self.child or _child()
        now = self.clock.monotonic()
        seen = _TRANSITION.fullmatch(line)
        if seen is not None:
            self.figures.setdefault("observed", now - self._began)
            if seen["where"] == "apiservice" and seen["text"].startswith("True"):
                self.figures.setdefault("available", now - self._began)
        elif line.startswith(_OBSERVES):
            usage = _usage(self.child)
            self._before = usage and (now, usage)
        elif line.startswith(_OBSERVED) and self._before is not None:
            self._use(now, *self._before)

    def _use(self, now: float, began: float, before: Usage) -> None:
        after = _usage(self.child)
        if after is not None:
            self.figures["cpu"] = (after.own - before.own) / (now - began)
            programs = after.with_programs - before.with_programs
            self.figures["cpu_with_programs"] = programs / (now - began)
            self.figures["memory"] = after.memory


def _child() -> int | None:
    """Return the process that this thread started last; None where that is not told."""
    try:
        return int(Path("/proc/thread-self/children").read_text().split()[-1])
    except (OSError, IndexError):
        return None


def _usage(process: int | None) -> Usage | None:
    """Return what a process has used; None where that is not told."""
    try:
        stat, status = (Path(f"/proc/{process}/{name}").read_text() for name in ("stat", "status"))
    except OSError:
        return None
    return usage_from(stat, status, os.sysconf("SC_CLK_TCK"))


def usage_from(stat: str, status: str, ticks: int) -> Usage | None:
    """Return what a process has used, from its `stat` and `status` in /proc: see proc(5).

    Of programs that it started those count that have ended. None where it has ended itself.
    """
    # The name of the program stands in brackets, and may have blanks in it.
    times = [int(each) / ticks for each in stat.rpartition(")")[2].split()[11:15]]
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return Usage(sum(times[:2]), sum(times), int(peak[1]) / 1000) if peak else None


def verdict_of(result: ScenarioResult) -> str:
    """Return what a scenario came to, with the cause that each phase was found to have."""
    causes = [each.diagnosis.cause for each in result.phases if each.diagnosis is not None]
    return f"{result.outcome} ({', '.join(causes)})" if causes else str(result.outcome)


def _result(path: Path) -> ScenarioResult:
    return result_in(json_value(read_text(path, DOCUMENT), DOCUMENT), doing=f"Reading {path}")
