"""The hops before the API server's way out: the cluster, its nodes, metrics-server, its Service."""

from __future__ import annotations

from harness.base.places import with_port
from harness.diagnose import findings, node_findings, node_state, scrapes
from harness.diagnose.evidence import broken, edited, holds, not_seen
from harness.diagnose.facts import Facts
from harness.diagnose.model import Hop, HopId
from harness.probe import (
    controlplane,
    https,
    machines,
    nodelogs,
    nodestate,
    objects,
    workloads,
)
from harness.probe.core import API, refused_by_sudo
from harness.probe.workloads import Node

# How kubectl begins what the API server answered.
_SERVER = "Error from server"


def answers(facts: Facts) -> bool | None:
    """Whether the API server answered at least once; None where nobody could ask it."""
    asked = [each for (_, where), each in facts.readings.items() if where == API]
    if any(not each.failed and (each.returncode == 0 or _SERVER in each.stderr) for each in asked):
        return True
    asked = [each for each in asked if not refused_by_sudo(each)]
    # kubectl may run on the controller itself.
    busy = facts.controller in facts.lost_machines or (says_nothing(facts) and _ends_little(facts))
    return None if not asked or busy else False


def says_nothing(facts: Facts) -> bool:
    """Whether no question to the API server ended, so that nobody said why."""
    return all(each.failed for (_, where), each in facts.readings.items() if where == API)


def _ends_little(facts: Facts) -> bool:
    """Whether most of what was run on the controller did not end, or got no answer."""
    run = [each.failed for (_, where), each in facts.readings.items() if where == facts.controller]
    return 2 * sum(run) > len(run)


def cluster(facts: Facts) -> Hop:
    """Return whether this is a k0s cluster whose API server answers, and of which version."""
    cidr = facts.of_controller(controlplane.CLUSTER_CIDR)
    answered = answers(facts)
    probe = next((name for (name, where) in facts.readings if where == API), workloads.NODES.name)
    if answered is None:
        return not_seen(facts, HopId.API_SERVER, probe)
    if not answered:
        reading = facts.reading(probe, API)
        said = (reading.error or reading.stderr.strip()) if reading is not None else ""
        return broken(facts, HopId.API_SERVER, f"it does not answer: {said}", probe)
    alarm = node_state.alarm(facts)
    if alarm is not None:
        text = f"it answers, and can write nothing: etcd on {alarm[0]} says {alarm[1]}"
        return broken(facts, HopId.API_SERVER, text, nodestate.STORE.name, alarm[0])
    versions = sorted({node.version for node in facts.one(workloads.NODES) or () if node.version})
    k0s = sorted(set(facts.on(machines.K0S_VERSION).values()))
    text = f"it answers; k0s {', '.join(k0s) or 'not asked'}, nodes {', '.join(versions) or '?'}"
    flags = facts.of_controller(controlplane.FLAGS)
    if flags is None:
        return holds(facts, HopId.API_SERVER, text, probe)
    text += f"; Service CIDR {flags.service_cidr}"
    if cidr:
        text += f", pods' CIDR {cidr}"
    if flags.advertised:
        text += f"; advertised as {flags.advertised}"
    return holds(facts, HopId.API_SERVER, text, controlplane.FLAGS.name, facts.controller)


def nodes(facts: Facts) -> Hop:
    """Return whether the nodes are Ready, told apart, where they should be, and of one time."""
    nodes = facts.one(workloads.NODES)
    if nodes is None:
        return not_seen(facts, HopId.NODES, workloads.NODES.name)
    wrong, probe, where = _wrong_with(facts, nodes)
    if wrong:
        return broken(facts, HopId.NODES, "; ".join(wrong), probe, where)
    text = ", ".join(f"{node.name} {'/'.join(node.addresses)}" for node in nodes)
    clocks = facts.on(machines.CLOCK)
    text += f" Ready; {len(clocks)} clocks agree" if clocks else " Ready; no clock seen"
    lost = facts.lost_machines
    if lost:
        text += f"; nothing could be read on {', '.join(lost)}"
    return holds(facts, HopId.NODES, text, workloads.NODES.name)


