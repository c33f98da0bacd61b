"""What must hold between the parts of a scenario.

The rules look at the plain data and not at the model, so that they speak even where the model found
other mistakes: whoever wrote the file sees all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.cni import named
from harness.scenario.change_rules import Machines, broken_change_rules
from harness.scenario.document import Path, SourceMap
from harness.scenario.model import DEFAULT_WORKERS, MOST_WORKERS
from harness.scenario.plain import ABSENT, at, mapping, sequence, word
from harness.scenario.undo_rules import broken_undo_rules
from harness.vocabulary.cluster_config import all_reserved, collisions
from harness.vocabulary.machines import CONTROLLER, worker_names
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.words import (
    ApiserviceReason,
    ApplyOutcome,
    Cause,
    Component,
    Role,
    TopOutcome,
)

Found = Iterator[tuple[Path, str]]
_FRAGMENT: Path = ("cluster", "k0s")
_VERBATIM_CHANGES: tuple[Path, ...] = (("k0s_config",), ("manifest",))
# phases, its index, change, its index, the kind.
_CHANGE_DEPTH = 5
_REMEDY = "write true, false or a plain number, or put it in quotes"
_WITHOUT_ROWS = {TopOutcome.API_NOT_AVAILABLE, TopOutcome.SERVICE_UNAVAILABLE, TopOutcome.NOT_YET}


def broken_rules(data: Any, marks: SourceMap) -> Found:  # noqa: ANN401  # any YAML
    """Yield path and sentence of each rule that the document breaks."""
    scenario = mapping(data)
    yield from _values_left_empty(scenario, ())
    yield from _fragment(scenario, marks)
    cluster = mapping(scenario.get("cluster"))
    phases = sequence(scenario.get("phases"))
    broken = [path for path in sequence(cluster.get("break")) if isinstance(path, str)]
    yield from _phase_names(scenario, marks)
    yield from _components(cluster, scenario)
    machines = _machines(cluster)
    for index, phase in enumerate(phases):
        path: Path = ("phases", index)
        for number, entry in enumerate(sequence(mapping(phase).get("change"))):
            here = (*path, "change", number)
            yield from broken_change_rules(entry, here, machines, broken)
            if index and "environment" in mapping(entry):
                yield (
                    here,
                    (
                        "k0sctl gives k0s its environment when it installs it: only the first "
                        "phase can have `environment`"
                    ),
                )
        for number, entry in enumerate(sequence(mapping(phase).get("expect"))):
            yield from _expectation(entry, (*path, "expect", number), machines)
    yield from broken_undo_rules(phases, marks)
    yield from _bad_ends(scenario)


def _machines(cluster: dict[str, Any]) -> Machines | None:
    """Return the machines; None beyond the bounds, where the count itself is the mistake."""
    workers = cluster.get("workers", DEFAULT_WORKERS)
    if type(workers) is not int or not 1 <= workers <= MOST_WORKERS:
        return None
    names = tuple(worker_names(workers))
    is_node = cluster.get("controller_role") == Role.CONTROLLER_WORKER
    return Machines(
        workers=names,
        kubelets=(CONTROLLER, *names) if is_node else names,
        cni=named(at(cluster, ("k0s", "spec", "network", "provider"))),
    )


def _is_verbatim(path: Path) -> bool:
    """Whether what stands below `path` is k0s's or Kubernetes's, and only passed on."""
    return path == _FRAGMENT or (
        path[:1] == ("phases",) and path[2:3] == ("change",) and path[4:] in _VERBATIM_CHANGES
    )


def _values_left_empty(value: Any, path: Path) -> Found:  # noqa: ANN401
    if _is_verbatim(path) and value is not None:
        # A null in there means something; nothing at all does not.
        return
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _values_left_empty(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _values_left_empty(child, (*path, index))
    elif value is None and path:
        what = quoted(path[-1]) if isinstance(path[-1], str) else "this entry"
        yield path, f"{what} has no value; remove the key or give it one"


def _fragment(scenario: dict[str, Any], marks: SourceMap) -> Found:
    cluster = mapping(scenario.get("cluster"))
    fragment = mapping(cluster.get("k0s"))
    for path in marks.ambiguous:
        if _is_verbatim(path[: len(_FRAGMENT)]) or _is_verbatim(path[:_CHANGE_DEPTH]):
            yield (
                path,
                f"{quoted(at(scenario, path))} is not text to every YAML reader: {_REMEDY}",
            )
    broken = [path for path in sequence(cluster.get("break")) if isinstance(path, str)]
    for keys, sentence in collisions(fragment, broken):
        yield (*_FRAGMENT, *keys), sentence
    later = [
        mapping(mapping(change).get("k0s_config"))
        for phase in sequence(scenario.get("phases"))
        for change in sequence(mapping(phase).get("change"))
    ]
    given = {reserved.dotted: reserved for reserved in all_reserved()}
    for index, dotted in enumerate(broken):
        path = ("cluster", "break", index)
        if dotted in fragment and "." not in dotted and dotted not in given:
            continue
        if dotted not in given:
            breakable = [word for word, reserved in given.items() if reserved.breakable]
            yield path, f"the harness does not set {quoted(dotted)}{nearest(dotted, breakable)}"
        elif not given[dotted].breakable:
            yield path, f"`{dotted}` cannot be broken: the harness sets it {given[dotted].why}"
        elif all(at(each, given[dotted].path) is ABSENT for each in (fragment, *later)):
            yield path, f"`{dotted}` is listed here but not set under `cluster.k0s`"


def _phase_names(scenario: dict[str, Any], marks: SourceMap) -> Found:
    first: dict[str, int] = {}
    for index, phase in enumerate(sequence(scenario.get("phases"))):
        name = mapping(phase).get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            line = marks.value(("phases", first[name], "name")).line
            yield (
                ("phases", index, "name"),
                f"two phases are called {quoted(name)}, the first on line {line}",
            )
        first.setdefault(name, index)


def _components(cluster: dict[str, Any], scenario: dict[str, Any]) -> Found:
    disabled: set[str] = set()
    for index, name in enumerate(sequence(cluster.get("disable_components"))):
        if isinstance(name, str) and name in disabled:
            yield ("cluster", "disable_components", index), f"{quoted(name)} is listed twice"
        elif isinstance(name, str):
            disabled.add(name)
    for index, phase in enumerate(sequence(scenario.get("phases"))):
        for number, entry in enumerate(sequence(mapping(phase).get("change"))):
            path: Path = ("phases", index, "change", number)
            change = mapping(entry)
            enabled, turned_off = change.get("enable_component"), change.get("disable_component")
            if isinstance(enabled, str):
                # With an unknown name among the disabled ones, this one may be what was meant.
                if enabled not in disabled and disabled <= set(Component):
                    yield (*path, "enable_component"), f"{quoted(enabled)} is not disabled here"
                disabled.discard(enabled)
            if isinstance(turned_off, str):
                if turned_off in disabled:
                    yield (
                        (*path, "disable_component"),
                        f"{quoted(turned_off)} is already disabled here",
                    )
                disabled.add(turned_off)


def _expectation(entry: Any, path: Path, machines: Machines | None) -> Found:  # noqa: ANN401
    expectation = mapping(entry)
    yield from _apiservice(mapping(expectation.get("apiservice")), (*path, "apiservice"))
    yield from _top_nodes(mapping(expectation.get("top_nodes")), (*path, "top_nodes"), machines)
    yield from _diagnosis(mapping(expectation.get("diagnosis")), (*path, "diagnosis"))
    apply = mapping(expectation.get("apply"))
    if apply.get("outcome") == ApplyOutcome.APPLIED and "message_contains" in apply:
        yield (
            (*path, "apply", "message_contains"),
            "only a bad end has a message: write `outcome: refused` or `failed`, or leave this out",
        )
    if apply.get("outcome") == ApplyOutcome.FAILED and "message_contains" not in apply:
        yield (
            (*path, "apply", "outcome"),
            "many things make an apply fail: say in `message_contains` which one is expected",
        )


def _apiservice(body: dict[str, Any], path: Path) -> Found:
    if body.get("available") is not True:
        return
    if word(body.get("reason")) not in (None, ApiserviceReason.PASSED, ApiserviceReason.LOCAL):
        yield (
            (*path, "reason"),
            f"an available APIService never has the reason {quoted(body['reason'])}",
        )
    if "message_class" in body:
        yield (*path, "message_class"), "only a failed check has a message class"


def _diagnosis(body: dict[str, Any], path: Path) -> Found:
    seen = {word(body.get("cause"))}
    for index, cause in enumerate(sequence(body.get("also"))):
        if isinstance(cause, str) and cause in seen:
            yield (*path, "also", index), f"{quoted(cause)} is listed twice"
        elif body.get("cause") == Cause.HEALTHY or cause == Cause.HEALTHY:
            yield (*path, "also", index), "a healthy cluster has no second cause"
        if isinstance(cause, str):
            seen.add(cause)


def _top_nodes(body: dict[str, Any], path: Path, machines: Machines | None) -> Found:
    if "nodes" not in body:
        return
    if word(body.get("outcome")) in _WITHOUT_ROWS:
        yield (
            (*path, "nodes"),
            f"there are no rows when the outcome is {quoted(body['outcome'])}: leave `nodes` out",
        )
    seen: set[str] = set()
    for index, node in enumerate(sequence(body["nodes"])):
        if not isinstance(node, str) or machines is None:
            continue
        names = machines.kubelets
        if node == CONTROLLER and node not in names:
            yield (
                (*path, "nodes", index),
                f"`{CONTROLLER}` is no node: it runs no kubelet. Nodes are {', '.join(names)}",
            )
        elif node not in names:
            yield (
                (*path, "nodes", index),
                f"there is no node {quoted(node)}; the cluster's nodes are {', '.join(names)}",
            )
        elif node in seen:
            yield (*path, "nodes", index), f"{quoted(node)} is listed twice"
        seen.add(node)


def _bad_ends(scenario: dict[str, Any]) -> Found:
    """A first apply that ends badly leaves no cluster, so nothing else can be expected of it.

    Later on a refused one leaves the cluster as it was, and a failed one nobody knows how.
    """
    phases = [sequence(mapping(phase).get("expect")) for phase in sequence(scenario.get("phases"))]
    ends = [
        [mapping(mapping(entry).get("apply")).get("outcome") for entry in entries]
        for entries in phases
    ]
    for index, outcomes in enumerate(ends[1:], start=1):
        if ApplyOutcome.FAILED in outcomes:
            yield (
                ("phases", index, "expect", outcomes.index(ApplyOutcome.FAILED)),
                "only a first apply can be expected to fail: nobody knows what a later one leaves",
            )
    bad = [each for each in (ApplyOutcome.REFUSED, ApplyOutcome.FAILED) if ends and each in ends[0]]
    if not bad:
        return
    end = bad[0]
    for number, entry in enumerate(phases[0]):
        for kind in mapping(entry):
            if kind != "apply":
                yield (
                    ("phases", 0, "expect", number),
                    f"{quoted(kind)} cannot be expected here: a {end} apply leaves no cluster",
                )
    for index in range(1, len(phases)):
        yield (
            ("phases", index),
            f"no phase can follow: the first one's apply is {end}, so there is no cluster",
        )
