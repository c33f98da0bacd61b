"""Objects of the Kubernetes API: what of them is somebody's wish, and how they are named.

k0s's own applier does not fight a change of its objects: it applies a manifest when its file
changes or k0s starts, and leaves an object alone whose checksum annotation is that of its file
(pkg/applier/stackapplier.go and stack.go of v1.32.3+k0s.0). A change keeps the annotation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.evidence.reading import Reading
from harness.probe.core import API, Probe, not_found, require_json

Object = Mapping[str, Any]

# The server writes these itself, each time that anything is written.
_BOOKKEEPING = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
# Counted up by the controllers with each new template, also with an old one that comes back.
_COUNTERS = ("deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation")


def essence(item: Object) -> dict[str, Any]:
    """Return what of an object was wished for: no status, and nothing that the server counts."""
    kept = {key: value for key, value in item.items() if key != "status"}
    metadata = {key: value for key, value in item["metadata"].items() if key not in _BOOKKEEPING}
    annotations = {
        key: value
        for key, value in (metadata.pop("annotations", None) or {}).items()
        if key not in _COUNTERS
    }
    if annotations:
        metadata["annotations"] = annotations
    return {**kept, "metadata": metadata}


def object_name(item: Object) -> str:
    """Return kind, namespace and name, as in `Deployment kube-system/metrics-server`."""
    namespace = item["metadata"].get("namespace")
    name = item["metadata"]["name"]
    return f"{item['kind']} {f'{namespace}/' if namespace else ''}{name}"


def object_probe(item: Object) -> Probe[Object | None]:
    """Return the probe of the object that has the kind, the namespace and the name of `item`."""
    group, _, version = item["apiVersion"].rpartition("/")
    # kubectl takes KIND.VERSION.GROUP, and a bare kind for what has no group.
    kind = f"{item['kind']}.{version}.{group}" if group else str(item["kind"]).lower()
    namespace = item["metadata"].get("namespace")
    where = ("-n", str(namespace)) if namespace else ()
    argv = ("kubectl", "get", kind, str(item["metadata"]["name"]), *where, "-o", "json")
    return Probe("object", API, argv, parse_object)


def parse_object(reading: Reading) -> Object | None:
    """Return the object, None where there is none, or no such kind."""
    if not_found(reading) or "doesn't have a resource type" in reading.stderr:
        return None
    item: Object = require_json(reading)
    return item


def missing(live: Any, wanted: Any, path: str = "") -> str | None:  # noqa: ANN401  # JSON
    """Return where `live` is not as `wanted`; None where it is, whatever else it has.

    The server adds defaults to mappings, never to lists, and leaves out what has Go's zero value
    (`omitempty`): false, 0, empty text, lists and mappings.
    """
    if live is None and not wanted:
        return None
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return f"{path or 'the object'} is {live!r}"
        places = (
            missing(live.get(key), value, f"{path}.{key}".lstrip("."))
            for key, value in wanted.items()
            if value is not None
        )
        return next((each for each in places if each is not None), None)
    if isinstance(wanted, list | tuple):
        if not isinstance(live, list) or len(live) != len(wanted):
            return f"{path} is {live!r}"
        pairs = enumerate(zip(live, wanted, strict=True))
        places = (missing(is_, want, f"{path}[{place}]") for place, (is_, want) in pairs)
        return next((each for each in places if each is not None), None)
    return None if live == wanted else f"{path} is {live!r}, not {wanted!r}"
