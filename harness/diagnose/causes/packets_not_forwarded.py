"""A node passes on no packet of its pods."""

from __future__ import annotations

from harness.diagnose import node_state
from harness.diagnose.causes.kind import BACKEND, NETWORK, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether a node's kernel does not forward."""
    return bool(node_state.not_forwarding(facts))


def _remedy(facts: Facts) -> str:
    found = node_state.not_forwarding(facts)
    at_once = "; ".join(f"on {name}: sysctl -w {setting}=1" for name, setting in found.items())
    return (
        f"{at_once}\n"
        "and find what sets it to 0, or that comes back: grep -rs forward /etc/sysctl.conf "
        "/etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d"
    )


KIND = CauseKind(
    Cause.PACKETS_NOT_FORWARDED,
    "a node passes on no packet of its pods",
    _shown,
    (HopId.NODES,),
    rivals=(Cause.NODE_ADDRESSES_WRONG, Cause.CLOCK_SKEW),
    explains=(*NETWORK, *BACKEND),
    backend_down=True,
    remedy=_remedy,
    link="https://docs.k0sproject.io/stable/networking/",
)
