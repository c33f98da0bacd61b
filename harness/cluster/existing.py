"""A cluster that its owner deployed with k0sctl: the way in, from the owner's own k0sctl.yaml.

Only what is needed to look is read from the file, in k0sctl's words (v0.31 and v0.32, README
"Host Fields"); everything else in it is left alone. Nothing here changes a host or the cluster.
"""

from __future__ import annotations

import shlex
import string
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import UsageError
from harness.lab.openssh import SETTINGS
from harness.lab.remote import RemoteReader
from harness.process import Completed

KIND = "Cluster"
# k0sctl's roles, by what runs there.
CONTROLS = frozenset({"controller", "controller+worker", "single"})
WORKS = frozenset({"worker", "controller+worker", "single"})
# Where k0sctl puts it (configurer/linux.go); sudo's own PATH may lack that folder.
K0S = "/usr/local/bin/k0s"
# k0s's default; the host field `dataDir` names another.
DATA_DIR = "/var/lib/k0s"
# kubectl writes no cache below a path that cannot be a folder, and asks the API server anew.
_NO_CACHE = "/dev/null/none"


@dataclass(frozen=True)
class ExistingHost:
    """One host of the file: its role, and what to give `ssh` to reach it.

    `name` is its address, with the port where several hosts have that address.
    """

    name: str
    role: str
    ssh: tuple[str, ...]
    root: bool
    k0s: str = K0S
    data_dir: str = DATA_DIR

    @property
    def controls(self) -> bool:
        """Whether the control plane runs there."""
        return self.role in CONTROLS


def read_hosts(path: Path, environ: Mapping[str, str]) -> tuple[ExistingHost, ...]:
    """Return the hosts of a k0sctl.yaml, controllers first.

    Raises `UsageError` for a file that is none, or that has no host `ssh` can reach.
    """
    doing = f"Reading {path}"
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(doing, str(error), remedy="name the cluster's k0sctl.yaml") from None
    # k0sctl puts environment variables in before it reads the file.
    text = string.Template(text).safe_substitute(environ)
    try:
        documents = [each for each in yaml.safe_load_all(text) if isinstance(each, dict)]
    except yaml.YAMLError as error:
        raise UsageError(doing, f"this is not YAML: {error}") from None
    specs = [each for each in documents if each.get("kind") == KIND and "k0sctl" in str(each)]
    hosts = _hosts_of(specs[0]) if specs else []
    if not hosts:
        raise UsageError(
            doing,
            "there is no k0sctl cluster with hosts in it",
            remedy="name the file that was given to k0sctl apply --config",
        )
    # As k0sctl does; its empty value, which accepts any key, is not taken over.
    own_file = environ.get("SSH_KNOWN_HOSTS")
    known_hosts = ["-o", f"UserKnownHostsFile={own_file}"] if own_file else []
    ways = [_way(host, doing) for host in hosts]
    shared = Counter(str(way["address"]) for _, way in ways)
    found = [
        _host(host, kind, way, known_hosts, alone=shared[str(way["address"])] == 1)
        for host, (kind, way) in zip(hosts, ways, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: not each.controls))


class K0sKubectl:
    """kubectl as k0s brings it, run on a controller with its own admin kubeconfig."""

    def __init__(self, host: ExistingHost, remote: RemoteReader) -> None:
        self._host = host
        self._remote = remote

    def run(self, args: Sequence[str], *, doing: str, deadline: float, check: bool) -> Completed:
        """Run `k0s kubectl args` on the controller."""
        kubeconfig = f"KUBECONFIG={self._host.data_dir}/pki/admin.conf"
        argv = ["env", kubeconfig, self._host.k0s, "kubectl", "--cache-dir", _NO_CACHE, *args]
        return self._remote.run(argv, doing=doing, deadline=deadline, sudo=True, check=check)


def _hosts_of(document: Mapping[str, Any]) -> Sequence[Any]:
    spec = document.get("spec")
    hosts = spec.get("hosts") if isinstance(spec, dict) else None
    return hosts if isinstance(hosts, list) else []


def _way(host: Any, doing: str) -> tuple[str, Mapping[str, Any]]:  # noqa: ANN401  # people's YAML
    """Return the word for how k0sctl reaches the host, and the settings below it."""
    if not isinstance(host, dict):
        raise UsageError(doing, f"a host is a mapping, not {host!r}")
    for kind in _WAYS:
        settings = host.get(kind)
        if isinstance(settings, dict) and settings.get("address"):
            return kind, settings
    raise UsageError(
        doing,
        f"a host with role {host.get('role')!r} has neither ssh nor openSSH with an address",
        remedy="hosts reached by localhost or winrm are not supported",
    )


def _host(
    host: Mapping[str, Any],
    kind: str,
    way: Mapping[str, Any],
    known_hosts: Sequence[str],
    *,
    alone: bool,
) -> ExistingHost:
    destination = _destination(way, _USERS[kind])
    address = str(way["address"])
    return ExistingHost(
        # Machines behind one NAT, as Vagrant forwards them, differ by their ports alone.
        name=address if alone else f"{address}:{way.get('port') or 22}",
        role=str(host.get("role", "")),
        ssh=(*_WAYS[kind](way, known_hosts), destination),
        root=destination.startswith("root@"),
        k0s=str(host.get("k0sInstallPath") or K0S),
        data_dir=str(host.get("dataDir") or DATA_DIR).rstrip("/"),
    )


def _ssh(settings: Mapping[str, Any], known_hosts: Sequence[str]) -> Sequence[str]:
    arguments = [*known_hosts, *_port_and_key(settings)]
    if settings.get("hostKey"):
        # In place of a file that has it; %H is the name by which ssh looks it up.
        arguments += ["-o", f"KnownHostsCommand=/bin/echo %H {settings['hostKey']}"]
    bastion = settings.get("bastion")
    if isinstance(bastion, dict) and bastion.get("address"):
        way = _ssh(bastion, known_hosts)
        jump = ["ssh", *SETTINGS, *way, _destination(bastion, _USERS["ssh"])]
        # Of the command ssh replaces %h and %p, and takes %% for a percent sign.
        command = shlex.join([word.replace("%", "%%") for word in jump])
        arguments += ["-o", f"ProxyCommand={command} -W '[%h]:%p'"]
    return arguments


def _openssh(settings: Mapping[str, Any], known_hosts: Sequence[str]) -> Sequence[str]:
    arguments = [*known_hosts]
    if settings.get("configPath"):
        arguments += ["-F", str(Path(str(settings["configPath"])).expanduser())]
    arguments += _port_and_key(settings)
    options = settings.get("options")
    for name, value in (options if isinstance(options, dict) else {}).items():
        # Only YAML's own words: 1 is a number of ssh's, and equals True in Python.
        text = ("no", "yes")[value] if isinstance(value, bool) else str(value)
        arguments += ["-o", f"{name}={text}"]
    return arguments


def _port_and_key(settings: Mapping[str, Any]) -> Sequence[str]:
    port = ["-p", str(settings["port"])] if settings.get("port") else []
    key = settings.get("keyPath")
    return [*port, *(["-i", str(Path(str(key)).expanduser())] if key else [])]


def _destination(settings: Mapping[str, Any], user: str) -> str:
    user = str(settings.get("user") or user)
    return f"{user}@{settings['address']}" if user else str(settings["address"])


_WAYS = {"ssh": _ssh, "openSSH": _openssh}
# Whom k0sctl takes where the file names no user; OpenSSH decides by itself.
_USERS = {"ssh": "root", "openSSH": ""}
