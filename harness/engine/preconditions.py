"""What a phase presumes of its cluster; where it does not hold, nothing can be judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, ip_address
from typing import Any

from harness.changes.deployment import Deployment
from harness.diagnose.facts import Facts, facts_from
from harness.engine.results import PRECONDITION_NAMES, Precondition, PreconditionId
from harness.evidence.reading import Reading
from harness.expectations.diagnosis import Diagnosis
from harness.k0s import AGENT_PORT
from harness.plan.model import PhasePlan, Plan
from harness.probe import controlplane, told, workloads
from harness.probe.core import AnyProbe, Probe
from harness.probe.seen import Seen, seen_in
from harness.vocabulary.cluster_config import ConfigLeaf
from harness.vocabulary.words import Cause, Component


@dataclass(frozen=True)
class Presumed:
    """What one phase presumes: nodes, their network, konnectivity, metrics-server, configuration.

    `nodes` are the names of all Nodes, `nodes_ready` whether all must be Ready, `network` where
    their addresses must be, None where the phase puts them elsewhere. `config` is every value the
    scenario gives k0s: k0s drops some unknown keys silently (types with an UnmarshalJSON of their
    own, such as spec.network and spec.api), so each is read back. `plugins` is whether the pods
    that write rules and routes on the machines must have done so.
    """

    controller: str
    nodes: tuple[str, ...]
    network: IPv4Network | None
    konnectivity: bool
    metrics_server: bool
    nodes_ready: bool = True
    agent_port: int = AGENT_PORT
    config: tuple[ConfigLeaf, ...] = ()
    plugins: bool = False


def presumed_by(plan: Plan, phase: PhasePlan) -> Presumed:
    """Return what `phase` presumes: what its own expectations deny is not presumed."""
    wanted = [each.expectation for each in phase.expectations]
    causes = {each.cause for each in wanted if isinstance(each, Diagnosis)}
    return replace(
        settled(plan, phase.deployment),
        metrics_server=Component.METRICS_SERVER not in phase.disabled_components
        and any(each.presumes_metrics_server for each in wanted)
        and not any(each.denies_backend for each in wanted),
        nodes_ready=Cause.NODE_NOT_READY not in causes,
    )


def settled(plan: Plan, deployment: Deployment) -> Presumed:
    """Return what holds of a cluster that nothing was done to: where a change begins and ends."""
    components = deployment.disabled_components
    return Presumed(
        controller=plan.controller.name,
        nodes=tuple(machine.name for machine in plan.workers),
        network=None if deployment.nat_node_ips else plan.subnet,
        konnectivity=deployment.konnectivity,
        # Without the approver kubelets have no certificate, and there is nothing to serve.
        metrics_server=not {Component.METRICS_SERVER, Component.CSR_APPROVER} & components,
        agent_port=_agent_port(deployment.fragment),
        config=deployment.config_leaves,
    )


def comparable(plan: Plan) -> Presumed:
    """Return what holds of a cluster of which a footprint says what the first change changed.

    A CNI is Ready once its first rules are written, which on a busy host was minutes after
    the nodes were, and they would have been taken for the change's (20261125-230413-50bd).
    """
    return replace(settled(plan, plan.start), plugins=True)


def _agent_port(fragment: Mapping[str, Any]) -> int:
    here: Any = fragment
    for key in ("spec", "konnectivity", "agentPort"):
        here = here.get(key) if isinstance(here, Mapping) else None
    return here if isinstance(here, int) else AGENT_PORT


def probes(presumed: Presumed) -> Sequence[Probe[Any]]:
    """Return the probes whose readings `judge` wants."""
    return (
        workloads.NODES.look(),
        workloads.PODS.look(),
        workloads.ENDPOINTS.look(),
        controlplane.FLAGS.on(presumed.controller),
        controlplane.LISTENING.on(presumed.controller),
        *([controlplane.CONFIG.on(presumed.controller)] if presumed.config else ()),
        *([workloads.PLUGINS.look()] if presumed.plugins else ()),
    )


# What the API tells of by itself, in the order in which it comes; kubectl gives up after a look's
# usual time, so that what changes meanwhile is told.
_TOLD_BY_API: Mapping[PreconditionId, tuple[str, ...]] = {
    PreconditionId.NODES_READY: ("nodes", "--all", "--for=condition=Ready"),
    PreconditionId.METRICS_SERVER: (
        *("deployment/metrics-server", "--namespace=kube-system", "--for=condition=Available"),
    ),
}
_TOLD_SECONDS = 4


def until_told(seen: Iterable[Precondition]) -> Probe[None] | None:
    """Return what ends once the API tells that all may hold; None where it tells of some only."""
    unmet = {each.id for each in seen if not each.holds}
    last = [condition for which, condition in _TOLD_BY_API.items() if which in unmet]
    if not unmet or unmet - _TOLD_BY_API.keys():
        return None
    return told.until(workloads.NODES.name, *last[-1], seconds=_TOLD_SECONDS)


def endpoint_is_ready(readings: Iterable[Reading]) -> bool | None:
    """Whether metrics-server's Service has a ready endpoint; None where that was not seen."""
    endpoints = seen_in(readings, (workloads.ENDPOINTS,)).one(workloads.ENDPOINTS)
    return None if endpoints is None else bool(endpoints)


