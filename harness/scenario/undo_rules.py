"""What must hold of `undo`: an earlier phase, that left nothing behind, and only once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from harness.changes.kind import Change, DeploymentChange
from harness.changes.undo import UndoPhase
from harness.scenario.document import SourceMap
from harness.scenario.model import Phase
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.part import Found, Missing, Path, given


def broken_undo_rules(phases: Sequence[Phase], marks: SourceMap) -> Found:
    """Yield path and sentence of each `undo` that cannot be made."""
    undone: dict[str, int] = {}
    for index, phase in enumerate(phases):
        others = False
        for number, change in enumerate(phase.change):
            path: Path = ("phases", index, "change", number)
            if not isinstance(change, UndoPhase):
                others = True
                yield from _with_undo(change, phase, path)
                continue
            path = (*path, change.kind)
            name = given(change, "phase")
            if name is None:
                continue
            if others:
                yield path, "`undo` stands before a phase's other changes, which it does not undo"
            if name in undone:
                yield path, f"{quoted(name)} is already undone on line {undone[name]}"
            else:
                yield from _cannot(name, phases, index, path)
                yield from _not_last(name, phases[:index], undone, path)
            undone.setdefault(name, marks.value(path).line)


def _with_undo(change: Change, phase: Phase, path: Path) -> Found:
    """One k0sctl apply makes both, so nobody could say whether the undo was exact."""
    undoes = any(isinstance(each, UndoPhase) for each in phase.change)
    if undoes and isinstance(change, DeploymentChange):
        yield path, f"`{change.kind}` cannot stand beside `undo`: give it a phase of its own"


def _not_last(name: str, earlier: Sequence[Phase], undone: Collection[str], path: Path) -> Found:
    """What is taken back is compared with what was before it, so nothing later may still stand."""
    names = _names(earlier)
    if name not in names:
        return
    place = names.index(name) + 1
    for between, later in zip(names[place:], earlier[place:], strict=True):
        still_stands = not all(isinstance(each, UndoPhase) for each in later.change)
        if between is not None and between not in undone and still_stands:
            yield (
                path,
                f"{quoted(between)} came after {quoted(name)} and still stands: undo it first",
            )


def _cannot(name: str, phases: Sequence[Phase], index: int, path: Path) -> Found:
    names = _names(phases)
    earlier = [each for each in names[:index] if each is not None]
    if name not in earlier:
        if name == names[index]:
            why = "a phase cannot undo itself"
        elif name in names:
            why = f"{quoted(name)} comes later"
        else:
            why = f"there is no phase {quoted(name)}{nearest(name, earlier)}"
        yield path, why
        return
    changes = phases[names.index(name)].change
    if not changes:
        yield path, f"{quoted(name)} changes nothing"
    for kind in dict.fromkeys(type(each) for each in changes if not isinstance(each, Missing)):
        if kind is UndoPhase:
            yield path, f"{quoted(name)} itself has an `undo`: make those changes again instead"
        elif kind.undo == "none":
            yield (
                path,
                (
                    f"{quoted(name)} cannot be undone: `{kind.kind}` leaves something behind "
                    "(undo: none)"
                ),
            )


def _names(phases: Sequence[Phase]) -> list[str | None]:
    return [given(phase, "name") for phase in phases]
