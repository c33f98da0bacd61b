"""The APIService leads to a Service, a port or pods that are not there."""

from __future__ import annotations

from harness.diagnose import findings, places
from harness.diagnose.causes.kind import BACKEND, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import apiservice, https, objects, workloads
from harness.vocabulary.words import ApiserviceReason, Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether what the APIService leads to is not there, while metrics-server is or ought to be."""
    state = facts.one(apiservice.PROBE)
    service = facts.one(workloads.SERVICE)
    if state is None:
        return None
    if not state.exists:
        return False
    if service is None:
        # The aggregator has looked for it, too.
        return True if state.reason == ApiserviceReason.SERVICE_NOT_FOUND else None
    if not service.exists:
        # Without its Deployment nothing of it is there, and that is another cause.
        deployment = facts.one(objects.DEPLOYMENT)
        if not facts.led.own:
            return True
        return None if deployment is None else deployment.exists
    return bool(_wrong_port(facts) or _picks_none(facts) or _deaf_port(facts))


def _wrong_port(facts: Facts) -> bool:
    service = facts.one(workloads.SERVICE)
    ports = [port for _, port in service.ports] if service is not None else []
    return bool(ports) and facts.led.port not in ports


def _picks_none(facts: Facts) -> bool:
    """Whether the Service picks no pod, while there is a Ready one of k0s's metrics-server."""
    own = facts.as_read.one(workloads.PODS) or ()
    return facts.one(workloads.PODS) == () and facts.led.own and any(pod.ready for pod in own)


def _deaf_port(facts: Facts) -> int | None:
    """Return the port that a Service sends to and at which a Ready pod does not listen."""
    pod, target = findings.metrics_pod(facts), findings.pod_target(facts)
    if pod is None or target is None or not pod.ready or not pod.ports:
        return None
    asked = [each for (_, to), each in facts.to(https.HEALTH).items() if to == target[0]]
    silent = bool(asked) and all(each.livez == each.readyz == 0 for each in asked)
    return target[1] if silent and target[1] not in {port for _, port in pod.ports} else None


def side_facts(facts: Facts) -> tuple[str, ...]:
    """Return what it leads to, and what of it is not there."""
    service = facts.one(workloads.SERVICE)
    name = f"{facts.led.namespace}/{facts.led.name}"
    if service is None or not service.exists:
        return (f"the APIService names the Service {name}, which does not exist",)
    if _wrong_port(facts):
        ports = ", ".join(str(port) for _, port in service.ports)
        return (f"the APIService names port {facts.led.port} of {name}, which has {ports}",)
    port = _deaf_port(facts)
    if port is not None:
        pod = findings.metrics_pod(facts)
        own = ", ".join(str(each) for _, each in pod.ports) if pod is not None else "?"
        return (f"{name} sends to port {port}, and its Ready pod listens on {own}",)
    labels = ",".join(f"{key}={value}" for key, value in service.selector)
    return (f"{name} picks pods with {labels}, and there is none",)


def _remedy(facts: Facts) -> str:
    state, service = facts.one(apiservice.PROBE), facts.one(workloads.SERVICE)
    again = places.applied_again(facts)
    name = f"{facts.led.namespace}/{facts.led.name}"
    by_k0s = state is not None and state.by_k0s
    if by_k0s and state is not None and any("spec.service" in each for each in state.edited):
        return f"kubectl delete apiservice {apiservice.METRICS_API}\nthen {again}"
    if by_k0s and service is not None and not service.exists:
        return again
    if service is not None and service.exists and service.by_k0s:
        return f"kubectl -n {facts.led.namespace} delete service {facts.led.name}\nthen {again}"
    return (
        f"make {name} lead to metrics-server again, with the chart or the manifests that it came "
        f"from, or correct spec.service of APIService {apiservice.METRICS_API}\n"
        "or, where k0s's own metrics-server is to serve it: kubectl delete apiservice "
        f"{apiservice.METRICS_API}, then {again}"
    )


KIND = CauseKind(
    Cause.APISERVICE_LEADS_NOWHERE,
    "the APIService leads to a Service, a port or pods that are not there",
    _shown,
    (HopId.SERVICE, HopId.CONDITION),
    explains=(*BACKEND, Cause.METRICS_SERVER_MISSING, Cause.WAY_TO_SERVICE_BLOCKED),
    passes=True,
    remedy=_remedy,
    side_facts=side_facts,
    link="https://docs.k0sproject.io/stable/manifests/",
)
