"""metrics-server does not trust what kubelets show."""

from __future__ import annotations

from harness.diagnose import scrapes
from harness.diagnose.causes.kind import BACKEND, METRICS_SERVER_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.failures import FailedOf
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether a scrape failed of TLS, on a connection that opened."""
    return scrapes.any_failing_of(facts, FailedOf.TLS)


def _remedy(facts: Facts) -> str:
    failing = scrapes.failing_of(facts, FailedOf.TLS) or {}
    names = ", ".join(failing)
    first = next(iter(failing.values())).why if failing else ""
    if "expired" in first or "not yet valid" in first:
        return (
            f"compare the clocks, then let the kubelets of {names} get new certificates: remove "
            "/var/lib/kubelet/pki/kubelet-server-* (below k0s's data folder where that is set) "
            "and systemctl restart k0sworker"
        )
    return (
        f"let the kubelets of {names} have certificates of the cluster's own CA with their "
        "addresses: keep serverTLSBootstrap on in their workerProfile, and approve what kubectl "
        "get csr shows as Pending, then systemctl restart k0sworker there\n"
        "or let metrics-server name what it trusts: --kubelet-certificate-authority, or "
        "--kubelet-insecure-tls, in the Deployment's arguments"
    )


KIND = CauseKind(
    Cause.KUBELET_CERTIFICATE_NOT_TRUSTED,
    "metrics-server does not trust the kubelets' certificates",
    _shown,
    (HopId.BACKEND, HopId.SCRAPING),
    rivals=SANE_NODES,
    explains=(*BACKEND, Cause.NODE_NOT_SCRAPED),
    passes=True,
    backend_down=True,
    remedy=_remedy,
    link=METRICS_SERVER_ISSUES,
)
