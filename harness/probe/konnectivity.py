"""What there is of konnectivity beside its figures: its servers, their log, agents' own figures.

Names are those of apiserver-network-proxy v0.31.0 (cmd/server/app/options, pkg/agent/metrics) and
of k0s v1.32.3+k0s.0: a controller's lease has its konnectivity server's id as holder, is held 60 s
and renewed every few (pkg/component/controller/controllersleasecounter.go), and the number of
leases in force becomes --server-count, which tells agents how many servers to look for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.evidence.reading import Reading
from harness.k0s import AGENT_PORT
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

_SERVER = "konnectivity-server"
_LEASE = "k0s-ctrl-"
_UNIT = "k0scontroller"
# What it says of each request that finds no agent would hide the rest.
_USUAL = "Failed to get a backend|DIAL_RSP contains failure"
_LOG = f"""\
if command -v journalctl >/dev/null; then
    journalctl -u {_UNIT} -o short-unix --no-pager --since=-4min
else
    tail -q -n 4000 /var/log/{_UNIT}.err /var/log/{_UNIT}.log
fi 2>/dev/null | grep component=konnectivity | grep -vE '{_USUAL}' | tail -n 30
"""
_AGENT = "konnectivity_network_proxy_agent_"
_FIGURES = f"^{_AGENT}(open_server_connections|known_server_count) "
_HEALTH_PORT = 8093
_FIELDS = 4

_AT = re.compile(r"^(\d{10})\.\d+ ")
# Both k0s (msg="…") and klog (err="…") write quotes inside escaped.
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_MESSAGE = re.compile(rf"\bmsg={_QUOTED}")
_REFUSED = re.compile(rf'"Client authentication failed" err={_QUOTED}')
_WHO = re.compile(rf" agentID={_QUOTED}")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class ServerProcess:
    """A konnectivity server's process.

    `owned` is False where k0s runs and did not start it, None where no k0s was seen. `seconds` is
    how long it has run, `count` how many servers it tells agents to look for.
    """

    pid: int
    seconds: int
    owned: bool | None
    server_id: str = ""
    count: int | None = None
    port: int = AGENT_PORT


@dataclass(frozen=True)
class Refusal:
    """An agent that was turned away: when (0 where not known), by which address, and why."""

    at: float
    agent: str
    why: str


@dataclass(frozen=True)
class ServerLog:
    """What a controller's konnectivity server said lately, and whom it turned away."""

    lines: int
    refused: tuple[Refusal, ...]


@dataclass(frozen=True)
class AgentFigures:
    """What an agent counts: servers that it holds a connection to, and those that it knows of."""

    servers: int
    known: int | None = None


@dataclass(frozen=True)
class ControllerLease:
    """The lease of a controller: whose konnectivity server it stands for, and until when.

    `acquired` is when it was taken last, 0 where that is not known. Who gives it up leaves it
    without a holder.
    """

    name: str
    holder: str
    renewed: float
    seconds: int
    acquired: float = 0.0


def parse_processes(reading: Reading) -> tuple[ServerProcess, ...]:
    """Return the konnectivity servers that run; none is a value."""
    require_ended(reading)
    if reading.returncode and reading.stderr.strip():
        raise UnreadableError(reading.stderr.strip())
    rows = [line.split(None, _FIELDS - 1) for line in reading.stdout.splitlines()]
    rows = [row for row in rows if len(row) == _FIELDS]
    servers = [row for row in rows if row[3].split()[0].rpartition("/")[2] == _SERVER]
    k0s = {row[0] for row in rows if row not in servers}
    return tuple(_process(row, k0s) for row in servers)


def _process(row: list[str], k0s: set[str]) -> ServerProcess:
    words = row[3].split()
    flags = dict(word.lstrip("-").partition("=")[::2] for word in words if word.startswith("--"))
    count, port = flags.get("server-count", ""), flags.get("agent-port", "")
    return ServerProcess(
        pid=int(row[0]),
        seconds=int(row[2]),
        owned=row[1] in k0s if k0s else None,
        server_id=flags.get("server-id", ""),
        count=int(count) if count.isdigit() else None,
        port=int(port) if port.isdigit() else AGENT_PORT,
    )


