"""What must hold between the parts of a scenario.

The rules look at the plain data and not at the model, so that they speak even where the model found
other mistakes: whoever wrote the file sees all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.scenario.document import Path
from harness.scenario.document import SourceMap
from harness.scenario.model import DEFAULT_WORKERS
from harness.scenario.model import MOST_WORKERS
from harness.scenario.nearest import nearest
from harness.scenario.nearest import quoted
from harness.scenario.reserved import RESERVED
from harness.scenario.reserved import collisions
from harness.scenario.words import ApiserviceReason
from harness.scenario.words import ApplyOutcome
from harness.scenario.words import Component
from harness.scenario.words import TopOutcome

CONTROLLER = "controller0"

Found = Iterator[tuple[Path, str]]
_FRAGMENT: Path = ("cluster", "k0s")
_REMEDY = "write true, false or a plain number, or put it in quotes"
_ABSENT = object()
_WITHOUT_ROWS = {TopOutcome.API_NOT_AVAILABLE, TopOutcome.SERVICE_UNAVAILABLE, TopOutcome.NOT_YET}


def worker_names(count: int) -> list[str]:
    """Return the names of a cluster's workers: `worker0`, `worker1` and so on."""
    return [f"worker{index}" for index in range(count)]


def broken_rules(data: Any, marks: SourceMap) -> Found:  # noqa: ANN401  # any YAML
    """Yield path and sentence of each rule that the document breaks."""
    scenario = _mapping(data)
    yield from _values_left_empty(scenario, ())
    yield from _fragment(scenario, marks)
    cluster = _mapping(scenario.get("cluster"))
    yield from _phase_names(scenario, marks)
    yield from _components(cluster, scenario)
    workers = cluster.get("workers", DEFAULT_WORKERS)
    # Beyond the bounds the count itself is the mistake, and no name can be judged.
    judged = type(workers) is int and 1 <= workers <= MOST_WORKERS
    names = worker_names(workers) if judged else None
    for index, phase in enumerate(_list(scenario.get("phases"))):
        path: Path = ("phases", index)
        for number, entry in enumerate(_list(_mapping(phase).get("change"))):
            yield from _machine(entry, (*path, "change", number), names)
        for number, entry in enumerate(_list(_mapping(phase).get("expect"))):
            yield from _expectation(entry, (*path, "expect", number), names)
    yield from _refusal(scenario)


