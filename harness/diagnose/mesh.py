"""Agents times konnectivity servers: which controller has how many agents, and who knows of whom.

An agent looks for as many servers as the first one that it found says there are: as many as there
are controllers' leases in force. Through one address it finds another server only where a balancer
sends it to one.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.diagnose import findings, scrapes, settling
from harness.diagnose.facts import Facts, once
from harness.k0s import AGENT_PORT
from harness.probe import controlplane, konnectivity, machines, nodelogs, workloads
from harness.probe.konnectivity import ControllerLease, ServerProcess

# A lease in force is renewed every 5 s; one that was not for this long has nobody behind it.
_RENEWED_SECONDS = 30.0
# k0s starts its server again 5 s after it ended.
_RESTARTED_SECONDS = 7
_RELEASES = "k0s's release"
_ROUTING = "enable-aggregator-routing"


@once
def servers(facts: Facts) -> Mapping[str, int]:
    """Return, by controller, how many agents its konnectivity server has, of those that listen."""
    return {
        name: each.agents for name, each in facts.on(controlplane.TUNNEL).items() if each.listening
    }


def silent_servers(facts: Facts) -> tuple[str, ...]:
    """Return the controllers whose API server dials through a konnectivity that is not there."""
    flags = facts.on(controlplane.FLAGS)
    return tuple(
        name
        for name, each in facts.on(controlplane.TUNNEL).items()
        if not each.listening and name in flags and flags[name].egress_selector
    )


def own_server(facts: Facts, controller: str) -> ServerProcess | None:
    """Return the konnectivity server that k0s started on a controller."""
    running = facts.on(konnectivity.PROCESSES).get(controller, ())
    return next((each for each in running if each.owned is not False), None)


def orphans(facts: Facts) -> Mapping[str, ServerProcess]:
    """Return, by controller, a konnectivity server that k0s did not start and that is in its way.

    It is where k0s's own is not there, or has only just been started again.
    """
    found = {}
    for name, running in facts.on(konnectivity.PROCESSES).items():
        strange = [each for each in running if each.owned is False]
        own = own_server(facts, name)
        if strange and (own is None or own.seconds <= _RESTARTED_SECONDS):
            found[name] = strange[0]
    return found


@once
def strange_leases(facts: Facts) -> Mapping[str, float | None]:
    """Return the controllers' leases in force of which no controller was seen, with their age."""
    leases = facts.one(konnectivity.LEASES)
    running = facts.on(konnectivity.PROCESSES)
    if not leases or not running:
        return {}
    known = {each.server_id for found in running.values() for each in found if each.server_id}
    if not known:
        return {}
    ages = {each: findings.age(facts, each.renewed) for each in leases}
    return {
        lease.name: age
        for lease, age in ages.items()
        if lease.holder not in known and lease.name not in facts.controllers
        if _in_force(lease, age)
    }


def _in_force(lease: ControllerLease, age: float | None) -> bool:
    return bool(lease.holder) and (age is None or age < lease.seconds)


def ghosts(facts: Facts) -> Mapping[str, float]:
    """Return the leases in force that nobody renews, with the seconds since somebody did."""
    return {
        name: age
        for name, age in strange_leases(facts).items()
        if age is not None and age > _RENEWED_SECONDS
    }


def unseen_controllers(facts: Facts) -> tuple[str, ...]:
    """Return the controllers whose konnectivity server was not seen: by file, or by their lease."""
    # One that does not listen tells nothing where it was not seen whether it is to be there.
    told = facts.on(controlplane.FLAGS)
    seen = {n for n, each in facts.on(controlplane.TUNNEL).items() if each.listening or n in told}
    own = [name for name in facts.controllers if name not in seen]
    renewed = [name for name in strange_leases(facts) if name not in ghosts(facts)]
    return tuple(dict.fromkeys((*own, *renewed)))


def many(facts: Facts) -> bool:
    """Whether there is, or is said to be, more than one konnectivity server."""
    return len(facts.controllers) > 1 or bool(strange_leases(facts))


@once
def lacking(facts: Facts) -> Mapping[str, int]:
    """Return, by controller, the agents of those servers that have fewer than another one has."""
    counts = servers(facts)
    most = max(counts.values(), default=0)
    expected = findings.expected_agents(facts)
    goal = most if expected is None else min(most, expected)
    return {name: count for name, count in counts.items() if count < goal}


def has_agents_elsewhere(facts: Facts) -> bool:
    """Whether another controller than the one whose way is judged has agents."""
    return any(count > 0 for name, count in servers(facts).items() if name != facts.controller)


def told_too_few(facts: Facts) -> Mapping[str, int]:
    """Return, by controller, the number of servers it tells agents of, where there are more."""
    there = len(facts.controllers)
    own = {name: own_server(facts, name) for name in facts.controllers}
    return {
        name: each.count
        for name, each in own.items()
        if each is not None and each.count is not None and each.count < there
    }


