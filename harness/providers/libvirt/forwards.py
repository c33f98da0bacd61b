"""The way to machines on another host: one SSH connection a lab, and a local port for each of them.

The addresses of machines at `qemu+ssh://` are reached from their own host only. OpenSSH connects to
that host as its user's configuration says (agent, keys, jump hosts) and listens on 127.0.0.1 for
each machine. So paramiko, OpenSSH, k0sctl and kubectl know of an address and a port, as anywhere
else, and none of them needs a proxy of its own kind. The connection is the lab's own: it is found
by the lab's mark and its control socket, and ends with the lab.
"""

from __future__ import annotations

import shlex
import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import HostLacksError, InfrastructureError
from harness.base.process import Runner
from harness.base.sayings import told
from harness.base.sayings.row import Of
from harness.base.telling import telling_sentence
from harness.host import subnets

# The control socket's name in the lab's folder of sockets; no machine is called that.
SOCKET = "libvirt-host"
LISTEN = "127.0.0.1"
# The port is closed on purpose: "refused" proves that the host would have connected.
_CLOSED_PORT = 1

_ANSWERS = 2

# As long as the check of the host waits for virsh, which goes the same way.
CONNECT_SECONDS = 20
# A message to a process on this host.
CONTROL_SECONDS = 10.0
# A machine that swaps misses a few; after a minute the connection is taken for dead.
ALIVE = ("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6")
# Between choosing a free port and listening on it another program may take it.
PORT_ATTEMPTS = 5


class Forwards:
    """Local ports that lead to machines of the host in `uri`, through one connection.

    `folder` is the lab's folder of control sockets, `mark` the variables by which `clean` finds
    what a run started.
    """

    def __init__(self, uri: str, *, folder: Path, mark: Mapping[str, str], runner: Runner) -> None:
        self._login = login(uri)
        self._host = urlsplit(uri).hostname or ""
        self._socket = folder / SOCKET
        self._mark = mark
        self._runner = runner

    def open(self) -> None:
        """Connect to the host; the connection stays, in the background.

        Raises `HostLacksError` with ssh's reason.
        """
        done = self._ssh(
            # Whatever else the user's configuration does on a connection to that host, this one
            # does not: it leaves no key in known_hosts, and forwards what is asked for below only.
            *("-f", "-N", "-M", "-S", str(self._socket)),
            *("-o", "ControlPersist=no", "-o", "ClearAllForwardings=yes"),
            *("-o", "PermitLocalCommand=no", *ALIVE, *self._login),
        )
        if not done.ok:
            raise HostLacksError(
                self._doing, _why(done), remedy=f"{self._typed} shows whether it can now"
            )

    def check(self, network: IPv4Network) -> None:
        """Raise `HostLacksError` where the host's sshd forwards nothing into `network`."""
        gateway = subnets.gateway(network)
        done = self._ssh(
            # A connection of its own: an error of a shared one is told to its master.
            *("-o", "ControlPath=none", "-o", "ClearAllForwardings=yes"),
            *("-W", f"{gateway}:{_CLOSED_PORT}", *self._login),
        )
        if "administratively prohibited" in done.stderr:
            raise HostLacksError(
                self._doing,
                f"its SSH server forwards no connections to {network}",
                remedy=f"on {self._host}: AllowTcpForwarding yes (or local) in sshd_config",
            )

    def forward(self, address: str, port: int) -> int:
        """Return a local port that leads to `address:port` from now on."""
        for _ in range(PORT_ATTEMPTS):
            local = _free_port()
            if self._listen(local, address, port).ok:
                return local
        raise InfrastructureError(self._doing, "no local port could be listened on")

    def restore(self, ways: Mapping[int, tuple[str, int]]) -> None:
        """Make sure that local ports lead where they led: the connection may have been lost.

        `ways` has an address and a port for each. Raises a `HarnessError` where they cannot.
        """
        if self._control("check").ok:
            return
        self.open()
        for local, (address, port) in ways.items():
            done = self._listen(local, address, port)
            if not done.ok:
                raise InfrastructureError(
                    self._doing, f"the local port {local} is taken: {_why(done)}"
                )

    @property
    def _doing(self) -> str:
        return f"Opening the way to the machines on {self._host}"

    @property
    def _typed(self) -> str:
        return f"ssh {shlex.join(self._login)} true"

    def _listen(self, local: int, address: str, port: int) -> Completed:
        return self._control("forward", "-L", f"{LISTEN}:{local}:{address}:{port}")

    def _control(self, command: str, *arguments: str) -> Completed:
        return self._runner.run(
            # The last word is a host that ssh wants and, with a control socket, does not ask.
            ["ssh", "-F", "none", "-S", str(self._socket), "-O", command, *arguments, "lab"],
            doing=self._doing,
            deadline=CONTROL_SECONDS,
            check=False,
        )

    def _ssh(self, *arguments: str) -> Completed:
        return ask(self._runner, arguments, doing=self._doing, mark=self._mark)


