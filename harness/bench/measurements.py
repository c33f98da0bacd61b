"""What the bench measures: each with its ways of doing one thing, and what is promised of them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.base.errors import InfrastructureError
from harness.base.shipped import SCENARIOS
from harness.bench.bench import DOING, ON, PROGRAM, Bench, Run, Taken
from harness.bench.by_hand import by_hand
from harness.bench.promises import Promise
from harness.providers.registry import DEFAULT
from harness.scenario.load import files_in
from harness.vocabulary.machines import worker_names

# What a command may take that names no measurement.
HALF_AN_HOUR = 1800.0
# One scenario without its holds, before the first measurement with machines.
WARM_UP_SECONDS = 100.0


@dataclass(frozen=True)
class Way:
    """One way of doing it: its name in results, and how people call it."""

    name: str
    title: str
    take: Callable[[Bench], Taken]


@dataclass(frozen=True)
class Measurement:
    """One thing done in several ways, alternately; each is told as a ratio to the first one.

    `rounds` are done unless a person says how many. `once` is about how many seconds it takes
    before the first round, `each` what a round takes, on two cores. `scenarios` are run by it.
    """

    name: str
    title: str
    ways: tuple[Way, ...]
    promises: tuple[Promise, ...]
    rounds: int
    each: float
    once: float = 0.0
    provider: str = DEFAULT
    scenarios: tuple[str, ...] = ("konnectivity-on",)

    def seconds(self, rounds: int | None) -> float:
        """Return about how long it takes."""
        return self.once + self.each * (rounds or self.rounds)


def within_half_an_hour(
    rounds: int | None,
) -> tuple[Sequence[Measurement], Sequence[Measurement]]:
    """Return the measurements that together take half an hour, in their order, and the others."""
    taken: list[Measurement] = []
    left: list[Measurement] = []
    for each in MEASUREMENTS:
        whole = WARM_UP_SECONDS + sum(other.seconds(rounds) for other in (*taken, each))
        (taken if whole <= HALF_AN_HOUR else left).append(each)
    return taken, left


def _help(bench: Bench) -> Taken:
    return Taken({"seconds": bench.command(PROGRAM, "--help", check=True).duration}, {})


def _python(bench: Bench) -> Taken:
    argv = (sys.executable, "-I", "-c", "pass")
    return Taken({"seconds": bench.command(*argv, check=True).duration}, {})


def _by_hand(bench: Bench) -> Taken:
    return Taken(by_hand(bench.context, Path(ON)), {})


def _cold(bench: Bench) -> Taken:
    return bench.run("--fresh", ON).taken(
        "available", "teardown", "cpu", "cpu_with_programs", "memory"
    )


def _diagnose(bench: Bench) -> Taken:
    if not bench.kept:
        bench.run("--keep", "always", ON)
    completed = bench.command(PROGRAM, "diagnose", *bench.kept, check=True)
    return Taken({"seconds": completed.duration}, {})


def _konnectivity_off(bench: Bench) -> Taken:
    return bench.run_command("make", "test-konnectivity-off").taken("seconds")


def _with_nothing_left(bench: Bench) -> Taken:
    bench.close()
    return _standing_on(bench.run("--reuse", ON), warm=False).taken("observed", "available")


def _with_a_lab_left(bench: Bench) -> Taken:
    return _standing_on(bench.run("--reuse", ON), warm=True).taken("observed", "available")


def _standing_on(run: Run, *, warm: bool) -> Run:
    """Return a run that stood on what it was meant to; raises where it did not."""
    if all((each.shared_lab is not None) is warm for each in run.results):
        return run
    raise InfrastructureError(
        DOING,
        "the run made machines of its own, which it was not meant to"
        if warm
        else "the run began on a lab of an earlier command",
        remedy=None if warm else "k0s-harness labs lists it, and labs --clean ID removes it",
        where=run.results[0].folder,
    )


def _jobs(count: int) -> Way:
    def take(bench: Bench) -> Taken:
        argv = (PROGRAM, "run", "--jobs", str(count), *map(str, bench.scenarios))
        return bench.run_command(*argv, whatever=True).taken("seconds")

    return Way(f"jobs-{count}", f"JOBS={count}", take)


def _workers(count: int) -> Way:
    return Way(f"workers-{count}", f"{count} workers", _with_cluster("available", workers=count))


def _controllers(count: int) -> Way:
    # Of several without a balancer the metrics API is there by turns: no run would meet it.
    take = _with_cluster("observed", "-k", "pods", controllers=count)
    return Way(f"controllers-{count}", f"controllers: {count}", take)


def _with_cluster(figure: str, *arguments: str, **cluster: int) -> Callable[[Bench], Taken]:
    def take(bench: Bench) -> Taken:
        with tempfile.TemporaryDirectory(prefix="k0s-harness-bench-") as folder:
            path = Path(folder, Path(ON).name)
            path.write_text(with_cluster(Path(ON).read_text(), **cluster))
            return bench.run("--fresh", *arguments, str(path)).taken(figure)

    return take


def with_cluster(text: str, **cluster: int) -> str:
    """Return a scenario's text with so many workers or controllers, figures of all expected."""
    scenario: dict[str, Any] = yaml.safe_load(text)
    scenario["cluster"] |= cluster
    nodes = worker_names(scenario["cluster"]["workers"])
    for phase in scenario["phases"]:
        for expectation in phase["expect"]:
            if "top_nodes" in expectation:
                expectation["top_nodes"]["nodes"] = list(nodes)
    return yaml.safe_dump(scenario, sort_keys=False)


