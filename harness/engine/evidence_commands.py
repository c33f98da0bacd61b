"""What is collected, as data: each piece's file, and the command whose output it is.

Every command only reads. Secret objects are never asked for, and a manifest that names one is
listed and not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.cluster.cluster import CONTROLLER_UNIT
from harness.cni import daemonsets
from harness.k0s import ADMIN_PORT, DATA_DIR

# The last of a unit's log: a whole cold start is about 3000 lines on a controller.
_LOG_LINES = "4000"
# Of one container's log, of which a node keeps up to 50 MB.
_LOG_BYTES = 300_000
# Of one generated manifest, of which a CNI's CRDs are the longest; and of all together.
_MANIFEST_BYTES = 100_000
_MANIFESTS_BYTES = 2_000_000
# Connections: a busy node has tens of thousands, and their kinds show in the first of them.
_MOST_LINES = 5000
# A konnectivity agent's own port (k0s v1.32.3, pkg/component/controller/konnectivityagent.go).
_AGENT_ADMIN_PORT = 8093

# Families of the API server's metrics that tell of its way out, of 2 MB of others.
_METRICS = re.compile(r"egress|aggregator|apiservice", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """A piece: the command, and what of its output is kept."""

    argv: tuple[str, ...]
    keep: Callable[[str], str] = str


def only_way_out(metrics: str) -> str:
    """Return the API server's metrics that tell of egress, the aggregator and APIServices."""
    return "".join(line for line in metrics.splitlines(keepends=True) if _METRICS.search(line))


def _script(text: str, *arguments: str) -> Wanted:
    return Wanted(("sh", "-c", text, "k0s-harness", *arguments))


def _of_unit(unit: str) -> Mapping[str, Wanted]:
    """Return a unit's log, and the unit itself."""
    log = ("journalctl", "-u", unit, "--no-pager", "--utc", "-o", "short-iso", "-n", _LOG_LINES)
    return {
        f"{unit}.log": Wanted(log),
        f"{unit}.service": Wanted(("systemctl", "cat", "--no-pager", unit)),
    }


# `kubectl logs` dies with the tunnel, the files on the node do not.
_POD_LOGS = f"""\
found=
for workload in "$@"; do
  for log in /var/log/pods/kube-system_"$workload"-*/*/*.log; do
    [ -f "$log" ] || continue
    found=1
    echo "=== $log"
    tail -c {_LOG_BYTES} "$log"
  done
done
[ -n "$found" ] || {{ echo "no log of $* is on this node" >&2; exit 1; }}
"""
# A word that is in every Secret's manifest, also where an escape hides it; that others name it too
# costs their text, and no more. Nothing of such a file leaves the machine.
MANIFESTS = f"""\
cd "$1/manifests" || exit 1
find . -type f | sort | while IFS= read -r file; do
  if grep -qE '(^|[^A-Za-z])Secret(List)?([^A-Za-z]|$)|\\\\[xuU][0-9A-Fa-f]' "$file"; then
    echo "=== $file: may hold a Secret, so it was not read"
  else
    echo "=== $file"
    head -c {_MANIFEST_BYTES} "$file"
    echo
  fi
done | head -c {_MANIFESTS_BYTES}
"""
_VERSIONS = """\
PATH=$PATH:/usr/local/bin:$1/bin
uname -srvm
for program in 'k0s version' 'containerd --version' 'runc --version' 'iptables --version'; do
  echo "$program: $($program 2>&1 | head -n 1)"
done
"""
_CONNTRACK = f"""\
cd /proc/sys/net/netfilter 2>/dev/null && grep . nf_conntrack_count nf_conntrack_max
if [ -r /proc/net/nf_conntrack ]; then head -n {_MOST_LINES} /proc/net/nf_conntrack
elif command -v conntrack >/dev/null; then conntrack -S
else echo 'neither /proc/net/nf_conntrack nor the program conntrack is here' >&2; exit 1; fi
"""
# The rules of iptables's older kind, which nft does not list; asking where there are none would
# load a module of the kernel.
_IPTABLES = """\
PATH=$PATH:$1/bin
[ -s /proc/net/ip_tables_names ] || { echo 'no rule of the older iptables is in use' >&2; exit 1; }
iptables-legacy-save 2>/dev/null || iptables-save
"""
# An agent is in the network of its pod, and the host's curl is lent to it.
_AGENT_METRICS = f"""\
pid=$(pgrep -o -f '^[^ ]*/proxy-agent ')
[ -n "$pid" ] || {{ echo 'no konnectivity agent runs here' >&2; exit 1; }}
exec nsenter -t "$pid" -n curl -sSf --max-time 3 http://127.0.0.1:{_AGENT_ADMIN_PORT}/metrics
"""