def _wrong_with(facts: Facts, all_nodes: tuple[Node, ...]) -> tuple[list[str], str, str | None]:
    """Return what is wrong with the nodes, and the probe and place that show the first of it."""
    wrong = [
        f"{address} is the InternalIP of {' and '.join(names)}"
        for address, names in node_findings.duplicate_addresses(all_nodes).items()
    ]
    wrong += [
        f"{cni.title} uses {address} on {name} and not its InternalIP"
        for name, (cni, address) in node_findings.cni_elsewhere(all_nodes).items()
    ]
    # A machine may well reach the API server (a load balancer) over another network than the
    # nodes' own; it is a fault where something suffers.
    if scrapes.suffers(facts):
        wrong += [f"{name}: {why}" for name, why in node_findings.stray_addresses(facts).items()]
        wrong += [f"{name} has no InternalIP" for name in node_findings.without_address(all_nodes)]
    wrong += [f"{node.name} is not Ready ({node.trouble})" for node in all_nodes if not node.ready]
    look: tuple[str, str | None] = (workloads.NODES.name, None)
    wrong, look = _state_of(facts, wrong, look)
    overlapping = node_findings.overlaps(facts)
    if overlapping:
        look = look if wrong else (machines.ADDRESSES.name, None)
        wrong += overlapping
    skewed = node_findings.skewed(facts)
    if skewed:
        look = look if wrong else (machines.CLOCK.name, next(iter(skewed)))
        text = ", ".join(f"{name} {seconds:+g} s" for name, seconds in skewed.items())
        wrong.append(f"clocks differ: {text}")
    return wrong, *look


def _state_of(
    facts: Facts, wrong: list[str], look: tuple[str, str | None]
) -> tuple[list[str], tuple[str, str | None]]:
    """Return both with what the machines' own state adds."""
    silent = node_state.silent(facts)
    if silent:
        look = look if wrong else (nodestate.LEASES.name, None)
        wrong = wrong + [
            f"{name} is Ready, and was last heard of {seconds:.0f} s ago"
            for name, seconds in silent.items()
        ]
    still = node_state.not_forwarding(facts)
    full = node_state.full(facts)
    if still or full:
        look = look if wrong else (nodestate.KERNEL.name, next(iter([*still, *full])))
        wrong = wrong + [f"{name} forwards nothing ({each} is 0)" for name, each in still.items()]
        wrong += [
            f"the table of connections on {name} is full: {each}" for name, each in full.items()
        ]
    return wrong, look


def backend(facts: Facts) -> Hop:
    """Return whether metrics-server is there and its container runs."""
    pods = facts.one(workloads.PODS)
    if pods is None:
        return not_seen(facts, HopId.BACKEND, workloads.PODS.name)
    if not pods:
        return _no_pod(facts)
    deployment = facts.one(objects.DEPLOYMENT)
    changed = edited(deployment.edited) if deployment is not None else ""
    ready = [pod for pod in pods if pod.ready]
    if ready:
        where = ", ".join(f"{pod.name} on {pod.node}" for pod in ready)
        return holds(facts, HopId.BACKEND, f"Ready: {where}{changed}", workloads.PODS.name)
    running = [pod for pod in pods if pod.phase == "Running" and not pod.waiting]
    if running:
        where = ", ".join(f"{pod.name} on {pod.node}, {pod.restarts} restarts" for pod in running)
        text = f"Running, not Ready: {where}{changed}"
        return holds(facts, HopId.BACKEND, text, workloads.PODS.name)
    states = "; ".join(
        " ".join(each for each in (pod.name, pod.phase, pod.waiting, pod.trouble) if each)
        + (f", {pod.restarts} restarts" if pod.restarts else "")
        for pod in pods
    )
    return broken(
        facts, HopId.BACKEND, f"no metrics-server pod runs: {states}{changed}", workloads.PODS.name
    )


