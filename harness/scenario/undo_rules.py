"""What must hold of `undo`: an earlier phase, that left nothing behind, and only once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, get_args

from harness.scenario.changes import Change, DeploymentChange, UndoPhase
from harness.scenario.document import Path, SourceMap
from harness.scenario.plain import mapping, sequence
from harness.vocabulary.nearest import nearest, quoted

Found = Iterator[tuple[Path, str]]

_BY_K0SCTL = {model.kind for model in get_args(DeploymentChange)}
_UNDO = {model.kind: model.undo for model in get_args(get_args(Change)[0])}


def broken_undo_rules(phases: list[Any], marks: SourceMap) -> Found:
    """Yield path and sentence of each `undo` that cannot be made."""
    undone: dict[str, int] = {}
    for index, phase in enumerate(phases):
        others = False
        for number, change in enumerate(sequence(mapping(phase).get("change"))):
            path: Path = ("phases", index, "change", number, UndoPhase.kind)
            if UndoPhase.kind not in mapping(change):
                others = True
                yield from _with_undo(change, phase, path[:-1])
                continue
            name = mapping(change)[UndoPhase.kind]
            if not isinstance(name, str):
                continue
            if others:
                yield path, "`undo` stands before a phase's other changes, which it does not undo"
            if name in undone:
                yield path, f"{quoted(name)} is already undone on line {undone[name]}"
            else:
                yield from _cannot(name, phases, index, path)
                yield from _not_last(name, phases[:index], undone, path)
            undone.setdefault(name, marks.value(path).line)


def _with_undo(change: Any, phase: Any, path: Path) -> Found:  # noqa: ANN401  # any YAML
    """One k0sctl apply makes both, so nobody could say whether the undo was exact."""
    for kind in _BY_K0SCTL & set(mapping(change)):
        if UndoPhase.kind in _kinds(phase):
            yield path, f"`{kind}` cannot stand beside `undo`: give it a phase of its own"


def _not_last(name: str, earlier: list[Any], undone: Collection[str], path: Path) -> Found:
    """What is taken back is compared with what was before it, so nothing later may still stand."""
    names = [mapping(phase).get("name") for phase in earlier]
    if name not in names:
        return
    for later in earlier[names.index(name) + 1 :]:
        between = mapping(later).get("name")
        if not isinstance(between, str):
            continue
        if between not in undone and set(_kinds(later)) - {UndoPhase.kind}:
            yield (
                path,
                f"{quoted(between)} came after {quoted(name)} and still stands: undo it first",
            )


def _cannot(name: str, phases: list[Any], index: int, path: Path) -> Found:
    names = [mapping(phase).get("name") for phase in phases]
    earlier = [each for each in names[:index] if isinstance(each, str)]
    if name not in earlier:
        if name == names[index]:
            why = "a phase cannot undo itself"
        elif name in names:
            why = f"{quoted(name)} comes later"
        else:
            why = f"there is no phase {quoted(name)}{nearest(name, earlier)}"
        yield path, why
        return
    kinds = _kinds(phases[names.index(name)])
    if not kinds:
        yield path, f"{quoted(name)} changes nothing"
    for kind in dict.fromkeys(kinds):
        if kind == UndoPhase.kind:
            yield path, f"{quoted(name)} itself has an `undo`: make those changes again instead"
        elif _UNDO.get(kind) == "none":
            yield (
                path,
                f"{quoted(name)} cannot be undone: `{kind}` leaves something behind (undo: none)",
            )


def _kinds(phase: Any) -> list[str]:  # noqa: ANN401  # any YAML
    """Return the kinds of change that a phase names, in their order."""
    changes = sequence(mapping(phase).get("change"))
    return [kind for change in changes for kind in mapping(change)]
