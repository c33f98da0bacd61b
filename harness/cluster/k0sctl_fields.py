"""Every key of a k0sctl.yaml, from k0sctl v0.23 to v0.32: what it holds, and what is done with it.

The reference has it as a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto


class Kind(Enum):
    """What a value is to k0sctl."""

    # Any word: k0sctl takes a number or a truth for the text that it is written as.
    TEXT = auto()
    YES_NO = auto()
    NUMBER = auto()
    DURATION = auto()
    PERMISSION = auto()
    VERSION = auto()
    TEXTS = auto()
    TEXT_MAP = auto()
    # Anything below a mapping, in which no key stands twice.
    ANY_MAP = auto()
    HOOKS = auto()
    # Words by name, as ssh_config(5) has them.
    OPTIONS = auto()
    # `true`, or `{enabled: true}`.
    LOCALHOST = auto()


class Use(StrEnum):
    """What the harness does with a key."""

    USED = "used"
    CHECKED = "checked"
    IGNORED = "ignored"


@dataclass(frozen=True, eq=False)
class Field:
    """One key: what it holds, a mapping or (`several`) a list of them if that is a `Struct`."""

    holds: Kind | Struct
    use: Use
    why: str
    several: bool = False


@dataclass(frozen=True, eq=False)
class Struct:
    """A mapping with these keys and no others; `name` is how messages call it."""

    name: str
    fields: dict[str, Field] = field(default_factory=dict)

    def paths(self) -> Iterator[tuple[str, Field]]:
        """Yield the way to each key with its field; the keys of a bastion are `ssh`'s."""
        for name, each in self.fields.items():
            path = f"{name}[]" if each.several else name
            yield path, each
            if isinstance(each.holds, Struct) and name != "bastion":
                for below, field_below in each.holds.paths():
                    yield f"{path}.{below}", field_below


def _used(kind: Kind | Struct, why: str, *, several: bool = False) -> Field:
    return Field(kind, Use.USED, why, several)


def _checked(kind: Kind | Struct, why: str, *, several: bool = False) -> Field:
    return Field(kind, Use.CHECKED, why, several)


def _ignored(kind: Kind | Struct, why: str, *, several: bool = False) -> Field:
    return Field(kind, Use.IGNORED, why, several)


_DEPLOYING = "of deploying, and nothing is deployed"

