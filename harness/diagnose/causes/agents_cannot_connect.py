"""No konnectivity agent can connect."""

from __future__ import annotations

from harness.base.places import with_port
from harness.diagnose import agent_findings, findings, places, settling
from harness.diagnose.causes.kind import K0S_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.k0s import AGENT_PORT
from harness.probe import nodelogs, objects, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether no agent can connect: none is, or every worker's new connection fails."""
    on = findings.konnectivity(facts)
    if not on:
        return on
    lost = agent_findings.lost(facts)
    said = findings.unconnected(facts)
    if findings.listens(facts) is not True:
        # Without a server there is nothing to connect to.
        return None if findings.listens(facts) is None and (lost or said) else False
    agents = findings.connected_agents(facts)
    if agents == 0:
        seen = bool(findings.server_dials(facts) or facts.on(nodelogs.AGENT))
        if lost or facts.one(objects.AGENT_PODS) == frozenset() or settling.starting(facts):
            return bool(lost)
        again = settling.reconnecting(facts)
        return None if again is None else not again and (bool(said) or seen)
    return (
        False
        if agent_findings.some_connected(facts)
        else agent_findings.all_lost(facts, counted=agents is not None)
    )


def remedy(facts: Facts, only: tuple[str, ...] = ()) -> str:
    """Return what lets agents reach their server: all of them, or those on the machines `only`."""
    target = findings.server_target(facts)
    place = with_port(*target) if target is not None else "TCP 8132 of the controller"
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
    said = findings.unconnected(facts)
    if any("x509" in each.why or "uthenti" in each.why for each in said.values()):
        return (
            f"agents reach {place} and are turned away: {next(iter(said.values())).why}\n"
            "compare the machines' clocks, and that spec.api.sans names that address"
        )
    return (
        f"let {allowed} reach {place}: on the controller open TCP {port} "
        f"(firewalld: firewall-cmd --permanent --add-port={port}/tcp && firewall-cmd --reload)\n"
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
