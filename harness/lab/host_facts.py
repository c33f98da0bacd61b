"""What this host is, read once: raw texts first, then facts by pure functions.

`read_host` is the edge: it looks at files, asks programs, and changes nothing. `facts_from` turns
what it read into `HostFacts`, so that every choice and refusal in `harness.lab.host` is tested on
recordings of real hosts.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.process import Runner
from harness.settings import Settings

# Debian leaves these out of an ordinary user's PATH, and nft, dockerd and ip live there.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# Programs a lab or its set-up may need; `harness.lab.host` says which of them and why.
PROGRAMS = (
    "vagrant",
    "docker",
    "dockerd",
    "mmdebstrap",
    "nft",
    "ssh",
    "ip",
    "sudo",
    "systemctl",
    "start-stop-daemon",
    "virsh",
    "VBoxManage",
    "newuidmap",
    "apt-cache",
)
# What Debian's and Ubuntu's archives are asked for where a program is missing.
PACKAGES = (
    "vagrant",
    "docker.io",
    "docker-cli",
    "mmdebstrap",
    "nftables",
    "openssh-client",
    "iproute2",
    "uidmap",
)
FILES = (
    "/etc/os-release",
    "/proc/meminfo",
    "/proc/self/status",
    "/proc/1/comm",
    "/sys/fs/cgroup/cgroup.controllers",
)
# A healthy engine answers in 0.1 s, `vagrant --version` in 0.5 s; a hung one must not hang doctor.
ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    """What a program said: exit status (None when it gave no answer in time) and both streams."""

    status: int | None
    stdout: str
    stderr: str


@dataclass(frozen=True)
class RawHost:
    """Everything that was read, uninterpreted; `docs/architecture.md` calls this a recording.

    `files` maps a path to its text (None: not there), `programs` a name to its path, `answers` a
    command line to what it said, `free_mib` a place (`docker`, `state`, `cache`, `runs`) to the
    free MiB of its file system.
    """

    system: str
    architecture: str
    kernel: str
    cpus: int
    uid: int
    user: str
    files: Mapping[str, str | None]
    programs: Mapping[str, str]
    answers: Mapping[str, Answer]
    free_mib: Mapping[str, int]
    kvm: bool
    systemd: bool
    docker_host: str

    @classmethod
    def from_json(cls, text: str) -> RawHost:
        """Rebuild what `to_json` wrote."""
        data = json.loads(text)
        data["answers"] = {line: Answer(**said) for line, said in data["answers"].items()}
        return cls(**data)

    def to_json(self) -> str:
        """Return this recording as JSON text, several lines."""
        answers = {line: vars(said) for line, said in self.answers.items()}
        return json.dumps({**vars(self), "answers": answers}, indent=1, sort_keys=True)


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


@dataclass(frozen=True)
class HostFacts:
    """What is known of this host. Memory and disk in MiB; `release` is (ID, VERSION_ID).

    `missing_capabilities` are names of capabilities this process cannot have even as root, such as
    in a container; `sudo` is `root`, `passwordless`, `password` or `none`. `archive_lacks` are
    those of `PACKAGES` that the system's archive is known not to have.
    """

    system: str
    release: tuple[str, str]
    like: tuple[str, ...]
    name: str
    architecture: str
    kernel: str
    cpus: int
    user: str
    sudo: str
    init: str
    systemd: bool
    memory_mib: int
    available_mib: int
    free_mib: Mapping[str, int]
    cgroup: int
    kvm: bool
    missing_capabilities: tuple[str, ...]
    programs: Mapping[str, str]
    vagrant: tuple[int, ...] | None
    engine: Engine
    docker_host: str
    archive_lacks: tuple[str, ...]


# Numbers of linux/capability.h. Without the first two no engine can run here; without the third
# pods fail to start until containerd has restrict_oom_score_adj, which the harness always sets.
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24}

# The archive is asked only where one of these is missing.
_ARCHIVED = {"vagrant", "docker", "mmdebstrap", "nft", "ssh", "ip", "newuidmap"}
VAGRANT_COMMAND = ("vagrant", "--version")
ENGINE_COMMAND = ("docker", "info", "--format", "{{json .}}")
SUDO_COMMAND = ("sudo", "-n", "true")
ARCHIVE_COMMAND = ("apt-cache", "policy", *PACKAGES)


def read_host(
    runner: Runner, settings: Settings, environ: Mapping[str, str], *, versions: bool = True
) -> RawHost:
    """Read this host: files, programs on PATH, and a few short commands. Changes nothing.

    Without `versions` Vagrant is not asked for its own: it takes half a second to say it.
    """
    path = os.pathsep.join([environ.get("PATH", os.defpath), *SBIN])
    programs = {name: found for name in PROGRAMS if (found := shutil.which(name, path=path))}
    commands: list[Sequence[str]] = []
    if "vagrant" in programs and versions:
        commands.append(VAGRANT_COMMAND)
    if "docker" in programs:
        commands.append(ENGINE_COMMAND)
    if "sudo" in programs and os.getuid() != 0:
        commands.append(SUDO_COMMAND)
    if "apt-cache" in programs and not programs.keys() >= _ARCHIVED:
        commands.append(ARCHIVE_COMMAND)
    answers = {shlex.join(command): _ask(runner, command) for command in commands}
    engine = _engine(answers.get(shlex.join(ENGINE_COMMAND)), "")
    places = {
        "docker": Path(engine.root or "/var/lib/docker"),
        "state": settings.state_dir,
        "cache": settings.cache_dir,
        "runs": settings.runs_dir,
    }
    return RawHost(
        system=sys.platform,
        architecture=platform.machine(),
        kernel=platform.release(),
        cpus=os.cpu_count() or 1,
        uid=os.getuid(),
        user=_user_name(),
        files={name: _text(Path(name)) for name in FILES},
        programs=programs,
        answers=answers,
        free_mib={name: _free_mib(place) for name, place in places.items()},
        kvm=os.access("/dev/kvm", os.R_OK | os.W_OK),
        # What sd_booted(3) looks at.
        systemd=Path("/run/systemd/system").is_dir(),
        docker_host=environ.get("DOCKER_HOST", ""),
    )


def facts_from(raw: RawHost) -> HostFacts:
    """Interpret a recording; what could not be read becomes an empty or zero fact."""
    release = parse_os_release(raw.files.get("/etc/os-release") or "")
    memory = parse_meminfo(raw.files.get("/proc/meminfo") or "")
    engine = _engine(raw.answers.get(shlex.join(ENGINE_COMMAND)), raw.docker_host)
    # The unified hierarchy has this file at its root; on hybrid hosts it is one level down.
    unified = raw.files.get("/sys/fs/cgroup/cgroup.controllers") is not None
    vagrant = raw.answers.get(shlex.join(VAGRANT_COMMAND))
    sudo = raw.answers.get(shlex.join(SUDO_COMMAND))
    archive = raw.answers.get(shlex.join(ARCHIVE_COMMAND))
    return HostFacts(
        system=raw.system,
        release=(release.get("ID", ""), release.get("VERSION_ID", "")),
        like=tuple(release.get("ID_LIKE", "").split()),
        name=release.get("PRETTY_NAME", raw.system),
        architecture=raw.architecture,
        kernel=raw.kernel,
        cpus=raw.cpus,
        user=raw.user,
        sudo="root"
        if raw.uid == 0
        else "none"
        if "sudo" not in raw.programs
        else "passwordless"
        if sudo is not None and sudo.status == 0
        else "password",
        init=(raw.files.get("/proc/1/comm") or "").strip(),
        systemd=raw.systemd,
        memory_mib=memory.get("MemTotal", 0),
        available_mib=memory.get("MemAvailable", 0),
        free_mib=raw.free_mib,
        cgroup=engine.cgroup or (2 if unified else 1),
        kvm=raw.kvm,
        missing_capabilities=missing_capabilities(raw.files.get("/proc/self/status") or ""),
        programs=raw.programs,
        vagrant=parse_version(vagrant.stdout) if vagrant is not None else None,
        engine=engine,
        docker_host=raw.docker_host,
        archive_lacks=absent_packages(archive.stdout) if archive is not None else (),
    )


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


def absent_packages(policy: str) -> tuple[str, ...]:
    """Return those of `PACKAGES` that `apt-cache policy` knows no version of.

    It does not mention a package that it has never heard of. Where it names no source at all, the
    lists were never fetched (a clean container) and nothing is known.
    """
    if not re.search(r"^ +\d+ (?!/var/lib/dpkg/status)\S+", policy, flags=re.MULTILINE):
        return ()
    here = re.findall(
        r"^(\S+):\n  Installed: .*\n  Candidate: (?!\(none\))", policy, flags=re.MULTILINE
    )
    return tuple(name for name in PACKAGES if name not in here)


def _engine(answer: Answer | None, docker_host: str) -> Engine:
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


def _ask(runner: Runner, argv: Sequence[str]) -> Answer:
    try:
        # C: the words are matched; no update check may go out and hold the answer up.
        said = runner.run(
            argv,
            doing="Looking at this host",
            deadline=ANSWER_SECONDS,
            env={"LC_ALL": "C.UTF-8", "VAGRANT_CHECKPOINT_DISABLE": "1"},
            check=False,
        )
    except HarnessError as error:
        return Answer(None, "", str(error))
    return Answer(said.returncode, said.stdout, said.stderr)


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _free_mib(place: Path) -> int:
    """Return what an ordinary user may still write where `place` is or would be made."""
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return shutil.disk_usage(place).free // 2**20
    except OSError:
        return 0
