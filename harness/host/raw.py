"""What is read of a host before anything is made of it: which files, programs and questions.

A `RawHost` is a recording: written down on one machine, it is interpreted on any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base.settings import ProviderName
from harness.host import inotify as host_inotify
from harness.host import vm_facts as vms
from harness.host.texts import Answer

# Debian leaves these out of an ordinary user's PATH, and nft, dockerd and ip live there.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# Programs a lab or its set-up may need, and a file with its path; `harness.host.tools` says
# which of them and why.
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
    "libvirtd",
    "virtlogd",
    "qemu-system-x86_64",
    "qemu-img",
    "dnsmasq",
    "grub-mkimage",
    "/usr/lib/grub/i386-pc/boot.img",
    "mkfs.ext4",
    "sfdisk",
    "containerd",
    "ctr",
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
# The same for virtual machines, asked only where they are asked for.
VM_PACKAGES = (
    "vagrant",
    "vagrant-libvirt",
    "libvirt-daemon-system",
    "libvirt-clients",
    "qemu-system-x86",
    "qemu-utils",
    "dnsmasq-base",
    "virtualbox",
)
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

# The archive is asked only where one of these is missing.
ARCHIVED = {"vagrant", "docker", "mmdebstrap", "nft", "ssh", "ip", "newuidmap"}
VM_ARCHIVED: Mapping[ProviderName, set[str]] = {
    ProviderName.LIBVIRT: {
        "vagrant",
        "vagrant-libvirt",
        "virsh",
        "libvirtd",
        "qemu-system-x86_64",
        "qemu-img",
        "dnsmasq",
    },
    ProviderName.VIRTUALBOX: {"vagrant", "VBoxManage", "qemu-img"},
}
VAGRANT_COMMAND = ("vagrant", "--version")
ENGINE_COMMAND = ("docker", "info", "--format", "{{json .}}")
SUDO_COMMAND = ("sudo", "-n", "true")
ARCHIVE_COMMAND = ("apt-cache", "policy", *PACKAGES)
VM_ARCHIVE_COMMAND = ("apt-cache", "policy", *VM_PACKAGES)


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
    many inotify instances root's processes hold, None where this user cannot see it.
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
