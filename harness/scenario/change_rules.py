"""What must hold of a phase's changes: machines that are there, places that packets can go to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from harness.cni import Cni
from harness.scenario.document import Path
from harness.scenario.plain import ABSENT, at, mapping, sequence, word
from harness.vocabulary.cluster_config import PRIVATE_INTERFACE, collisions
from harness.vocabulary.fields import PLACE_LITERAL
from harness.vocabulary.machines import CONTROLLER, PODS_ON, WORKERS, named
from harness.vocabulary.nearest import nearest, quoted
from harness.vocabulary.words import Answer, Protocol

Found = Iterator[tuple[Path, str]]

# SSH, the only way in.
_SSH_PORT = 22
_SSH_SENTENCE = "it would cut the harness itself off, which comes in by SSH (port 22)"
# What Linux and systemd take as the name of an environment variable.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OBJECT_KEYS = (("apiVersion",), ("kind",), ("metadata", "name"))
# The keys of a change that name a place.
_PLACES = ("to", "source", "destination")
_NEEDS_KUBELET = {"node_ip", "remove_image"}
_PROVIDER = ("spec", "network", "provider")


@dataclass(frozen=True)
class Machines:
    """The machines of a scenario, as its rules see them.

    `kubelets` are those that are nodes; `cni` is what gives pods their addresses.
    """

    workers: tuple[str, ...]
    kubelets: tuple[str, ...]
    cni: Cni

    @property
    def names(self) -> tuple[str, ...]:
        """Every machine."""
        return (CONTROLLER, *self.workers)


def broken_change_rules(
    entry: Any,  # noqa: ANN401  # any YAML
    path: Path,
    machines: Machines | None,
    broken: list[str],
) -> Found:
    """Yield path and sentence of each rule that one change breaks.

    `machines` is None where their count is itself a mistake; `broken` are the paths listed under
    `cluster.break`.
    """
    change = mapping(entry)
    if len(change) != 1:
        return
    ((kind, value),) = change.items()
    body = mapping(value)
    path = (*path, kind)
    if kind == "k0s_config":
        yield from _k0s_config(body, path, broken)
    elif kind == "manifest":
        yield from _manifest(sequence(value), path)
    elif kind in _RULES:
        yield from _RULES[kind](body, path)
    for key in _PLACES:
        yield from _literal(body.get(key), (*path, key))
    if machines is not None:
        yield from _on_machines(kind, body, path, machines)


def _on_machines(kind: str, body: Mapping[str, Any], path: Path, machines: Machines) -> Found:
    yield from _machine(kind, body, path, machines)
    for key in _PLACES:
        yield from _place(body.get(key), (*path, key), machines)
    if kind == "route":
        yield from _via(body, path, machines)
    if kind in {"route", "blackhole_route"}:
        yield from _own_network(body, path, machines)


def _machine(kind: str, body: Mapping[str, Any], path: Path, machines: Machines) -> Found:
    machine = body.get("machine")
    if not isinstance(machine, str):
        return
    if machine not in (*machines.names, WORKERS):
        # One that ends in a number is one machine, mistyped.
        known = machines.names if machine[-1:].isdigit() else (*machines.names, WORKERS)
        yield (*path, "machine"), f"there is no machine {quoted(machine)}{nearest(machine, known)}"
    elif kind in _NEEDS_KUBELET and machine not in (*machines.kubelets, WORKERS):
        remedy = "name a worker, or set `cluster.controller_role: controller+worker`"
        yield (*path, "machine"), f"`{CONTROLLER}` runs no kubelet: {remedy}"


def _place(place: Any, path: Path, machines: Machines) -> Found:  # noqa: ANN401
    if not isinstance(place, str):
        return
    worker = place.removeprefix(PODS_ON)
    if re.fullmatch(r"(?:controller|worker)[0-9]", worker) is None:
        return
    if worker not in machines.names:
        there = ", ".join(machines.names)
        yield path, f"{quoted(place)} is nowhere: this cluster has {there}"
    elif place.startswith(PODS_ON) and machines.cni.own_blocks:
        why = "it gives pods addresses from blocks of its own, not from the node's podCIDR"
        named = f"{quoted(place)} is not known with {machines.cni.title}"
        yield path, f"{named}: {why}. Write pod-network instead"


def _literal(place: Any, path: Path) -> Found:  # noqa: ANN401
    if not isinstance(place, str) or re.fullmatch(PLACE_LITERAL, place) is None:
        return
    network = IPv4Network(place, strict=False)
    if "/" in place and str(network) != place:
        yield path, f"{quoted(place)} is an address inside a network; write {network}"
    elif (
        network.prefixlen == 0
        or network.is_loopback
        or network.is_multicast
        or network.is_reserved
        or network.is_link_local
        or network.is_unspecified
    ):
        yield path, f"no cluster's packets go to {quoted(place)}; name a network that some do"


def _via(body: Mapping[str, Any], path: Path, machines: Machines) -> Found:
    via, machine = body.get("via"), body.get("machine")
    if not isinstance(via, str):
        return
    if via == WORKERS:
        yield (*path, "via"), "a route goes through one machine; name it"
    elif via not in machines.names:
        yield (
            (*path, "via"),
            f"there is no machine {quoted(via)}{nearest(via, machines.names)}",
        )
    elif isinstance(machine, str) and via in named(machine, machines.workers):
        yield (*path, "via"), f"{quoted(via)} would send to itself: the route leads nowhere"


def _own_network(body: Mapping[str, Any], path: Path, machines: Machines) -> Found:
    machine, to = body.get("machine"), body.get("to")
    if not isinstance(machine, str) or not isinstance(to, str):
        return
    if to.removeprefix(PODS_ON) in named(machine, machines.workers):
        whose = "the pods' own machine" if to.startswith(PODS_ON) else "the machine itself"
        yield (*path, "to"), f"{quoted(to)} needs no route on {whose}"


def _firewall(body: Mapping[str, Any], path: Path) -> Found:
    if "port" in body and "protocol" not in body:
        yield (*path, "port"), "a port belongs to a protocol: say `protocol: tcp` or `udp`"
    for key, value, why in (
        ("answer", Answer.RESET, "only tcp has resets: say `protocol: tcp`, or another answer"),
        ("longer_than", None, "only tcp fits its packets to what gets through: `protocol: tcp`"),
    ):
        given = body.get(key)
        if given is not None and value in (None, given) and body.get("protocol") != Protocol.TCP:
            yield (*path, key), why
    if not {"protocol", "port", "source", "destination", "interface", "longer_than"} & set(body):
        yield path, f"nothing limits this `firewall`; {_SSH_SENTENCE}"
    if body.get("port") == _SSH_PORT and body.get("protocol") == Protocol.TCP:
        yield (*path, "port"), f"choose another port; {_SSH_SENTENCE}"


def _nic_down(body: Mapping[str, Any], path: Path) -> Found:
    if body.get("interface") == PRIVATE_INTERFACE and body.get("machine") == CONTROLLER:
        why = f"the harness asks `{CONTROLLER}` everything through {PRIVATE_INTERFACE}"
        yield (*path, "interface"), f"{why}; take a worker's down"


def _environment(body: Mapping[str, Any], path: Path) -> Found:
    for name, value in mapping(body.get("variables")).items():
        here = (*path, "variables", name)
        if _VARIABLE.fullmatch(name) is None:
            yield here, f"{quoted(name)} is not the name of an environment variable"
        elif isinstance(value, str) and not value.isprintable():
            yield here, f"the value of {quoted(name)} is not one line of plain text"


_RULES = {"environment": _environment, "firewall": _firewall, "nic_down": _nic_down}


def _k0s_config(fragment: dict[str, Any], path: Path, broken: list[str]) -> Found:
    for keys, sentence in collisions(fragment, broken):
        yield (*path, *keys), sentence
    if at(fragment, _PROVIDER) is not ABSENT:
        why = "k0s cannot change the network provider of a running cluster"
        yield (*path, *_PROVIDER), f"{why}; set it under `cluster.k0s`"


def _manifest(objects: list[Any], path: Path) -> Found:
    for index, entry in enumerate(objects):
        if not isinstance(entry, dict):
            continue
        here = (*path, index)
        for keys in _OBJECT_KEYS:
            value = at(entry, keys)
            if not isinstance(value, str) or not value:
                yield here, f"the object lacks `{'.'.join(keys)}`, as text"
        if word(entry.get("kind")) in {"Secret", "SecretList"}:
            yield (*here, "kind"), "secrets are never part of a lab: nothing reads or keeps them"
        elif "items" in entry:
            yield here, "write each object of a list as an entry of its own (`- …`)"
