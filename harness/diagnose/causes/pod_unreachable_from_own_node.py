"""metrics-server is reached from elsewhere and not from its own node, whose kubelet probes it."""

from __future__ import annotations

from harness.base.places import with_port
from harness.diagnose import findings
from harness.diagnose.causes.kind import SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import controlplane, dials, https
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether the pod's own machine gets no answer of it, and something else connects to it."""
    pod = findings.pod_target(facts)
    own = facts.machine_of(pod[2]) if pod is not None else None
    if pod is None or own is None:
        return None
    gone = _gets_nothing(facts, own, pod[0], pod[1])
    if not gone:
        return False if gone is not None else None
    # With konnectivity a controller is not meant to reach pods, and is not asked to.
    asked = {*facts.workers} if findings.konnectivity(facts) else {*facts.workers, facts.controller}
    machines = asked - {own, ""}
    ways = [findings.reaches(facts, name, *pod[:2]) for name in machines]
    ways += [findings.agent_reaches(facts, name, *pod[:2]) for name in facts.workers if name != own]
    # Its own node's agent is asked last: a pod that was started again may be there by then.
    ways = ways or [findings.agent_reaches(facts, own, *pod[:2])]
    if any(ways):
        return True
    return None if not ways or any(each is None for each in ways) else False


def _gets_nothing(facts: Facts, machine: str, address: str, port: int) -> bool | None:
    """Whether no connection from a machine to the pod opened, of those that were tried."""
    health = facts.to(https.HEALTH).get((machine, address))
    place = with_port(address, port)
    dialled = facts.to(dials.PROBE).get((machine, place))
    asked = facts.to(https.PAYLOAD).get((machine, place))
    opened = [health.livez > 0] if health is not None else []
    opened += [dialled.connected > 0] if dialled is not None else []
    opened += [asked.connected] if asked is not None else []
    # One answer, however late, shows that the way is there.
    return None if len(opened) < 2 and not any(opened) else not any(opened)  # noqa: PLR2004


def _remedy(facts: Facts) -> str:
    pod = findings.pod_target(facts)
    assert pod is not None
    sources = facts.of_controller(controlplane.CLUSTER_CIDR) or "the pods' network"
    return (
        f"on {pod[2]} let the machine itself connect to its own pods: its kubelet's probes come "
        f"from there, and {with_port(*pod[:2])} is reached from elsewhere; look for rules of "
        f"output and input that drop or reject {sources} with: nft list ruleset; iptables-save\n"
        f"firewalld: firewall-cmd --permanent --zone=trusted --add-source={sources} "
        "&& firewall-cmd --reload"
    )


KIND = CauseKind(
    Cause.POD_UNREACHABLE_FROM_OWN_NODE,
    "metrics-server is reached from elsewhere and not from its own node, whose kubelet probes it",
    _shown,
    (HopId.ALIVE, HopId.PATH),
    rivals=SANE_NODES,
    explains=(Cause.METRICS_SERVER_NOT_READY, Cause.LARGE_PACKETS_LOST),
    backend_down=True,
    remedy=_remedy,
    link="https://docs.k0sproject.io/stable/networking/",
)
