"""Objects that are applied with kubectl, and their state before, which comes back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, RootModel

from harness.changes.action import Action, Before, Check, Command, Step
from harness.changes.addresses import Addresses
from harness.changes.kind import DirectChange
from harness.changes.objects import Object, essence, missing, object_name, object_probe
from harness.probe.core import API, Probe
from harness.vocabulary.cluster_config import at
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.part import Found

# kubectl asks what kinds there are before it applies: several requests, each of which may take 5 s.
APPLY_SECONDS = 40.0
# A namespace is gone when all that was in it is, and a pod has 30 s to end.
GONE_SECONDS = 90.0


_OBJECT_KEYS = (("apiVersion",), ("kind",), ("metadata", "name"))


class Manifest(
    DirectChange,
    RootModel[Annotated[tuple[dict[str, Any], ...], Field(strict=False, min_length=1)]],
):
    """Apply objects with kubectl: a list of them, each in full."""

    model_config = ConfigDict(frozen=True)

    kind: ClassVar[str] = "manifest"
    verbatim: ClassVar[bool] = True
    body: ClassVar[str] = "[OBJECT, …]"
    does: ClassVar[str] = "applies Kubernetes objects, each written out in full"

    @property
    def objects(self) -> tuple[dict[str, Any], ...]:
        """The objects, in the order of the file."""
        return self.root

    def describe(self) -> str:
        names = (f"{each['kind']} {each['metadata']['name']}" for each in self.objects)
        return f"apply {', '.join(names)}"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        """Return the rule on the objects."""
        return (self._objects(),)

    def _objects(self) -> Found:
        for index, item in enumerate(self.objects):
            for keys in _OBJECT_KEYS:
                value = at(item, keys)
                if not isinstance(value, str) or not value:
                    yield (index,), f"the object lacks `{'.'.join(keys)}`, as text"
            if item.get("kind") in ("Secret", "SecretList"):
                yield (
                    (index, "kind"),
                    "secrets are never part of a lab: nothing reads or keeps them",
                )
            elif "items" in item:
                yield (index,), "write each object of a list as an entry of its own (`- …`)"

    def looks(self, addresses: Addresses) -> tuple[Probe[Any], ...]:
        return tuple(object_probe(item) for item in self.objects)

    def action(self, addresses: Addresses, before: Before) -> Action:
        were = [(item, before.value(object_probe(item))) for item in self.objects]
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
        names = ", ".join(object_name(item) for item in self.objects)
        return Action(
            text=f"apply {names}",
            do=(Command(API, apply, stdin=_list(self.objects), deadline=APPLY_SECONDS),),
            undo=tuple(undo),
            check=tuple(_check_applied(item) for item in self.objects),
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