def parse_log(reading: Reading) -> ServerLog:
    """Return whom the server turned away; a log without a line is a value."""
    require_ended(reading)
    lines = reading.stdout.splitlines()
    if not lines and reading.stderr.strip():
        raise UnreadableError(reading.stderr.strip())
    refused = []
    for line in lines:
        message = _MESSAGE.search(line)
        said = _unescaped(message.group(1)) if message is not None else line
        if (found := _REFUSED.search(said)) is not None:
            at, who = _AT.match(line), _WHO.search(said, found.end())
            refused.append(
                Refusal(
                    float(at.group(1)) if at else 0.0,
                    who.group(1) if who else "",
                    _unescaped(found.group(1)),
                )
            )
    return ServerLog(len(lines), tuple(refused))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def parse_figures(reading: Reading) -> AgentFigures:
    """Return the figures; raises `UnreadableError` where no agent runs."""
    require_ended(reading)
    found = dict(re.findall(rf"^{_AGENT}(\w+) (\d+)$", reading.stdout, re.MULTILINE))
    if "open_server_connections" not in found:
        said = reading.stderr.strip().splitlines()
        raise UnreadableError(said[-1] if said else f"no agent's figures on {reading.where}")
    known = found.get("known_server_count")
    return AgentFigures(int(found["open_server_connections"]), int(known) if known else None)


def parse_leases(reading: Reading) -> tuple[ControllerLease, ...]:
    """Return the controllers' leases, those of nodes and of k0s's own components left out."""
    return tuple(
        ControllerLease(
            item["metadata"]["name"].removeprefix(_LEASE),
            item["spec"].get("holderIdentity") or "",
            _time_of(item["spec"], "renewTime"),
            item["spec"].get("leaseDurationSeconds") or 0,
            _time_of(item["spec"], "acquireTime"),
        )
        for item in require_json(reading)["items"]
        if item["metadata"]["name"].startswith(_LEASE)
    )


def _time_of(spec: Mapping[str, Any], key: str) -> float:
    return seconds_of(spec[key]) if spec.get(key) else 0.0


def parse_connections(reading: Reading) -> frozenset[str]:
    """Return the addresses from which connections of agents are open."""
    # The columns of ss -Htn state established: two queues, local, peer.
    peers = [line.split()[3] for line in require_success(reading).splitlines()]
    return frozenset(each.rpartition(":")[0].strip("[]").removeprefix("::ffff:") for each in peers)


PROCESSES = MachineProbe(
    "konnectivity_processes",
    ("ps", "-C", f"{_SERVER},k0s", "-o", "pid=,ppid=,etimes=,args=", "-ww"),
    parse_processes,
    Asked.CONTROLLERS,
)
LOG = MachineProbe("konnectivity_log", ("sh", "-c", _LOG), parse_log, Asked.CONTROLLERS, sudo=True)
CONNECTIONS = MachineProbe(
    "konnectivity_connections",
    ("ss", "-Htn", "state", "established", f"( sport = :{AGENT_PORT} )"),
    parse_connections,
    Asked.CONTROLLERS,
)
"""Another port than k0s's default costs this one fact."""
AGENT = MachineProbe(
    "agent_figures",
    (
        "sh",
        "-c",
        (
            'nsenter -t "$(pgrep -o -x proxy-agent)" -n curl -sS --max-time 3 '
            f"http://127.0.0.1:{_HEALTH_PORT}/metrics | grep -E '{_FIGURES}'"
        ),
    ),
    parse_figures,
    Asked.WORKERS,
    sudo=True,
)
LEASES = raw_probe(
    "controller_leases",
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
    parse_leases,
)