def _values_left_empty(value: Any, path: Path) -> Found:  # noqa: ANN401
    if path == _FRAGMENT:
        # A null in a ClusterConfig means something; no fragment at all does not.
        if value is None:
            yield path, "`k0s` has no value; remove the key or give it one"
        return
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _values_left_empty(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _values_left_empty(child, (*path, index))
    elif value is None and path:
        what = f"`{path[-1]}`" if isinstance(path[-1], str) else "this entry"
        yield path, f"{what} has no value; remove the key or give it one"


def _fragment(scenario: dict[str, Any], marks: SourceMap) -> Found:
    cluster = _mapping(scenario.get("cluster"))
    fragment = _mapping(cluster.get("k0s"))
    for path in marks.ambiguous:
        if path[: len(_FRAGMENT)] == _FRAGMENT:
            yield (
                path,
                f"{quoted(_at(scenario, path))} is not text to every YAML reader: {_REMEDY}",
            )
    broken = [path for path in _list(cluster.get("break")) if isinstance(path, str)]
    for keys, sentence in collisions(fragment, broken):
        yield (*_FRAGMENT, *keys), sentence
    given = {reserved.dotted: reserved for reserved in RESERVED}
    for index, dotted in enumerate(broken):
        path = ("cluster", "break", index)
        if dotted in fragment and "." not in dotted and dotted not in given:
            continue
        if dotted not in given:
            breakable = [word for word, reserved in given.items() if reserved.breakable]
            yield path, f"the harness does not set {quoted(dotted)}{nearest(dotted, breakable)}"
        elif not given[dotted].breakable:
            yield path, f"`{dotted}` cannot be broken: the harness sets it {given[dotted].why}"
        elif _at(fragment, given[dotted].path) is _ABSENT:
            yield path, f"`{dotted}` is listed here but not set under `cluster.k0s`"


def _phase_names(scenario: dict[str, Any], marks: SourceMap) -> Found:
    first: dict[str, int] = {}
    for index, phase in enumerate(_list(scenario.get("phases"))):
        name = _mapping(phase).get("name")
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
    for index, name in enumerate(_list(cluster.get("disable_components"))):
        if isinstance(name, str) and name in disabled:
            yield ("cluster", "disable_components", index), f"{quoted(name)} is listed twice"
        elif isinstance(name, str):
            disabled.add(name)
    for index, phase in enumerate(_list(scenario.get("phases"))):
        for number, entry in enumerate(_list(_mapping(phase).get("change"))):
            path: Path = ("phases", index, "change", number)
            change = _mapping(entry)
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


def _machine(entry: Any, path: Path, names: list[str] | None) -> Found:  # noqa: ANN401
    for kind in ("clock_step", "load_module"):
        machine = _mapping(_mapping(entry).get(kind)).get("machine")
        if names is not None and isinstance(machine, str) and machine not in (CONTROLLER, *names):
            yield (
                (*path, kind, "machine"),
                f"there is no machine {quoted(machine)}{nearest(machine, [CONTROLLER, *names])}",
            )


def _expectation(entry: Any, path: Path, names: list[str] | None) -> Found:  # noqa: ANN401
    expectation = _mapping(entry)
    yield from _apiservice(_mapping(expectation.get("apiservice")), (*path, "apiservice"))
    yield from _top_nodes(_mapping(expectation.get("top_nodes")), (*path, "top_nodes"), names)
    apply = _mapping(expectation.get("apply"))
    if apply.get("outcome") == ApplyOutcome.APPLIED and "message_contains" in apply:
        yield (
            (*path, "apply", "message_contains"),
            "only a refusal has a message: write `outcome: refused`, or leave this out",
        )


def _apiservice(body: dict[str, Any], path: Path) -> Found:
    if body.get("available") is not True:
        return
    if body.get("reason") not in (None, ApiserviceReason.PASSED, ApiserviceReason.LOCAL):
        yield (
            (*path, "reason"),
            f"an available APIService never has the reason {quoted(body['reason'])}",
        )
    if "message_class" in body:
        yield (*path, "message_class"), "only a failed check has a message class"


def _top_nodes(body: dict[str, Any], path: Path, names: list[str] | None) -> Found:
    if "nodes" not in body:
        return
    if body.get("outcome") in _WITHOUT_ROWS:
        yield (
            (*path, "nodes"),
            f"there are no rows when the outcome is {quoted(body['outcome'])}: leave `nodes` out",
        )
    seen: set[str] = set()
    for index, node in enumerate(_list(body["nodes"])):
        if not isinstance(node, str) or names is None:
            continue
        if node == CONTROLLER:
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


def _refusal(scenario: dict[str, Any]) -> Found:
    """A refused first configuration leaves no cluster, so nothing else can be expected of it."""
    phases = _list(scenario.get("phases"))
    entries = _list(_mapping(phases[0]).get("expect")) if phases else []
    bodies = [_mapping(_mapping(entry).get("apply")) for entry in entries]
    if not any(body.get("outcome") == ApplyOutcome.REFUSED for body in bodies):
        return
    for number, entry in enumerate(entries):
        for kind in _mapping(entry):
            if kind != "apply":
                yield (
                    ("phases", 0, "expect", number),
                    f"{quoted(kind)} cannot be expected here: a refused apply leaves no cluster",
                )
    for index in range(1, len(phases)):
        yield (
            ("phases", index),
            "no phase can follow: the first one's apply is refused, so there is no cluster",
        )


def _mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:  # noqa: ANN401
    return value if isinstance(value, list) else []


def _at(value: Any, path: Path) -> Any:  # noqa: ANN401
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value
