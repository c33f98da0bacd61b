"""Runs recorded before hops, steps and preconditions had ids: the one place that knows their names.

Until 2026-11-28 `report.json` and `timeline.jsonl` had sentences only, and readers went by them.
What is here gives such documents the ids that are written since; others come back as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HOPS = {
    "the API server": "api-server",
    "the nodes": "nodes",
    "metrics-server runs": "metrics-server",
    "metrics-server answers on its own node": "metrics-server-answers",
    "metrics-server reads the kubelets": "scraping",
    "the Service has an endpoint": "service",
    "the API server's way out": "egress",
    "the konnectivity tunnel": "tunnel",
    "the controller's route to the dialled address": "route",
    "a connection to the dialled address": "dial",
    "connections from each worker": "connections",
    "full-size packets": "full-size-packets",
    "the APIService": "apiservice",
    "the metrics": "metrics",
    "what else is affected": "others",
}
_PRECONDITIONS = {
    "nodes are Ready": "nodes-ready",
    "node addresses are distinct and on the private network": "node-addresses",
    "konnectivity is on": "konnectivity-on",
    "konnectivity is off": "konnectivity-off",
    "metrics-server is Ready": "metrics-server-ready",
    "kube-proxy and the network provider are Ready": "network-ready",
    "k0s has the given configuration": "configuration",
}
# What replay goes by; of the other steps it needs to know only that they are none of these.
_STEPS = {
    "Preconditions": "preconditions",
    "k0sctl apply": "apply",
    "Evidence": "evidence",
    "Teardown": "teardown",
}
# A remedy had a step a line, and alternatives behind one another.
_REMEDIES = re.compile(r"\n|; (?=or\b)")
_DEVICE = re.compile(r"\bdev ([\w.-]+)")
_GATEWAY = re.compile(r"\bvia ([0-9.]+)")


def event_with_ids(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an event of a timeline with the id of its step, and with the reason it failed for."""
    if event.get("event") not in {"step-started", "step-ended"} or "step" in event:
        return event
    # The sentence says what was being done first, and then what happened.
    reason = str(event.get("text", "")).partition(": ")[2]
    return {**event, "step": _known(_STEPS, event.get("title")), "reason": reason}


def report_with_ids(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a `report.json` with the ids of hops and preconditions, and with lists of remedies."""
    phases = report.get("phases")
    if not isinstance(phases, list):
        return report
    return {**report, "phases": [_phase(each) for each in phases]}


def _phase(phase: Any) -> Any:  # noqa: ANN401  # a stranger's JSON
    if not isinstance(phase, dict):
        return phase
    found = dict(phase)
    if isinstance(phase.get("preconditions"), list):
        found["preconditions"] = [_named(each, _PRECONDITIONS) for each in phase["preconditions"]]
    if isinstance(phase.get("diagnosis"), dict):
        found["diagnosis"] = _diagnosis(phase["diagnosis"])
    return found


def _diagnosis(diagnosis: Mapping[str, Any]) -> Mapping[str, Any]:
    found = dict(diagnosis)
    if isinstance(diagnosis.get("hops"), list):
        found["hops"] = [_hop(_named(each, _HOPS)) for each in diagnosis["hops"]]
    if "remedies" not in diagnosis and isinstance(diagnosis.get("remedy"), str):
        found["remedies"] = [each for each in _REMEDIES.split(diagnosis["remedy"]) if each]
    return found


def _hop(hop: Any) -> Any:  # noqa: ANN401
    if not isinstance(hop, dict) or hop.get("id") != "route" or "device" in hop:
        return hop
    text = str(hop.get("text", ""))
    device, gateway = _DEVICE.search(text), _GATEWAY.search(text)
    return {
        **hop,
        "device": device.group(1) if device is not None else None,
        "gateway": gateway.group(1) if gateway is not None else None,
    }


def _named(value: Any, ids: Mapping[str, str]) -> Any:  # noqa: ANN401
    if not isinstance(value, dict) or "id" in value:
        return value
    return {**value, "id": _known(ids, value.get("name"))}


def _known(ids: Mapping[str, str], name: object) -> str:
    """Return the id of a name; one that is not known stays what it is, and no id equals it."""
    return ids.get(str(name), str(name))
