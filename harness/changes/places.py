"""What must hold of the places that packets go to or come from."""

from __future__ import annotations

import re
from ipaddress import IPv4Network

from harness.changes.kind import Change
from harness.vocabulary.fields import PLACE_LITERAL
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.machines import PODS_ON
from harness.vocabulary.nearest import quoted
from harness.vocabulary.part import Found


def place_rules(change: Change, key: str, around: Surroundings) -> tuple[Found, ...]:
    """Return the rules on the place that `change` has at `key`, which may be None."""
    return _literal(change, key), _machine(change, key, around)


def _literal(change: Change, key: str) -> Found:
    place: str | None = getattr(change, key)
    if place is None or re.fullmatch(PLACE_LITERAL, place) is None:
        return
    network = IPv4Network(place, strict=False)
    if "/" in place and str(network) != place:
        yield (key,), f"{quoted(place)} is an address inside a network; write {network}"
    elif (
        network.prefixlen == 0
        or network.is_loopback
        or network.is_multicast
        or network.is_reserved
        or network.is_link_local
        or network.is_unspecified
    ):
        yield (key,), f"no cluster's packets go to {quoted(place)}; name a network that some do"


def _machine(change: Change, key: str, around: Surroundings) -> Found:
    place: str | None = getattr(change, key)
    worker = (place or "").removeprefix(PODS_ON)
    if place is None or re.fullmatch(r"(?:controller|worker)[0-9]", worker) is None:
        return
    if worker not in around.cluster.machine_names:
        there = ", ".join(around.cluster.machine_names)
        yield (key,), f"{quoted(place)} is nowhere: this cluster has {there}"
    elif place.startswith(PODS_ON) and around.cluster.cni.own_blocks:
        why = "it gives pods addresses from blocks of its own, not from the node's podCIDR"
        named = f"{quoted(place)} is not known with {around.cluster.cni.title}"
        yield (key,), f"{named}: {why}. Write pod-network instead"
