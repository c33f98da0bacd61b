"""Which objects count: those that the APIService leads to, wherever they are.

The looks at k0s's own Service, endpoints, pods, Deployment and log are taken first. Where the
APIService leads elsewhere, others are, and what they say stands in the place of k0s's own: whoever
asks for the Service gets the one that the API server dials. What was not seen of them is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from harness.evidence.reading import Reading
from harness.probe import (
    apiservice,
    leases,
    named,
    nodelogs,
    objects,
    pod_events,
    workloads,
)
from harness.probe.core import API, ApiProbe, Probe, TargetProbe
from harness.probe.objects import Deployment
from harness.probe.seen import Place, Seen
from harness.probe.workloads import Endpoint, Pod, Service

T = TypeVar("T")

NAMESPACE = "kube-system"
NAME = "metrics-server"
_LABELS = (("k8s-app", NAME),)


@dataclass(frozen=True)
class Led:
    """The Service that the APIService leads to."""

    namespace: str = NAMESPACE
    name: str = NAME
    port: int = 443

    @property
    def own(self) -> bool:
        """Whether it is the one that k0s makes."""
        return (self.namespace, self.name) == (NAMESPACE, NAME)

    def text(self) -> str:
        """Return its name, with its namespace where that is not k0s's."""
        return self.name if self.own else f"{self.namespace}/{self.name}"


def led(seen: Seen) -> Led:
    """Return the Service that counts: k0s's own one where the APIService was not seen."""
    state = seen.one(apiservice.PROBE)
    if state is None or not state.service:
        return Led()
    return Led(state.namespace, state.service, state.port)


def counts(pods: tuple[Pod, ...]) -> Pod | None:
    """Return the pod that counts: a Ready one, else the youngest."""
    return min(pods, key=lambda pod: (not pod.ready, -pod.created), default=None)


def is_own(pod: Pod) -> bool:
    """Whether a pod's log is where that of k0s's own metrics-server is."""
    return pod.namespace in {"", NAMESPACE} and pod.name.startswith(f"{NAME}-")


def probes(seen: Seen) -> tuple[Probe[Any], ...]:
    """Return the looks at what counts and is none of k0s's own, as far as they are known by now."""
    to = led(seen)
    found: list[Probe[Any]] = []
    if not to.own:
        found += [
            named.service_look(to.namespace, to.name),
            named.endpoints_look(to.namespace, to.name),
        ]
    if to.namespace != NAMESPACE:
        found.append(named.policies_look(to.namespace))
    service = _service(seen, to)
    if service is not None and _picks_others(to, service):
        found.append(named.deployments_look(to.namespace))
        found.append(named.pods_look(to.namespace, service.selector))
    pods = resolved(seen).one(workloads.PODS)
    if pods is not None and all(not pod.scheduled for pod in pods):
        found.append(leases.look())
    pod = counts(pods or ())
    if pod is not None and pod.unstarted:
        found.append(pod_events.look(pod))
    return tuple(each for each in found if (each.name, API) not in seen.readings)


def resolved(seen: Seen) -> Seen:
    """Return what was seen, with what counts in the place of k0s's own objects."""
    to = led(seen)
    stand = _Stand(seen)
    if not to.own:
        stand.put(workloads.SERVICE, named.SERVICE, f"{to.namespace}/{to.name}")
        stand.put(workloads.ENDPOINTS, named.ENDPOINTS, f"{to.namespace}/{to.name}")
    if to.namespace != NAMESPACE:
        stand.put(objects.POLICIES, named.POLICIES, to.namespace)
    service = _service(seen, to)
    if service is None and not to.own:
        stand.drop(workloads.PODS)
        stand.drop(objects.DEPLOYMENT)
    elif service is not None and _picks_others(to, service):
        look = named.pods_look(to.namespace, service.selector)
        stand.put(workloads.PODS, named.PODS, look.name.partition(":")[2])
        _put_deployment(stand, seen, to, service)
    _put_ports(stand, to)
    _put_log(stand)
    return Seen(stand.values, stand.unseen_at, stand.readings)


