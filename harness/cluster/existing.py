"""A cluster that its owner deployed with k0sctl: the way in, from the owner's own k0sctl.yaml.

The file is read as k0sctl reads it (v0.23 to v0.32); `docs/k0sctl-yaml.md` says what of it is used.
Nothing here changes a host or the cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.completed import Completed
from harness.base.errors import UsageError
from harness.base.places import with_port
from harness.cluster.given import Given, Problem
from harness.cluster.k0sctl_checks import CONTROLS, HostSays, hosts_of, port_of, winrm_port
from harness.cluster.k0sctl_file import read_cluster_file
from harness.k0s import DATA_DIR
from harness.ssh.arguments import (
    MOST_BASTIONS,
    Agree,
    Arguments,
    Risk,
    Way,
    Word,
    arguments_of,
    refuse,
    remote_path,
)
from harness.ssh.remote import RemoteReader
from harness.vocabulary.nearest import quoted

# Where k0sctl puts it (configurer/linux.go, linux/flatcar.go); sudo's own PATH may lack the folder.
K0S = "/usr/local/bin/k0s"
FLATCAR_K0S = "/opt/bin/k0s"
# kubectl writes no cache below a path that cannot be a folder, and asks the API server anew.
_NO_CACHE = "/dev/null/none"
_KONNECTIVITY = "konnectivity-server"


@dataclass(frozen=True)
class ExistingHost:
    """One host of the file: its role, and what to give `ssh` to reach it, nothing for this machine.

    `name` is its address, with the port where several hosts have that address. k0s is at `k0s`, or
    where that is not there at `k0s_or`. `first_hop` is whom the first connection to it goes to;
    `disabled` are the components that it is told to leave out. `notes` say what of the file is not
    done as it says.
    """

    name: str
    role: str
    ssh: tuple[str, ...]
    root: bool
    k0s: str = K0S
    k0s_or: str | None = None
    data_dir: str = DATA_DIR
    first_hop: str = ""
    disabled: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def controls(self) -> bool:
        """Whether the control plane runs there."""
        return self.role in CONTROLS

    @property
    def is_here(self) -> bool:
        """Whether it is this machine, reached without ssh."""
        return not self.ssh


@dataclass(frozen=True)
class LeftOut:
    """A host of the file that is not looked at, and why."""

    name: str
    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.name} is left out: {self.why}"


@dataclass(frozen=True)
class ExistingCluster:
    """The hosts to look at, controllers first, and those of the file that are not looked at.

    `notes` say what of the file is not as its writer may think.
    """

    hosts: tuple[ExistingHost, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...] = ()

    @property
    def konnectivity(self) -> bool:
        """Whether k0s runs konnectivity by this file: not alone on one host, nor disabled."""
        return any(
            host.controls and host.role != "single" and _KONNECTIVITY not in host.disabled
            for host in self.hosts
        )


def read_cluster(
    path: Path, environ: Mapping[str, str], *, agree: Agree = refuse
) -> ExistingCluster:
    """Return the cluster of a k0sctl.yaml.

    `agree` is asked once about everything in the file that ssh would run or load here, and raises
    `UsageError` where nobody answers for it; so does a file that k0sctl refuses, one without a
    controller to look from, or a value that could not be given to ssh, each with its place.
    """
    file = read_cluster_file(path, environ)
    says = hosts_of(file.cluster, file.problems)
    # As k0sctl does; its empty value, which accepts any key, is not taken over.
    known_hosts = environ.get("SSH_KNOWN_HOSTS") or None
    found = [_look(each, known_hosts, file.problems) for each in says]
    file.require_right()
    looked = [each for each in found if isinstance(each, _Looked)]
    left_out = tuple(each for each in found if isinstance(each, LeftOut))
    if not any(each.says.controls for each in looked):
        raise UsageError(
            f"Reading {path}",
            "no host in it runs a control plane that can be looked at",
            details="\n".join(map(str, left_out)) or None,
        )
    risks = tuple(dict.fromkeys(risk for each in looked for risk in each.risks))
    if risks:
        agree(risks)
    shared = Counter(each.address for each in looked)
    hosts = [each.host(alone=shared[each.address] == 1) for each in looked]
    unset = tuple(
        f"{path}:{each.line}:1: {each.name} is not set here: nothing is put in its place, as by"
        " k0sctl"
        for each in file.unset
    )
    return ExistingCluster(
        tuple(sorted(hosts, key=lambda each: not each.controls)), left_out, unset
    )


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


@dataclass(frozen=True)
class _Looked:
    """A host that is looked at, before it is known what others there are."""

    says: HostSays
    address: str
    port: str
    arguments: Arguments | None
    paths: _Paths
    first_hop: str
    risks: tuple[Risk, ...]

    def host(self, *, alone: bool) -> ExistingHost:
        given = self.arguments
        return ExistingHost(
            # Machines behind one NAT, as Vagrant forwards them, differ by their ports alone.
            name=self.address if alone else with_port(self.address, self.port),
            role=self.says.role,
            ssh=() if given is None else (*given.options, given.destination),
            root=given is not None and given.destination.startswith("root@"),
            k0s=self.paths.k0s,
            k0s_or=self.paths.k0s_or,
            data_dir=self.paths.data_dir,
            first_hop=self.first_hop,
            disabled=self.says.flags.disabled_components,
            notes=() if given is None else given.notes,
        )


@dataclass(frozen=True)
class _Paths:
    k0s: str
    k0s_or: str | None
    data_dir: str
    risks: tuple[str, ...] = ()


def _look(
    says: HostSays, known_hosts: str | None, problems: list[Problem]
) -> _Looked | LeftOut | None:
    """Return the host, or why it is left out; None where what is wrong is added to `problems`."""
    given = says.given
    ways = [key for key in ("ssh", "openSSH", "winRM") if given.given(key) is not None]
    ways += ["localhost"] if given.yes("localhost") else []
    if len(ways) != 1:
        problems.append(_ways_problem(given, ways))
        return None
    (way,) = ways
    settings = given.given(way) or Given(given.place)
    address = settings.word("address") or Word("localhost", "localhost", given.place)
    if way != "localhost" and not settings.text("address"):
        if way != "winRM":
            problems.append(Problem(settings.place_of("address"), f"`{way}` has no `address`"))
        return None
    try:
        paths = _paths(says)
        reached = _WAYS[way](settings, address)
        why = _why_left_out(says, way, address.text)
        if why is not None:
            port = winrm_port(settings) if way == "winRM" else port_of(settings, 22)
            return LeftOut(with_port(address.text, port), given.place, why)
        if way == "localhost":
            risks = tuple(Risk(given.place, what) for what in paths.risks)
            return _Looked(says, "localhost", "", None, paths, "localhost", risks)
        arguments = arguments_of(reached, known_hosts)
    except UsageError as error:
        problems.append(Problem(error.doing, error.happened, error.remedy))
        return None
    port = "22" if reached.port is None else reached.port.text
    return _Looked(says, address.text, port, arguments, paths, _first_hop(reached), arguments.risks)


def _ways_problem(host: Given, ways: Sequence[str]) -> Problem:
    if ways:
        return Problem(host.place, f"a host has one way in, and this one has {' and '.join(ways)}")
    return Problem(
        host.place,
        "a host here has neither ssh nor openSSH, localhost or winRM",
        "k0sctl before v0.32 took this machine for it: write `localhost: {enabled: true}` for that",
    )


def _why_left_out(says: HostSays, way: str, address: str) -> str | None:
    if says.given.yes("reset"):
        return "`reset: true`, it is to go"
    if way == "winRM":
        return "it is reached by WinRM, which is not spoken here"
    if not says.role:
        return "it has no role, and k0sctl installs nothing there"
    if way == "ssh" and address.startswith("["):
        return f"k0sctl takes an IPv6 address without brackets: {quoted(address.strip('[]'))}"
    return None


def _paths(says: HostSays) -> _Paths:
    """Return where k0s is, and its files."""
    given = says.given
    install, data_dir = given.word("k0sInstallPath"), given.word("dataDir")
    flagged = says.flags.last_value("--data-dir")
    if flagged:
        place = given.words("installFlags")[0].place
        data_dir = Word(flagged, "--data-dir", place)
    k0s: str = K0S
    k0s_or: str | None = FLATCAR_K0S
    if given.text("os") == "flatcar":
        k0s, k0s_or = FLATCAR_K0S, None
    risks = []
    if install is not None:
        k0s, k0s_or = remote_path(install), None
        risks.append(f"k0sInstallPath: {k0s!r}, run on this machine as root")
    folder = DATA_DIR if data_dir is None else remote_path(data_dir).rstrip("/")
    if folder != DATA_DIR:
        risks.append(f"dataDir: {folder!r} has the kubeconfig that is used on this machine as root")
    return _Paths(k0s, k0s_or, folder, tuple(risks))


def _ssh(settings: Given, address: Word, depth: int = 0) -> Way:
    if depth > MOST_BASTIONS:
        raise UsageError(address.place, f"this is behind more than {MOST_BASTIONS} bastions")
    bastion = settings.given("bastion")
    port = settings.word("port")
    return Way(
        address,
        # Whom k0sctl takes where the file names no user; OpenSSH decides by itself.
        default_user="root",
        user=settings.word("user"),
        port=None if port is None or port.text == "0" else port,
        key_path=settings.word("keyPath"),
        host_key=settings.word("hostKey"),
        bastion=None if bastion is None else _bastion(bastion, depth + 1),
        options=settings.options("options"),
    )


def _bastion(settings: Given, depth: int) -> Way:
    address = settings.word("address")
    if address is None:
        raise UsageError(settings.place_of("address"), "`bastion` has no `address`")
    return _ssh(settings, address, depth)


def _openssh(settings: Given, address: Word) -> Way:
    return Way(
        address,
        user=settings.word("user"),
        port=settings.word("port"),
        key_path=settings.word("keyPath"),
        config_path=settings.word("configPath"),
        options=settings.options("options"),
    )


def _winrm(settings: Given, address: Word) -> Way:
    bastion = settings.given("bastion")
    return Way(address, bastion=None if bastion is None else _bastion(bastion, 1))


def _localhost(_settings: Given, address: Word) -> Way:
    return Way(address)


_WAYS: Mapping[str, Callable[[Given, Word], Way]] = {
    "ssh": _ssh,
    "openSSH": _openssh,
    "winRM": _winrm,
    "localhost": _localhost,
}


def _first_hop(way: Way) -> str:
    """Return the host that the first connection goes to."""
    while way.bastion is not None:
        way = way.bastion
    for name, value in way.options:
        if name.text.lower() == "proxyjump" and value.text.lower() != "none":
            return value.text.partition(",")[0].rpartition("@")[2]
    return way.address.text
