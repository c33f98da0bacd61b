"""Objects that are applied with kubectl, and their state before, which comes back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.change.model import Action, Before, Check, Command, Step
from harness.change.objects import Object, essence, missing, object_name, object_probe
from harness.probe.core import API, Probe
from harness.scenario import changes

# kubectl asks what kinds there are before it applies: several requests, each of which may take 5 s.
APPLY_SECONDS = 40.0
# A namespace is gone when all that was in it is, and a pod has 30 s to end.
GONE_SECONDS = 90.0


def looks(change: changes.Manifest) -> tuple[Probe[Any], ...]:
    """Return what is to be read before: each object as it is."""
    return tuple(object_probe(item) for item in change.objects)


def action(change: changes.Manifest, before: Before) -> Action:
    """Return the action; its undo replaces what was there, and deletes what was not."""
    were = [(item, before.value(object_probe(item))) for item in change.objects]
    old = [essence(was) for _, was in were if was is not None]
    new = [item for item, was in reversed(were) if was is None]
    undo: list[Step] = []
    if new:
        delete = ("kubectl", "delete", "--ignore-not-found", "--wait=false", "-f", "-")
        undo.append(Command(API, delete, stdin=_list(new), deadline=APPLY_SECONDS))
    if old:
        replace = ("kubectl", "replace", "-f", "-")
        undo.append(Command(API, replace, stdin=_list(old), deadline=APPLY_SECONDS))
    undo += [_check_back(item, was) for item, was in were]
    apply = ("kubectl", "apply", "-f", "-")
    names = ", ".join(object_name(item) for item in change.objects)
    return Action(
        text=f"apply {names}",
        do=(Command(API, apply, stdin=_list(change.objects), deadline=APPLY_SECONDS),),
        undo=tuple(undo),
        check=tuple(_check_applied(item) for item in change.objects),
    )


def _list(items: Sequence[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})


def _check_applied(item: Object) -> Check:
    def wrong(live: Object | None) -> str | None:
        if live is None:
            return f"there is no {object_name(item)}"
        return missing(live, item)

    return Check(f"{object_name(item)} is as applied", object_probe(item), wrong)


def _check_back(item: Object, was: Object | None) -> Check:
    name = object_name(item)

    def wrong(live: Object | None) -> str | None:
        if was is None:
            return None if live is None else f"{name} is still there"
        if live is None:
            return f"there is no {name} any more"
        return missing(essence(live), essence(was)) or missing(essence(was), essence(live))

    return Check(f"{name} is as before", object_probe(item), wrong, within=GONE_SECONDS)
