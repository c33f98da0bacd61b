"""What machines' kernels and the cluster's store say of themselves, and when nodes were last heard.

An object says how things were when it was last written. While nothing can be written a node stays
Ready for ever; its Lease, which its kubelet renews every 10 s, tells how old that is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.base.untrusted import RefusedError, plain_json
from harness.evidence.reading import Reading
from harness.probe.core import (
    Asked,
    MachineProbe,
    UnreadableError,
    raw_probe,
    require_ended,
    require_json,
    require_success,
)
from harness.probe.metrics_data import seconds_of

# One line a file, `path:value`; of interfaces only what differs from what Kubernetes wants.
_KERNEL = """\
cd /proc/sys/net || exit 1
grep -Hs . ipv4/ip_forward netfilter/nf_conntrack_count netfilter/nf_conntrack_max
grep -Hsx 0 ipv4/conf/*/forwarding
grep -Hsx 1 ipv4/conf/*/rp_filter
true
"""
_OF_INTERFACE = re.compile(r"ipv4/conf/([^/]+)/(forwarding|rp_filter)")
# The kernel says so at most every 5 s, in seconds since it began.
_DROPPED = """\
cut -d ' ' -f 1 /proc/uptime
dmesg | grep 'nf_conntrack: table full' | tail -n 1
true
"""
_SINCE_BOOT = re.compile(r"\[\s*(\d+(?:\.\d+)?)\]")
# etcd is asked as kube-apiserver asks it, with the files that its arguments name. Nothing of them
# is printed. Another store than etcd has no answer of that kind.
_STORE = """\
args=$(ps -C kube-apiserver -o args= -ww | tr ' ' '\\n')
arg() { printf '%s\\n' "$args" | sed -n "s/^--etcd-$1=//p" | head -n 1; }
ca=$(arg cafile)
folder=$ca
[ -e "$folder" ] || folder=/var/lib/k0s
df -Pk "$folder"
server=$(arg servers)
server=${server%%,*}
case $server in https://*) ;; *) exit 0 ;; esac
curl -sS --max-time 5 --cacert "$ca" --cert "$(arg certfile)" --key "$(arg keyfile)" \\
  "$server/health"
"""


@dataclass(frozen=True)
class Kernel:
    """What a machine's kernel does with packets; None is what it does not have.

    `still` are interfaces that forward nothing, `strict` those that drop a packet whose sender the
    machine would answer by another interface (rp_filter 1).
    """

    forwards: bool | None
    connections: int | None = None
    most_connections: int | None = None
    still: tuple[str, ...] = ()
    strict: tuple[str, ...] = ()

    @property
    def full(self) -> bool:
        """Whether there is no room for new connections, but for those that just ended."""
        if self.connections is None or not self.most_connections:
            return False
        return self.connections >= self.most_connections - self.most_connections // 50

    @property
    def half_full(self) -> bool:
        """Whether at least half of the room for connections is taken."""
        if self.connections is None or not self.most_connections:
            return False
        return self.connections >= self.most_connections / 2


@dataclass(frozen=True)
class Store:
    """etcd as one controller sees it: `healthy` is None where it is another store, or silent.

    `reason` is etcd's own word, such as `ALARM NOSPACE`. `disk` is how full the file system of
    k0s's folder is, in per cent.
    """

    healthy: bool | None
    reason: str = ""
    disk: int | None = None

    @property
    def alarm(self) -> str:
        """The alarm that keeps etcd from writing, empty without one."""
        return self.reason.removeprefix("ALARM ") if self.reason.startswith("ALARM ") else ""


@dataclass(frozen=True)
class NodeLease:
    """When a kubelet last said that it is there, and for how many seconds that holds."""

    renewed: float
    seconds: int


def parse_kernel(reading: Reading) -> Kernel:
    """Return what the kernel does."""
    values: dict[str, str] = {}
    interfaces: dict[str, list[str]] = {"forwarding": [], "rp_filter": []}
    for line in require_success(reading).splitlines():
        path, _, value = line.rpartition(":")
        found = _OF_INTERFACE.fullmatch(path)
        if found is not None:
            interfaces[found.group(2)].append(found.group(1))
        else:
            values[path] = value
    forward = values.get("ipv4/ip_forward")
    count = values.get("netfilter/nf_conntrack_count")
    most = values.get("netfilter/nf_conntrack_max")
    return Kernel(
        forward != "0" if forward is not None else None,
        int(count) if count is not None else None,
        int(most) if most is not None else None,
        tuple(interfaces["forwarding"]),
        tuple(interfaces["rp_filter"]),
    )


def parse_dropped(reading: Reading) -> float | None:
    """Return the seconds since the kernel last dropped a packet for its full table; None: never."""
    uptime, _, said = require_success(reading).partition("\n")
    at = _SINCE_BOOT.match(said)
    # Slow machines take a second from one line to the other.
    return max(float(uptime) - float(at[1]), 0.0) if at is not None else None


def parse_store(reading: Reading) -> Store:
    """Return what etcd says; a store that says nothing is a value, too."""
    require_ended(reading)
    disk = None
    healthy: bool | None = None
    reason = ""
    for line in reading.stdout.splitlines():
        words = line.split()
        if len(words) > 5 and words[4].endswith("%") and words[4][:-1].isdigit():  # noqa: PLR2004
            disk = int(words[4][:-1])
        elif line.startswith("{"):
            said = _health(line)
            healthy, reason = said.get("health") == "true", str(said.get("reason", ""))
    if disk is None and healthy is None:
        raise UnreadableError(f"{reading.where} says neither its disk nor etcd's health")
    return Store(healthy, reason, disk)


def _health(line: str) -> Mapping[str, object]:
    try:
        said = plain_json(line)
    except RefusedError as error:
        raise UnreadableError(f"etcd's health: {error}") from None
    if not isinstance(said, dict):
        raise UnreadableError("etcd's health is no object")
    return said


def parse_leases(reading: Reading) -> Mapping[str, NodeLease]:
    """Return the Leases that belong to a Node, by the Node's name."""
    return {
        item["metadata"]["name"]: NodeLease(
            seconds_of(item["spec"]["renewTime"]), item["spec"].get("leaseDurationSeconds") or 0
        )
        for item in require_json(reading)["items"]
        if item.get("spec", {}).get("renewTime")
        and any(each.get("kind") == "Node" for each in item["metadata"].get("ownerReferences", ()))
    }


KERNEL = MachineProbe("kernel", ("sh", "-c", _KERNEL), parse_kernel, Asked.WORKERS)
DROPPED = MachineProbe(
    "connections_dropped", ("sh", "-c", _DROPPED), parse_dropped, Asked.WORKERS, sudo=True
)
STORE = MachineProbe("etcd_health", ("sh", "-c", _STORE), parse_store, Asked.CONTROLLERS, sudo=True)
LEASES = raw_probe(
    "node_leases", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", parse_leases
)
