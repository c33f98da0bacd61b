"""What must hold of a scenario beyond the shape of its parts: rules of kinds, and between parts.

The scenario may be what parsed of a file with mistakes: see `harness.vocabulary.part`.
"""

from __future__ import annotations

from harness.changes.component import ComponentChange
from harness.changes.deployment import Deployment
from harness.changes.k0s_config import K0sConfig
from harness.changes.kind import Change
from harness.expectations.apply import Apply
from harness.expectations.kind import Expectation
from harness.scenario.document import SourceMap
from harness.scenario.model import Phase, Scenario
from harness.scenario.undo_rules import broken_undo_rules
from harness.vocabulary.cluster_config import ABSENT, all_reserved, at
from harness.vocabulary.kinds import Kind, Surroundings
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.part import Found, Missing, NotParsedError, Path, given, said
from harness.vocabulary.words import ApplyOutcome, Component


def broken_rules(scenario: Scenario, marks: SourceMap) -> Found:
    """Yield path and sentence of each rule that the scenario breaks."""
    for path, sentence in said(*scenario.cluster.rules(), _broken_on_purpose(scenario)):
        yield ("cluster", *path), sentence
    yield from _phase_names(scenario, marks)
    yield from _changes(scenario)
    around = Surroundings(scenario.cluster, None)
    for index, phase in enumerate(scenario.phases):
        for number, each in enumerate(phase.expect):
            yield from said(_of_kind(each, ("phases", index, "expect", number), around))
    yield from broken_undo_rules(scenario.phases, marks)
    yield from _bad_ends(scenario.phases)


def _of_kind(each: Kind, path: Path, around: Surroundings) -> Found:
    for below, sentence in said(*each.rules(around)):
        yield (*path, each.kind, *below), sentence


def _changes(scenario: Scenario) -> Found:
    given_off = given(scenario.cluster, "disable_components")
    off = None if given_off is None else frozenset(given_off)
    for index, phase in enumerate(scenario.phases):
        for number, change in enumerate(phase.change):
            path = ("phases", index, "change", number)
            # With an unknown name among the disabled ones, this one may be what was meant.
            known = off if off is not None and off <= set(Component) else None
            yield from said(
                _of_kind(change, path, Surroundings(scenario.cluster, known)),
                _only_first(change, index, path),
            )
            if isinstance(change, ComponentChange):
                off = _off_after(change, off)


def _off_after(
    change: ComponentChange, off: frozenset[Component] | None
) -> frozenset[Component] | None:
    if off is None:
        return None
    try:
        return change.deployed(Deployment(off), ()).disabled_components
    except NotParsedError:
        return None


def _only_first(change: Change, index: int, path: Path) -> Found:
    if index and change.only_first:
        yield path, change.only_first


def _broken_on_purpose(scenario: Scenario) -> Found:
    fragment = scenario.cluster.k0s or {}
    later = [
        change.fragment
        for phase in scenario.phases
        for change in phase.change
        if isinstance(change, K0sConfig)
    ]
    given = {reserved.dotted: reserved for reserved in all_reserved()}
    for index, dotted in enumerate(scenario.cluster.break_):
        path = ("break", index)
        if dotted in fragment and "." not in dotted and dotted not in given:
            continue
        if dotted not in given:
            breakable = [word for word, reserved in given.items() if reserved.breakable]
            yield path, f"the harness does not set {quoted(dotted)}{nearest(dotted, breakable)}"
        elif not given[dotted].breakable:
            yield path, f"`{dotted}` cannot be broken: the harness sets it {given[dotted].why}"
        elif all(at(each, given[dotted].path) is ABSENT for each in (fragment, *later)):
            yield path, f"`{dotted}` is listed here but not set under `cluster.k0s`"


def _phase_names(scenario: Scenario, marks: SourceMap) -> Found:
    first: dict[str, int] = {}
    for index, phase in enumerate(scenario.phases):
        name = given(phase, "name")
        if name is None:
            continue
        if name in first:
            line = marks.value(("phases", first[name], "name")).line
            yield (
                ("phases", index, "name"),
                f"two phases are called {quoted(name)}, the first on line {line}",
            )
        first.setdefault(name, index)


def _bad_ends(phases: tuple[Phase, ...]) -> Found:
    """A first apply that ends badly leaves no cluster, so nothing else can be expected of it.

    Later on a refused one leaves the cluster as it was, and a failed one nobody knows how.
    """
    for index, phase in enumerate(phases[1:], start=1):
        for number, each in enumerate(phase.expect):
            if _end(each) is ApplyOutcome.FAILED:
                yield (
                    ("phases", index, "expect", number),
                    (
                        "only a first apply can be expected to fail: nobody knows what a later "
                        "one leaves"
                    ),
                )
    ends = [_end(each) for phase in phases[:1] for each in phase.expect]
    bad = [each for each in (ApplyOutcome.REFUSED, ApplyOutcome.FAILED) if each in ends]
    if not bad:
        return
    for number, each in enumerate(phases[0].expect):
        if not isinstance(each, Apply | Missing):
            yield (
                ("phases", 0, "expect", number),
                f"{quoted(each.kind)} cannot be expected here: a {bad[0]} apply leaves no cluster",
            )
    for index in range(1, len(phases)):
        yield (
            ("phases", index),
            f"no phase can follow: the first one's apply is {bad[0]}, so there is no cluster",
        )


def _end(expectation: Expectation) -> ApplyOutcome | None:
    """Return how the apply is to end, None for another kind and where that did not parse."""
    return given(expectation, "outcome") if isinstance(expectation, Apply) else None
