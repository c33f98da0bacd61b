"""The API server does not trust metrics-server's certificate."""

from __future__ import annotations

from harness.diagnose import places
from harness.diagnose.causes.kind import CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops, does_hold, is_broken
from harness.probe import apiservice, metrics_data
from harness.vocabulary.words import Cause

_NOT_TRUSTED = "x509"


def _shown(facts: Facts, hops: Hops) -> bool | None:
    """Whether the APIService has the certificate checked, and it does not pass."""
    state, metrics = facts.one(apiservice.PROBE), facts.one(metrics_data.PROBE)
    if state is None:
        return None
    if not state.verifies:
        return False
    if _NOT_TRUSTED in state.message:
        return True
    if metrics is None or metrics.answered:
        return None if metrics is None else False
    if _NOT_TRUSTED in metrics.text:
        return True
    # The aggregator's own check verifies nothing: where it passes and requests fail on a whole way,
    # the certificate is what differs. kubectl may be told no more than that it is unavailable.
    whole = does_hold(hops, HopId.ALIVE) and does_hold(hops, HopId.SERVICE)
    cut = is_broken(hops, HopId.PATH) or is_broken(hops, HopId.TUNNEL)
    fails = bool(state.available) and whole and not cut
    # A bundle may well be right.
    return None if fails and state.bundled else fails


def _remedy(facts: Facts) -> str:
    state = facts.one(apiservice.PROBE)
    if state is not None and state.by_k0s:
        return (
            f"kubectl delete apiservice {apiservice.METRICS_API}\n"
            f"then {places.applied_again(facts)}"
        )
    return (
        f"put the CA that signed it into spec.caBundle of APIService {apiservice.METRICS_API}, for "
        f"a certificate of the name {facts.led.name}.{facts.led.namespace}.svc\n"
        "or set spec.insecureSkipTLSVerify: true there and leave caBundle out (what the chart has "
        "as apiService.insecureSkipTLSVerify)"
    )


def _side_facts(facts: Facts) -> tuple[str, ...]:
    state = facts.one(apiservice.PROBE)
    if state is None:
        return ()
    by = "by its caBundle" if state.bundled else "and it has no caBundle"
    return (f"the APIService has the certificate checked (insecureSkipTLSVerify is not set), {by}",)


KIND = CauseKind(
    Cause.CERTIFICATE_NOT_TRUSTED,
    "the API server does not trust metrics-server's certificate",
    _shown,
    (HopId.DATA, HopId.CONDITION, HopId.ALIVE, HopId.SERVICE),
    remedy=_remedy,
    side_facts=_side_facts,
    link="https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/",
)
