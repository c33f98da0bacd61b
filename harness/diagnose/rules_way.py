"""What shows the causes on the way from the API server to the metrics, in three values each.

None means that what it takes was not seen.
"""

from __future__ import annotations

from harness.diagnose import findings
from harness.diagnose import hops_way
from harness.diagnose import passing
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId
from harness.diagnose.model import Hops
from harness.diagnose.model import HopState
from harness.diagnose.model import does_hold
from harness.diagnose.model import is_broken
from harness.diagnose.model import state_of
from harness.scenario.words import MessageClass


def proxied(facts: Facts, hops: Hops) -> bool | None:
    """Whether a proxy has the API server's dials, and nothing comes of it."""
    taken = hops_way.proxied(facts)
    return is_broken(hops, HopId.EGRESS) if taken else taken


def server_down(facts: Facts, _: Hops) -> bool | None:
    """Whether the konnectivity server is down, or has no agents and nobody could see why."""
    on = findings.konnectivity(facts)
    if not on:
        return on
    if findings.listens(facts) is False:
        # k0s starts it after the API server.
        begun = passing.restarted(facts)
        return None if begun is None else not begun
    evidence = findings.server_dials(facts) or facts.by_machine.get("agent_log")
    if evidence or facts.agent_pods == frozenset():
        return False
    if facts.tunnel is None:
        return findings.message_class(facts) is MessageClass.NO_AGENT or None
    return findings.connected_agents(facts) == 0


def agents_cut_off(facts: Facts, _: Hops) -> bool | None:
    """Whether no agent can connect: none is, or every worker's new connection fails."""
    on = findings.konnectivity(facts)
    if not on:
        return on
    lost = _lost(facts)
    said = findings.unconnected(facts)
    if findings.listens(facts) is not True:
        # Without a server there is nothing to connect to.
        return None if findings.listens(facts) is None and (lost or said) else False
    agents = findings.connected_agents(facts)
    if agents == 0:
        seen = bool(findings.server_dials(facts) or facts.by_machine.get("agent_log"))
        if lost or facts.agent_pods == frozenset() or passing.starting(facts):
            return bool(lost)
        again = passing.reconnecting(facts)
        return None if again is None else not again and (bool(said) or seen)
    return False if _some_connected(facts) else _all_lost(facts, counted=agents is not None)


def agent_missing(facts: Facts, hops: Hops) -> bool | None:
    """Whether some agents are connected and others are not, or cannot be again."""
    on = findings.konnectivity(facts)
    if not on or findings.listens(facts) is False:
        return on and False
    agents = findings.connected_agents(facts)
    lost = _lost(facts)
    again = passing.reconnecting(facts)
    if agents == 0 or again:
        return facts.agent_pods == frozenset() and not again
    if lost and (_some_connected(facts) or lost != set(findings.server_dials(facts))):
        return True
    expected = findings.expected_agents(facts) or 0
    without = facts.agent_pods is not None and len(facts.agent_pods) < expected
    if _some_connected(facts):
        return without or (None if again is None else True)
    if agents is not None:
        # A tunnel that is broken in another way is none of this.
        known = findings.expected_agents(facts) is not None
        return False if known and not is_broken(hops, HopId.TUNNEL) else None
    return without or (again is False and bool(findings.unconnected(facts))) or None


def _lost(facts: Facts) -> set[str]:
    """Return the workers that do not, or whose agents do not, reach the konnectivity server."""
    dials = findings.server_dials(facts)
    asked = findings.agents_to_server(facts)
    return {name for name, each in dials.items() if not each.all_connected} | {
        name for name, each in asked.items() if not each.connected
    }


def _some_connected(facts: Facts) -> bool:
    """Whether the server counts agents, and fewer than there are nodes."""
    agents = findings.connected_agents(facts)
    return agents is not None and 0 < agents < (findings.expected_agents(facts) or 0)


def _all_lost(facts: Facts, *, counted: bool) -> bool | None:
    """Whether every worker fails to connect; None where not every worker was seen to."""
    lost, dials = _lost(facts), findings.server_dials(facts)
    if not lost:
        # Without the server's own count, the agents' words must do.
        said = not counted and len(findings.unconnected(facts)) == len(facts.workers) > 0
        again = passing.reconnecting(facts) if said else False
        return None if again is None or again else said
    if lost < set(dials):
        return False
    return True if set(dials) >= set(facts.workers) else None


def _isolated(facts: Facts) -> bool | None:
    """Whether a NetworkPolicy isolates metrics-server."""
    found = findings.isolating_policies(facts)
    return None if found is None else bool(found)