def _service(seen: Seen, to: Led) -> Service | None:
    if to.own:
        return seen.one(workloads.SERVICE)
    return seen.to(named.SERVICE).get((API, f"{to.namespace}/{to.name}"))


def _picks_others(to: Led, service: Service) -> bool:
    """Whether a Service picks other pods than those of k0s's own metrics-server."""
    return bool(service.selector) and (to.namespace, service.selector) != (NAMESPACE, _LABELS)


def _put_deployment(stand: _Stand, seen: Seen, to: Led, service: Service) -> None:
    """Put the Deployment whose pods the Service picks; none is one that does not exist."""
    stand.put(objects.DEPLOYMENT, named.DEPLOYMENTS, to.namespace)
    listed = seen.to(named.DEPLOYMENTS).get((API, to.namespace))
    if listed is None:
        return
    wanted = set(service.selector)
    found = [each for each in listed if wanted <= set(each.labels)]
    # Pods that are there and of no Deployment are somebody else's to make.
    if found or not stand.one(workloads.PODS):
        stand.values[objects.DEPLOYMENT.name] = {
            (API, ""): found[0] if found else Deployment(exists=False)
        }
    else:
        stand.drop(objects.DEPLOYMENT)


def _put_ports(stand: _Stand, to: Led) -> None:
    """Let the Service and its endpoints have the port that the APIService names first."""
    service = stand.one(workloads.SERVICE)
    if service is None or to.port not in {port for _, port in service.ports}:
        return
    name = next(name for name, port in service.ports if port == to.port)
    stand.values[workloads.SERVICE.name] = {(API, ""): replace(service, port=to.port)}
    endpoints = stand.one(workloads.ENDPOINTS)
    if endpoints is not None:
        stand.values[workloads.ENDPOINTS.name] = {
            (API, ""): tuple(_with_port(each, name) for each in endpoints)
        }


def _with_port(endpoint: Endpoint, name: str) -> Endpoint:
    return replace(endpoint, port=dict(endpoint.ports).get(name, endpoint.port))


def _put_log(stand: _Stand) -> None:
    pod = counts(stand.one(workloads.PODS) or ())
    if pod is None or is_own(pod):
        return
    own = nodelogs.METRICS_SERVER.name
    stand.drop_all(own)
    look = named.POD_LOG.of(f"{pod.namespace}/{pod.name}")
    for (name, machine), reading in list(stand.readings.items()):
        if name == look:
            value = stand.values.get(named.POD_LOG.name, {}).get(
                (machine, f"{pod.namespace}/{pod.name}")
            )
            stand.readings[own, machine] = reading
            if value is not None:
                stand.values[own] = {(machine, ""): value}


class _Stand:
    """Values and readings of which some are put in the place of others."""

    def __init__(self, seen: Seen) -> None:
        self.values: dict[str, dict[Place, object]] = {
            name: dict(each) for name, each in seen.values.items()
        }
        self.unseen_at = dict(seen.unseen_at)
        self.readings: dict[tuple[str, str], Reading] = dict(seen.readings)

    def one(self, probe: ApiProbe[T]) -> T | None:
        """Return the value that stands for `probe` now."""
        return Seen(self.values).one(probe)

    def put(self, probe: ApiProbe[Any], other: TargetProbe[Any], target: str) -> None:
        """Let what `other` said of `target` stand for `probe`."""
        self.drop(probe)
        look = (other.of(target), API)
        value = self.values.get(other.name, {}).get((API, target))
        if value is not None:
            self.values[probe.name] = {(API, ""): value}
        if look in self.readings:
            self.readings[probe.name, API] = self.readings[look]
        if look in self.unseen_at:
            self.unseen_at[probe.name, API] = self.unseen_at[look]

    def drop(self, probe: ApiProbe[Any]) -> None:
        """Let `probe` have seen nothing."""
        self.drop_all(probe.name)

    def drop_all(self, name: str) -> None:
        """Let the looks of that name have seen nothing anywhere."""
        self.values.pop(name, None)
        for key in [key for key in self.readings if key[0] == name]:
            del self.readings[key]
        for key in [key for key in self.unseen_at if key[0] == name]:
            del self.unseen_at[key]
