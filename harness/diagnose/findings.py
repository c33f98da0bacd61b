"""What follows from several facts together; None wherever what it takes was not seen."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import TypeVar

from harness.base.places import with_port
from harness.diagnose import backing, messages
from harness.diagnose.facts import Facts, moment, once
from harness.k0s import AGENT_PORT, METRICS_SERVER_PORT
from harness.probe import (
    apiservice,
    controlplane,
    dials,
    egress,
    https,
    leases,
    machines,
    nodelogs,
    objects,
    workloads,
)
from harness.probe.core import TargetProbe
from harness.probe.dials import Dials
from harness.probe.https import Payload
from harness.probe.nodelogs import Failure
from harness.probe.objects import Policy
from harness.probe.workloads import Pod
from harness.vocabulary.words import MessageClass

T = TypeVar("T")

# Of a log: what happened before is over, or not known to be.
RECENT_SECONDS = 60.0
# What starts has a readiness delay of 20 s, two scrapes, and image pulls before that: 130 s were
# measured on emulated machines, 30 s on others.
YOUNG_SECONDS = 120.0


@once
def konnectivity(facts: Facts) -> bool | None:
    """Whether the API server dials through konnectivity."""
    flags = facts.of_controller(controlplane.FLAGS)
    if flags is not None:
        return flags.egress_selector
    counted = facts.one(egress.PROBE)
    if counted is not None and counted.seen:
        return True
    return True if message_class(facts) is MessageClass.NO_AGENT else None


@once
def message_class(facts: Facts) -> MessageClass | None:
    """Return the class of the condition's message, None while it is not a failed check."""
    state = facts.one(apiservice.PROBE)
    if state is None or state.reason != "FailedDiscoveryCheck":
        return None
    return messages.classify(state.message)


@once
def metrics_pod(facts: Facts) -> Pod | None:
    """Return the pod of metrics-server that counts: a Ready one, else the youngest."""
    return backing.counts(facts.one(workloads.PODS) or ())


def renewed(facts: Facts) -> Mapping[str, float] | None:
    """Return when what makes pods, and what places them, was last there, by its Lease."""
    return facts.to(leases.PROBE).get(leases.AT)


def pod_target(facts: Facts) -> tuple[str, int, str] | None:
    """Return address, port and node of the pod behind the Service, Ready or not."""
    for endpoint in facts.one(workloads.ENDPOINTS) or ():
        return endpoint.address, endpoint.port, endpoint.node
    pod = metrics_pod(facts)
    return (pod.address, pod_port(pod), pod.node) if pod is not None and pod.address else None


def pod_port(pod: Pod) -> int:
    """Return the port at which metrics-server's pod listens, as far as it says so."""
    ports = {port: name for name, port in pod.ports}
    if METRICS_SERVER_PORT in ports or not ports:
        return METRICS_SERVER_PORT
    return next((port for port, name in ports.items() if name == "https"), next(iter(ports)))


def service_target(facts: Facts) -> tuple[str, int] | None:
    """Return ClusterIP and port of metrics-server's Service."""
    service = facts.one(workloads.SERVICE)
    return (service.cluster_ip, service.port) if service is not None and service.exists else None


@once
def server_target(facts: Facts) -> tuple[str, int] | None:
    """Return where the konnectivity agents look for their server."""
    agents = facts.one(objects.AGENTS)
    if agents is not None and agents.server_host:
        return agents.server_host, agents.server_port or AGENT_PORT
    flags = facts.of_controller(controlplane.FLAGS)
    return (flags.advertised, AGENT_PORT) if flags and flags.advertised else None


def reaches(facts: Facts, machine: str, address: str, port: int) -> bool | None:
    """Whether every new connection from a machine to `address:port` opened."""
    dialled = facts.to(dials.PROBE).get((machine, with_port(address, port)))
    if dialled is not None:
        return dialled.all_connected
    payload = facts.to(https.PAYLOAD).get((machine, with_port(address, port)))
    return payload.connected if payload is not None else None


def agent_reaches(facts: Facts, machine: str, address: str, port: int) -> bool | None:
    """Whether a connection from a worker's konnectivity agent to `address:port` opens."""
    payload = facts.to(https.AGENT_PAYLOAD).get((machine, with_port(address, port)))
    return payload.connected if payload is not None else None


def stuck(facts: Facts) -> Mapping[tuple[TargetProbe[Payload], str, str], Payload]:
    """Return the large requests without an answer on connections that open, by probe and way."""
    found = {}
    for probe in (https.PAYLOAD, https.AGENT_PAYLOAD):
        for (machine, target), payload in facts.to(probe).items():
            own = probe is https.PAYLOAD
            dialled = facts.to(dials.PROBE).get((machine, target)) if own else None
            opened = payload.connected or (dialled is not None and dialled.all_connected)
            if opened and not payload.answered and not payload.refused:
                found[probe, machine, target] = payload
    return found


