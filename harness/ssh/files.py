"""The files with which every SSH client of a run finds and verifies the machines.

One known_hosts for paramiko, OpenSSH (testinfra) and k0sctl (`SSH_KNOWN_HOSTS`), with keys taken
from the machines at their creation and never from the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import untrusted
from harness.base.errors import InfrastructureError
from harness.base.own_files import folder_problem
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.base.untrusted import Limits, RefusedError
from harness.ssh.remote import Remote

USER = "vagrant"
# Where folders of sockets are, each closed to others: a name in it is by chance, so that nobody can
# be there first.
SOCKETS = Path("/tmp")  # noqa: S108
# The file in a folder of sockets that has the lab's folder.
_WHOSE = "lab"
_WHOSE_LIMITS = Limits("the name of a folder", most_bytes=4096)
# The fields of a public key's line: type and key; a comment may follow.
_KEY_FIELDS = 2
KEYGEN_SECONDS = 30.0
# A machine under load misses a few keepalives; ten dead ones are 50 s.
ALIVE_INTERVAL = 5
ALIVE_COUNT = 10
# A multiplexed connection outlives a pause between two tests, not a run.
PERSIST_SECONDS = 120


@dataclass(frozen=True)
class SshEndpoint:
    """How a machine is reached: address, port, user, and the private key's file.

    `via` is the other host that the machine is on, nothing where it is on this one: the address is
    then this host's own, and the port leads there (`harness.providers.libvirt.forwards`).
    """

    address: str
    port: int
    user: str
    key_path: Path
    via: str = ""

    @property
    def place(self) -> str:
        """The endpoint in words."""
        return f"{self.address}:{self.port} through {self.via}" if self.via else self.address


def make_key(runner: Runner, path: Path) -> str:
    """Make the run's own key pair at `path` and return the public key's line."""
    runner.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.parent.name, "-f", str(path)],
        doing="Making the run's SSH key",
        deadline=KEYGEN_SECONDS,
    )
    return path.with_suffix(".pub").read_text().strip()


def host_key(line: str, machine: str) -> str:
    """Return type and key of a machine's public host key file.

    Raises `InfrastructureError` for anything but one ed25519 key.
    """
    fields = line.split()
    if len(fields) < _KEY_FIELDS or fields[0] != "ssh-ed25519":
        raise InfrastructureError(
            f"Reading the host key of {machine}", f"this is not an ed25519 public key: {line!r}"
        )
    return " ".join(fields[:_KEY_FIELDS])


def known_hosts(keys: Mapping[str, str], endpoints: Mapping[str, SshEndpoint]) -> str:
    """Return the text of known_hosts: each machine by alias and by address."""
    lines = []
    for name, key in keys.items():
        endpoint = endpoints[name]
        address = (
            endpoint.address
            if endpoint.port == 22  # noqa: PLR2004  # the port that known_hosts leaves out
            else f"[{endpoint.address}]:{endpoint.port}"
        )
        lines.append(f"{name},{address} {key}")
    return "".join(f"{line}\n" for line in lines)


def ssh_config(
    endpoints: Mapping[str, SshEndpoint], known_hosts_path: Path, socket_dir: Path
) -> str:
    """Return an OpenSSH configuration with one alias a machine, for testinfra and for people."""
    blocks = [_block(name, endpoint) for name, endpoint in endpoints.items()]
    common = (
        "Host *",
        f'  UserKnownHostsFile "{known_hosts_path}"',
        "  GlobalKnownHostsFile /dev/null",
        "  StrictHostKeyChecking yes",
        "  HostKeyAlgorithms ssh-ed25519",
        "  IdentitiesOnly yes",
        "  IdentityAgent none",
        "  PasswordAuthentication no",
        "  BatchMode yes",
        "  LogLevel ERROR",
        "  ConnectTimeout 10",
        f"  ServerAliveInterval {ALIVE_INTERVAL}",
        f"  ServerAliveCountMax {ALIVE_COUNT}",
        "  ControlMaster auto",
        f'  ControlPath "{socket_dir}/%n"',
        f"  ControlPersist {PERSIST_SECONDS}",
    )
    return "\n\n".join([*blocks, "\n".join(common)]) + "\n"


def socket_dir(run_id: RunId) -> Path:
    """Return where the run's multiplexing sockets lie.

    Short and outside the state folder: a socket's path may have 107 bytes, and ssh adds 17 of its
    own while it makes one. Not where TMPDIR says: that may be long, and another when `clean` looks.
    """
    return SOCKETS / f"{RunId(run_id)}.ssh"


def make_socket_dir(run_id: RunId, folder: Path) -> Path:
    """Make the run's folder of sockets, closed to others, and return it; `folder` is the lab's.

    It says whose it is. One that is there already must be this lab's: raises `InfrastructureError`.
    """
    sockets = socket_dir(run_id)
    try:
        sockets.mkdir(mode=0o700)
    except FileExistsError:
        if folder_problem(sockets) is not None or not is_socket_dir_of(sockets, folder):
            raise InfrastructureError(
                "Making the folder of SSH sockets", f"{sockets} is there and is not this lab's"
            ) from None
    (sockets / _WHOSE).write_text(str(folder))
    return sockets


def is_socket_dir_of(sockets: Path, folder: Path) -> bool:
    """Return whether this user's folder of sockets says that it belongs to the lab in `folder`."""
    try:
        return untrusted.read_text(sockets / _WHOSE, _WHOSE_LIMITS, own=True) == str(folder)
    except (OSError, RefusedError):
        return False


def _block(name: str, endpoint: SshEndpoint) -> str:
    lines: Sequence[str] = (
        f"Host {name}",
        f"  HostName {endpoint.address}",
        f"  Port {endpoint.port}",
        f"  User {endpoint.user}",
        f'  IdentityFile "{endpoint.key_path}"',
        # known_hosts has the alias too, so an address that another lab had does no harm.
        f"  HostKeyAlias {name}",
    )
    return "\n".join(lines)


def lab_remotes(endpoints: Mapping[str, SshEndpoint], known_hosts: Path) -> dict[str, Remote]:
    """Return the machines of a lab by their names, with the host keys that were pinned."""
    # paramiko is a tenth of what a command costs to start, and most of them make no lab.
    from harness.ssh.client import ParamikoRemote  # noqa: PLC0415

    return {name: ParamikoRemote(name, each, known_hosts) for name, each in endpoints.items()}
