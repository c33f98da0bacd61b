"""Which konnectivity agents do not reach their server."""

from __future__ import annotations

from harness.diagnose import findings, settling, turned_away
from harness.diagnose.facts import Facts
from harness.probe import workloads


def lost(facts: Facts) -> set[str]:
    """Return the workers that do not, or whose agents do not, reach the konnectivity server."""
    dials = findings.server_dials(facts)
    asked = findings.agents_to_server(facts)
    cut = set(turned_away.balancer_cut(facts))
    return (
        cut
        | {name for name, each in dials.items() if not each.all_connected}
        | {name for name, each in asked.items() if not each.connected}
    )


def all_reach(facts: Facts) -> bool:
    """Whether every worker, and every agent that was asked, reaches the konnectivity server."""
    dials = findings.server_dials(facts)
    asked = findings.agents_to_server(facts)
    return (
        bool(facts.workers)
        and set(dials) >= set(facts.workers)
        and not lost(facts)
        and all(each.connected for each in asked.values())
    )


def some_connected(facts: Facts) -> bool:
    """Whether the server counts agents, and fewer than there are nodes."""
    agents = findings.connected_agents(facts)
    return agents is not None and 0 < agents < (findings.expected_agents(facts) or 0)


def delete_pod(facts: Facts, machine: str) -> str:
    """Return the command that has a machine's agent made anew."""
    nodes = facts.one(workloads.NODES) or ()
    name = next((each.name for each in nodes if facts.machine_of(each.name) == machine), machine)
    return (
        "kubectl -n kube-system delete pod -l k8s-app=konnectivity-agent "
        f"--field-selector spec.nodeName={name}"
    )


def all_lost(facts: Facts, *, counted: bool) -> bool | None:
    """Whether every worker fails to connect; None where not every worker was seen to."""
    gone, dials = lost(facts), findings.server_dials(facts)
    if not gone:
        # Without the server's own count, the agents' words must do.
        said = not counted and len(findings.unconnected(facts)) == len(facts.workers) > 0
        again = settling.reconnecting(facts) if said else False
        return None if again is None or again else said
    if gone < set(dials):
        return False
    return True if set(dials) >= set(facts.workers) else None
