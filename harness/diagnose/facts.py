"""What a set of readings says, one field a fact; None is what was not seen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from harness.base.printable import pasted
from harness.diagnose.parsers import BY_MACHINE, BY_TARGET, PARSERS, SINGLE
from harness.evidence.reading import Reading
from harness.probe import (
    apiservice,
    controlplane,
    dials,
    environment,
    https,
    machines,
    metrics_data,
    objects,
    routing,
    top_nodes,
    workloads,
)
from harness.probe.core import API, DIAL, PIPE, observe

# Characters of earlier readings; the longest of a hundred machines, all agents' pods, has 1.1 MB.
_MOST_LOOKED_BACK = 2_000_000
# What is asked of controllers only: by these the controller is known.
_OF_CONTROLLERS = ("apiserver_flags", "tunnel", "listening", "cluster_cidr", "isolation")
# Of a clock that is set at all; beyond them there are times that cannot be told.
_YEARS = range(1970, 2200)
_OF_WORKERS = ("metrics_server_log", "agent_log")


@dataclass(frozen=True)
class Facts:
    """What was seen of one cluster.

    `single` goes by probe, `by_machine` by probe and machine, `by_target` by probe, machine and
    target (an address, or `address:port`). `unseen_at` has, by probe and place, why there is no
    value; `readings` the reading of each. `controllers` and `workers` are names of machines, the
    controller that was asked for the API server first. `at` is when the last look was taken, in
    seconds since 1970.
    """

    single: Mapping[str, Any] = field(default_factory=dict)
    by_machine: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    by_target: Mapping[str, Mapping[tuple[str, str], Any]] = field(default_factory=dict)
    unseen_at: Mapping[tuple[str, str], str] = field(default_factory=dict)
    readings: Mapping[tuple[str, str], Reading] = field(default_factory=dict)
    controllers: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    at: float = 0.0

    @property
    def unseen(self) -> Mapping[str, str]:
        """Why a probe has no value, by probe."""
        return {name: why for (name, _), why in self.unseen_at.items()}

    @property
    def controller(self) -> str:
        """The controller whose way is judged, empty where none was asked."""
        return self.controllers[0] if self.controllers else ""

    @property
    def apiservice(self) -> apiservice.APIServiceState | None:
        """The APIService of the metrics."""
        return self.single.get("apiservice")

    @property
    def pods(self) -> tuple[workloads.Pod, ...] | None:
        """The pods of metrics-server."""
        return self.single.get("pods")

    @property
    def service(self) -> workloads.Service | None:
        """metrics-server's Service."""
        return self.single.get("service")

    @property
    def endpoints(self) -> tuple[workloads.Endpoint, ...] | None:
        """The ready endpoints of metrics-server's Service."""
        return self.single.get("endpoints")

    @property
    def nodes(self) -> tuple[workloads.Node, ...] | None:
        """All Nodes."""
        return self.single.get("nodes")

    @property
    def deployment(self) -> objects.Deployment | None:
        """metrics-server's Deployment."""
        return self.single.get("deployment")

    @property
    def agents(self) -> objects.AgentSet | None:
        """The DaemonSet of the konnectivity agents."""
        return self.single.get("agents")

    @property
    def agent_pods(self) -> frozenset[str] | None:
        """The nodes that an agent's pod runs on."""
        return self.single.get("agent_pods")

    @property
    def csrs(self) -> tuple[objects.SigningRequest, ...] | None:
        """The kubelets' requests for serving certificates."""
        return self.single.get("csrs")

    @property
    def policies(self) -> tuple[objects.Policy, ...] | None:
        """The NetworkPolicies of kube-system that isolate ingress."""
        return self.single.get("policies")

    @property
    def metrics(self) -> metrics_data.MetricsData | None:
        """What the metrics API serves."""
        return self.single.get("metrics")

    @property
    def top_nodes(self) -> top_nodes.TopNodes | None:
        """What `kubectl top nodes` said."""
        return self.single.get("top_nodes")

    @property
    def apiserver_flags(self) -> controlplane.APIServerFlags | None:
        """The arguments of the controller's API server."""
        return self.by_machine.get("apiserver_flags", {}).get(self.controller)

    @property
    def proxy(self) -> environment.ProxySettings | None:
        """What the environment of the controller's API server says of proxies."""
        return self.by_machine.get("apiserver_environment", {}).get(self.controller)

    @property
    def listening(self) -> frozenset[int] | None:
        """The ports the controller listens on."""
        return self.by_machine.get("listening", {}).get(self.controller)

    @property
    def tunnel(self) -> controlplane.TunnelServer | None:
        """The controller's konnectivity server."""
        return self.by_machine.get("tunnel", {}).get(self.controller)

    @property
    def isolation(self) -> Mapping[str, int] | None:
        """What the lab's own packet filter on the controller dropped."""
        return self.by_machine.get("isolation", {}).get(self.controller)

    @property
    def cluster_cidr(self) -> str | None:
        """The pods' network."""
        return self.by_machine.get("cluster_cidr", {}).get(self.controller)

    def addresses(self, machine: str) -> tuple[machines.Address, ...] | None:
        """The IPv4 addresses of a machine."""
        return self.by_machine.get("addresses", {}).get(machine)

    def clock(self, machine: str) -> machines.Clock | None:
        """A machine's clock."""
        return self.by_machine.get("clock", {}).get(machine)

    def dial(self, machine: str, target: str) -> dials.Dials | None:
        """The round of dials from a machine to `address:port`."""
        return self.by_target.get("dial", {}).get((machine, target))

    def payload(self, machine: str, target: str) -> https.Payload | None:
        """The large request from a machine to `address:port`."""
        return self.by_target.get("payload", {}).get((machine, target))

    def agent_payload(self, machine: str, target: str) -> https.Payload | None:
        """The large request from a worker's konnectivity agent to `address:port`."""
        return self.by_target.get("agent_payload", {}).get((machine, target))

    def agent_server(self, machine: str, target: str) -> https.Payload | None:
        """The request from a worker's konnectivity agent to its server at `address:port`."""
        return self.by_target.get("agent_server", {}).get((machine, target))

    def route(self, address: str) -> routing.Route | None:
        """The controller's route to an address."""
        return self.by_target.get("route", {}).get((self.controller, address))

    def machine_of(self, node: str) -> str | None:
        """Return the machine that is the Node `node`, by name or by its InternalIP."""
        if node in self._places:
            return node
        own = self._addresses_of.get(node, frozenset())
        machines = [name for each in own if (name := self._machine_at.get(each)) is not None]
        if machines:
            return min(machines, key=self._order.__getitem__)
        return min(own & self._places, default=None)

    @functools.cached_property
    def _places(self) -> frozenset[str]:
        return frozenset(name for _, name in self.readings)

    @functools.cached_property
    def _addresses_of(self) -> Mapping[str, frozenset[str]]:
        """The InternalIPs of each Node."""
        found: dict[str, frozenset[str]] = {}
        for each in self.nodes or ():
            found[each.name] = found.get(each.name, frozenset()) | frozenset(each.addresses)
        return found

    @functools.cached_property
    def _machine_at(self) -> Mapping[str, str]:
        """The first machine that has an address."""
        found: dict[str, str] = {}
        for machine, addresses in self.by_machine.get("addresses", {}).items():
            for each in addresses:
                found.setdefault(each.address, machine)
        return found

    @functools.cached_property
    def _order(self) -> Mapping[str, int]:
        """The place of each machine among those that said their addresses."""
        return {name: at for at, name in enumerate(self.by_machine.get("addresses", {}))}

    def why_unseen(self, probe: str, where: str | None = None) -> str:
        """Return why a probe has no value."""
        if where is not None:
            return self.unseen_at.get((probe, where), "not looked at")
        return next(
            (why for (name, _), why in self.unseen_at.items() if name == probe), "not looked at"
        )

    def command(self, probe: str, where: str | None = None) -> str | None:
        """Return the command with which anyone can look again, and where."""
        reading = self.reading(probe, where)
        return None if reading is None else command_of(reading)

    def reading(self, probe: str, where: str | None = None) -> Reading | None:
        """Return the reading of a probe, at `where` or wherever it was taken first."""
        if where is not None:
            return self.readings.get((probe, where))
        return next((each for (name, _), each in self.readings.items() if name == probe), None)

    def lost_machines(self) -> tuple[str, ...]:
        """Return the machines of which nothing could be read at all."""
        answered = {where for (_, where), each in self.readings.items() if not each.failed}
        asked = {where for _, where in self.readings if where != API}
        return tuple(sorted(asked - answered))


