"""What a configuration will run into, said before anything is built. Nothing here is an error."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from harness.changes.k0s_config import K0sConfig
from harness.cni import CNIS
from harness.k0s import ADMIN_PORT, AGENT_PORT, API_PORT, KUBELET_PORT, POD_CIDR, SERVICE_CIDR
from harness.plan.deployment import deployments
from harness.scenario.load import LoadedScenario
from harness.scenario.mistakes import Mistake
from harness.vocabulary.cluster_config import ABSENT, PROVIDER, all_reserved, at
from harness.vocabulary.part import Path

# k0s's own, where the file says nothing (pkg/apis/k0s/v1beta1/network.go, konnectivity.go, api.go).
_NETWORKS = {
    "pod": (("spec", "network", "podCIDR"), POD_CIDR),
    "service": (("spec", "network", "serviceCIDR"), SERVICE_CIDR),
}
_PORTS = {
    ("spec", "konnectivity", "agentPort"): (AGENT_PORT, "konnectivity's agents"),
    ("spec", "konnectivity", "adminPort"): (ADMIN_PORT, "konnectivity's admin server"),
    ("spec", "api", "port"): (API_PORT, "the API server"),
    ("spec", "api", "k0sApiPort"): (9443, "k0s's own API"),
}
_FIXED_PORTS = {
    2379: "etcd",
    2380: "etcd's peers",
    8092: "konnectivity's health check",
    KUBELET_PORT: "the kubelet",
}
# More of a host's networks than this do not fit a line.
_MOST_NAMED = 3


@dataclass(frozen=True)
class _Configuration:
    """What a phase tells k0s, and where in the file it does: the last part that says it."""

    loaded: LoadedScenario
    fragment: Mapping[str, Any]
    sources: Sequence[tuple[Path, Mapping[str, Any]]]

    def get(self, keys: tuple[str, ...], default: Any) -> Any:  # noqa: ANN401  # any YAML
        value = at(self.fragment, keys)
        return default if value is ABSENT else value

    def sets(self, keys: tuple[str, ...]) -> bool:
        return at(self.fragment, keys) is not ABSENT

    def warning(self, keys: tuple[str, ...], message: str) -> Mistake:
        place: Path = ("cluster",)
        for path, fragment in self.sources:
            if at(fragment, keys) is not ABSENT:
                place = (*path, *keys)
        position = self.loaded.marks.value(place)
        return Mistake(str(self.loaded.path), position.line, position.column, message)


def conflicts(
    loaded: LoadedScenario,
    *,
    private: IPv4Network,
    nat: Iterable[IPv4Network],
    host: Iterable[IPv4Network],
) -> tuple[Mistake, ...]:
    """Return what of the scenario's configuration will collide, each with its place in the file.

    `private` is the network a lab would take, `nat` what its other network is taken from, `host`
    what this host's interfaces and routes use.
    """
    others = {
        "the lab's private network": (private,),
        "the lab's NAT network": tuple(nat),
        "networks of this host": tuple(host),
    }
    found: set[Mistake] = set()
    for configuration in _configurations(loaded):
        found.update(_overlaps(configuration, others))
        found.update(_mixed_providers(configuration))
        found.update(_ports(configuration))
        found.update(_broken_on_purpose(configuration))
    return tuple(sorted(found))


def _configurations(loaded: LoadedScenario) -> Iterator[_Configuration]:
    sources: list[tuple[Path, Mapping[str, Any]]] = [
        (("cluster", "k0s"), loaded.scenario.cluster.k0s or {})
    ]
    phases = zip(loaded.scenario.phases, deployments(loaded.scenario), strict=True)
    for index, (phase, deployment) in enumerate(phases):
        for number, change in enumerate(phase.change):
            if isinstance(change, K0sConfig):
                path = ("phases", index, "change", number, change.kind)
                sources.append((path, change.fragment))
        yield _Configuration(loaded, deployment.fragment, tuple(sources))


def _overlaps(
    configuration: _Configuration, others: Mapping[str, tuple[IPv4Network, ...]]
) -> Iterator[Mistake]:
    networks = {}
    for what, (keys, default) in _NETWORKS.items():
        try:
            networks[what] = IPv4Network(str(configuration.get(keys, default)))
        except ValueError:
            # k0s refuses it, and says why.
            continue
    if len(networks) == len(_NETWORKS) and networks["pod"].overlaps(networks["service"]):
        keys = _NETWORKS["pod" if configuration.sets(_NETWORKS["pod"][0]) else "service"][0]
        yield configuration.warning(
            keys,
            f"the pod network {networks['pod']} and the service network {networks['service']} "
            "overlap: an address may be a pod's and a service's",
        )
    for (what, network), (whose, taken) in itertools.product(networks.items(), others.items()):
        hit = [str(each) for each in sorted(set(taken)) if each.overlaps(network)]
        if hit:
            more = " and others" if len(hit) > _MOST_NAMED else ""
            yield configuration.warning(
                _NETWORKS[what][0],
                f"the {what} network {network} overlaps {whose} ({', '.join(hit[:_MOST_NAMED])}"
                f"{more}): what is sent to one may be meant for the other",
            )


def _mixed_providers(configuration: _Configuration) -> Iterator[Mistake]:
    provider = configuration.get(PROVIDER, CNIS[0].word)
    # k0s ignores the settings of those that are not chosen.
    for other in (each.word for each in CNIS):
        keys = ("spec", "network", other)
        if configuration.sets(keys) and provider != other:
            yield configuration.warning(
                keys, f"settings of {other} have no effect: the network provider is {provider}"
            )


def _ports(configuration: _Configuration) -> Iterator[Mistake]:
    taken = dict(_FIXED_PORTS)
    # Those that the file does not set come first: the one it sets is what collides with them.
    for keys in sorted(_PORTS, key=lambda each: (configuration.sets(each), each)):
        default, owner = _PORTS[keys]
        port = configuration.get(keys, default)
        if not isinstance(port, int):
            # k0s refuses it, and says why.
            continue
        if port in taken:
            yield configuration.warning(
                keys, f"port {port} of {owner} is taken by {taken[port]} on the same machine"
            )
        else:
            taken[port] = owner


def _broken_on_purpose(configuration: _Configuration) -> Iterator[Mistake]:
    for reserved in all_reserved():
        listed = reserved.dotted in configuration.loaded.scenario.cluster.break_
        if listed and configuration.sets(reserved.path):
            value = configuration.get(reserved.path, None)
            if value != reserved.value:
                yield configuration.warning(
                    reserved.path,
                    f"`{reserved.dotted}` is {value} on purpose; the harness would set it "
                    f"{reserved.why}",
                )
