"""What files and programs say of a host, taken apart. Pure: a text in, a value out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Numbers of linux/capability.h. Without the first two no engine can run here; without the third
# pods fail to start until containerd has restrict_oom_score_adj, which the harness always sets.
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24}


@dataclass(frozen=True)
class Answer:
    """What a program said: exit status (None when it gave no answer in time) and both streams."""

    status: int | None
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Engine:
    """The docker engine as its client sees it.

    `problem` is the client's own words where it did not answer. `cgroup` is 1 or 2; `foreign` says
    why machines of this engine could not be reached from here, or is empty.
    """

    reachable: bool
    version: str = ""
    root: str = ""
    cgroup: int | None = None
    foreign: str = ""
    problem: str = ""

    @property
    def denied(self) -> bool:
        """Whether the engine is there and this user may not talk to it."""
        return "permission denied" in self.problem


def parse_os_release(text: str) -> dict[str, str]:
    """Return the assignments of an os-release(5) file; values are quoted as in a shell."""
    values = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            words = shlex.split(value)
            values[key.strip()] = words[0] if words else ""
    return values


def parse_meminfo(text: str) -> dict[str, int]:
    """Return the amounts of /proc/meminfo in MiB; its unit is KiB."""
    found = re.findall(r"^(\w+):\s+(\d+) kB$", text, flags=re.MULTILINE)
    return {name: int(amount) // 1024 for name, amount in found}


def missing_capabilities(status: str) -> tuple[str, ...]:
    """Return the names in `CAPABILITIES` that the bounding set of /proc/self/status lacks.

    The bounding set, not the effective one: sudo and the engine's daemon get all that is in it.
    """
    found = re.search(r"^CapBnd:\s+([0-9a-f]+)$", status, flags=re.MULTILINE)
    if found is None:
        return ()
    bounding = int(found.group(1), 16)
    return tuple(name for name, bit in CAPABILITIES.items() if not bounding >> bit & 1)


def parse_version(text: str) -> tuple[int, ...] | None:
    """Return the first dotted number in `text`, such as (2, 3, 4); None where there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found.group().split(".")) if found else None


def absent_packages(policy: str, asked: Sequence[str]) -> tuple[str, ...]:
    """Return those packages of `asked` that `apt-cache policy` knows no version of.

    It does not mention a package that it has never heard of. Where it names no source at all, the
    lists were never fetched (a clean container) and nothing is known.
    """
    if not re.search(r"^ +\d+ (?!/var/lib/dpkg/status)\S+", policy, flags=re.MULTILINE):
        return ()
    here = re.findall(
        r"^(\S+):\n  Installed: .*\n  Candidate: (?!\(none\))", policy, flags=re.MULTILINE
    )
    return tuple(name for name in asked if name not in here)


def engine_from(answer: Answer | None, docker_host: str) -> Engine:
    """Interpret `docker info`: newer clients fail, older ones exit 0 with `ServerErrors` inside."""
    if answer is None:
        return Engine(reachable=False, problem="there is no docker client")
    try:
        info: dict[str, Any] = json.loads(answer.stdout)
    except ValueError:
        info = {}
    version = str(info.get("ServerVersion") or "")
    if not version:
        said = [*(info.get("ServerErrors") or []), *answer.stderr.strip().splitlines()[-1:]]
        return Engine(reachable=False, problem=said[0] if said else "docker info said nothing")
    cgroup = str(info.get("CgroupVersion") or "")
    return Engine(
        reachable=True,
        version=version,
        root=str(info.get("DockerRootDir") or ""),
        cgroup=int(cgroup) if cgroup.isdigit() else None,
        foreign=_foreign(info, docker_host),
    )


def _foreign(info: Mapping[str, Any], docker_host: str) -> str:
    """Say why this host would not reach the network of the engine's machines, or nothing."""
    if docker_host and not docker_host.startswith("unix:"):
        return f"DOCKER_HOST={docker_host} is another host"
    if "Docker Desktop" in str(info.get("OperatingSystem")):
        return "Docker Desktop runs its containers in a virtual machine of its own"
    if any("name=rootless" in str(option) for option in info.get("SecurityOptions") or []):
        return "a rootless engine keeps its networks in a namespace of its own"
    return ""
