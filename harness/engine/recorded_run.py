"""What a bundle says of its run: its result, its plan, and when it began.

A stranger may have written all of it, so nothing is believed that a run does not have.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from ipaddress import IPv4Network
from typing import Any

from harness.artifacts.model import host_arch
from harness.artifacts.pins import load_pins
from harness.base.errors import UsageError
from harness.base.printable import pasted
from harness.engine.outcome import Outcome
from harness.engine.results import ScenarioResult
from harness.evidence.bundle import SCENARIO, Bundle
from harness.evidence.recorder import redacted_value
from harness.plan.build import build
from harness.plan.model import Plan
from harness.providers.registry import provider
from harness.scenario.load import LoadedScenario, load_all_text
from harness.vocabulary.version import K0sVersion

# Labs are given 256 addresses, of which the machines take the eleventh and those after it.
_SMALLEST_SUBNET = 256
# No machine that a cluster came up on was slower; a larger number would replay for hours.
_SLOWEST = 100.0
# The longest scenario there is has six phases. The longest reading of a run on three machines has
# 28,000 characters, of one on six that lists all pods 160,000.
_MOST_PHASES = 20
# What a report counts are seconds, most of all; this is thirty years of them.
_LARGEST = 1e9
_YEARS = range(1970, 2200)
_LONGEST_READING = 512 * 1024


def result_of(bundle: Bundle) -> ScenarioResult:
    """Return what the run's own report says, or what was known when it began.

    Raises `UsageError` where it says neither.
    """
    doing = f"Reading the bundle {bundle.path}"
    if bundle.scenario is None:
        raise UsageError(
            doing,
            "it has no scenario, so there is nothing to judge",
            remedy=look_instead(bundle),
        )
    unended = {"outcome": Outcome.INCONCLUSIVE, "ended": bundle.manifest.ended, "folder": "."}
    return result_in(bundle.report or {**bundle.meta, **unended}, doing=doing)


@functools.cache
def _validator() -> Callable[[object], ScenarioResult]:
    # pydantic costs 84 ms to import and 40 ms for this, and only what reads recorded runs needs it.
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(ScenarioResult).validate_python


def result_in(report: Mapping[str, Any], *, doing: str) -> ScenarioResult:
    """Return the run that a `report.json` is of, one that has its ids; raises `UsageError`.

    A stranger may have written it, so every field is checked, and secrets are redacted.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        result = _validator()(redacted_value(dict(report)))
    except (ValidationError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": ""}
        where = ".".join(map(str, first["loc"]))
        raise UsageError(doing, f"its report is none: {where}: {first['msg']}") from error
    if not 1 <= result.pace <= _SLOWEST:
        raise UsageError(doing, f"its machines were {result.pace} times slower than their host")
    # As they were read: a text of digits is a number where one is wanted.
    numbers = itertools.chain(_numbers(report), _numbers(asdict(result)))
    if len(result.phases) > _MOST_PHASES or not all(abs(each) <= _LARGEST for each in numbers):
        raise UsageError(
            doing, f"it has more than {_MOST_PHASES} phases, or a number that no run has"
        )
    return result


def _numbers(value: object) -> Iterator[float]:
    match value:
        case int() | float():
            yield value
        case Mapping():
            for each in value.values():
                yield from _numbers(each)
        case list() | tuple():
            for each in value:
                yield from _numbers(each)


def look_instead(bundle: Bundle) -> str:
    """Return the command that looks at a bundle of which no run can be judged."""
    return f"{pasted('k0s-harness', 'diagnose', '--bundle', str(bundle.path))} says what it shows"


def plan_of(bundle: Bundle, recorded: ScenarioResult) -> Plan:
    """Return the plan of the run, with the addresses and the k0s release that it had.

    Raises `UsageError` where the bundle does not say them, or has what no run has.
    """
    doing = f"Reading the bundle {bundle.path}"
    loaded = _loaded(bundle, recorded)
    version = recorded.versions.get("k0s")
    if version is not None:
        try:
            cluster = loaded.scenario.cluster.model_copy(
                update={"k0s_version": K0sVersion.parse(version)}
            )
        except ValueError as error:
            raise UsageError(doing, f"it names no k0s release: {error}") from None
        scenario = loaded.scenario.model_copy(update={"cluster": cluster})
        loaded = replace(loaded, scenario=scenario)
    try:
        subnet = IPv4Network(str(bundle.meta.get("subnet", "")))
        made_with = provider(recorded.provider)
    except ValueError as error:
        subnet, why = None, str(error)
    else:
        why = f"{subnet} is no network of machines"
    if subnet is None or subnet.num_addresses < _SMALLEST_SUBNET:
        raise UsageError(
            doing,
            f"it does not say where the machines were: {why}",
            remedy=f"it is of an older harness: run the scenario again; {look_instead(bundle)}",
        )
    plan = build(loaded, subnet=subnet, provider=made_with, pins=load_pins(), arch=host_arch())
    _require_ordinary(bundle, plan)
    return plan


def _require_ordinary(bundle: Bundle, plan: Plan) -> None:
    """Raise `UsageError` for what no run has, and what would make reports of any size."""
    longest = max((len(each.stdout) + len(each.stderr) for each in bundle.readings), default=0)
    if longest > _LONGEST_READING or len(plan.phases) > _MOST_PHASES:
        raise UsageError(
            f"Reading the bundle {bundle.path}",
            f"it has more than {_MOST_PHASES} phases, or a reading with more than "
            f"{_LONGEST_READING} characters, which no run has",
            remedy="name a bundle as a run wrote it",
        )


def _loaded(bundle: Bundle, recorded: ScenarioResult) -> LoadedScenario:
    """Return the scenario of the run: of a file with a matrix the one that it was."""
    assert bundle.scenario is not None
    loaded = load_all_text(bundle.scenario, f"{bundle.path}:{SCENARIO}")
    for each in loaded:
        if each.scenario.name == recorded.scenario:
            return each
    names = ", ".join(each.scenario.name for each in loaded)
    raise UsageError(
        f"Reading the bundle {bundle.path}",
        f"it is of {recorded.scenario}, and the scenario in it is {names}",
    )


def began_of(bundle: Bundle, recorded: ScenarioResult) -> datetime:
    """Return when the run began; raises `UsageError` where that, or when it ended, is not said."""
    times = [_moment(each) for each in (recorded.started, recorded.ended)]
    if times[0] is None or None in times:
        raise UsageError(
            f"Reading the bundle {bundle.path}", "it does not say when the run began and ended"
        )
    return times[0]


def _moment(text: str) -> datetime | None:
    """Return a time of a clock that is set, None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None and found.year in _YEARS else None
