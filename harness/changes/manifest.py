"""Objects that are applied with kubectl, and their state before, which comes back."""

from __future__ import annotations

from typing import ClassVar

from harness.changes.action import Action, Before, Check, Command, Step
from harness.changes.addresses import Addresses
from harness.changes.listed_objects import APPLY_SECONDS, ListedObjects, as_list, check_back
from harness.changes.objects import Object, essence, missing, object_name, object_probe
from harness.probe.core import API


class Manifest(ListedObjects):
    """Apply objects with kubectl: a list of them, each in full."""

    kind: ClassVar[str] = "manifest"
    body: ClassVar[str] = "[OBJECT, …]"
    does: ClassVar[str] = "applies Kubernetes objects, each written out in full"

    def describe(self) -> str:
        return f"apply {self.names}"

    def action(self, addresses: Addresses, before: Before) -> Action:
        were = [(item, before.value(object_probe(item))) for item in self.objects]
        old = [essence(was) for _, was in were if was is not None]
        new = [item for item, was in reversed(were) if was is None]
        undo: list[Step] = []
        if new:
            delete = ("kubectl", "delete", "--ignore-not-found", "--wait=false", "-f", "-")
            undo.append(Command(API, delete, stdin=as_list(new), deadline=APPLY_SECONDS))
        if old:
            replace = ("kubectl", "replace", "-f", "-")
            undo.append(Command(API, replace, stdin=as_list(old), deadline=APPLY_SECONDS))
        undo += [check_back(item, was) for item, was in were]
        apply = ("kubectl", "apply", "-f", "-")
        names = ", ".join(object_name(item) for item in self.objects)
        return Action(
            text=f"apply {names}",
            do=(Command(API, apply, stdin=as_list(self.objects), deadline=APPLY_SECONDS),),
            undo=tuple(undo),
            check=tuple(_check_applied(item) for item in self.objects),
        )


def _check_applied(item: Object) -> Check:
    def wrong(live: Object | None) -> str | None:
        if live is None:
            return f"there is no {object_name(item)}"
        return missing(live, item)

    return Check(f"{object_name(item)} is as applied", object_probe(item), wrong)
