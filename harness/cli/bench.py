"""The verb `bench`: how long things take, against another way within one run; draws the results."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.base.context import Context
from harness.base.errors import ExitCode, HarnessError, UsageError
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.base.wait import SystemClock
from harness.bench.measure import measure
from harness.bench.measurements import MEASUREMENTS, Measurement, catalogue, within_half_an_hour
from harness.bench.model import Result, read_results, text_of
from harness.bench.page import page, section
from harness.cli.next_step import require_checkout
from harness.cli.options import scenario_files, settings_of
from harness.providers.registry import DEFAULT
from harness.report.files import write_report
from harness.report.formatting import duration
from harness.vocabulary.nearest import nearest, quoted

FOLDER = Path("docs/bench")
PAGE = Path("docs/performance.md")
_NAMES = tuple(each.name for each in MEASUREMENTS)


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "what",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(_NAMES)}; files for jobs; default: what fits into half an hour",
    )
    verb.add_argument("--rounds", type=int, metavar="N", help="how often each way is taken")
    verb.add_argument(
        "--json",
        type=Path,
        metavar="DIR",
        help=f"write the results there as JSON; {FOLDER} is drawn, too",
    )
    verb.add_argument(
        "--draw", action="store_true", help=f"measure nothing; make {PAGE} of what is in {FOLDER}"
    )


def command(options: argparse.Namespace) -> ExitCode:
    """Measure and print, or draw the page."""
    require_checkout("Measuring")
    if options.draw:
        _draw()
        return ExitCode.OK
    if options.rounds is not None and options.rounds < 1:
        raise UsageError("Measuring", f"{options.rounds} rounds are none", remedy="--rounds 3")
    chosen, scenarios = _chosen(options.what, options.rounds)
    context = Context(LocalRunner(), SystemClock(), settings_of(options), say)
    codes = [ExitCode.OK]
    warm = {""}
    for each in chosen:
        keep = _writer(options.json, each.name)
        rounds = options.rounds or each.rounds
        try:
            result = measure(
                each, rounds, context, scenarios, keep, warm_up=each.provider not in warm
            )
        except HarnessError as error:
            # What hinders one need not hinder the next.
            say(error.text())
            codes.append(error.exit_code)
        else:
            show(section(each, result))
            warm.add(each.provider)
        if options.json is not None and options.json.absolute() == FOLDER.absolute():
            _draw()
    return max(codes)


def _chosen(
    words: Sequence[str], rounds: int | None
) -> tuple[Sequence[Measurement], Sequence[Path]]:
    """Return the measurements that are named, and the scenarios that are; says what is left."""
    names = [word for word in words if word in _NAMES]
    files = [word for word in words if word.endswith(".yaml")]
    for word in words:
        if word not in (*names, *files):
            raise UsageError(
                "Measuring", f"there is no measurement {quoted(word)}{nearest(word, _NAMES)}"
            )
    if files and "jobs" not in names:
        raise UsageError("Measuring", "only jobs takes scenarios", remedy="bench jobs FILE…")
    paths = [path.absolute() for path in (scenario_files(files) if files else catalogue(DEFAULT))]
    if names:
        return [each for each in MEASUREMENTS if each.name in names], paths
    chosen, left = within_half_an_hour(rounds)
    for each in left:
        say(
            f"left out, takes about {duration(each.seconds(rounds))}: k0s-harness bench {each.name}"
        )
    return chosen, paths


def _draw() -> None:
    PAGE.write_text(page(read_results(FOLDER)))


def _writer(folder: Path | None, name: str) -> Callable[[Result], None]:
    """Return what writes a result into `folder`; nothing without one."""
    if folder is None:
        return lambda _: None
    path = folder.absolute() / f"{name}.json"
    return lambda result: write_report(path, text_of(result))
