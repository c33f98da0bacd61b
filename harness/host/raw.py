"""What is read of a host before anything is made of it: which files, programs and questions.

A `RawHost` is a recording: written down on one machine, it is interpreted on any other.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.host import inotify as host_inotify
from harness.host import vm_facts as vms
from harness.host.texts import Answer

# Debian leaves these out of an ordinary user's PATH, and nft, dockerd and ip live there.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
FILES = (
    "/etc/os-release",
    "/proc/meminfo",
    "/proc/self/status",
    "/proc/1/comm",
    "/sys/fs/cgroup/cgroup.controllers",
    host_inotify.LIMIT_FILE,
    *vms.FILES,
)
# A healthy engine answers in 0.1 s, `vagrant --version` in 0.5 s; a hung one must not hang doctor.
ANSWER_SECONDS = 20.0

VAGRANT_COMMAND = ("vagrant", "--version")
ENGINE_COMMAND = ("docker", "info", "--format", "{{json .}}")
SUDO_COMMAND = ("sudo", "-n", "true")
# Followed by names of packages.
ARCHIVE_COMMAND = ("apt-cache", "policy")


def vagrant_home(environ: Mapping[str, str]) -> Path:
    """Return where this user's Vagrant keeps its boxes and plugins."""
    return Path(environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")


@dataclass(frozen=True)
class RawHost:
    """Everything that was read, uninterpreted; `docs/architecture.md` calls this a recording.

    `files` maps a path to its text (None: not there), `programs` a name to its path (of Vagrant's
    plugin for libvirt: its gem's description, whose name has the version), `answers` a command line
    to what it said, `free_mib` a place (`docker`, `state`, `cache`, `runs`, `boxes`, `pool`) to the
    free MiB of its file system. `kvm` is whether /dev/kvm opens, `kvm_there` whether there is one,
    `kvm_access` whom it lets in, such as `crw-rw---- kvm`.
    `libvirt_uri`, `pool`, `driver` and `box_url` are the user's settings. `root_inotify` is how
    many inotify instances root's processes hold, None where this user cannot see it;
    `raises_inotify` whether this user may raise how many there may be.
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
    kvm_there: bool = False
    kvm_access: str = ""
    libvirt_uri: str = "qemu:///system"
    pool: str = "default"
    driver: str = ""
    box_url: str = ""
    root_inotify: int | None = None
    raises_inotify: bool = False

    def said(self, command: Sequence[str]) -> Answer | None:
        """Return what was said to a question, None where it was not asked."""
        return self.answers.get(shlex.join(command))

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
