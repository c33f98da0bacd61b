"""What is broken and ends by itself: something began, came back or was mended a moment ago.

Three values each: None means that what it takes was not seen.
"""

from __future__ import annotations

from harness.base.places import with_port
from harness.diagnose import findings, last_words, scrapes
from harness.diagnose.facts import Facts, moment, once
from harness.probe import (
    apiservice,
    egress,
    https,
    konnectivity,
    named,
    nodelogs,
    objects,
    workloads,
)
from harness.probe.core import API
from harness.probe.konnectivity import ControllerLease
from harness.probe.workloads import Pod

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
_CRASHING = {"CrashLoopBackOff", "CreateContainerError", "RunContainerError", *_IMAGE}
# A machine joins, its certificate is approved, its agent is pulled, starts and connects. One that
# was away needs as long until its agent has noticed and metrics-server has scraped it twice; it was
# away if it is Ready anew longer after it joined than a machine needs to be Ready at all.
_JOINING_SECONDS = 60.0
_FIRST_READY_SECONDS = 180.0
# The API server and, beside it, the konnectivity server start; agents look every 10 s at the most.
_RESTARTED_SECONDS = 60.0
# Agents were seen to try every 10 s where they are turned away, every 21 s where nothing answers.
_RECONNECT_SECONDS = 30.0
# A Deployment's pods are made within a second of its change; an API server under load needs more.
_PODS_MADE_SECONDS = 30.0
# One pod ends (30 s of grace at the most), and the next starts.
_ROLLING_SECONDS = 60.0
# Endpoints follow a pod's Ready condition within a second; an API server under load needs more.
_ENDPOINTS_SECONDS = 10.0
# metrics-server asks every 15 s: of what a kubelet refuses still there are two newer lines.
_REFUSED_SECONDS = 35.0
# The one check of metrics-server's readiness that fails until it has read kubelets twice.
_NO_FIGURES_YET = frozenset({"metric-storage-ready"})


def none_ready(facts: Facts) -> tuple[Pod, ...] | None:
    """Return metrics-server's pods where there are some and none is Ready, empty otherwise."""
    pods = facts.one(workloads.PODS)
    if pods is None:
        return None
    return () if any(pod.ready for pod in pods) else pods


def waits_for_image(pod: Pod) -> bool:
    """Whether a pod waits for an image."""
    return pod.waiting in _IMAGE


def joining(facts: Facts) -> bool | None:
    """Whether a node has joined or come back so lately that nothing on the way need be there."""
    if not _whole_walk(facts):
        return False
    nodes = facts.one(workloads.NODES)
    if nodes is None:
        return None
    since = [node.created for node in nodes]
    since += [
        node.ready_since
        for node in nodes
        if node.ready and node.ready_since - node.created > _FIRST_READY_SECONDS
    ]
    return any(_younger(facts, each, _JOINING_SECONDS) for each in since)


def starting(facts: Facts) -> bool:
    """Whether metrics-server, or a node, has begun so lately that it need not be ready yet."""
    if not _whole_walk(facts):
        return False
    nodes = [node for node in facts.one(workloads.NODES) or () if not node.ready]
    if joining(facts) or any(findings.is_young(facts, node.created) for node in nodes):
        return True
    deployment = facts.one(objects.DEPLOYMENT)
    if facts.one(workloads.PODS) == () and deployment is not None and deployment.replicas:
        return _younger(facts, deployment.changed, _PODS_MADE_SECONDS)
    pods = none_ready(facts) or ()
    # One that no node takes waits for somebody, and not for time.
    calm = [
        pod
        for pod in pods
        if pod.waiting not in _CRASHING and not pod.unscheduled
        if pod.restarts == 0 or last_words.overcome(facts, pod)
    ]
    # One that had to wait for a node, or for its first start, has begun when it got that.
    return any(
        findings.is_young(facts, each)
        for pod in calm
        for each in (pod.created, pod.placed, pod.running_since)
    )


def known(facts: Facts) -> bool:
    """Whether it was seen what began, came back or was mended a moment ago."""
    begun = starting(facts) or restarted(facts) or ready_again(facts)
    return bool(begun or reconnecting(facts) or scraping_again(facts))


def restarted(facts: Facts) -> bool | None:
    """Whether an API server or its tunnel has started so lately that agents may not be back yet."""
    anew = _counted_anew(facts)
    if anew or anew is None:
        return anew
    counted = facts.one(egress.PROBE)
    if counted is None or not counted.started:
        return None
    return _younger(facts, counted.started, _RESTARTED_SECONDS)


def _counted_anew(facts: Facts) -> bool | None:
    """Whether a controller came or went so lately that agents may not be back yet.

    k0s tells agents of another number of servers then: it starts the konnectivity server of every
    controller again, and replaces agents' pods.
    """
    leases = facts.one(konnectivity.LEASES)
    if leases is None:
        return None if len(facts.controllers) > 1 else False
    return any(_younger(facts, _changed(facts, each), _RESTARTED_SECONDS) for each in leases)


def _changed(facts: Facts, lease: ControllerLease) -> float:
    """Return when a lease was taken, given up, or ran out."""
    if not lease.holder:
        return lease.renewed
    age = findings.age(facts, lease.renewed)
    ran_out = age is not None and age > lease.seconds
    return lease.renewed + lease.seconds if ran_out else lease.acquired


