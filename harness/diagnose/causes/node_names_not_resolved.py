"""metrics-server asks kubelets by a name that has no address."""

from __future__ import annotations

from harness.diagnose import scrapes
from harness.diagnose.causes.kind import BACKEND, METRICS_SERVER_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.failures import FailedOf
from harness.diagnose.model import HopId, Hops
from harness.probe import workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether a scrape failed of a name."""
    return scrapes.any_failing_of(facts, FailedOf.NAME)


def _remedy(facts: Facts) -> str:
    without = [each.name for each in facts.one(workloads.NODES) or () if not each.addresses]
    if without:
        return (
            f"give {', '.join(without)} an InternalIP (the kubelet's --node-ip; with a cloud "
            "provider it is that one's to set): without one metrics-server goes by the hostname"
        )
    return (
        "let metrics-server ask the kubelets by address: in its Deployment's arguments "
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname\n"
        "or let the cluster's DNS know the nodes' names: kubectl -n kube-system get pods "
        "-l k8s-app=kube-dns, and what its Corefile forwards to"
    )


KIND = CauseKind(
    Cause.NODE_NAMES_NOT_RESOLVED,
    "metrics-server asks kubelets by a name that has no address",
    _shown,
    (HopId.BACKEND, HopId.SCRAPING),
    rivals=SANE_NODES,
    explains=(*BACKEND, Cause.NODE_NOT_SCRAPED),
    passes=True,
    backend_down=True,
    remedy=_remedy,
    link=METRICS_SERVER_ISSUES,
)
