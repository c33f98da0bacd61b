"""The API server's flags, the controller's listening ports and its konnectivity server.

Ports and paths are those of k0s v1.32.3+k0s.0: egress selector pkg/component/controller/
apiserver.go:138-201; konnectivity admin 8133, agents 8132 konnectivity.go:144-168.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.evidence.reading import Reading
from harness.k0s import ADMIN_PORT, DATA_DIR
from harness.probe.core import (
    Asked,
    MachineProbe,
    UnreadableError,
    require_ended,
    require_json,
    require_success,
)

# Where k0s unpacks it to, below its data folder.
_PROGRAM = "/bin/kube-apiserver"
# curl's status when nothing listens.
_CURL_REFUSED = 7


@dataclass(frozen=True)
class APIServerFlags:
    """What of kube-apiserver's arguments decides which way it dials, and where it says it is.

    `data_dir` is where k0s keeps its files, from which it starts it; `issuer` is who it says makes
    the tokens of ServiceAccounts.
    """

    egress_selector: bool
    aggregator_routing: bool
    service_cidr: str
    advertised: str = ""
    data_dir: str = DATA_DIR
    issuer: str = ""


@dataclass(frozen=True)
class TunnelServer:
    """The konnectivity server on a controller; `agents` are the ready backend connections.

    `failures_by_reason` are the failed dials since its start, in its own words.
    """

    listening: bool
    agents: int = 0
    dial_failures: int = 0
    failures_by_reason: tuple[tuple[str, int], ...] = ()


def parse_flags(reading: Reading) -> APIServerFlags:
    """Return the flags; raises `UnreadableError` when no kube-apiserver runs."""
    require_ended(reading)
    words = reading.stdout.split()
    if not words:
        raise UnreadableError(f"no kube-apiserver runs on {reading.where}")
    flags = dict(word.lstrip("-").partition("=")[::2] for word in words if word.startswith("--"))
    return APIServerFlags(
        egress_selector="egress-selector-config-file" in flags,
        aggregator_routing=flags.get("enable-aggregator-routing") == "true",
        service_cidr=flags.get("service-cluster-ip-range", ""),
        advertised=flags.get("advertise-address", ""),
        data_dir=words[0].removesuffix(_PROGRAM) if words[0].endswith(_PROGRAM) else DATA_DIR,
        issuer=flags.get("service-account-issuer", ""),
    )


def parse_cluster_cidr(reading: Reading) -> str:
    """Return the pods' CIDR; raises `UnreadableError` when no kube-controller-manager runs."""
    require_ended(reading)
    found = re.search(r"--cluster-cidr=(\S+)", reading.stdout)
    if found is None:
        raise UnreadableError(f"no kube-controller-manager with a cluster CIDR on {reading.where}")
    return found.group(1)


def parse_sockets(reading: Reading) -> frozenset[int]:
    """Return the port numbers."""
    ports = set()
    for line in require_success(reading).splitlines():
        # The columns of ss -Hltn: state, two queues, local address:port, peer address:port.
        _, _, _, local, *_ = line.split()
        ports.add(int(local.rpartition(":")[2]))
    return frozenset(ports)


def parse_tunnel(reading: Reading) -> TunnelServer:
    """Return the figures; a konnectivity server that does not listen is a value.

    The gauge has two names: `ready_backend_connections` up to konnectivity 0.31 (k0s 1.32),
    `ready_backends` per strategy in later ones (0.36, k0s 1.36).
    """
    require_ended(reading)
    if reading.returncode == _CURL_REFUSED:
        return TunnelServer(listening=False)
    text = require_success(reading)
    prefix = "konnectivity_network_proxy_server_"
    gauges = _samples(text, prefix + "ready_backend_connections") or _samples(
        text, prefix + "ready_backends"
    )
    return TunnelServer(
        listening=True,
        agents=int(max(gauges, default=0)),
        dial_failures=int(sum(_samples(text, prefix + "dial_failure_count"))),
        failures_by_reason=tuple(
            (reason, int(float(count)))
            for reason, count in re.findall(
                rf'^{prefix}dial_failure_count\{{reason="(\w+)"\}} (\S+)$', text, re.MULTILINE
            )
        ),
    )


def parse_config(reading: Reading) -> Mapping[str, Any]:
    """Return the ClusterConfig; keys that k0s did not know are not in it."""
    config = require_json(reading).get("ClusterConfig")
    if not isinstance(config, dict):
        raise UnreadableError(f"k0s status on {reading.where} names no ClusterConfig")
    return config


def _samples(text: str, metric: str) -> list[float]:
    pattern = re.compile(rf"^{re.escape(metric)}(?:\{{[^}}\n]*\}})? (\S+)$", re.MULTILINE)
    return [float(value) for value in pattern.findall(text)]


FLAGS = MachineProbe(
    "apiserver_flags",
    ("ps", "-C", "kube-apiserver", "-o", "args=", "-ww"),
    parse_flags,
    Asked.CONTROLLERS,
)
CLUSTER_CIDR = MachineProbe(
    "cluster_cidr",
    ("ps", "-C", "kube-controller-manager", "-o", "args=", "-ww"),
    parse_cluster_cidr,
    Asked.CONTROLLERS,
)
LISTENING = MachineProbe("listening", ("ss", "-Hltn"), parse_sockets, Asked.CONTROLLERS)
TUNNEL = MachineProbe(
    "tunnel",
    ("curl", "-sS", "--max-time", "5", f"http://127.0.0.1:{ADMIN_PORT}/metrics"),
    parse_tunnel,
    Asked.CONTROLLERS,
)
CONFIG = MachineProbe(
    "k0s_config", ("k0s", "status", "-o", "json"), parse_config, Asked.CONTROLLERS, sudo=True
)
