"""metrics-server can read no kubelet."""

from __future__ import annotations

from harness.diagnose import findings, scrapes
from harness.diagnose.causes.kind import BACKEND, K0S_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.failures import FailedOf
from harness.diagnose.model import HopId, Hops
from harness.k0s import KUBELET_PORT
from harness.probe import controlplane, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether metrics-server can read no kubelet at all."""
    nodes = facts.one(workloads.NODES)
    failing = scrapes.failing_scrapes(facts)
    if failing is None:
        return None if scrapes.metrics_server_runs(facts) is not False else False
    if nodes is None:
        return None if failing else False
    network = set(scrapes.failing_of(facts, FailedOf.NETWORK) or ())
    ready = {node.name for node in nodes if node.ready}
    if network and not ready <= network | scrapes.scraped(facts):
        return None
    return bool(network) and network >= ready


def remedy(facts: Facts) -> str:
    """Return what lets metrics-server reach the kubelets that it does not."""
    failing = scrapes.failing_scrapes(facts) or {}
    names = set(failing) or set(scrapes.missing_figures(facts) or ())
    nodes = [node for node in facts.one(workloads.NODES) or () if node.name in names]
    to = ", ".join(address for node in nodes for address in node.addresses) or "every worker"
    pod = findings.metrics_pod(facts)
    sources = facts.of_controller(controlplane.CLUSTER_CIDR) or "the pods' network"
    home = [
        address
        for node in facts.one(workloads.NODES) or ()
        if pod is not None and node.name == pod.node
        for address in node.addresses
    ]
    also = f" and from {home[0]}, behind which other nodes see them" if home else ""
    return (
        f"open TCP {KUBELET_PORT} on {to} for {sources}{also}\n"
        f"firewalld: firewall-cmd --permanent --zone=trusted --add-source={sources} "
        "&& firewall-cmd --reload"
    )


KIND = CauseKind(
    Cause.KUBELET_UNREACHABLE_FROM_PODS,
    "metrics-server can read no kubelet",
    _shown,
    (HopId.BACKEND, HopId.SCRAPING),
    rivals=SANE_NODES,
    explains=(*BACKEND, Cause.NODE_NOT_SCRAPED),
    passes=True,
    by_the_log=True,
    backend_down=True,
    remedy=remedy,
    link=f"{K0S_ISSUES}4016",
)
