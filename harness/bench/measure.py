"""Takes a measurement: its ways in turn, a result after each round."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.base.context import Context
from harness.base.shipped import CHECKOUT
from harness.bench.bench import DOING, Bench
from harness.bench.measurements import Measurement, catalogue
from harness.bench.model import BenchHost, FileUsed, Result, Sample, in_turn
from harness.preflight.survey import survey

_GIT_SECONDS = 30.0
# What a run is made of; results and pages are none of it.
_CODE = ("harness", "boxes", "scenarios", "Vagrantfile")


def measure(
    measurement: Measurement,
    rounds: int,
    context: Context,
    scenarios: Sequence[Path],
    keep: Callable[[Result], None],
    *,
    warm_up: bool,
) -> Result:
    """Return the result of so many rounds; `keep` is given what there is of it after each.

    `scenarios` are run by measurements that name none. `warm_up` is for the first with machines of
    a provider. Raises what a command of it raises.
    """
    settings = replace(context.settings, provider=measurement.provider or None)
    bench = Bench(replace(context, settings=settings), measurement.provider, scenarios)
    names = measurement.scenarios or tuple(path.stem for path in scenarios)
    result = replace(
        begun(context),
        measurement=measurement.name,
        provider=measurement.provider,
        scenarios=names if measurement.provider else (),
        catalogue=len(catalogue(measurement.provider)),
    )
    ways = {way.name: way for way in measurement.ways}
    try:
        if warm_up and measurement.provider:
            context.say(f"{measurement.name}: what is made once on a host")
            bench.warm_up()
        for number, name in in_turn(tuple(ways), rounds):
            context.say(f"{measurement.name}, round {number} of {rounds}: {ways[name].title}")
            load = round(os.getloadavg()[0], 2)
            taken = ways[name].take(bench)
            figures = {figure: round(value, 3) for figure, value in taken.figures.items()}
            sample = Sample(number, name, load, figures, taken.verdicts)
            result = _with_runs(replace(result, samples=(*result.samples, sample)), bench)
            if len(result.samples) == number * len(ways):
                keep(result)
    finally:
        bench.close()
    return result


def begun(context: Context) -> Result:
    """Return a result without samples: of this host, this commit and now."""
    facts = survey(context.runner, context.settings, os.environ, versions=False)
    host = BenchHost(facts.name, facts.kernel, facts.architecture, facts.cpus, facts.memory_mib)
    commit, changed = (
        context.runner.run(
            ["git", *arguments], doing=DOING, deadline=_GIT_SECONDS, cwd=CHECKOUT
        ).stdout.strip()
        for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", *_CODE])
    )
    at = context.clock.now().isoformat(timespec="seconds")
    return Result("", at, commit, bool(changed), host, "", "", {}, (), 0, ())


def _with_runs(result: Result, bench: Bench) -> Result:
    """Return a result with what its machines were, by the reports of its runs, once there is one.

    Clusters of several sizes are named one by one.
    """
    if not bench.results:
        return result
    report = bench.results[0]
    files = {
        used.kind: FileUsed(used.version, used.sha256, used.origin) for used in report.artifacts
    }
    substrates = dict.fromkeys(each.substrate for each in bench.results)
    return replace(result, substrate="; ".join(substrates), files=files)
