"""Connections open that carry no full-size packets."""

from __future__ import annotations

from harness.cni import CNIS
from harness.diagnose.causes.kind import K0S_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, HopState, is_broken, state_of
from harness.probe import machines, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether connections open that carry no full-size packets."""
    if state_of(hops, HopId.LARGE) is HopState.NOT_SEEN:
        return None
    # What does not answer at home is ill itself.
    unknown = facts.one(workloads.PODS) is None and state_of(hops, HopId.ALIVE) is HopState.NOT_SEEN
    if is_broken(hops, HopId.LARGE) and unknown:
        return None
    return is_broken(hops, HopId.LARGE) and not is_broken(hops, HopId.ALIVE)


def _remedy(facts: Facts) -> str:
    least: dict[str, int] = {}
    for machine, addresses in facts.on(machines.ADDRESSES).items():
        least[machine] = min((each.mtu for each in addresses if each.mtu), default=0)
    seen = ", ".join(f"{machine} {mtu}" for machine, mtu in least.items() if mtu)
    settings = ", or ".join(each.mtu for each in reversed(CNIS) if each.mtu)
    return (
        "find the packet size that passes between the nodes: ping -M do -s 1472 NODE, then less; "
        f"interfaces' least MTU: {seen or 'not seen'}\n"
        f"and set it: {settings}; then make the pods anew"
    )


KIND = CauseKind(
    Cause.LARGE_PACKETS_LOST,
    "connections open that carry no full-size packets",
    _shown,
    (HopId.ALIVE, HopId.LARGE),
    rivals=SANE_NODES,
    explains=(Cause.NODE_NOT_SCRAPED,),
    remedy=_remedy,
    link=f"{K0S_ISSUES}2822",
)
