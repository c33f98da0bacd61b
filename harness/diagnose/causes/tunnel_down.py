"""The konnectivity server is down."""

from __future__ import annotations

from harness.diagnose import findings, mesh, settling
from harness.diagnose.causes.kind import K0S_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import controlplane, nodelogs, objects
from harness.vocabulary.words import Cause, MessageClass


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether the konnectivity server is down, or has no agents and nobody could see why."""
    on = findings.konnectivity(facts)
    if not on:
        return on
    if facts.controller in mesh.orphans(facts):
        # One that k0s itself left behind as it was started again it ends at once.
        return _lasts(facts)
    if findings.listens(facts) is False:
        # k0s starts it after the API server.
        return _lasts(facts)
    return _without_agents(facts)


def _lasts(facts: Facts) -> bool | None:
    """Whether nothing has begun lately that has k0s start servers again."""
    begun = settling.restarted(facts)
    return None if begun is None else not begun


def _without_agents(facts: Facts) -> bool | None:
    """Whether a server is down beside the one that is judged, or this one has no agents."""
    if mesh.silent_servers(facts):
        return _lasts(facts)
    if mesh.has_agents_elsewhere(facts):
        return False
    told = findings.server_dials(facts) or bool(facts.on(nodelogs.AGENT))
    if told or facts.one(objects.AGENT_PODS) == {}:
        return False
    if facts.of_controller(controlplane.TUNNEL) is None:
        return findings.message_class(facts) is MessageClass.NO_AGENT or None
    return findings.connected_agents(facts) == 0


def _remedy(facts: Facts) -> str:
    orphan = mesh.orphans(facts).get(facts.controller)
    if orphan is not None:
        return (
            f"process {orphan.pid} on {facts.controller} is a konnectivity-server that k0s did not "
            f"start and that holds its ports, so that k0s's own ends every 5 seconds: kill "
            f"{orphan.pid} there\n"
            "k0s starts its own within 5 seconds, and agents connect again by themselves"
        )
    silent = [name for name in mesh.silent_servers(facts) if name != facts.controller]
    if silent:
        return (
            f"the konnectivity server on {', '.join(silent)} is down: journalctl -u k0scontroller "
            "| grep component=konnectivity there; restart k0scontroller"
        )
    tunnel = facts.of_controller(controlplane.TUNNEL)
    if tunnel is not None and not tunnel.listening:
        return (
            f"the konnectivity server on {facts.controller} is down: journalctl -u k0scontroller "
            "| grep component=konnectivity; restart k0scontroller"
        )
    return (
        "let every worker reach TCP 8132 on the controller, then look at "
        "the konnectivity-agent logs on the workers (kubectl logs dies with the tunnel)"
    )


KIND = CauseKind(
    Cause.TUNNEL_DOWN,
    "the konnectivity server is down",
    _shown,
    (HopId.EGRESS, HopId.TUNNEL),
    rivals=SANE_NODES,
    explains=(Cause.AGENTS_CANNOT_CONNECT, Cause.AGENT_MISSING),
    remedy=_remedy,
    link=f"{K0S_ISSUES}5809",
)