def login(uri: str) -> tuple[str, ...]:
    """Return what ssh is told to get to the host in a libvirt URI, the host last.

    The URI's own words are libvirt's for `qemu+ssh` (libvirt.org/uri.html): user, port, `keyfile`
    and `no_verify`.
    """
    parts = urlsplit(uri)
    words = parse_qs(parts.query)
    options: list[str] = []
    if parts.port:
        options += ["-p", str(parts.port)]
    if parts.username:
        options += ["-l", unquote(parts.username)]
    if "keyfile" in words:
        options += ["-i", words["keyfile"][0]]
    if words.get("no_verify", ["0"])[0] not in {"", "0"}:
        options += ["-o", "StrictHostKeyChecking=no"]
    return (*options, parts.hostname or "")


def networks_of(uri: str, runner: Runner) -> tuple[IPv4Network, ...]:
    """Return what the interfaces and routes of the host in `uri` use, default routes left out.

    Raises `HostLacksError` where the host does not say.
    """
    host = urlsplit(uri).hostname or ""
    doing = f"Reading the addresses and routes of {host}"
    # In one connection, which costs more than both answers; each is one line.
    command = f"{shlex.join(subnets.ADDRESSES)} && {shlex.join(subnets.ROUTES)}"
    done = ask(runner, ("-o", "ControlPath=none", "-T", *login(uri), command), doing=doing)
    said = done.stdout.splitlines()
    if not done.ok or len(said) != _ANSWERS:
        raise HostLacksError(
            doing,
            _why(done),
            remedy=f"{shlex.join(['ssh', *login(uri), *subnets.ADDRESSES])} must work",
        )
    addresses, routes = said
    return (*subnets.parse_addresses(addresses), *subnets.parse_routes(routes))


def ask(
    runner: Runner, arguments: Sequence[str], *, doing: str, mark: Mapping[str, str] | None = None
) -> Completed:
    """Run ssh, which asks nothing on a terminal or in a window and changes no known_hosts.

    Raises `HostLacksError` past the deadline: a host that is away says nothing at all.
    """
    try:
        return runner.run(
            [
                "ssh",
                *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS // 2}"),
                *("-o", "UpdateHostKeys=no", *arguments),
            ],
            doing=doing,
            deadline=CONNECT_SECONDS,
            env={**(mark or {}), "SSH_ASKPASS_REQUIRE": "never"},
            check=False,
        )
    except CommandFailedError as late:
        raise HostLacksError(
            doing,
            f"no answer within {CONNECT_SECONDS}s",
            remedy="k0s-harness doctor looks at that host",
        ) from late


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LISTEN, 0))
        port: int = probe.getsockname()[1]
        return port


def _why(done: Completed) -> str:
    """Return why ssh did not do it: what its words come to, else the most telling of them."""
    known = told(done.stderr, Of.SSH)
    if known is not None:
        return f"{known.happened} ({known.remedy})"
    return telling_sentence(done.stderr) or f"ssh ended with {done.returncode} without a word"
