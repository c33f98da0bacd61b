"""The hop ladder: from the right cluster to the metrics, each link on its own.

It is always walked to its end, so that two causes at once are both seen. The way the API server
dials is k0s's: with konnectivity every dial to a Service, a pod or a kubelet goes through the
tunnel (egress selection `cluster`, pkg/component/controller/apiserver.go:138-201 at
v1.32.3+k0s.0); without it the controller's own routes decide. `enable-aggregator-routing` is set
nowhere in k0s, so the aggregator dials the Service's ClusterIP and not the pod.

Two rounds of probes: the last wants addresses that the first one found. Between them, where the
APIService does not lead to k0s's own metrics-server, the objects that it leads to are asked. At the
end its pod is looked at once more, to see whether it stayed what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.diagnose import backing, findings, hops_backend, hops_egress, mesh
from harness.diagnose.facts import Facts, facts_from
from harness.diagnose.model import Hop
from harness.evidence.reading import Reading
from harness.k0s import KUBELET_PORT
from harness.probe import (
    apiservice,
    controlplane,
    dials,
    https,
    named,
    objects,
    registry,
    routing,
    service_rules,
    workloads,
)
from harness.probe.core import ApiProbe, MachineProbe, Probe, ReadingSource
from harness.probe.workloads import Pod

# New connections from each worker: where every other one is lost, all of them open by chance once
# in 256 walks. Three at a time, so that a path that drops packets costs one wait of 5 s, and sshd
# on people's machines is not asked for more than ten at once (MaxStartups).
CONNECTIONS = 8
TOGETHER = 3
SERVER_CONNECTIONS = 2
_NAMING_ROUNDS = 3


def take(
    source: ReadingSource, controllers: Sequence[str], workers: Sequence[str], *, in_lab: bool
) -> tuple[Reading, ...]:
    """Take every reading the diagnosis wants; `controllers` and `workers` are names of machines.

    A machine that does both is in both. `in_lab` adds the harness's own packet counters.
    """
    taken = _with_what_counts(source, first_probes(controllers, workers, in_lab=in_lab))
    facts = facts_from(taken)
    taken = (*taken, *source.take(second_probes(controllers, workers, facts)))
    pod = findings.metrics_pod(facts)
    # A walk takes ten seconds, a minute on slow machines, and goes by a pod that stays.
    return taken if pod is None else (*taken, *source.take((named.pod_after_look(pod),)))


def take_way(source: ReadingSource, controller: str) -> tuple[Reading, ...]:
    """Take the few readings from which the path in use is known, with the tunnel's figures."""
    return _with_what_counts(source, way_probes(controller))


def _with_what_counts(source: ReadingSource, first: Sequence[Probe[Any]]) -> tuple[Reading, ...]:
    """Take the first looks, then the Service that the APIService leads to and what it picks."""
    taken = source.take(first)
    for _ in range(_NAMING_ROUNDS):
        more = backing.probes(facts_from(taken).as_read)
        if not more:
            break
        taken = (*taken, *source.take(more))
    return taken


def first_probes(
    controllers: Sequence[str], workers: Sequence[str], *, in_lab: bool
) -> tuple[Probe[Any], ...]:
    """Return the looks that depend on nothing: every probe of the API and of machines."""
    of_api = [each.look() for each in registry.PROBES if isinstance(each, ApiProbe)]
    of_machines = [
        each.on(machine)
        for machine in dict.fromkeys((*controllers, *workers))
        for each in registry.PROBES
        if isinstance(each, MachineProbe)
        and each.asked.of(controls=machine in controllers, works=machine in workers, in_lab=in_lab)
    ]
    return (*of_api, *of_machines)


def way_probes(controller: str) -> tuple[Probe[Any], ...]:
    """Return the looks of `take_way` that depend on nothing."""
    return (
        apiservice.PROBE.look(),
        workloads.SERVICE.look(),
        workloads.ENDPOINTS.look(),
        controlplane.FLAGS.on(controller),
        controlplane.TUNNEL.on(controller),
    )


