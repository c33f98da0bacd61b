"""The API server's flags, the controller's listening ports and its konnectivity server.

Ports and paths are those of k0s v1.32.3+k0s.0: egress selector pkg/component/controller/
apiserver.go:138-201; konnectivity admin 8133, agents 8132, health 8092 konnectivity.go:144-168.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.evidence.reading import Reading
from harness.probe.core import Probe, UnreadableError, require_ended, require_json, require_success

# k0s's default; `dataDir` of k0sctl's host names another.
DATA_DIR = "/var/lib/k0s"
AGENT_PORT = 8132
HEALTH_PORT = 8092
ADMIN_PORT = 8133

# Where k0s unpacks it to, below its data folder.
_PROGRAM = "/bin/kube-apiserver"
# Name of the probe of k0s's own view of its configuration.
CONFIG = "k0s_config"
# curl's status when nothing listens.
_CURL_REFUSED = 7


@dataclass(frozen=True)
class APIServerFlags:
    """What of kube-apiserver's arguments decides which way it dials, and where it says it is.

    `data_dir` is where k0s keeps its files, from which it starts it.
    """

    egress_selector: bool
    aggregator_routing: bool
    service_cidr: str
    advertised: str = ""
    data_dir: str = DATA_DIR


@dataclass(frozen=True)
class TunnelServer:
    """The konnectivity server on a controller; `agents` are the ready backend connections.

    `failures_by_reason` are the failed dials since its start, in its own words.
    """

    listening: bool
    agents: int = 0
    dial_failures: int = 0
    failures_by_reason: tuple[tuple[str, int], ...] = ()


def flags_probe(controller: str) -> Probe[APIServerFlags]:
    """Return the probe of the running kube-apiserver's arguments."""
    argv = ("ps", "-C", "kube-apiserver", "-o", "args=", "-ww")
    return Probe("apiserver_flags", controller, argv, parse_flags)


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
    )


def cluster_cidr_probe(controller: str) -> Probe[str]:
    """Return the probe of the pods' network, from kube-controller-manager's arguments."""
    argv = ("ps", "-C", "kube-controller-manager", "-o", "args=", "-ww")
    return Probe("cluster_cidr", controller, argv, parse_cluster_cidr)


def parse_cluster_cidr(reading: Reading) -> str:
    """Return the pods' CIDR; raises `UnreadableError` when no kube-controller-manager runs."""
    require_ended(reading)
    found = re.search(r"--cluster-cidr=(\S+)", reading.stdout)
    if found is None:
        raise UnreadableError(f"no kube-controller-manager with a cluster CIDR on {reading.where}")
    return found.group(1)


def sockets_probe(machine: str) -> Probe[frozenset[int]]:
    """Return the probe of the TCP ports that are listened on."""
    return Probe("listening", machine, ("ss", "-Hltn"), parse_sockets)


def parse_sockets(reading: Reading) -> frozenset[int]:
    """Return the port numbers."""
    ports = set()
    for line in require_success(reading).splitlines():
        # The columns of ss -Hltn: state, two queues, local address:port, peer address:port.
        _, _, _, local, *_ = line.split()
        ports.add(int(local.rpartition(":")[2]))
    return frozenset(ports)


def tunnel_probe(controller: str) -> Probe[TunnelServer]:
    """Return the probe of the konnectivity server's own figures."""
    url = f"http://127.0.0.1:{ADMIN_PORT}/metrics"
    return Probe("tunnel", controller, ("curl", "-sS", "--max-time", "5", url), parse_tunnel)


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


def config_probe(controller: str) -> Probe[Mapping[str, Any]]:
    """Return the probe of the ClusterConfig as k0s itself has read it."""
    argv = ("k0s", "status", "-o", "json")
    return Probe(CONFIG, controller, argv, parse_config, sudo=True)


def parse_config(reading: Reading) -> Mapping[str, Any]:
    """Return the ClusterConfig; keys that k0s did not know are not in it."""
    config = require_json(reading).get("ClusterConfig")
    if not isinstance(config, dict):
        raise UnreadableError(f"k0s status on {reading.where} names no ClusterConfig")
    return config


def _samples(text: str, metric: str) -> list[float]:
    pattern = re.compile(rf"^{re.escape(metric)}(?:\{{[^}}\n]*\}})? (\S+)$", re.MULTILINE)
    return [float(value) for value in pattern.findall(text)]