def misled(facts: Facts) -> Mapping[str, int]:
    """Return, by worker, of how many servers its agent was told, where it looks for no other.

    The last server that it connected to told it so while another one was away.
    """
    there = len(servers(facts))
    return {
        name: each.known
        for name, each in facts.on(konnectivity.AGENT).items()
        if each.known is not None and 0 < each.known <= each.servers < there
    }


def young_server(facts: Facts) -> bool:
    """Whether k0s started the judged controller's server so lately that agents still come back."""
    own = own_server(facts, facts.controller)
    return own is not None and own.seconds < findings.RECENT_SECONDS


@once
def half_open(facts: Facts) -> tuple[str, ...]:
    """Return the workers whose agent holds a connection that its server does not know."""
    counts = servers(facts)
    expected = findings.expected_agents(facts)
    if many(facts) or set(counts) != {facts.controller} or expected is None:
        return ()
    if settling.rolling(facts):
        # A pod that ends was asked a moment before its server, or its successor after it.
        return ()
    figures = facts.on(konnectivity.AGENT)
    holding = [
        name
        for name in facts.workers
        if name in figures and figures[name].servers > 0 and not _noticed(facts, name)
    ]
    if len(holding) <= counts[facts.controller]:
        return ()
    if counts[facts.controller] == 0:
        return tuple(holding)
    peers = facts.on(konnectivity.CONNECTIONS).get(facts.controller)
    if peers is None:
        return ()
    return tuple(name for name in holding if not _addresses(facts, name) & peers)


def _noticed(facts: Facts, worker: str) -> bool:
    """Whether a worker's agent says that it cannot connect, or that it has just connected.

    The server may have been read before that.
    """
    log = facts.on(nodelogs.AGENT).get(worker)
    if log is None or log.cannot_connect is not None:
        return log is not None
    ago = findings.seconds_ago(facts, nodelogs.AGENT.name, worker, log.connected)
    return ago < _RENEWED_SECONDS


def is_one_controller(facts: Facts, host: str) -> bool:
    """Whether an address is a controller's own."""
    own = {
        each.address
        for name in facts.controllers
        for each in facts.on(machines.ADDRESSES).get(name, ())
    }
    return host in own | {each.advertised for each in facts.on(controlplane.FLAGS).values()}


def _addresses(facts: Facts, machine: str) -> frozenset[str]:
    """Return the addresses from which a machine's agent may come."""
    own = {each.address for each in facts.on(machines.ADDRESSES).get(machine, ())}
    return frozenset(own).union(
        address
        for node in facts.one(workloads.NODES) or ()
        if facts.machine_of(node.name) == machine
        for address in node.addresses
    )


def unequal(facts: Facts) -> bool:
    """Whether controllers differ in what has to be one, or something suffers and they differ.

    Releases differ while controllers are updated one by one.
    """
    found = [each for each in differences(facts) if not each.startswith(_RELEASES)]
    return bool(found) and (
        any(not each.startswith(_ROUTING) for each in found) or scrapes.suffers(facts)
    )


def differences(facts: Facts) -> tuple[str, ...]:
    """Return in what the controllers' API servers are configured unequally."""
    flags = facts.on(controlplane.FLAGS)
    if len(flags) < 2:  # noqa: PLR2004  # one is equal to itself
        return ()
    told: dict[str, dict[str, str]] = {
        "konnectivity": {n: "on" if f.egress_selector else "off" for n, f in flags.items()},
        _ROUTING: {n: str(f.aggregator_routing).lower() for n, f in flags.items()},
        "the Service CIDR": {n: f.service_cidr for n, f in flags.items()},
        "the pods' CIDR": dict(facts.on(controlplane.CLUSTER_CIDR)),
        _RELEASES: dict(facts.on(machines.K0S_VERSION)),
    }
    return tuple(
        f"{what}: " + ", ".join(f"{value} on {name}" for name, value in each.items())
        for what, each in told.items()
        if len(set(each.values())) > 1
    )


def doors(facts: Facts) -> Mapping[str, tuple[str, int]]:
    """Return, by controller, where its konnectivity server takes agents, by its own flags."""
    flags = facts.on(controlplane.FLAGS)
    own = {name: own_server(facts, name) for name in flags}
    return {
        name: (each.advertised, process.port if (process := own[name]) else AGENT_PORT)
        for name, each in flags.items()
        if each.advertised and each.egress_selector
    }


def behind_balancer(facts: Facts) -> bool:
    """Whether agents go to a balancer on their own machine (node-local load balancing)."""
    target = findings.server_target(facts)
    return target is not None and findings.is_loopback(target[0])