def second_probes(
    controllers: Sequence[str], workers: Sequence[str], facts: Facts
) -> tuple[Probe[Any], ...]:
    """Return the probes of the addresses that the first ones found.

    Machines that gave no answer at all are not asked again.
    """
    lost = facts.lost_machines
    pod = findings.pod_target(facts)
    service = findings.service_target(facts)
    targets = [service] if service is not None else []
    if pod is not None:
        targets.append(pod[:2])
    found: list[Probe[Any]] = []
    for controller in controllers[:1]:
        if controller not in lost:
            found += _from_controller(controller, targets, facts)
    for worker in workers:
        if worker not in lost:
            found += _from_worker(worker, targets, facts)
    # A machine may be both: what is asked more often is asked once.
    return tuple({(each.name, each.where): each for each in found}.values())


def _from_controller(
    controller: str, targets: Sequence[tuple[str, int]], facts: Facts
) -> list[Probe[Any]]:
    found: list[Probe[Any]] = [routing.look(controller, address) for address, _ in targets]
    on = findings.konnectivity(facts)
    if not on:
        # With konnectivity the way is another one, and most controllers wait here for nothing.
        found += [dials.look(controller, *target) for target in targets]
    if on is False:
        found += [https.look(https.PAYLOAD, controller, *target) for target in targets]
    return found


def _from_worker(worker: str, targets: Sequence[tuple[str, int]], facts: Facts) -> list[Probe[Any]]:
    agents = facts.one(objects.AGENTS)
    found: list[Probe[Any]] = []
    pod = findings.pod_target(facts)
    service = findings.service_target(facts)
    if pod is not None and worker in {pod[2], facts.machine_of(pod[2])}:
        found.append(https.health_look(worker, pod[0], pod[1]))
        other = _other_pod(facts)
        log = named.log_look(worker, other) if other is not None else None
        found += [log] if log is not None else []
        uid = other.uid if other is not None else ""
        found += [
            https.look(https.KUBELET, worker, address, KUBELET_PORT, uid=uid)
            for node in facts.one(workloads.NODES) or ()
            for address in node.addresses[:1]
        ]
    found += [https.look(https.PAYLOAD, worker, *target) for target in targets]
    found += [
        dials.look(worker, *target, times=CONNECTIONS, together=TOGETHER) for target in targets
    ]
    if service is not None:
        found.append(service_rules.look(worker, *service))
    if findings.konnectivity(facts) is False:
        return found
    if agents is not None and agents.exists:
        found += [https.look(https.AGENT_PAYLOAD, worker, *target) for target in targets]
    server = findings.server_target(facts)
    if server is not None:
        times = SERVER_CONNECTIONS
        found.append(dials.look(worker, *server, times=times, together=times))
        if agents is not None and agents.exists:
            found.append(https.look(https.AGENT_SERVER, worker, *server))
    if len(facts.controllers) > 1 or mesh.behind_balancer(facts):
        # Past the one address that agents have, and past a balancer: each controller's own.
        doors = [each for each in mesh.doors(facts).values() if each != server]
        found += [dials.look(worker, *each) for each in doors]
    return found


def _other_pod(facts: Facts) -> Pod | None:
    """Return the pod that counts where it is none of k0s's own metrics-server."""
    pod = findings.metrics_pod(facts)
    return None if pod is None or backing.is_own(pod) else pod


def walk(facts: Facts) -> tuple[Hop, ...]:
    """Return every hop, in the order of the way, each with what it rests on.

    The way past the API server depends on its egress selector; while that is not seen, nothing
    of that kind is judged.
    """
    return (
        hops_backend.cluster(facts),
        hops_backend.nodes(facts),
        hops_backend.backend(facts),
        hops_backend.alive(facts),
        hops_backend.scraping(facts),
        hops_backend.service(facts),
        hops_egress.egress_selector(facts),
        *hops_egress.way_out(facts),
        hops_egress.path(facts),
        hops_egress.large(facts),
        hops_egress.condition(facts),
        hops_egress.data(facts),
        hops_egress.others(facts),
    )


def dialled_address(facts: Facts) -> str | None:
    """Return the address the aggregator dials: the ClusterIP, or a pod with aggregator routing."""
    target = hops_egress.dialled(facts)
    return target[0] if target is not None else None