SSH = Struct(
    "ssh",
    {
        "address": _used(Kind.TEXT, "where the host is; IPv6 without brackets"),
        "user": _used(Kind.TEXT, "`root` where it is not given"),
        "port": _used(Kind.NUMBER, "22 where it is not given, or 0"),
        "keyPath": _used(
            Kind.TEXT,
            "`~/` is the home folder, any other way begins in the working folder; no other key is"
            " offered then",
        ),
        "hostKey": _used(Kind.TEXT, "in place of known_hosts (k0sctl up to v0.31)"),
        "options": _used(
            Kind.OPTIONS,
            "options of ssh_config(5), from k0sctl v0.32 on; what could run a program here wants"
            " your word",
        ),
    },
)
SSH.fields["bastion"] = _used(SSH, "the same keys, for a host on the way; up to 8 behind another")
_OPENSSH = Struct(
    "openSSH",
    {
        "address": _used(Kind.TEXT, "a host, or a name of your ssh configuration"),
        "user": _used(Kind.TEXT, "whom your ssh configuration says, where it is not given"),
        "port": _used(Kind.NUMBER, "as your ssh configuration says, where it is not given"),
        "keyPath": _used(Kind.TEXT, "as of `ssh`"),
        "configPath": _used(Kind.TEXT, "wants your word: it can make ssh run programs"),
        "options": _used(
            Kind.OPTIONS,
            "what could run a program here wants your word; that host keys are not checked is not"
            " taken over",
        ),
        "disableMultiplexing": _ignored(
            Kind.YES_NO, "a shared connection of the harness's own is always used"
        ),
    },
)
_WINRM = Struct(
    "winRM",
    {
        "address": _used(Kind.TEXT, "names the host that is left out"),
        "user": _ignored(Kind.TEXT, "WinRM is not spoken here"),
        "port": _used(Kind.NUMBER, "5985 or 5986 where it is not given"),
        "password": _ignored(Kind.TEXT, "WinRM is not spoken here"),
        "useHTTPS": _used(Kind.YES_NO, "says which port"),
        **dict.fromkeys(("insecure", "useNTLM"), _ignored(Kind.YES_NO, "WinRM is not spoken here")),
        **dict.fromkeys(
            ("caCertPath", "certPath", "keyPath", "tlsServerName"),
            _ignored(Kind.TEXT, "WinRM is not spoken here"),
        ),
        "bastion": _ignored(SSH, "WinRM is not spoken here"),
    },
)
FILE = Struct(
    "files",
    {
        "name": _checked(Kind.TEXT, "the files themselves need not be here"),
        "src": _checked(Kind.TEXT, "this or `data`"),
        "data": _checked(Kind.TEXT, "this or `src`"),
        "dstDir": _checked(Kind.TEXT, "this or `dst`"),
        "dst": _checked(Kind.TEXT, "this or `dstDir`"),
        "perm": _checked(Kind.PERMISSION, "octal"),
        "dirPerm": _checked(Kind.PERMISSION, "octal"),
        "user": _ignored(Kind.TEXT, _DEPLOYING),
        "group": _ignored(Kind.TEXT, _DEPLOYING),
    },
)
HOST = Struct(
    "hosts",
    {
        "ssh": _used(SSH, "the way in, by OpenSSH: your agent and your configuration count"),
        "openSSH": _used(_OPENSSH, "the way in, by OpenSSH"),
        "localhost": _used(
            Kind.LOCALHOST, "this machine, without ssh: as root or with password-less sudo or doas"
        ),
        "winRM": _used(_WINRM, "the host is left out, and named"),
        "role": _used(Kind.TEXT, "a host without one is left out, and named"),
        "reset": _used(Kind.YES_NO, "a host that is to go is left out, and named"),
        "privateInterface": _ignored(Kind.TEXT, "the addresses in use are read from the cluster"),
        "privateAddress": _checked(
            Kind.TEXT, "an IP address; those in use are read from the cluster"
        ),
        "dataDir": _used(Kind.TEXT, "where k0s has its files; `--data-dir` in `installFlags` wins"),
        "kubeletRootDir": _ignored(Kind.TEXT, "nothing below it is read"),
        "environment": _checked(Kind.TEXT_MAP, _DEPLOYING),
        "uploadBinary": _checked(Kind.YES_NO, _DEPLOYING),
        "useExistingK0s": _checked(Kind.YES_NO, _DEPLOYING),
        "k0sBinaryPath": _checked(Kind.TEXT, _DEPLOYING),
        "k0sInstallPath": _used(
            Kind.TEXT,
            "the k0s that is run there as root; `/usr/local/bin/k0s` where it is not given,"
            " `/opt/bin/k0s` where that is not there",
        ),
        "k0sDownloadURL": _checked(Kind.TEXT, _DEPLOYING),
        "installFlags": _used(
            Kind.TEXTS,
            "role, data folder and disabled components; the others are read from the processes",
        ),
        "files": _checked(FILE, _DEPLOYING, several=True),
        "os": _used(Kind.TEXT, "`flatcar` has k0s in `/opt/bin/k0s`"),
        "hostname": _ignored(Kind.TEXT, "nodes are told by their addresses"),
        "noTaints": _checked(Kind.YES_NO, "for `controller+worker` alone"),
        "hooks": _checked(Kind.HOOKS, "they are not run"),
    },
)
_K0S = Struct(
    "k0s",
    {
        "version": _checked(Kind.VERSION, "the one that runs is read from the cluster"),
        "versionChannel": _checked(Kind.TEXT, "`stable` or `latest`"),
        "dynamicConfig": _checked(Kind.YES_NO, "not before k0s v1.22.2+k0s.2"),
        "config": _checked(Kind.ANY_MAP, "what is in force is read from the cluster"),
    },
)
_ENABLED = _ignored(Kind.YES_NO, _DEPLOYING)
_OPTIONS = Struct(
    "options",
    {
        "wait": _ignored(Struct("wait", {"enabled": _ENABLED}), _DEPLOYING),
        "drain": _ignored(
            Struct(
                "drain",
                {
                    "enabled": _ENABLED,
                    "gracePeriod": _ignored(Kind.DURATION, _DEPLOYING),
                    "timeout": _ignored(Kind.DURATION, _DEPLOYING),
                    "force": _ENABLED,
                    "ignoreDaemonSets": _ENABLED,
                    "deleteEmptyDirData": _ENABLED,
                    "podSelector": _ignored(Kind.TEXT, _DEPLOYING),
                    "skipWaitForDeleteTimeout": _ignored(Kind.DURATION, _DEPLOYING),
                },
            ),
            _DEPLOYING,
        ),
        "concurrency": _ignored(
            Struct(
                "concurrency",
                dict.fromkeys(
                    ("limit", "workerDisruptionPercent", "uploads"),
                    _ignored(Kind.NUMBER, _DEPLOYING),
                ),
            ),
            _DEPLOYING,
        ),
        "evictTaint": _ignored(
            Struct(
                "evictTaint",
                {
                    "enabled": _ENABLED,
                    "taint": _ignored(Kind.TEXT, _DEPLOYING),
                    "effect": _ignored(Kind.TEXT, _DEPLOYING),
                    "controllerWorkers": _ENABLED,
                },
            ),
            _DEPLOYING,
        ),
    },
)
CLUSTER = Struct(
    "the cluster",
    {
        "apiVersion": _used(Kind.TEXT, "`k0sctl.k0sproject.io/v1beta1`"),
        "kind": _used(Kind.TEXT, "`Cluster` or `cluster`, once in the file"),
        "metadata": _ignored(
            Struct(
                "metadata",
                {
                    "name": _ignored(Kind.TEXT, "names the cluster where the file has several"),
                    "user": _ignored(Kind.TEXT, "of the kubeconfig that k0sctl writes"),
                },
            ),
            "its keys are below",
        ),
        "spec": _used(
            Struct(
                "spec",
                {
                    "hosts": _used(HOST, "at least one with a control plane", several=True),
                    "k0s": _checked(_K0S, "its keys are below"),
                    "options": _ignored(_OPTIONS, _DEPLOYING),
                },
            ),
            "its keys are below",
        ),
    },
)
