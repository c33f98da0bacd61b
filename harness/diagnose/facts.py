"""What a set of readings says, one field a fact; None is what was not seen."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from harness.evidence.reading import Reading
from harness.probe import apiservice
from harness.probe import controlplane
from harness.probe import dials
from harness.probe import isolation
from harness.probe import routing
from harness.probe import workloads
from harness.probe.core import observe

_PARSERS: Mapping[str, Callable[[Reading], Any]] = {
    "apiservice": apiservice.parse,
    "pods": workloads.parse_pods,
    "service": workloads.parse_service,
    "endpoints": workloads.parse_endpoints,
    "nodes": workloads.parse_nodes,
    "apiserver_flags": controlplane.parse_flags,
    "listening": controlplane.parse_sockets,
    "tunnel": controlplane.parse_tunnel,
    "route": routing.parse,
    "dial": dials.parse,
    "isolation": isolation.parse,
}


@dataclass(frozen=True)
class Facts:
    """What was seen of one cluster, from one controller.

    `routes` and `dials` go by destination address. `unseen` has, by probe, why there is no value;
    `commands` how anyone can look again.
    """

    apiservice: apiservice.APIServiceState | None = None
    pods: tuple[workloads.Pod, ...] | None = None
    service: workloads.Service | None = None
    endpoints: tuple[workloads.Endpoint, ...] | None = None
    nodes: tuple[workloads.Node, ...] | None = None
    apiserver_flags: controlplane.APIServerFlags | None = None
    listening: frozenset[int] | None = None
    tunnel: controlplane.TunnelServer | None = None
    isolation: Mapping[str, int] | None = None
    routes: Mapping[str, routing.Route] = field(default_factory=dict)
    dials: Mapping[str, dials.Dials] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)


def facts_from(readings: Iterable[Reading]) -> Facts:
    """Return the facts of `readings`; of two readings of one probe the later one counts.

    Readings of probes that are none of the ladder's are passed over.
    """
    single: dict[str, Any] = {}
    several: dict[str, dict[str, Any]] = {"route": {}, "dial": {}}
    unseen: dict[str, str] = {}
    commands: dict[str, str] = {}
    for reading in readings:
        family, _, target = reading.probe.partition(":")
        parse = _PARSERS.get(family)
        if parse is None:
            continue
        commands[reading.probe] = command_of(reading)
        observation = observe(parse, reading)
        if observation.problem is not None:
            unseen[reading.probe] = observation.problem
        elif family in several:
            several[family][target.partition(":")[0]] = observation.value
        else:
            single[family] = observation.value
    return Facts(
        **single,
        routes=several["route"],
        dials=several["dial"],
        unseen=unseen,
        commands=commands,
    )


def command_of(reading: Reading) -> str:
    """Return the command with which anyone can look again, and where."""
    if reading.argv[0] == "dial":
        return f"on {reading.where}: nc -vz -w 5 {reading.argv[1]} {reading.argv[2]}"
    command = " ".join(reading.argv)
    return command if reading.where == "api" else f"on {reading.where}: {command}"
