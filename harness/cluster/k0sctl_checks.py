"""What k0sctl checks of a cluster once its k0sctl.yaml is read, and refuses it for.

Of a file with one host k0sctl checks next to nothing of the host; so is it here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from harness.cluster.given import Given, Problem
from harness.cluster.install_flags import InstallFlags
from harness.vocabulary.nearest import nearest, quoted

CONTROLS = frozenset({"controller", "controller+worker", "single"})
WORKS = frozenset({"worker", "controller+worker", "single"})
ROLES = ("controller", "worker", "controller+worker", "single")
_MOST_PORT = 65535
_OLDEST_K0S = (0, 11, 0)
_OLDEST_DYNAMIC = (1, 22, 2)
# A name of this many letters WinRM takes for none.
_SHORT_USER = 2


@dataclass(frozen=True)
class HostSays:
    """One host of the file, with what its `installFlags` change of it."""

    given: Given
    flags: InstallFlags
    role: str

    @property
    def controls(self) -> bool:
        """Whether the control plane runs there."""
        return self.role in CONTROLS


def hosts_of(cluster: Given, problems: list[Problem]) -> list[HostSays]:
    """Return the hosts of the cluster, and add what k0sctl refuses to `problems`."""
    spec = cluster.given("spec") or cluster
    hosts = [_host(each) for each in spec.all("hosts")]
    problems += _hosts_problems(hosts, spec)
    k0s = spec.given("k0s")
    if k0s is not None:
        problems += _k0s_problems(k0s)
    return hosts


def port_of(host: Given, default: int) -> str:
    """Return the port of a way in; k0sctl takes 0 for none given."""
    text = host.text("port")
    return str(default) if text in {"", "0"} else text


def winrm_port(winrm: Given) -> str:
    """Return the port of a WinRM host: another one where it speaks HTTPS."""
    port = port_of(winrm, 5985)
    return "5986" if port == "5985" and winrm.yes("useHTTPS") else port


def _host(given: Given) -> HostSays:
    flags = InstallFlags([word.text for word in given.words("installFlags")])
    role = given.text("role")
    if flags.says("--single"):
        role = "single"
    if flags.says("--enable-worker"):
        role = "controller+worker"
    return HostSays(given, flags, role)


def _hosts_problems(hosts: Sequence[HostSays], spec: Given) -> Iterator[Problem]:
    if not hosts:
        yield Problem(
            spec.place_of("hosts"),
            "there is no k0sctl cluster with hosts in it: `spec.hosts` lists none",
            "name the file that was given to k0sctl apply --config",
        )
        return
    for file in (each for host in hosts for each in host.given.all("files")):
        if not file.text("src") and not file.text("data").strip():
            yield Problem(file.place, "an item of `files` has `src` or `data`")
    if len(hosts) > 1:
        seen: dict[str, str] = {}
        for host in hosts:
            yield from _host_problems(host)
            name = _name(host.given)
            if name in seen and name:
                yield Problem(host.given.place, f"the host {name} is at {seen[name]} already")
            seen.setdefault(name, host.given.place)
    elif hosts[0].role and hosts[0].role not in ROLES:
        yield _no_role(hosts[0])
    if not any(host.controls for host in hosts) and all(
        host.role in {*ROLES, ""} for host in hosts
    ):
        yield Problem(
            spec.place_of("hosts"),
            f"no host here has a control plane; roles with one: {', '.join(sorted(CONTROLS))}",
        )


def _no_role(host: HostSays) -> Problem:
    return Problem(
        host.given.place_of("role"),
        f"{quoted(host.role)} is no role of a host{nearest(host.role, ROLES)}",
    )


def _host_problems(host: HostSays) -> Iterator[Problem]:
    given = host.given
    yield from _role_problems(host)
    private = given.text("privateAddress")
    if private and not _is_address(private):
        place = given.place_of("privateAddress")
        yield Problem(place, f"`privateAddress` is no IP address: {quoted(private)}")
    items = given.words("installFlags")
    for number in host.flags.unbalanced():
        yield Problem(items[number].place, f"the quotes do not match: {quoted(items[number].text)}")
    for file in given.all("files"):
        yield from _file_problems(file)
    for key in ("uploadBinary", "k0sBinaryPath", "k0sDownloadURL"):
        if given.yes("useExistingK0s") and (given.yes(key) or given.text(key)):
            yield Problem(given.place_of(key), f"`{key}` does not go with `useExistingK0s`")
    winrm = given.given("winRM")
    if winrm is not None:
        yield from _winrm_problems(winrm)


def _role_problems(host: HostSays) -> Iterator[Problem]:
    given = host.given
    if host.role and host.role not in ROLES:
        yield _no_role(host)
    if host.role == "single":
        yield Problem(given.place_of("role"), "`single` is the role of a cluster's only host")
    taints = given.yes("noTaints") or host.flags.says("--no-taints")
    if taints and host.role != "controller+worker":
        yield Problem(given.place_of("noTaints"), "`noTaints` is for `controller+worker` alone")


def _file_problems(file: Given) -> Iterator[Problem]:
    data = bool(file.text("data").strip())
    if not file.text("dst") and not file.text("dstDir"):
        yield Problem(file.place, "an item of `files` has `dst` or `dstDir`")
    elif data and not file.text("name") and not file.text("dst"):
        yield Problem(file.place, "an item of `files` with `data` has `name` or `dst`")


def _winrm_problems(winrm: Given) -> Iterator[Problem]:
    if not winrm.text("address"):
        yield Problem(winrm.place_of("address"), "`winRM` has no `address`")
    user = winrm.word("user")
    if user is not None and len(user.text) <= _SHORT_USER:
        yield Problem(user.place, f"`user` of `winRM` is too short: {quoted(user.text)}")
    port = int(winrm_port(winrm))
    if not 0 < port <= _MOST_PORT:
        yield Problem(winrm.place_of("port"), f"`port` is no port from 1 to {_MOST_PORT}")


def _name(host: Given) -> str:
    """Return how k0sctl calls a host, of which no other may be called so."""
    for way in ("ssh", "openSSH", "winRM"):
        given = host.given(way)
        if given is not None and given.text("address"):
            port = winrm_port(given) if way == "winRM" else port_of(given, 22)
            if way == "openSSH":
                port = given.text("port") or "the port of ssh's configuration"
            user = f"{given.text('user')}@" if way == "openSSH" and given.text("user") else ""
            return f"{user}{given.text('address')}:{port} ({way})"
    return "localhost" if host.yes("localhost") else ""


def _k0s_problems(k0s: Given) -> Iterator[Problem]:
    version = k0s.word("version")
    numbers = () if version is None else tuple(map(int, re.findall(r"\d+", version.text)[:3]))
    numbers += (0,) * (3 - len(numbers))
    if version is not None and any(numbers) and numbers < _OLDEST_K0S:
        yield Problem(version.place, f"k0sctl takes no k0s before v0.11: {quoted(version.text)}")
    if k0s.yes("dynamicConfig") and any(numbers) and numbers < _OLDEST_DYNAMIC:
        yield Problem(
            k0s.place_of("dynamicConfig"), "`dynamicConfig` begins with k0s v1.22.2+k0s.2"
        )
    channel = k0s.word("versionChannel")
    if channel is not None and channel.text not in {"stable", "latest"}:
        near = nearest(channel.text, ("stable", "latest"))
        yield Problem(channel.place, f"{quoted(channel.text)} is no `versionChannel`{near}")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text
