"""Cutting the connections that a firewall change is about, and looking for those still open.

A socket is closed where it is: on the machine for `input` and `output`, in its pods for `forward`.
The pods' network namespaces are entered by a process of theirs, with the machine's own tools. Of a
pod's connections with its own machine some are forwarded and others not, and the pod cannot tell:
kube-proxy masquerades who comes from outside the pod network. So all of them are closed, and those
that are opened again are not counted as left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network

from harness.changes.action import Check, Command, Step
from harness.changes.addresses import SshWay
from harness.changes.stop import Stop
from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_success
from harness.vocabulary.words import Hook, Protocol

# Where the kernel closes no sockets, each connection goes with its next packet: metrics-server asks
# kubelets, and probes ask pods, every 10 to 15 s.
LEFT_SECONDS = 16.0
# An emulated machine starts some 30 programs a second, and has up to 20 pods.
PODS_SECONDS = 30.0

# $1: where (host or pods), $2: ss's filter, the rest: ss's options.
_ON_HOST = """\
where=$1 filter=$2
shift 2
if [ "$where" = host ]; then
    exec ss -H -t -n "$@" "$filter"
fi
"""
_BUT_ITS_OWN = """\
for address in $(ip -4 -o address show | awk '{ sub("/.*", "", $4); print $4 }'); do
    filter="( $filter ) and not dst $address"
done
"""
_IN_PODS = """\
seen=" $(readlink /proc/self/ns/net) "
for file in $(grep -ls kubepods /proc/[0-9]*/cgroup); do
    process=${file%/cgroup}
    space=$(readlink "$process/ns/net") || continue
    case $seen in *" $space "*) continue ;; esac
    seen="$seen$space "
    nsenter --net="$process/ns/net" ss -H -t -n "$@" "$filter"
done
exit 0
"""
_LEFT = _ON_HOST + _BUT_ITS_OWN + _IN_PODS
_CLOSED = _ON_HOST + _IN_PODS
# $@: conntrack's arguments; a machine without it keeps its entries until they expire.
_CONNTRACK = """\
command -v conntrack >/dev/null || exit 0
exec conntrack "$@"
"""
_EVERY_SOCKET = "sport >= :0"


def cut(machine: str, stop: Stop, way: SshWay | None) -> tuple[Step, ...]:
    """Return the steps that end the connections `stop` is about.

    They spare the harness's own, and end with a look that none is left. That look has to succeed
    only where ss can tell those connections apart as the rule does.
    """
    steps: list[Step] = []
    if stop.tcp:
        kill = _argv(_CLOSED, stop, way, "-K", "state", "connected")
        steps.append(Command(machine, kill, deadline=PODS_SECONDS))
    steps += [
        # conntrack ends with 1 where nothing matched.
        Command(machine, ("sh", "-c", _CONNTRACK, "sh", *words), accept=frozenset({0, 1}))
        for words in conntrack_arguments(stop)
    ]
    if stop.tcp:
        steps.append(
            Check(
                f"no connection that was open before the rule on {machine} goes on",
                left_probe(machine, stop, way),
                _still_open,
                within=LEFT_SECONDS,
                required=stop.interface is None and stop.longer_than is None,
            )
        )
    return tuple(steps)


def left_probe(machine: str, stop: Stop, way: SshWay | None) -> Probe[tuple[str, ...]]:
    """Return the probe of the established connections that `stop` is about."""
    argv = _argv(_LEFT, stop, way, "state", "established")
    return Probe("open_connections", machine, argv, parse_left, sudo=True, deadline=PODS_SECONDS)


def parse_left(reading: Reading) -> tuple[str, ...]:
    """Return the connections, each as `local > peer`."""
    rows = [line.split() for line in require_success(reading).splitlines() if line.strip()]
    # ss leaves out the state where it was asked for one: two queues, local and peer address.
    return tuple(f"{row[-2]} > {row[-1]}" for row in rows)


def socket_filter(stop: Stop, way: SshWay | None) -> str:
    """Return ss's filter for the connections that `stop` is about, as seen by their sockets.

    In a pod either end may be the local one.
    """
    client = _end(stop, local=stop.sources, peer=stop.destinations, port="dport")
    server = _end(stop, local=stop.destinations, peer=stop.sources, port="sport")
    if stop.hook is Hook.FORWARD:
        return " or ".join(dict.fromkeys((client, server)))
    wanted = server if stop.hook is Hook.INPUT else client
    if way is None:
        return wanted
    return f"{wanted} and not ( sport = :{way.port} and dst {way.client} )"


def conntrack_arguments(stop: Stop) -> tuple[tuple[str, ...], ...]:
    """Return one argument list for each protocol whose entries are to go; none for a broad rule.

    A rule without a port or a place would take the entries of everything on the machine, SSH's too.
    """
    words: list[str] = []
    if stop.port is not None:
        # The reply's source is the pod behind a Service; the original's destination the Service.
        words += ["--orig-port-dst" if stop.service else "--reply-port-src", str(stop.port)]
    elif stop.hook is not Hook.FORWARD:
        return ()
    protocols = stop.protocols or (Protocol.TCP, Protocol.UDP)
    return tuple(
        ("-D", "--proto", protocol.value, *words, *source, *destination)
        for protocol in protocols
        for source in _each("--orig-src", stop.sources)
        for destination in _each("--orig-dst", stop.destinations)
        if words or source or destination
    )


def _argv(script: str, stop: Stop, way: SshWay | None, *options: str) -> tuple[str, ...]:
    where = "pods" if stop.hook is Hook.FORWARD else "host"
    return ("sh", "-c", script, "sh", where, socket_filter(stop, way), *options)


def _end(
    stop: Stop, *, local: Iterable[IPv4Network], peer: Iterable[IPv4Network], port: str
) -> str:
    conditions = [
        _any(f"src {each}" for each in local),
        _any(f"dst {each}" for each in peer),
        f"{port} = :{stop.port}" if stop.port is not None else "",
    ]
    return f"( {' and '.join(each for each in conditions if each) or _EVERY_SOCKET} )"


def _any(conditions: Iterable[str]) -> str:
    several = list(conditions)
    return f"( {' or '.join(several)} )" if several else ""


def _each(option: str, networks: Sequence[IPv4Network]) -> tuple[tuple[str, ...], ...]:
    return tuple((option, str(each)) for each in networks) or ((),)


def _still_open(left: tuple[str, ...]) -> str | None:
    if not left:
        return None
    return (
        f"{len(left)} still open, such as {left[0]}; a kernel without CONFIG_INET_DIAG_DESTROY"
        " closes none, then restart the pods or the service at one of their ends"
    )
