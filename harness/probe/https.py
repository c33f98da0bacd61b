"""HTTPS requests from a machine and from its pods: health, and requests that fill their packets.

What a pod reaches is asked from its network namespace, with the machine's own curl: a firewall may
treat pods and their machine differently, and nothing is made in the cluster for it. curl is used
with -k: metrics-server signs its own certificate, and what is asked is the network.
A TCP connection is opened by packets of 60 bytes; only what follows shows that large ones are lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.base.places import with_port
from harness.evidence.reading import Reading
from harness.probe.core import Probe, TargetProbe, UnreadableError, require_ended

# As long as the aggregator waits.
SECONDS = 5
# What starting curl and the way there took at most where machines had their time: 0.6 s in all
# recordings. Two emulated workers that had none took 2.2 to 11.8 s, of 5 s that are curl's own; it
# then gave up TLS that was under way, as where full-size packets are lost (20261123-234312-dfc0).
LATE_SECONDS = 1.5
# Several full packets of any Ethernet, far below what Go's server takes as header (1 MiB).
FILL_BYTES = 8000
# A connection has a local port; curl 7.88 gives no time of it while TLS is under way.
_WRITE = r"%{http_code} %{local_port} %{time_appconnect}\n"
# curl's statuses for programs that are not there are the shell's.
_NO_CURL = 127
_CANNOT_CONNECT = 7
_TIMED_OUT = 28
_CODE = re.compile(r"(?:^|\s|\n)(\d{3})$")
_OK = 200
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOTHING = "000"


@dataclass(frozen=True)
class Health:
    """What metrics-server answers on its own node: the statuses of /livez and /readyz, 0 for none.

    `failing` are the checks that /readyz names as failed.
    """

    livez: int
    readyz: int
    failing: tuple[str, ...]
    text: str

    @property
    def serves(self) -> bool:
        """Whether /livez says that it lives."""
        return self.livez == _OK


@dataclass(frozen=True)
class Payload:
    """How a request of several full packets fared: TCP connected, TLS up, answered.

    `refused` is a connection that was turned down rather than lost.
    """

    machine: str
    target: str
    connected: bool
    tls: bool
    answered: bool
    text: str
    refused: bool = False


def parse_health(reading: Reading) -> Health:
    """Return both statuses; that nothing answers is a value.

    Raises `UnreadableError` where the machine was too busy for that to say anything.
    """
    _require_curl(reading)
    codes: list[int] = []
    failing: list[str] = []
    for line in reading.stdout.splitlines():
        if line.startswith("[-]"):
            failing.append(line[3:].split()[0])
        if (found := _CODE.search(line)) is not None:
            codes.append(int(found.group(1)))
    livez, readyz, *_ = (*codes, 0, 0)
    _require_in_time(reading, (livez, readyz).count(0))
    return Health(livez, readyz, tuple(failing), _said(reading))


def parse_payload(reading: Reading) -> Payload:
    """Return how far the request came.

    Raises `UnreadableError` where the machine was too busy for a missing answer to say anything.
    """
    _require_curl(reading)
    _require_in_time(reading, 1)
    target = reading.probe.partition(":")[2]
    words = reading.stdout.split()
    if len(words) < 3:  # noqa: PLR2004  # the three of _WRITE
        raise UnreadableError(f"curl on {reading.where} printed no figures: {_said(reading)}")
    code, port, tls = words[:3]
    return Payload(
        reading.where,
        target,
        connected=int(port) > 0,
        tls=float(tls) > 0,
        answered=code != _NOTHING,
        text=_said(reading) or f"HTTP {code}",
        refused=reading.returncode == _CANNOT_CONNECT,
    )


def timed_out(reading: Reading) -> bool:
    """Whether a request got no answer in time, on a machine that had time for it or had none."""
    return reading.returncode == _TIMED_OUT


def _require_curl(reading: Reading) -> None:
    require_ended(reading)
    if reading.returncode == _NO_CURL or "curl: not found" in reading.stderr:
        raise UnreadableError(f"there is no curl on {reading.where}")


def _require_in_time(reading: Reading, requests: int) -> None:
    """Raise `UnreadableError` when `requests` timed out on a machine that had no time for them."""
    bound = requests * SECONDS
    if reading.returncode == _TIMED_OUT and reading.duration > bound + LATE_SECONDS:
        raise UnreadableError(
            f"{reading.where} is too busy to tell: curl took {reading.duration:.0f} s there, "
            f"{bound} s of them its own"
        )


def _said(reading: Reading) -> str:
    lines = reading.stderr.strip().splitlines()
    return lines[-1] if lines else ""


HEALTH = TargetProbe("health", parse_health, deadline=2.0 * SECONDS + 2)
"""metrics-server, from its own node."""
PAYLOAD = TargetProbe("payload", parse_payload, deadline=SECONDS + 3.0)
"""metrics-server, from a machine."""
AGENT_PAYLOAD = TargetProbe("agent_payload", parse_payload, sudo=True, deadline=SECONDS + 3.0)
"""metrics-server, from a worker's konnectivity agent."""
AGENT_SERVER = TargetProbe("agent_server", parse_payload, sudo=True, deadline=SECONDS + 3.0)
"""The konnectivity server, from a worker's konnectivity agent."""
KUBELET = TargetProbe("kubelet", parse_payload, sudo=True, deadline=SECONDS + 3.0)
"""A kubelet, from metrics-server's pod."""
# Whose network namespace a request is sent from.
_PROGRAMS = {AGENT_PAYLOAD: "proxy-agent", AGENT_SERVER: "proxy-agent", KUBELET: "metrics-server"}


def health_look(machine: str, address: str, port: int) -> Probe[Health]:
    """Return the look at /livez and /readyz of the pod `address`."""
    place = f"https://{with_port(address, port)}"
    argv = (
        *("curl", "-sSk", "--max-time", str(SECONDS), "-w", r" %{http_code}\n"),
        *(f"{place}/livez", f"{place}/readyz"),
    )
    return HEALTH.on(machine, address, argv)


def look(
    probe: TargetProbe[Payload], machine: str, address: str, port: int, *, uid: str = ""
) -> Probe[Payload]:
    """Return the look of `probe`, a request of several full packets, at `address:port`.

    It is sent from the network namespace of the pod `uid`, or else of the program's that is known.
    """
    target = with_port(address, port)
    fill = f"$(head -c {FILL_BYTES} /dev/zero | tr '\\0' x)"
    request = (
        f"curl -sSk --max-time {SECONDS} -o /dev/null -w '{_WRITE}' "
        f'-H "X-Fill: {fill}" https://{target}/livez'
    )
    if _UID.fullmatch(uid):
        # As the kubelet's two cgroup drivers write it.
        pod = f"pod({uid}|{uid.replace('-', '_')})"
        first = f"grep -lE '{pod}' /proc/[0-9]*/cgroup | head -n 1 | cut -d/ -f3"
        request = f'nsenter -t "$({first})" -n {request}'
    elif probe in _PROGRAMS:
        request = f'nsenter -t "$(pgrep -o -x {_PROGRAMS[probe]})" -n {request}'
    return probe.on(machine, target, ("sh", "-c", request))
