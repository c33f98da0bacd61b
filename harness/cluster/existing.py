"""A cluster that its owner deployed with k0sctl: the way in, from the owner's own k0sctl.yaml.

Only what is needed to look is read from the file, in k0sctl's words (v0.31 and v0.32, README
"Host Fields"); everything else in it is left alone. Nothing here changes a host or the cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import UsageError
from harness.base.process import Completed
from harness.base.untrusted import Limits
from harness.cluster.marked_yaml import Marked, read_marked
from harness.k0s import DATA_DIR
from harness.ssh.arguments import (
    MOST_BASTIONS,
    Agree,
    Arguments,
    Way,
    Word,
    arguments_of,
    refuse,
    remote_path,
)
from harness.ssh.remote import RemoteReader
from harness.vocabulary.nearest import quoted

KIND = "Cluster"
# In front of the version, `v1beta1`; k0sctl takes no file without it.
API_GROUP = "k0sctl.k0sproject.io/"
# A hundred hosts with all they can have take 100 kB and 5000 values, a ClusterConfig and a few
# charts' values in it as much again.
LIMITS = Limits("a k0sctl.yaml", most_bytes=512 * 1024)
# k0sctl's roles, by what runs there.
CONTROLS = frozenset({"controller", "controller+worker", "single"})
WORKS = frozenset({"worker", "controller+worker", "single"})
# Where k0sctl puts it (configurer/linux.go); sudo's own PATH may lack that folder.
K0S = "/usr/local/bin/k0s"
# kubectl writes no cache below a path that cannot be a folder, and asks the API server anew.
_NO_CACHE = "/dev/null/none"


@dataclass(frozen=True)
class ExistingHost:
    """One host of the file: its role, and what to give `ssh` to reach it.

    `name` is its address, with the port where several hosts have that address. `notes` say what of
    the file is not done as it says.
    """

    name: str
    role: str
    ssh: tuple[str, ...]
    root: bool
    k0s: str = K0S
    data_dir: str = DATA_DIR
    notes: tuple[str, ...] = ()

    @property
    def controls(self) -> bool:
        """Whether the control plane runs there."""
        return self.role in CONTROLS


def read_hosts(
    path: Path, environ: Mapping[str, str], *, agree: Agree = refuse
) -> tuple[ExistingHost, ...]:
    """Return the hosts of a k0sctl.yaml, controllers first.

    `agree` is asked once about everything in the file that ssh would run or load here, and raises
    `UsageError` where nobody answers for it; so does a file that is none, that has no host `ssh`
    can reach, or a value that is none, with its place.
    """
    hosts = _hosts_of(read_marked(path, environ, LIMITS))
    if not hosts:
        raise UsageError(
            f"{path}:1:1",
            "there is no k0sctl cluster with hosts in it",
            remedy="name the file that was given to k0sctl apply --config",
        )
    # As k0sctl does; its empty value, which accepts any key, is not taken over.
    known_hosts = environ.get("SSH_KNOWN_HOSTS") or None
    ways = [_way_to(host) for host in hosts]
    arguments = [arguments_of(way, known_hosts) for way in ways]
    shared = Counter(way.address.text for way in ways)
    found = [
        _host(host, way, given, alone=shared[way.address.text] == 1)
        for host, way, given in zip(hosts, ways, arguments, strict=True)
    ]
    risks = tuple(dict.fromkeys(risk for given in arguments for risk in given.risks))
    if risks:
        agree(risks)
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


def _hosts_of(documents: Sequence[Marked]) -> Sequence[Mapping[str, Marked]]:
    """Return what each host of the first cluster of k0sctl's says of itself."""
    for document in documents:
        if not document.is_mapping:
            continue
        fields = document.mapping()
        if _text(fields, "kind") == KIND and _text(fields, "apiVersion").startswith(API_GROUP):
            spec = fields["spec"].mapping() if "spec" in fields else {}
            hosts = spec["hosts"].sequence() if "hosts" in spec else ()
            return [_host_fields(each) for each in hosts]
    return ()


def _text(fields: Mapping[str, Marked], key: str) -> str:
    word = _word(fields, key)
    return "" if word is None else word.text


def _word(fields: Mapping[str, Marked], key: str) -> Word | None:
    return fields[key].word() if key in fields else None


def _host_fields(host: Marked) -> Mapping[str, Marked]:
    if not host.is_mapping:
        raise UsageError(host.place, "a host is a mapping (`key: value`), and this is none")
    fields = host.mapping()
    if _text(fields, "role") not in CONTROLS | WORKS:
        raise UsageError(
            fields["role"].place if "role" in fields else host.place,
            f"{quoted(_text(fields, 'role'))} is no role of a host",
            remedy=f"k0sctl has {', '.join(sorted(CONTROLS | WORKS))}",
        )
    return fields


def _way_to(host: Mapping[str, Marked]) -> Way:
    """Return how k0sctl reaches the host."""
    for kind, read in (("ssh", _ssh), ("openSSH", _openssh)):
        settings = host[kind].mapping() if kind in host else {}
        address = _word(settings, "address")
        if address is not None:
            return read(settings, address)
    raise UsageError(
        host["role"].place,
        "a host here has neither ssh nor openSSH with an address",
        remedy="hosts reached by localhost or winrm are not supported",
    )


def _ssh(settings: Mapping[str, Marked], address: Word, depth: int = 0) -> Way:
    if depth > MOST_BASTIONS:
        raise UsageError(address.place, f"this is behind more than {MOST_BASTIONS} bastions")
    bastion = settings["bastion"].mapping() if "bastion" in settings else {}
    at_bastion = _word(bastion, "address")
    return Way(
        address,
        # Whom k0sctl takes where the file names no user; OpenSSH decides by itself.
        default_user="root",
        user=_word(settings, "user"),
        port=_word(settings, "port"),
        key_path=_word(settings, "keyPath"),
        host_key=_word(settings, "hostKey"),
        bastion=None if at_bastion is None else _ssh(bastion, at_bastion, depth + 1),
    )


def _openssh(settings: Mapping[str, Marked], address: Word) -> Way:
    options = settings["options"].mapping() if "options" in settings else {}
    return Way(
        address,
        user=_word(settings, "user"),
        port=_word(settings, "port"),
        key_path=_word(settings, "keyPath"),
        config_path=_word(settings, "configPath"),
        options=[_option(name, value) for name, value in options.items()],
    )


def _option(name: str, value: Marked) -> tuple[Word, Word]:
    word = value.word()
    if word is None:
        raise value.refused("is an option of ssh without a value")
    # Only YAML's own words: 1 is a number of ssh's.
    truth = value.yes_or_no()
    text = word.text if truth is None else ("no", "yes")[truth]
    return Word(name, f"options.{name}", value.place), Word(text, name, value.place)


def _host(host: Mapping[str, Marked], way: Way, given: Arguments, *, alone: bool) -> ExistingHost:
    address, port = way.address.text, "22" if way.port is None else way.port.text
    k0s, data_dir = _word(host, "k0sInstallPath"), _word(host, "dataDir")
    return ExistingHost(
        # Machines behind one NAT, as Vagrant forwards them, differ by their ports alone.
        name=address if alone else f"{address}:{port}",
        role=_text(host, "role"),
        ssh=(*given.options, given.destination),
        root=given.destination.startswith("root@"),
        k0s=K0S if k0s is None else remote_path(k0s),
        data_dir=DATA_DIR if data_dir is None else remote_path(data_dir).rstrip("/"),
        notes=given.notes,
    )