def cross_node(facts: Facts, _: Hops) -> bool | None:
    """Whether the pod is reached from its own node and from another one is not."""
    pod = findings.pod_target(facts)
    if pod is None:
        return None
    own = facts.machine_of(pod[2])
    reached = {name: _reaches_pod(facts, name, pod[:2]) for name in facts.workers}
    away = [value for name, value in reached.items() if name != own]
    if not any(value is False for value in away):
        return None if any(value is None for value in away) else False
    at_home = reached.get(own or "")
    agents = {name for name, _ in facts.by_target.get("agent_payload", {})}
    if at_home and agents and findings.agent_reaches(facts, own or "", *pod[:2]) is None:
        return None
    if at_home is None and own is not None:
        health = facts.by_target.get("health", {}).get((own, pod[0]))
        at_home = health.livez > 0 if health is not None else None
    if at_home is not True:
        return at_home
    isolated = _isolated(facts)
    return None if isolated is None else not isolated


def _reaches_pod(facts: Facts, worker: str, pod: tuple[str, int]) -> bool | None:
    """Whether a worker and, where it was asked, its agent connect to metrics-server's pod."""
    ways = (
        findings.reaches(facts, worker, *pod),
        findings.agent_reaches(facts, worker, *pod),
    )
    seen = [each for each in ways if each is not None]
    return all(seen) if seen else None


def _no_agent_reaches(facts: Facts) -> bool:
    """Whether not even the agent beside metrics-server connects to it, while machines do."""
    pod = findings.pod_target(facts)
    if pod is None:
        return False
    agents = [findings.agent_reaches(facts, name, *pod[:2]) for name in facts.workers]
    return len(agents) > 0 and all(each is False for each in agents)


def large_lost(_: Facts, hops: Hops) -> bool | None:
    """Whether connections open that carry no full-size packets."""
    if state_of(hops, HopId.LARGE) is HopState.NOT_SEEN:
        return None
    # What does not answer at home is ill itself.
    return is_broken(hops, HopId.LARGE) and not is_broken(hops, HopId.ALIVE)


def _no_route(facts: Facts, hops: Hops, *, to_pods: bool) -> bool | None:
    on = findings.konnectivity(facts)
    if on is not False:
        return None if on is None else False
    flags = facts.apiserver_flags
    if flags is not None and flags.aggregator_routing is not to_pods:
        return False
    if state_of(hops, HopId.ROUTE) is HopState.NOT_SEEN:
        return None
    return is_broken(hops, HopId.ROUTE) and not does_hold(hops, HopId.DIAL)


def no_route_to_service(facts: Facts, hops: Hops) -> bool | None:
    """Whether the API server dials the ClusterIP and its machine has no route there."""
    return _no_route(facts, hops, to_pods=False)


def no_route_to_pods(facts: Facts, hops: Hops) -> bool | None:
    """Whether the API server dials pods and its machine has no route there."""
    return _no_route(facts, hops, to_pods=True)


def way_blocked(facts: Facts, hops: Hops) -> bool | None:
    """Whether something stands between the dialling side and metrics-server."""
    on = findings.konnectivity(facts)
    # Without an endpoint nothing is there to be reached.
    if not does_hold(hops, HopId.SERVICE):
        return None if facts.service is None or facts.endpoints is None else False
    if _isolated(facts) and (is_broken(hops, HopId.PATH) or is_broken(hops, HopId.DIAL)):
        return True
    if on is not False:
        return None if on is None else _no_agent_reaches(facts)
    if state_of(hops, HopId.ROUTE) is HopState.NOT_SEEN:
        return None
    connected = _connects(facts)
    return None if connected is None else does_hold(hops, HopId.ROUTE) and not connected


def _connects(facts: Facts) -> bool | None:
    target = hops_way.dialled(facts)
    return findings.reaches(facts, facts.controller, *target) if target is not None else None


def not_scraped(facts: Facts, _: Hops) -> bool | None:
    """Whether some nodes have no figures while others do."""
    failing = findings.failing_scrapes(facts)
    missing = findings.missing_figures(facts)
    names = {node.name for node in facts.nodes or ()}
    if failing and set(failing) < names:
        return True if names - set(failing) <= findings.scraped(facts) else None
    served = facts.metrics is not None and facts.metrics.answered
    served = served or (facts.top_nodes is not None and bool(facts.top_nodes.nodes))
    partial = bool(missing) and set(missing or ()) < names and served
    if partial and failing is None:
        return not _lately(facts)
    return None if failing is None and missing is None else False


def _lately(facts: Facts) -> bool:
    """Whether metrics-server or a node began so lately that figures may still be missing."""
    pod = findings.metrics_pod(facts)
    since = [pod.running_since] if pod is not None else []
    since += [node.created for node in facts.nodes or ()]
    return any(findings.is_young(facts, each) for each in since)
