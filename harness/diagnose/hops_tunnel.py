"""The hops between the API server and agents: its own konnectivity server, and every other one."""

from __future__ import annotations

from harness.base.places import with_port
from harness.diagnose import findings, mesh, turned_away
from harness.diagnose.evidence import broken, holds, not_seen
from harness.diagnose.facts import Facts
from harness.diagnose.model import HOP_NAMES, Hop, HopId, HopState
from harness.k0s import ADMIN_PORT, AGENT_PORT
from harness.probe import controlplane, dials, konnectivity, nodelogs, workloads


def hops(facts: Facts) -> tuple[Hop, ...]:
    """Return the tunnel, and where there is more than one controller the agents of each."""
    own = tunnel(facts)
    if mesh.many(facts):
        return (own, every_controller(facts))
    return (own,)


def every_controller(facts: Facts) -> Hop:
    """Return whether each controller's konnectivity server has the agents that another one has."""
    counts = mesh.servers(facts)
    expected = findings.expected_agents(facts)
    told = [
        f"{name} has {count}" + (f" of {expected} agents" if expected is not None else " agents")
        for name, count in counts.items()
    ]
    silent = mesh.silent_servers(facts)
    told += [f"no konnectivity server listens on {name}" for name in silent]
    figures = facts.on(konnectivity.AGENT)
    told += [
        f"the agent on {name} holds {each.servers} connections" for name, each in figures.items()
    ]
    told += [
        f"the agent on {name} was told of {count} of {len(counts)} servers"
        for name, count in mesh.misled(facts).items()
    ]
    ghosts = mesh.ghosts(facts)
    told += [
        f"lease k0s-ctrl-{name} is in force, was renewed {age:.0f} s ago, and is of no controller "
        "that was seen: agents are told of one server more than there is, and go on looking"
        for name, age in ghosts.items()
    ]
    unequal = mesh.differences(facts)
    told += [f"configured unequally: {each}" for each in unequal]
    unseen = mesh.unseen_controllers(facts)
    told += [f"not seen: {', '.join(unseen)}"] if unseen else []
    text = "; ".join(told)
    probe, where = controlplane.TUNNEL.name, next(iter(mesh.lacking(facts)), None)
    if mesh.lacking(facts) or silent or mesh.unequal(facts):
        return broken(facts, HopId.MESH, text, probe, where or next(iter(silent), None))
    if unseen:
        return Hop(HopId.MESH, HOP_NAMES[HopId.MESH], HopState.NOT_SEEN, text)
    return holds(facts, HopId.MESH, text, probe if counts else konnectivity.LEASES.name)


def tunnel(facts: Facts) -> Hop:
    """Return whether every agent is connected and a new one could connect."""
    gone = _gone(facts)
    if gone is not None:
        return gone
    agents = findings.connected_agents(facts)
    expected = findings.expected_agents(facts)
    reasons = _reasons(facts)
    if agents is None:
        return _uncounted(facts, reasons)
    nodes = facts.one(workloads.NODES)
    beside = f", {len(nodes)} nodes" if nodes is not None else ""
    text = "; ".join([f"{agents} agents connected{beside}", *reasons])
    if agents >= (1 if expected is None else expected) and not reasons:
        return holds(facts, HopId.TUNNEL, text, controlplane.TUNNEL.name, facts.controller)
    server = facts.of_controller(controlplane.TUNNEL)
    if server is not None and server.failures_by_reason:
        counted = ", ".join(f"{count} {reason}" for reason, count in server.failures_by_reason)
        text += f"; failed dials counted: {counted}"
    return broken(facts, HopId.TUNNEL, text, controlplane.TUNNEL.name, facts.controller)


def _gone(facts: Facts) -> Hop | None:
    """Return the hop where k0s's own konnectivity server is not there."""
    orphan = mesh.orphans(facts).get(facts.controller)
    if orphan is not None:
        text = (
            f"process {orphan.pid} on {facts.controller} is a konnectivity-server that k0s did not "
            "start and that holds its ports; k0s's own ends and is started again and again"
        )
        return broken(facts, HopId.TUNNEL, text, konnectivity.PROCESSES.name, facts.controller)
    if findings.listens(facts) is not False:
        return None
    server = facts.of_controller(controlplane.TUNNEL)
    probe = controlplane.TUNNEL.name if server is not None else controlplane.LISTENING.name
    port = ADMIN_PORT if server is not None else AGENT_PORT
    text = f"no konnectivity server listens on port {port} of {facts.controller}"
    return broken(facts, HopId.TUNNEL, text, probe, facts.controller)


def _reasons(facts: Facts) -> list[str]:
    """Return why agents are not connected: by dials, by their words and by the server's."""
    reasons = [
        each.text() for each in findings.server_dials(facts).values() if not each.all_connected
    ]
    reasons += [
        f"the agent on {name} does not connect to {each.target} ({each.text})"
        for name, each in findings.agents_to_server(facts).items()
        if not each.connected
    ]
    said = {**turned_away.agents(facts), **findings.unconnected(facts)}
    reasons += [f"agent on {name}: {each.why}" for name, each in said.items()]
    away = turned_away.text(facts)
    reasons += [away] if away else []
    half_open = ", ".join(mesh.half_open(facts))
    if half_open:
        reasons.append(
            f"the agent on {half_open} holds a connection that {facts.controller} does not know"
        )
    return reasons


def _uncounted(facts: Facts, reasons: list[str]) -> Hop:
    """Return the hop where the server's own count was not seen."""
    lost = [name for name, each in findings.server_dials(facts).items() if not each.all_connected]
    said = {**turned_away.agents(facts), **findings.unconnected(facts)}
    target = findings.server_target(facts)
    if lost and target is not None:
        probe = dials.PROBE.of(with_port(*target))
        return broken(facts, HopId.TUNNEL, "; ".join(reasons), probe, lost[0])
    if said:
        return broken(
            facts, HopId.TUNNEL, "; ".join(reasons), nodelogs.AGENT.name, next(iter(said))
        )
    return not_seen(facts, HopId.TUNNEL, controlplane.TUNNEL.name, facts.controller or None)
