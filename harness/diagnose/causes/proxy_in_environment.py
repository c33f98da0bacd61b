"""A proxy has the API server's dials."""

from __future__ import annotations

from harness.diagnose import hops_egress
from harness.diagnose.causes.kind import SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, is_broken
from harness.probe import controlplane, environment
from harness.vocabulary.words import Cause


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether a proxy has the API server's dials, and nothing comes of it."""
    taken = hops_egress.proxied(facts)
    return is_broken(hops, HopId.EGRESS) if taken else taken


def _remedy(facts: Facts) -> str:
    flags, proxy = facts.of_controller(controlplane.FLAGS), facts.of_controller(environment.PROBE)
    target = hops_egress.dialled(facts)
    networks = [
        *([proxy.no_proxy] if proxy is not None and proxy.no_proxy else []),
        (flags.service_cidr if flags is not None else "") or (target[0] if target else ""),
        facts.of_controller(controlplane.CLUSTER_CIDR) or "",
    ]
    return (
        f"in k0sctl.yaml, under environment of the host {facts.controller}, set NO_PROXY: "
        f"{','.join(each for each in networks if each)}\n"
        f"run k0sctl apply, and on {facts.controller}: systemctl restart k0scontroller"
    )


KIND = CauseKind(
    Cause.PROXY_IN_ENVIRONMENT,
    "a proxy has the API server's dials",
    _shown,
    (HopId.EGRESS, HopId.CONDITION),
    rivals=SANE_NODES,
    remedy=_remedy,
    link="https://docs.k0sproject.io/stable/environment-variables/",
)