def facts_from(readings: Iterable[Reading]) -> Facts:
    """Return the facts of `readings`; of two readings of one probe the later one counts.

    Readings of probes that are none of the ladder's are passed over.
    """
    single: dict[str, Any] = {}
    by_machine: dict[str, dict[str, Any]] = {}
    by_target: dict[str, dict[tuple[str, str], Any]] = {}
    unseen: dict[tuple[str, str], str] = {}
    kept: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        family, _, target = reading.probe.partition(":")
        # A target that a probe does not have is nobody's question.
        if family in PARSERS and bool(target) is (family in BY_TARGET):
            kept.setdefault((reading.probe, reading.where), []).append(reading)
    for (probe, where), taken in kept.items():
        family, _, target = probe.partition(":")
        value, problem = _latest(PARSERS[family], taken)
        if problem is not None:
            unseen[probe, where] = problem
        if value is None:
            continue
        if family in SINGLE:
            single[family] = value
        elif family in BY_MACHINE:
            by_machine.setdefault(family, {})[where] = value
        else:
            by_target.setdefault(family, {})[where, target] = value
    controllers = dict.fromkeys(where for probe, where in kept if probe in _OF_CONTROLLERS)
    workers = dict.fromkeys(where for probe, where in kept if probe in _OF_WORKERS)
    flagged = by_machine.get("apiserver_flags", {})
    # What dials and is no controller is a worker, too.
    for probe, where in kept:
        if probe.partition(":")[0] in BY_TARGET and where not in controllers:
            workers[where] = None
    return Facts(
        single=single,
        by_machine=by_machine,
        by_target=by_target,
        unseen_at=unseen,
        readings={key: taken[-1] for key, taken in kept.items()},
        controllers=tuple(sorted(controllers, key=lambda name: name not in flagged)),
        workers=tuple(workers),
        at=max((moment(taken[-1]) for taken in kept.values()), default=0.0),
    )