def _no_pod(facts: Facts) -> Hop:
    text = "there is no metrics-server pod"
    deployment = facts.one(objects.DEPLOYMENT)
    if deployment is None:
        return broken(facts, HopId.BACKEND, text, workloads.PODS.name)
    wants = f", its Deployment wants {deployment.replicas}" if deployment.exists else ""
    wants += f": {deployment.failure}" if deployment.failure else ""
    return broken(
        facts, HopId.BACKEND, text + (wants or " and no Deployment"), objects.DEPLOYMENT.name
    )


def alive(facts: Facts) -> Hop:
    """Return whether metrics-server answers its own node."""
    pod = findings.pod_target(facts)
    if pod is None:
        return not_seen(facts, HopId.ALIVE, https.HEALTH.name)
    probe = https.HEALTH.of(pod[0])
    found = next(
        (
            (machine, each)
            for (machine, address), each in facts.to(https.HEALTH).items()
            if address == pod[0]
        ),
        None,
    )
    if found is None:
        return not_seen(facts, HopId.ALIVE, probe)
    machine, health = found
    text = f"https://{with_port(pod[0], pod[1])} from {machine}"
    text += f": livez {health.livez or 'no answer'}"
    text += f", readyz {health.readyz or 'no answer'}"
    if health.failing:
        text += f" ({', '.join(health.failing)} failed)"
    elif health.text:
        text += f" ({health.text})"
    make = holds if health.serves else broken
    return make(facts, HopId.ALIVE, text, probe, machine)


def scraping(facts: Facts) -> Hop:
    """Return whether metrics-server gets figures from every kubelet."""
    waiting = scrapes.unapproved(facts)
    failing = scrapes.failing_scrapes(facts)
    if waiting:
        text = f"kubelet-serving certificates wait for approval: {', '.join(waiting)}"
        if failing:
            text += f"; {next(iter(failing.values())).why}"
        return broken(facts, HopId.SCRAPING, text, objects.CSRS.name)
    if failing is None:
        return not_seen(facts, HopId.SCRAPING, nodelogs.METRICS_SERVER.name)
    pod = findings.metrics_pod(facts)
    where = facts.machine_of(pod.node) if pod is not None and pod.node else None
    if failing:
        text = "; ".join(f"{node}: {each.why}" for node, each in failing.items())
        return broken(facts, HopId.SCRAPING, text, nodelogs.METRICS_SERVER.name, where)
    text = "no scrape failed in the last minute"
    return holds(facts, HopId.SCRAPING, text, nodelogs.METRICS_SERVER.name, where)


def service(facts: Facts) -> Hop:
    """Return whether the Service has an address that stands for a Ready pod."""
    endpoints = facts.one(workloads.ENDPOINTS)
    service = facts.one(workloads.SERVICE)
    if service is None:
        return not_seen(facts, HopId.SERVICE, workloads.SERVICE.name)
    if not service.exists:
        return broken(
            facts,
            HopId.SERVICE,
            f"Service {facts.led.text()} does not exist",
            workloads.SERVICE.name,
        )
    if endpoints is None:
        return not_seen(facts, HopId.SERVICE, workloads.ENDPOINTS.name)
    name = with_port(service.cluster_ip, service.port)
    changed = edited(service.edited)
    if not endpoints:
        return broken(
            facts, HopId.SERVICE, f"{name} has no ready endpoint{changed}", workloads.ENDPOINTS.name
        )
    behind = ", ".join(with_port(each.address, each.port) for each in endpoints)
    text = f"{name} stands for {behind}{changed}"
    pods = facts.one(workloads.PODS)
    own = {pod.address for pod in pods or ()}
    if service.selector and pods is not None and not own & {each.address for each in endpoints}:
        # Whoever writes endpoints does not run.
        text += ", which no pod has any more"
        return broken(facts, HopId.SERVICE, text, workloads.ENDPOINTS.name)
    return holds(facts, HopId.SERVICE, text, workloads.ENDPOINTS.name)