_EVERYWHERE: Mapping[str, Wanted] = {
    "time.txt": _script("date -u +%Y-%m-%dT%H:%M:%S.%NZ; cat /proc/uptime"),
    "os-release.txt": Wanted(("cat", "/etc/os-release")),
    "processes.txt": Wanted(("ps", "-eo", "pid,etimes,args", "-ww")),
    "addresses.txt": Wanted(("ip", "-br", "address")),
    "links.txt": Wanted(("ip", "-details", "-statistics", "link")),
    "routes.txt": Wanted(("ip", "route", "show", "table", "all")),
    "rules.txt": Wanted(("ip", "rule", "show")),
    "listening.txt": Wanted(("ss", "-Hltnp")),
    "sockets.txt": _script(f"ss -Hantp | head -n {_MOST_LINES}"),
    "conntrack.txt": _script(_CONNTRACK),
    "nftables.txt": Wanted(("nft", "list", "ruleset")),
}
_CONTROLLER: Mapping[str, Wanted] = {
    **_of_unit(CONTROLLER_UNIT),
    "k0s.yaml": Wanted(("cat", "/etc/k0s/k0s.yaml")),
    "k0s-status.json": _script("PATH=$PATH:/usr/local/bin; exec k0s status -o json"),
    "konnectivity-server-metrics.txt": Wanted(
        ("curl", "-sSf", "--max-time", "3", f"http://127.0.0.1:{ADMIN_PORT}/metrics")
    ),
}
_KUBELET: Mapping[str, Wanted] = {
    "metrics-server.log": _script(_POD_LOGS, "metrics-server"),
    "konnectivity-agent.log": _script(_POD_LOGS, "konnectivity-agent"),
    "konnectivity-agent-metrics.txt": _script(_AGENT_METRICS),
}
_WORKER = _of_unit("k0sworker")


def of_machine(role: str, data_dir: str = DATA_DIR) -> Mapping[str, Wanted]:
    """Return the pieces of a machine by their file names.

    `role` is k0sctl's word for it, `data_dir` where k0s keeps its own files there.
    """
    controls = {**_CONTROLLER, "manifests.txt": _script(MANIFESTS, data_dir)}
    network = _script(_POD_LOGS, *daemonsets(), "coredns")
    return {
        **_EVERYWHERE,
        "versions.txt": _script(_VERSIONS, data_dir),
        "iptables.txt": _script(_IPTABLES, data_dir),
        **(controls if role != "worker" else {}),
        **(_WORKER if role == "worker" else {}),
        **({**_KUBELET, "network.log": network} if role != "controller" else {}),
    }


# Each is a kubectl command line; of several kinds at once where that saves a discovery.
OF_API: Mapping[str, Wanted] = {
    "version.json": Wanted(("version", "-o", "json")),
    "nodes.json": Wanted(("get", "nodes", "-o", "json")),
    "apiservices.json": Wanted(("get", "apiservices", "-o", "json")),
    "workloads.json": Wanted(
        (
            "get",
            "pods,daemonsets,deployments,replicasets,services,endpointslices,configmaps,leases",
            "-n",
            "kube-system",
            "-o",
            "json",
        )
    ),
    "policies.json": Wanted(
        ("get", "networkpolicies,horizontalpodautoscalers", "-A", "-o", "json")
    ),
    "cluster.txt": Wanted(
        ("get", "namespaces,certificatesigningrequests", "--no-headers", "-o", "wide")
    ),
    "events.txt": Wanted(("get", "events", "-A", "--sort-by=.lastTimestamp")),
    "readyz.txt": Wanted(("get", "--raw", "/readyz?verbose")),
    "metrics.txt": Wanted(("get", "--raw", "/metrics"), keep=only_way_out),
}