def _latest(
    parse: Callable[[Reading], Any], taken: Sequence[Reading]
) -> tuple[Any | None, str | None]:
    """Return the last value there is, and why the last reading has none.

    Earlier readings are only looked at where later ones say nothing: a recording has thousands.
    """
    last = observe(parse, taken[-1])
    if last.problem is None:
        return last.value, None
    left = _MOST_LOOKED_BACK
    for each in reversed(taken[:-1]):
        left -= len(each.stdout)
        if left < 0:
            break
        value = observe(parse, each).value
        if value is not None:
            return value, last.problem
    return None, last.problem


def command_of(reading: Reading) -> str:
    """Return the command with which anyone can look again, and where."""
    if reading.argv[0] == DIAL and len(reading.argv) > 2:  # noqa: PLR2004  # host and port
        return f"on {reading.where}: {pasted('nc', '-vz', '-w', '5', *reading.argv[1:3])}"
    command = " ".join(word if word == PIPE else pasted(word) for word in reading.argv)
    return command if reading.where == API else f"on {reading.where}: {command}"


def moment(reading: Reading) -> float:
    """Return when a look had ended, in seconds since 1970 by this host's clock."""
    try:
        at = datetime.fromisoformat(reading.at)
        return at.timestamp() + reading.duration if at.year in _YEARS else 0.0
    except (ValueError, OverflowError):
        return 0.0
