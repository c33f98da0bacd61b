"""docs/performance.md, made of the files of docs/bench: promises and bars, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.bench.measurements import MEASUREMENTS, Measurement
from harness.bench.model import Result
from harness.bench.promises import FIGURES, Promise, differing, ratio_text, spread
from harness.report.markdown import cell, code_cell

# The longest bar of a table.
_BLOCKS = 30
_MIB_PER_GB = 1000**3 / 1024**2
_HEAD = """# Performance

Made by `k0s-harness bench --draw` from `docs/bench/`: do not edit it. What no file there holds is
called not measured. Ratios are of pairs within one run, done alternately; a figure is the median.
The promises are for docker on two cores and a quiet host, where they do not say VMs.
"""
_APART = """
Not measured by the bench: `.ci/run` from a fresh clone.
"""


def page(results: Mapping[str, Result]) -> str:
    """Return the text of the page, of results by their measurement."""
    found = [(each, results[each.name]) for each in MEASUREMENTS if each.name in results]
    sections = ("\n" + section(each, result) for each, result in found)
    return "".join((_HEAD, "\n", "\n".join(_promises(results)), "\n", _APART, *sections))


def section(measurement: Measurement, result: Result) -> str:
    """Return one measurement: how it was made, and a table for each kind of figure."""
    return "\n".join(_section(measurement, result)) + "\n"


def _promises(results: Mapping[str, Result]) -> Iterator[str]:
    yield "| promise | at most | measured | kept | load before |"
    yield "|---|---|---|---|---|"
    for measurement in MEASUREMENTS:
        result = results.get(measurement.name)
        for promise in measurement.promises:
            most = promise.shown(promise.at_most)
            yield f"| {promise.text} | {most} | {_kept(promise, result)} |"


def _kept(promise: Promise, result: Result | None) -> str:
    seen = promise.seen(result) if result is not None else None
    if result is None or seen is None:
        return "not measured | |"
    measured = promise.shown(seen.median)
    if seen.count > 1:
        measured += f" ({promise.shown(seen.least)} to {promise.shown(seen.most)})"
    if 0 < len(result.scenarios) < result.catalogue and "jobs" in promise.way:
        measured += f", {len(result.scenarios)} of {result.catalogue} scenarios"
    kept = "yes" if seen.median <= promise.at_most else "**no**"
    return f"{measured} | {kept} | {_loads(result)}"


def _section(measurement: Measurement, result: Result) -> Iterator[str]:
    yield f"## {measurement.title}"
    yield ""
    yield f"{'; '.join(_made_of(result))}."
    figures = dict.fromkeys(name for each in result.samples for name in each.figures)
    for figure in figures:
        yield ""
        yield from _table(measurement, result, figure)
    if any(each.verdicts for each in result.samples) and len(measurement.ways) > 1:
        changed = ", ".join(map(cell, differing(result)))
        yield ""
        yield f"Verdicts and causes: {f'**not the same** of {changed}' if changed else 'the same'}."
    if not measurement.scenarios and result.scenarios:
        yield ""
        yield f"Scenarios: {', '.join(map(cell, result.scenarios))}."


def _made_of(result: Result) -> Iterator[str]:
    changed = " with changes" if result.changed else ""
    yield f"{result.began[:10]}, commit {code_cell(result.commit[:12])}{changed}"
    memory = result.host.memory_mib / _MIB_PER_GB
    yield cell(
        f"{result.host.cores} cores, {memory:.0f} GB, {result.host.name}, Linux "
        f"{result.host.kernel}, {result.host.architecture}"
    )
    if result.provider:
        yield cell(f"{result.provider}: {result.substrate or 'no report of a run'}")
    if result.files:
        files = result.files.values()
        origins = sorted({each.origin for each in files})
        k0s = result.files["k0s"].version if "k0s" in result.files else ""
        yield cell(f"k0s {k0s}, files: {', '.join(origins)}")
    yield f"rounds: {result.rounds}, load before each: {_loads(result)}"


def _loads(result: Result) -> str:
    loads = spread(each.load for each in result.samples)
    return "" if loads is None else f"{loads.least:.1f} to {loads.most:.1f}"


def _table(measurement: Measurement, result: Result, figure: str) -> Iterator[str]:
    shown = FIGURES[figure].shown
    values = {way.name: result.values(way.name, figure) for way in measurement.ways}
    longest = max(found.median for each in values.values() if (found := spread(each.values())))
    first = measurement.ways[0].name
    yield f"| {FIGURES[figure].title} | median | of the first | each | |"
    yield "|---|---|---|---|---|"
    for way in measurement.ways:
        of_way = spread(values[way.name].values())
        if of_way is None:
            continue
        ratio = spread(result.ratios(figure, way.name, first)) if way.name != first else None
        each = ", ".join(map(shown, values[way.name].values()))
        bar = "█" * max(round(_BLOCKS * of_way.median / (longest or 1)), 1)
        times = ratio_text(ratio.median) if ratio is not None else ""
        yield f"| {way.title} | {shown(of_way.median)} | {times} | {each} | {bar} |"
