"""Objects that are deleted, and made again as they were."""

from __future__ import annotations

from typing import ClassVar

from harness.base.errors import InconclusiveError
from harness.changes.action import Action, Before, Check, Command
from harness.changes.addresses import Addresses
from harness.changes.listed_objects import (
    APPLY_SECONDS,
    GONE_SECONDS,
    ListedObjects,
    as_list,
    check_back,
)
from harness.changes.objects import Object, essence, object_name, object_probe
from harness.probe.core import API


class Delete(ListedObjects):
    """Delete objects: a list of them, each by apiVersion, kind and metadata."""

    kind: ClassVar[str] = "delete"
    body: ClassVar[str] = "[{apiVersion: V, kind: K, metadata: {name: N, namespace: N}}, …]"
    does: ClassVar[str] = "deletes Kubernetes objects; `undo` makes them again as they were"

    def describe(self) -> str:
        return f"delete {self.names}"

    def action(self, addresses: Addresses, before: Before) -> Action:
        """Return the action; raises `InconclusiveError` where one of them is not there."""
        were = [(item, before.value(object_probe(item))) for item in self.objects]
        absent = [object_name(item) for item, was in were if was is None]
        if absent:
            raise InconclusiveError(f"Deleting {self.names}", f"there is no {', '.join(absent)}")
        old = [essence(was) for _, was in reversed(were) if was is not None]
        names = ", ".join(object_name(item) for item in self.objects)
        delete = ("kubectl", "delete", "--wait=false", "-f", "-")
        # One that its owner has made again meanwhile is there already, which `create` calls an
        # error; whether it is as before is looked at in any case.
        create = Command(
            API,
            ("kubectl", "create", "-f", "-"),
            stdin=as_list(old),
            deadline=APPLY_SECONDS,
            accept=frozenset({0, 1}),
        )
        return Action(
            text=f"delete {names}",
            do=(Command(API, delete, stdin=as_list(self.objects), deadline=APPLY_SECONDS),),
            undo=(create, *(check_back(item, was) for item, was in were)),
            check=tuple(_check_gone(item) for item in self.objects),
        )


def _check_gone(item: Object) -> Check:
    name = object_name(item)

    def wrong(live: Object | None) -> str | None:
        return None if live is None else f"{name} is still there"

    return Check(f"{name} is gone", object_probe(item), wrong, within=GONE_SECONDS)