def catalogue(provider: str) -> Collection[Path]:
    """Return the files of all scenarios that machines of the provider can run."""
    return files_in(SCENARIOS, for_vms=provider != DEFAULT)


MEASUREMENTS = (
    Measurement(
        "start",
        "The command itself: `k0s-harness --help`",
        (Way("python", "Python alone", _python), Way("help", "`k0s-harness --help`", _help)),
        (Promise("`k0s-harness --help`", "seconds", "help", 0.2),),
        rounds=10,
        each=1,
        provider="",
        scenarios=(),
    ),
    Measurement(
        "cold",
        "A cold `konnectivity-on`, by the harness and by hand",
        (Way("by-hand", "by hand", _by_hand), Way("harness", "the harness", _cold)),
        (
            Promise("cold start, of by hand", "available", "harness", 0.65, "by-hand"),
            Promise("teardown", "teardown", "harness", 5),
            Promise("processor of the harness while it waits", "cpu", "harness", 0.05),
            Promise("memory of the harness", "memory", "harness", 150),
        ),
        rounds=3,
        each=220,
    ),
    Measurement(
        "diagnose",
        "`k0s-harness diagnose` of a healthy cluster of three machines",
        (Way("diagnose", "`k0s-harness diagnose`", _diagnose),),
        (Promise("`diagnose`", "seconds", "diagnose", 10),),
        rounds=5,
        each=12,
        once=150,
    ),
    Measurement(
        "reused",
        "`konnectivity-on` on the lab that the command before left (`REUSE=1`)",
        (
            Way("cold", "no lab left", _with_nothing_left),
            Way("reused", "a lab left", _with_a_lab_left),
        ),
        (Promise("reused lab, of cold", "observed", "reused", 0.05, "cold"),),
        rounds=3,
        each=230,
    ),
    Measurement(
        "konnectivity-off",
        "`make test-konnectivity-off`",
        (Way("make", "`make test-konnectivity-off`", _konnectivity_off),),
        (Promise("`make test-konnectivity-off`", "seconds", "make", 210),),
        rounds=3,
        each=270,
        scenarios=("konnectivity-off",),
    ),
    Measurement(
        "workers",
        "A cold `konnectivity-on` with two, four and six workers",
        tuple(map(_workers, (2, 4, 6))),
        (Promise("six workers, of two", "available", "workers-6", 1.6, "workers-2"),),
        rounds=3,
        each=660,
    ),
    Measurement(
        "controllers",
        "A cold cluster with one and three controllers, no balancer before them",
        tuple(map(_controllers, (1, 3))),
        (),
        rounds=3,
        each=300,
    ),
    Measurement(
        "restored",
        "`konnectivity-on` on VMs that are restored with their memory (`REUSE=1`)",
        (
            Way("cold", "no lab saved", _with_nothing_left),
            Way("restored", "restored", _with_a_lab_left),
        ),
        (Promise("restored VMs, of cold", "observed", "restored", 0.1, "cold"),),
        rounds=3,
        each=1100,
        provider="libvirt",
    ),
    Measurement(
        "jobs",
        "Scenarios with one, two and three labs at once",
        tuple(map(_jobs, (1, 2, 3))),
        (
            Promise("`JOBS=2`, of `JOBS=1`", "seconds", "jobs-2", 0.6, "jobs-1"),
            Promise("`make test-all` with `JOBS=1`", "seconds", "jobs-1", 4800, whole=True),
        ),
        rounds=1,
        each=12600,
        scenarios=(),
    ),
)
"""Every one; without a name those of them are taken, in this order, that fit into half an hour."""