def judge(presumed: Presumed, readings: Iterable[Reading]) -> tuple[Precondition, ...]:
    """Return every precondition with whether it holds; None where it could not be seen."""
    taken = tuple(readings)
    facts = facts_from(taken)
    found = [_konnectivity(presumed, facts)]
    if presumed.network is not None:
        found.insert(0, _addresses(presumed.nodes, presumed.network, facts))
    if presumed.nodes_ready:
        found.insert(0, nodes(presumed, facts))
    if presumed.metrics_server:
        found.append(_metrics_server(facts))
    if presumed.config:
        found.append(_config(presumed, taken))
    if presumed.plugins:
        found.append(_plugins(taken))
    return tuple(found)


def nodes(presumed: Presumed, facts: Facts) -> Precondition:
    """Return whether all nodes that are presumed are Ready, with what the others say of it."""
    registered = facts.one(workloads.NODES)
    which = PreconditionId.NODES_READY
    if registered is None:
        return _not_seen(which, facts, workloads.NODES)
    ready = sorted(node.name for node in registered if node.ready)
    text = f"{len(ready)} of {len(presumed.nodes)}: {', '.join(ready) or 'none'}"
    troubled: dict[str, list[str]] = {}
    for node in registered:
        if not node.ready and node.trouble:
            troubled.setdefault(node.trouble, []).append(node.name)
    said = (f"; {', '.join(names)}: {trouble}" for trouble, names in troubled.items())
    return _precondition(which, ready == sorted(presumed.nodes), text + "".join(said))


def _addresses(nodes: Sequence[str], network: IPv4Network, facts: Facts) -> Precondition:
    which = PreconditionId.ADDRESSES
    registered = facts.one(workloads.NODES)
    if registered is None:
        return _not_seen(which, facts, workloads.NODES)
    addresses = [address for node in registered for address in node.addresses]
    inside = all(ip_address(address) in network for address in addresses)
    holds = len(set(addresses)) == len(nodes) == len(addresses) and inside
    return _precondition(which, holds, f"{', '.join(addresses) or 'none'} in {network}")


def _konnectivity(presumed: Presumed, facts: Facts) -> Precondition:
    listening = facts.of_controller(controlplane.LISTENING)
    flags = facts.of_controller(controlplane.FLAGS)
    on, off = PreconditionId.KONNECTIVITY_ON, PreconditionId.KONNECTIVITY_OFF
    which = on if presumed.konnectivity else off
    if flags is None:
        return _not_seen(which, facts, controlplane.FLAGS)
    if listening is None:
        return _not_seen(which, facts, controlplane.LISTENING)
    selector = flags.egress_selector
    port = presumed.agent_port in listening
    text = (
        f"the API server has {'an' if selector else 'no'} egress selector, "
        f"port {presumed.agent_port} is {'' if port else 'not '}listened on"
    )
    return _precondition(which, selector is port is presumed.konnectivity, text)


def _metrics_server(facts: Facts) -> Precondition:
    endpoints = facts.one(workloads.ENDPOINTS)
    which = PreconditionId.METRICS_SERVER
    if endpoints is None:
        return _not_seen(which, facts, workloads.ENDPOINTS)
    pods = facts.one(workloads.PODS) or ()
    states = ", ".join(f"{pod.name} {'Ready' if pod.ready else pod.phase}" for pod in pods)
    holds = any(pod.ready for pod in pods) and bool(endpoints)
    return _precondition(which, holds, f"{states or 'no pod'}, {len(endpoints)} endpoints")


def _plugins(readings: Iterable[Reading]) -> Precondition:
    which = PreconditionId.PLUGINS
    seen = seen_in(readings, (workloads.PLUGINS,))
    sets = seen.one(workloads.PLUGINS)
    if sets is None:
        return _not_seen(which, seen, workloads.PLUGINS)
    text = ", ".join(f"{each.name} {each.ready} of {each.desired}" for each in sets)
    return _precondition(which, all(each.ready >= each.desired for each in sets), text or "none")


def _config(presumed: Presumed, readings: Iterable[Reading]) -> Precondition:
    which = PreconditionId.CONFIG
    seen = seen_in(readings, (controlplane.CONFIG,))
    config = seen.on(controlplane.CONFIG).get(presumed.controller)
    if config is None:
        return _not_seen(which, seen, controlplane.CONFIG)
    dropped = [leaf.dotted for leaf in presumed.config if not _arrived(config, leaf)]
    text = f"k0s dropped {', '.join(dropped)}" if dropped else f"{len(presumed.config)} values"
    return _precondition(which, not dropped, text)


def _arrived(config: Mapping[str, Any], leaf: ConfigLeaf) -> bool:
    here: Any = config
    for key in leaf.path:
        if not isinstance(here, Mapping) or key not in here:
            return False
        here = here[key]
    return bool(here == leaf.value)


def _precondition(which: PreconditionId, holds: bool | None, text: str) -> Precondition:
    return Precondition(which, PRECONDITION_NAMES[which], holds, text)


def _not_seen(which: PreconditionId, seen: Seen, probe: AnyProbe) -> Precondition:
    return _precondition(which, None, seen.why_unseen(probe.name))
