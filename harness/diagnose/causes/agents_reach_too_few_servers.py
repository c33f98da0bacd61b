"""Of several controllers, some have agents and others do not."""

from __future__ import annotations

from harness.base.places import with_port
from harness.diagnose import agent_findings, findings, mesh, settling
from harness.diagnose.causes.kind import K0S_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.k0s import AGENT_PORT
from harness.probe import konnectivity
from harness.vocabulary.words import Cause

# The ways that there are to every controller.
_BALANCERS = (
    (
        "turn on node-local load balancing: spec.k0s.config.spec.network.nodeLocalLoadBalancing: "
        "{enabled: true, type: EnvoyProxy}; k0sctl apply, then restart k0scontroller on every "
        "controller and k0sworker on every worker"
    ),
    (
        f"or put a balancer before all controllers for TCP 6443, {AGENT_PORT} and 9443, and name "
        "it in spec.api.externalAddress; one for agents alone in "
        "spec.konnectivity.externalAddress (k0s 1.32.10, 1.33.6, 1.34.1 and later)"
    ),
    (
        "control plane load balancing (CPLB) alone leads agents to one controller: beside it turn "
        "node-local load balancing on"
    ),
)


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether one server has agents that another one lacks, and has had its time."""
    on = findings.konnectivity(facts)
    if not on or not mesh.many(facts):
        return on and False
    found = bool(mesh.lacking(facts)) or _connected_elsewhere(facts) or _held_too_few(facts)
    if not found:
        return found
    passes = passing(facts)
    return None if passes is None else not passes


def _held_too_few(facts: Facts) -> bool | None:
    """Whether an agent holds fewer connections than there are servers, of which one was not seen.

    None where no agent said how many it holds.
    """
    unseen = mesh.unseen_controllers(facts)
    if not unseen:
        return False
    figures = facts.on(konnectivity.AGENT).values()
    there = len(mesh.servers(facts)) + len(unseen)
    return any(each.servers < there for each in figures) if figures else None


def passing(facts: Facts) -> bool | None:
    """Whether what servers lack may only not have come yet; None where that was not seen."""
    begun = settling.restarted(facts) or settling.joining(facts) or settling.rolling(facts)
    return True if begun else _young(facts)


def unseen_may_pass(facts: Facts) -> bool:
    """Whether a server was not seen, and what it lacks would only not have come yet."""
    return bool(mesh.unseen_controllers(facts) and passing(facts))


def _connected_elsewhere(facts: Facts) -> bool:
    """Whether agents hold connections, and none of them is to the one server that was seen."""
    figures = facts.on(konnectivity.AGENT).values()
    return (
        bool(mesh.unseen_controllers(facts))
        and findings.connected_agents(facts) == 0
        and any(each.servers > 0 for each in figures)
    )


def _young(facts: Facts) -> bool | None:
    """Whether a server that lacks agents began so lately that they need not have found it.

    While a server was not seen, it may be any that an agent lacks.
    """
    lacking = facts.controllers if mesh.unseen_controllers(facts) else tuple(mesh.lacking(facts))
    own = [mesh.own_server(facts, name) for name in lacking]
    if any(each is not None and each.seconds < findings.RECENT_SECONDS for each in own):
        return True
    return False if set(lacking) <= set(facts.on(konnectivity.PROCESSES)) else None


def _blocked(facts: Facts) -> dict[str, list[str]]:
    """Return, by controller that lacks agents, the workers that do not connect to its port."""
    doors = mesh.doors(facts)
    found: dict[str, list[str]] = {}
    for controller in mesh.lacking(facts):
        if controller in doors:
            reached = {
                worker: findings.reaches(facts, worker, *doors[controller])
                for worker in facts.workers
            }
            lost = [worker for worker, each in reached.items() if each is False]
            if lost:
                found[controller] = lost
    return found


def _remedy(facts: Facts) -> str:
    target = findings.server_target(facts)
    lacking = ", ".join(mesh.lacking(facts)) or facts.controller
    steps = []
    for controller, workers in _blocked(facts).items():
        host, port = mesh.doors(facts)[controller]
        steps.append(f"let {', '.join(workers)} reach {controller}: open TCP {port} on {host}")
    told = mesh.told_too_few(facts)
    if told:
        counts = ", ".join(f"{count} on {name}" for name, count in told.items())
        steps.append(
            f"agents are told of fewer servers than there are ({counts}): restart k0scontroller "
            "there, and see with kubectl -n kube-node-lease get leases"
        )
    else:
        steps += [
            f"the agent on {name} was told of {count} of {len(mesh.servers(facts))} servers when "
            f"it connected last, and looks for no other: {agent_findings.delete_pod(facts, name)}"
            for name, count in mesh.misled(facts).items()
        ]
    if mesh.behind_balancer(facts):
        if not steps:
            steps.append(
                f"the node-local load balancer does not send agents to {lacking}: systemctl "
                "restart k0sworker on each worker, which gives it the controllers that there are"
            )
        return "\n".join(steps)
    if target is not None and not mesh.is_one_controller(facts, target[0]):
        if not mesh.misled(facts):
            steps.append(
                f"the balancer at {target[0]} does not send agents to {lacking}: have every "
                f"controller in its pool for TCP {target[1]} (8132), in turn and without stickiness"
            )
        return "\n".join(steps)
    return "\n".join((*steps, *_BALANCERS))


def _side_facts(facts: Facts) -> tuple[str, ...]:
    target = findings.server_target(facts)
    found = [f"agents look for their servers at {with_port(*target)}"] if target else []
    figures = facts.on(konnectivity.AGENT)
    if figures:
        found.append(
            "servers that agents hold a connection to: "
            + ", ".join(f"{name} {each.servers}" for name, each in figures.items())
        )
    unseen = mesh.unseen_controllers(facts)
    if unseen:
        found.append(f"not seen: the konnectivity server of {', '.join(unseen)}")
    return tuple(found)


KIND = CauseKind(
    Cause.AGENTS_REACH_TOO_FEW_SERVERS,
    "of several controllers, some lack the konnectivity agents that others have",
    _shown,
    (HopId.EGRESS, HopId.MESH),
    rivals=SANE_NODES,
    explains=(Cause.AGENTS_CANNOT_CONNECT, Cause.AGENT_MISSING, Cause.TUNNEL_DOWN),
    remedy=_remedy,
    link=f"{K0S_ISSUES}1113",
    side_facts=_side_facts,
)
