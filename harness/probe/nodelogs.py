"""Logs of pods, read from the node's own files: `kubectl logs` dies with the tunnel.

Paths are the kubelet's: /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log, lines in the form of CRI.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from harness.evidence.reading import Reading
from harness.probe.core import Asked, MachineProbe, UnreadableError, require_ended

# metrics-server logs a line for each scrape that fails (one a node every 15 s) and for each failed
# readiness probe; the last minutes fit in this.
LINES = "60"
_METRICS_SERVER = "/var/log/pods/kube-system_metrics-server-*/*/*.log"
_AGENT = "/var/log/pods/kube-system_konnectivity-agent-*/*/*.log"
# The agent logs every packet (k0s runs it with v=4). These lines say how it fares: they are in
# apiserver-network-proxy v0.31.0, pkg/agent/clientset.go and client.go.
_CONNECTED = "Connect to server"
_AGENT_SAYS = f"cannot connect once|error dialing backend|{_CONNECTED}|panic|[Cc]onnection lost"

_CRI_LINE = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z std(?:err|out) [FP] (.*)$")
# klog writes err="…" with quotes inside escaped.
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_SCRAPE = re.compile(rf'"Failed to scrape node[^"]*" err={_QUOTED} node={_QUOTED}')
_CANNOT_CONNECT = re.compile(rf'"cannot connect once" err(?:or)?={_QUOTED}')
_DIAL_FAILED = re.compile(rf'"error dialing backend" err(?:or)?={_QUOTED}')
# Looked for behind it: one pattern for both takes minutes for a line that repeats the first.
_DIALLED = re.compile(rf" dialAddress={_QUOTED}")


@dataclass(frozen=True)
class Line:
    """One line of a log: seconds since 1970 by the machine's own clock, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Failure:
    """One failed scrape or dial: when by the machine's clock, of what, and why."""

    at: float
    target: str
    why: str


@dataclass(frozen=True)
class MetricsServerLog:
    """The last lines of metrics-server's log on one machine; none where it does not run."""

    lines: tuple[Line, ...]
    scrapes: tuple[Failure, ...]


@dataclass(frozen=True)
class AgentLog:
    """What the konnectivity agent of one machine says: connecting to the server, dialling."""

    lines: tuple[Line, ...]
    connecting: tuple[Failure, ...]
    dialling: tuple[Failure, ...]

    @property
    def connected(self) -> float:
        """When it last found a server, seconds since the epoch; 0 where its log does not say."""
        return max((line.at for line in self.lines if _CONNECTED in line.text), default=0.0)

    @property
    def cannot_connect(self) -> Failure | None:
        """The last connection that failed, None where it has found a server since."""
        last = next(iter(self.connecting[-1:]), None)
        return last if last is not None and last.at > self.connected else None


def parse_metrics_server(reading: Reading) -> MetricsServerLog:
    """Return the lines and the scrapes that failed; no log is a value."""
    lines = _lines(reading)
    scrapes = [
        Failure(line.at, found.group(2), _unquoted(found.group(1)))
        for line in lines
        if (found := _SCRAPE.search(line.text)) is not None
    ]
    return MetricsServerLog(lines, tuple(scrapes))


def parse_agent(reading: Reading) -> AgentLog:
    """Return what the agent said; no log is a value."""
    lines = _lines(reading)
    connecting = []
    dialling = []
    for line in lines:
        if (found := _CANNOT_CONNECT.search(line.text)) is not None:
            connecting.append(Failure(line.at, "", _unquoted(found.group(1))))
        elif (found := _DIAL_FAILED.search(line.text)) is not None:
            dialled = _DIALLED.search(line.text, found.end())
            if dialled is not None:
                dialling.append(Failure(line.at, dialled.group(1), _unquoted(found.group(1))))
    return AgentLog(lines, tuple(connecting), tuple(dialling))


def _lines(reading: Reading) -> tuple[Line, ...]:
    require_ended(reading)
    if reading.returncode != 0 and "No such file" not in reading.stderr:
        raise UnreadableError(reading.stderr.strip() or f"{reading.argv[0]} failed")
    found = []
    for raw in reading.stdout.splitlines():
        match = _CRI_LINE.match(raw)
        if match is not None:
            at = datetime.fromisoformat(f"{match.group(1)}+00:00").timestamp()
            found.append(Line(at, match.group(2)))
    return tuple(sorted(found, key=lambda line: line.at))


def _unquoted(text: str) -> str:
    return text.replace('\\"', '"').replace("\\\\", "\\")


METRICS_SERVER = MachineProbe(
    "metrics_server_log",
    ("sh", "-c", f"tail -q -n {LINES} {_METRICS_SERVER}"),
    parse_metrics_server,
    Asked.WORKERS,
    sudo=True,
)
AGENT = MachineProbe(
    "agent_log",
    ("sh", "-c", f"grep -hE '{_AGENT_SAYS}' {_AGENT} | tail -n 30"),
    parse_agent,
    Asked.WORKERS,
    sudo=True,
)