def reconnecting(facts: Facts) -> bool | None:
    """Whether agents that are not connected can connect, and could not until a moment ago."""
    on = findings.konnectivity(facts)
    if not on:
        return on
    dials = findings.server_dials(facts)
    asked = findings.agents_to_server(facts)
    replaced = rolling(facts)
    opened = [each.connected > 0 for each in dials.values()]
    opened += [each.connected for each in asked.values()]
    # Where no connection opens, those that are replaced open none either.
    if replaced and (any(opened) or not opened):
        return True
    said = findings.unconnected(facts)
    if (
        not all(each.all_connected for each in dials.values())
        or not all(each.connected for each in asked.values())
        or not all(scrapes.is_of_network(failure.why) for failure in said.values())
    ):
        return False if replaced else replaced
    workers = set(facts.workers)
    logs = facts.on(nodelogs.AGENT)
    lately = any(
        findings.seconds_ago(facts, nodelogs.AGENT.name, machine, failure.at) < _RECONNECT_SECONDS
        for machine, failure in said.items()
    )
    if lately or restarted(facts) or joining(facts):
        return True if workers <= set(dials) and workers <= set(asked) else None
    unseen = restarted(facts) is None or facts.one(workloads.NODES) is None or replaced is None
    return None if unseen or not workers <= set(logs) else False


def agents_started(facts: Facts) -> bool:
    """Whether an agent has begun so lately, for the first time, that it need not be connected."""
    reading = facts.reading(objects.AGENT_PODS.name)
    if reading is None:
        return False
    later = facts.at - moment(reading)
    started = (facts.one(objects.AGENT_PODS) or {}).values()
    return any(_younger(facts, each, _RECONNECT_SECONDS + later) for each in started)


def scraping_again(facts: Facts) -> bool | None:
    """Whether metrics-server is not Ready only since it could not read kubelets a moment ago."""
    running = [pod for pod in none_ready(facts) or () if pod.phase == "Running" and not pod.waiting]
    if not running:
        return None if facts.one(workloads.PODS) is None else False
    if scrapes.failing_scrapes(facts):
        return False
    health = [each for pod in running for each in last_words.health(facts, pod)]
    if any(not each.serves or set(each.failing) - _NO_FIGURES_YET for each in health):
        return False
    ready = {node.name for node in facts.one(workloads.NODES) or () if node.ready}
    answering = {name for name, each in scrapes.kubelets(facts).items() if each.answered}
    failed = scrapes.scrapes_failed_lately(facts)
    if failed == ():
        return False
    # That a kubelet answers a request speaks against a lost one, and not against a refusal.
    last = scrapes.scrapes_failed_lately(facts, _REFUSED_SECONDS)
    if any(not scrapes.shows_in_a_request(each.why) for each in last or ()):
        return None
    return True if failed and health and ready and ready <= answering else None


@once
def pod_changed(facts: Facts) -> str:
    """Return what became of metrics-server's pod while the rest was looked at, empty for nothing.

    What was seen of the ways to it is then of two states: refused before, answered after.
    """
    pod = findings.metrics_pod(facts)
    if pod is None:
        return ""
    after = facts.to(named.POD_AFTER).get((API, f"{pod.namespace}/{pod.name}"))
    if after is None:
        return _answered_again(facts, pod)
    began = f"{pod.name} was {_readiness(pod)} when the looks began"
    if not after:
        return f"{began}, and gone at their end"
    if after[0].ready != pod.ready:
        return f"{began}, and {_readiness(after[0])} at their end"
    if pod.ready and after[0].restarts > pod.restarts:
        return f"{began}, and was started again before their end"
    return _answered_again(facts, pod)


def pod_lost(facts: Facts) -> bool:
    """Whether metrics-server's pod was not seen, at first or when it was looked at once more."""
    after = any(probe.partition(":")[0] == named.POD_AFTER.name for probe, _ in facts.unseen_at)
    return after or facts.one(workloads.PODS) is None


def _answered_again(facts: Facts, pod: Pod) -> str:
    """Return that nothing listened in the pod at first, on its own node neither, and then did.

    The API says later than requests do that a program ended, and that it runs again.
    """
    place = with_port(pod.address, findings.pod_port(pod))
    refused: dict[str, float] = {}
    opened: dict[str, float] = {}
    for probe in (https.PAYLOAD, https.AGENT_PAYLOAD):
        for (machine, target), each in facts.to(probe).items():
            if target == place and (each.connected or each.refused):
                at = moment(facts.readings[probe.of(place), machine])
                (opened if each.connected else refused).setdefault(machine, at)
    everywhere = len(refused) > 1 and facts.machine_of(pod.node) in refused
    if not everywhere or not opened or min(opened.values()) < max(refused.values()):
        return ""
    last = ", ".join(opened)
    return f"{place} refused connections from {', '.join(refused)}, and then took one from {last}"


def _readiness(pod: Pod) -> str:
    return "Ready" if pod.ready else "not Ready"


def ready_again(facts: Facts) -> bool:
    """Whether metrics-server's pod is Ready so lately that its endpoints need not be there."""
    reading = facts.reading(workloads.ENDPOINTS.name)
    if reading is None or facts.one(workloads.ENDPOINTS) != ():
        return False
    later = facts.at - moment(reading)
    return any(
        pod.ready and _younger(facts, pod.ready_since, _ENDPOINTS_SECONDS + later)
        for pod in facts.one(workloads.PODS) or ()
    )


def rolling(facts: Facts) -> bool | None:
    """Whether agents' pods are being replaced, one after the other."""
    agents = facts.one(objects.AGENTS)
    if agents is None:
        return None
    return agents.rolling and _younger(facts, agents.changed, _ROLLING_SECONDS)


def _younger(facts: Facts, since: float, seconds: float) -> bool:
    found = findings.age(facts, since)
    return found is not None and found < seconds


def _whole_walk(facts: Facts) -> bool:
    """Whether this is a walk up the ladder; of a few looks alone nothing is said to settle."""
    return facts.one(apiservice.PROBE) is not None or facts.one(workloads.SERVICE) is not None
