"""Changes whose body is a list of Kubernetes objects: their rules, and what they were before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, RootModel

from harness.changes.action import Check
from harness.changes.addresses import Addresses
from harness.changes.kind import DirectChange
from harness.changes.objects import Object, essence, missing, object_name, object_probe
from harness.probe.core import Probe
from harness.vocabulary.cluster_config import at
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.part import Found

# kubectl asks what kinds there are and how they are described before it applies: several requests,
# of which a busy API server took more than 5 s for one.
APPLY_SECONDS = 40.0
# A namespace is gone when all that was in it is, and a pod has 30 s to end.
GONE_SECONDS = 90.0

_OBJECT_KEYS = (("apiVersion",), ("kind",), ("metadata", "name"))


class ListedObjects(
    DirectChange,
    RootModel[Annotated[tuple[dict[str, Any], ...], Field(strict=False, min_length=1)]],
):
    """Base of the changes that name objects."""

    model_config = ConfigDict(frozen=True)

    verbatim: ClassVar[bool] = True

    @property
    def objects(self) -> tuple[dict[str, Any], ...]:
        """The objects, in the order of the file."""
        return self.root

    @property
    def names(self) -> str:
        """Their kinds and names, as in `NetworkPolicy closed`."""
        return ", ".join(f"{each['kind']} {each['metadata']['name']}" for each in self.objects)

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


def as_list(items: Sequence[Object]) -> str:
    """Return the objects as one that kubectl takes on stdin."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})


def check_back(item: Object, was: Object | None) -> Check:
    """Return the check that an object is what it was before; None: that there is none."""
    name = object_name(item)

    def wrong(live: Object | None) -> str | None:
        if was is None:
            return None if live is None else f"{name} is still there"
        if live is None:
            return f"there is no {name} any more"
        return missing(essence(live), essence(was)) or missing(essence(was), essence(live))

    return Check(f"{name} is as before", object_probe(item), wrong, within=GONE_SECONDS)
