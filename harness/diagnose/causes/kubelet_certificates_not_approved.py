"""Kubelets have no serving certificate that anybody approved."""

from __future__ import annotations

from harness.diagnose import scrapes, settling
from harness.diagnose.causes.kind import BACKEND, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import objects
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether kubelets have no serving certificate that anybody approved."""
    failing = scrapes.failing_scrapes(facts)
    if failing and any(scrapes.is_about_certificates(each.why) for each in failing.values()):
        return True
    waiting = scrapes.unapproved(facts)
    if waiting:
        # Without an approver nothing else need be wrong, but something must be.
        return failing is None or bool(failing) or bool(settling.none_ready(facts))
    if waiting is None and failing is None:
        return None if scrapes.metrics_server_runs(facts) is not False else False
    return False


def _remedy(facts: Facts) -> str:
    waiting = [
        each.name for each in facts.one(objects.CSRS) or () if not each.approved and not each.denied
    ]
    names = " ".join(waiting) or "$(kubectl get csr -o name)"
    return (
        f"kubectl certificate approve {names}\n"
        "and remove csr-approver from --disable-components in the controller's installFlags"
    )


KIND = CauseKind(
    Cause.KUBELET_CERTIFICATES_NOT_APPROVED,
    "kubelets have no serving certificate that anybody approved",
    _shown,
    (HopId.BACKEND, HopId.SCRAPING),
    explains=(*BACKEND, Cause.NODE_NOT_SCRAPED, Cause.KUBELET_UNREACHABLE_FROM_PODS),
    passes=True,
    backend_down=True,
    remedy=_remedy,
    link="https://github.com/kubernetes-sigs/metrics-server/issues/146",
)
