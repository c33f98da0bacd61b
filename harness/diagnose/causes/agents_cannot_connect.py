"""No konnectivity agent can connect."""

from __future__ import annotations

from harness.base.places import with_port
from harness.diagnose import agent_findings, findings, mesh, places, settling, turned_away
from harness.diagnose.causes.kind import K0S_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.k0s import AGENT_PORT
from harness.probe import machines, nodelogs, objects, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether no agent can connect: none is, or every worker's new connection fails."""
    on = findings.konnectivity(facts)
    if not on:
        return on
    lost = agent_findings.lost(facts)
    if findings.listens(facts) is not True:
        # Without a server there is nothing to connect to.
        said = findings.unconnected(facts)
        return None if findings.listens(facts) is None and (lost or said) else False
    if mesh.has_agents_elsewhere(facts):
        return False
    if turned_away.agents(facts):
        # Those that are turned away have connected.
        return bool(lost) and lost >= set(facts.workers)
    agents = findings.connected_agents(facts)
    if agents == 0:
        return _none_connects(facts, lost)
    # Those that a server still counts connected before.
    return agent_findings.all_lost(facts, counted=agents is not None)


def _none_connects(facts: Facts, lost: set[str]) -> bool | None:
    """Whether agents cannot, where the server has none."""
    if lost or facts.one(objects.AGENT_PODS) == {} or settling.starting(facts):
        return bool(lost)
    if agent_findings.all_reach(facts):
        # What is seen to connect is not kept from it.
        return False
    again = settling.reconnecting(facts)
    seen = bool(findings.server_dials(facts) or facts.on(nodelogs.AGENT))
    return None if again is None else not again and (bool(findings.unconnected(facts)) or seen)


def remedy(facts: Facts, only: tuple[str, ...] = ()) -> str:
    """Return what lets agents reach their server: all of them, or those on the machines `only`."""
    target = findings.server_target(facts)
    place = with_port(*target) if target is not None else "TCP 8132 of the controller"
    if mesh.behind_balancer(facts):
        return _balancer_remedy(facts, place)
    elsewhere = places.agents_sent_elsewhere(facts)
    if elsewhere:
        reached = places.api_server_reached_at(facts)
        return (
            f"agents are sent to {elsewhere}, and workers reach the API server at {reached}: "
            f"in k0sctl.yaml set spec.k0s.config.spec.api.address: {reached} (and sans), "
            "run k0sctl apply\n"
            "and restart k0scontroller on the controller, which k0sctl does not"
        )
    port = target[1] if target is not None else AGENT_PORT
    workers = [
        address
        for node in facts.one(workloads.NODES) or ()
        if not only or facts.machine_of(node.name) in only
        for address in node.addresses
    ]
    allowed = ", ".join(workers) or "every worker"
    if target is not None and facts.controllers and _is_balancer(facts, target[0]):
        return (
            f"let {allowed} reach {place}, which is no controller's own address: have it hand TCP "
            f"{port} on, as it is, to {AGENT_PORT} of every controller, and open both\n"
            "agents connect again by themselves within 10 seconds"
        )
    return (
        f"let {allowed} reach {place}: on the controller open TCP {port} "
        f"(firewalld: firewall-cmd --permanent --add-port={port}/tcp && firewall-cmd --reload)\n"
        "agents connect again by themselves within 10 seconds"
    )


def _is_balancer(facts: Facts, host: str) -> bool:
    """Whether an address was seen to be no controller's own."""
    seen = set(facts.on(machines.ADDRESSES)) >= set(facts.controllers)
    return seen and not mesh.is_one_controller(facts, host)


def _balancer_remedy(facts: Facts, place: str) -> str:
    """Return what lets agents through the balancer on their own machines."""
    silent = [name for name, each in findings.server_dials(facts).items() if not each.all_connected]
    if silent:
        return (
            f"nothing takes connections at {place} of {', '.join(silent)}: node-local load "
            "balancing starts there with the worker: on each of them systemctl restart k0sworker\n"
            "where it is restarted already: kubectl -n kube-system get pods -o wide | grep nllb, "
            "for its image may be missing"
        )
    doors = mesh.doors(facts)
    reached = [
        name
        for name in facts.workers
        if any(findings.reaches(facts, name, *each) for each in doors.values())
    ]
    if reached:
        return (
            f"the balancer at {place} of {', '.join(reached)} hands nothing on, though a "
            "controller is reached from there: on each of them systemctl restart k0sworker\n"
            "where that does not help, see there: tail /var/log/pods/kube-system_nllb-*/*/*.log"
        )
    to = ", ".join(with_port(*each) for each in doors.values())
    return (
        f"the balancer at {place} of {', '.join(facts.workers)} reaches no controller: on "
        f"{', '.join(doors) or 'every controller'} open TCP {AGENT_PORT} for the workers "
        f"({to or 'port 8132 of each controller'})\n"
        "agents connect again by themselves within 10 seconds"
    )


def side_facts(facts: Facts) -> tuple[str, ...]:
    """Return where agents look for their server."""
    target = findings.server_target(facts)
    return (f"agents look for their server at {with_port(*target)}",) if target else ()


KIND = CauseKind(
    Cause.AGENTS_CANNOT_CONNECT,
    "no konnectivity agent can connect",
    _shown,
    (HopId.EGRESS, HopId.TUNNEL, HopId.BACKEND),
    rivals=SANE_NODES,
    explains=(Cause.AGENT_MISSING,),
    remedy=remedy,
    link=f"{K0S_ISSUES}5809",
    side_facts=side_facts,
)