@once
def server_dials(facts: Facts) -> Mapping[str, Dials]:
    """Return the dials to the konnectivity server, by worker."""
    return _to_server(facts, dials.PROBE)


@once
def expected_agents(facts: Facts) -> int | None:
    """Return how many agents there should be: one on each node."""
    agents = facts.one(objects.AGENTS)
    nodes = facts.one(workloads.NODES)
    counts = [len(nodes)] if nodes is not None else []
    if agents is not None and agents.exists:
        counts.append(agents.desired)
    return max(counts, default=None)


def connected_agents(facts: Facts) -> int | None:
    """Return the agents at the server of the controller whose way is judged, None if not seen.

    Where that controller's was not seen, it is the fewest that any has.
    """
    own = facts.of_controller(controlplane.TUNNEL)
    if own is not None and own.listening:
        return own.agents
    tunnels = facts.on(controlplane.TUNNEL).values()
    return min((each.agents for each in tunnels if each.listening), default=None)


@once
def agents_to_server(facts: Facts) -> Mapping[str, Payload]:
    """Return how the agents' own pods reach the konnectivity server, by worker."""
    return _to_server(facts, https.AGENT_SERVER)


def _to_server(facts: Facts, probe: TargetProbe[T]) -> Mapping[str, T]:
    """Return what `probe` found of the way to the konnectivity server, by worker."""
    target = server_target(facts)
    if target is None:
        return {}
    there = with_port(*target)
    found = {name: facts.to(probe).get((name, there)) for name in facts.workers}
    return {name: each for name, each in found.items() if each is not None}


def unconnected(facts: Facts) -> Mapping[str, Failure]:
    """Return, by worker, why its agent cannot connect, from its own log in the last minute."""
    found = {}
    for machine, log in facts.on(nodelogs.AGENT).items():
        last = log.cannot_connect
        if last is not None and recent(facts, nodelogs.AGENT.name, machine, (last,)):
            found[machine] = last
    return found


def age(facts: Facts, since: float) -> float | None:
    """Return the seconds since `since`, a time of the API server's clock; None without one."""
    if not since or not facts.at:
        return None
    clock = facts.on(machines.CLOCK).get(facts.controller)
    return facts.at + (clock.ahead if clock is not None else 0.0) - since


def is_young(facts: Facts, since: float) -> bool:
    """Whether what began at `since` may still be starting."""
    seconds = age(facts, since)
    return seconds is not None and seconds < YOUNG_SECONDS


def is_loopback(host: str) -> bool:
    """Whether a name or an address is of the machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listens(facts: Facts) -> bool | None:
    """Whether the controller's konnectivity server is there for agents."""
    tunnel = facts.of_controller(controlplane.TUNNEL)
    listening = facts.of_controller(controlplane.LISTENING)
    if tunnel is not None:
        return tunnel.listening
    target = server_target(facts)
    # A balancer on the worker has a port of its own.
    own = target is None or is_loopback(target[0])
    port = AGENT_PORT if target is None or own else target[1]
    return port in listening if listening is not None else None


def isolating_policies(facts: Facts) -> tuple[Policy, ...] | None:
    """Return the NetworkPolicies that isolate metrics-server's pod."""
    policies = facts.one(objects.POLICIES)
    if policies is None:
        return None
    pod = metrics_pod(facts)
    labels = dict(pod.labels) if pod is not None else {"k8s-app": "metrics-server"}
    return tuple(each for each in policies if each.selects(labels))


def isolated(facts: Facts) -> bool | None:
    """Whether a NetworkPolicy isolates metrics-server."""
    found = isolating_policies(facts)
    return None if found is None else bool(found)


def seconds_ago(facts: Facts, probe: str, machine: str, at: float) -> float:
    """Return how long before a look at a machine's log a line of that log was written."""
    return read_at(facts, probe, machine) - at


def read_at(facts: Facts, probe: str, machine: str) -> float:
    """Return when a machine's log was read, by that machine's own clock."""
    clock = facts.on(machines.CLOCK).get(machine)
    return moment(facts.readings[probe, machine]) + (clock.ahead if clock is not None else 0.0)


def recent(
    facts: Facts,
    probe: str,
    machine: str,
    failures: tuple[Failure, ...],
    within: float = RECENT_SECONDS,
) -> list[Failure]:
    """Return those failures of a machine's log that were `within` seconds old when it was read."""
    since = read_at(facts, probe, machine) - within if failures else 0.0
    return [each for each in failures if each.at > since]
