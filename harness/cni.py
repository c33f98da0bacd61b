"""What is known of each network provider: all of it, and here only.

A CNI of one's own is a `Cni` that is appended to `CNIS`. k0s knows `kuberouter`, `calico` and
`custom`; of whatever a `custom` one is, nothing is presumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Of the kubelet's own plugins, and of what comes with k0s or is brought along.
_COMMON_INTERFACES = ("cni", "dummyvip", "flannel", "nodelocaldns", "veth", "vxlan")
_COMMON_CHAINS = ("KUBE-", "CNI-", "FLANNEL-")
_PROXY = "kube-proxy"


@dataclass(frozen=True)
class NodeAddress:
    """How a CNI finds a node's address by itself, where it does not take the InternalIP.

    `annotation` is where it writes what it found onto the Node, `setting` the path of the
    ClusterConfig that says how, `by_interface` and `by_reach` two ways of saying it.
    """

    annotation: str
    setting: tuple[str, ...]
    by_interface: str
    by_reach: str


@dataclass(frozen=True)
class Cni:
    """One network provider.

    `word` is `spec.network.provider`, and where its settings stand below `spec.network`; `title`
    what people call it. `daemonset` is in kube-system, as is `k8s-app` of its pods; `has_true` is
    whether they can run `true`. With `own_blocks` pods have addresses of blocks that the CNI
    chooses, otherwise of the node's podCIDR. `bridge` is where a machine's pods are attached;
    `interfaces` and `chains` begin the names of what it makes, `tables` are nftables' and all its
    own, `route_protocols` are who wrote a route, as `ip -json` says it. `between_nodes` is what a
    firewall must let through, `mtu` how the packets' size is set, `overlay` how packets get nodes'
    addresses on the way between nodes where the network drops pods', all as parts of a sentence.
    `when_slow` are settings for machines that are much slower than real ones.
    """

    word: str
    title: str
    daemonset: str = ""
    has_true: bool = False
    own_blocks: bool = False
    node_address: NodeAddress | None = None
    bridge: str = ""
    interfaces: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()
    tables: frozenset[str] = frozenset()
    route_protocols: frozenset[str] = frozenset()
    between_nodes: str = ""
    mtu: str = ""
    overlay: str = ""
    when_slow: Mapping[str, Any] = field(default_factory=dict)


KUBE_ROUTER = Cni(
    "kuberouter",
    "kube-router",
    daemonset="kube-router",
    has_true=True,
    bridge="kube-bridge",
    interfaces=("kube-", "tun-", "tunl"),
    tables=frozenset({"kube-router"}),
    route_protocols=frozenset({"17"}),
    between_nodes="TCP 179 between workers (and IP protocol 4 across subnets)",
    mtu="kuberouter autoMTU: false with mtu",
    # By itself it tunnels between subnets only.
    overlay="overlay-type: full in spec.network.kuberouter.extraArgs",
    # v2.4.1 ends after a minute without an answer of the API server, and one dial that kube-proxy
    # has no rule for yet takes 30 s of that. On emulated machines it ended, and the pods had no
    # network for another two minutes (2026-11-23). The rest is what k0s v1.32.3+k0s.0 has itself
    # (pkg/apis/k0s/v1beta1/kuberouter.go:74-81) and leaves out beside a value of one's own.
    when_slow={
        "autoMTU": True,
        "metricsPort": 8080,
        "hairpin": "Enabled",
        "extraArgs": {"cache-sync-timeout": "10m"},
    },
)
CALICO = Cni(
    "calico",
    "Calico",
    daemonset="calico-node",
    has_true=True,
    own_blocks=True,
    node_address=NodeAddress(
        "projectcalico.org/IPv4Address",
        ("spec", "network", "calico", "ipAutodetectionMethod"),
        by_interface="interface={}",
        by_reach="can-reach={}",
    ),
    interfaces=("cali", "tunl", "vxlan", "wireguard.cali"),
    chains=("cali-",),
    tables=frozenset({"calico"}),
    # BIRD's and Felix's.
    route_protocols=frozenset({"bird", "80"}),
    between_nodes="UDP 4789",
    mtu="spec.network.calico.mtu",
    overlay="spec.network.calico.overlay: Always",
)
CUSTOM = Cni("custom", "the network provider")

CNIS: list[Cni] = [KUBE_ROUTER, CALICO]
"""The first is what k0s takes by itself."""


def named(word: object) -> Cni:
    """Return the CNI of a `spec.network.provider`; what is not known is as a custom one."""
    return next((each for each in CNIS if each.word == word), CUSTOM)


def of_config(config: Mapping[str, Any]) -> Cni:
    """Return the CNI that a ClusterConfig, or a part of one, chooses."""
    here: Any = config
    for key in ("spec", "network", "provider"):
        here = here.get(key) if isinstance(here, Mapping) else None
    return CNIS[0] if here is None else named(here)


def daemonsets() -> tuple[str, ...]:
    """Return what makes rules and routes on the machines: kube-proxy, and every CNI's own."""
    return (_PROXY, *(each.daemonset for each in CNIS if each.daemonset))


def with_true() -> tuple[str, ...]:
    """Return those of them whose image has the program `true`."""
    return (*(each.daemonset for each in CNIS if each.has_true), _PROXY)


def interfaces() -> tuple[str, ...]:
    """Return how the names of interfaces begin that a cluster's network makes on its machines."""
    return (*_COMMON_INTERFACES, *(name for each in CNIS for name in each.interfaces))


def bridges() -> frozenset[str]:
    """Return where pods may be attached; the bridge plugin has a name of its own."""
    return frozenset({"cni0", *(each.bridge for each in CNIS)})


def chains() -> tuple[str, ...]:
    """Return how the names of chains begin: kubelet's, kube-proxy's, the port map's, CNIs'."""
    return (*_COMMON_CHAINS, *(name for each in CNIS for name in each.chains))


def tables() -> frozenset[str]:
    """Return the tables of nftables that are theirs alone; kube-proxy's mode has one, too."""
    return frozenset({_PROXY}).union(*(each.tables for each in CNIS))


def route_protocols() -> frozenset[str]:
    """Return who else than people writes routes."""
    return frozenset().union(*(each.route_protocols for each in CNIS))
