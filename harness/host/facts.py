"""What this host is: facts, by pure functions from what `harness.host.read` read.

So every choice and refusal in `harness.preflight` is tested on recordings of real hosts.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from harness.base.settings import Driver
from harness.host import inotify as host_inotify
from harness.host import vm_facts as vms
from harness.host.raw import (
    ARCHIVE_COMMAND,
    ENGINE_COMMAND,
    SUDO_COMMAND,
    VAGRANT_COMMAND,
    RawHost,
)
from harness.host.texts import (
    Engine,
    absent_packages,
    engine_from,
    missing_capabilities,
    parse_meminfo,
    parse_os_release,
    parse_version,
)
from harness.host.vm_facts import Kvm, Libvirt


@dataclass(frozen=True)
class HostFacts:
    """What is known of this host. Memory and disk in MiB; `release` is (ID, VERSION_ID).

    `missing_capabilities` are names of capabilities this process cannot have even as root, such as
    in a container; `sudo` is `root`, `passwordless`, `password` or `none`. `archive_lacks` are
    those packages that the system's archive is known not to have. `plugin` is the version of
    vagrant-libvirt, empty where there is none; `host_only` are the networks that VirtualBox allows.
    `free_inotify` is how many inotify instances root may still have, None where that is not known.
    `kvm_kept_from_qemu` is whether the user that libvirt's machines run as may not open /dev/kvm.
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
    kvm: Kvm
    kvm_kept_from_qemu: bool
    driver: str
    box_url: str
    libvirt: Libvirt
    plugin: str
    virtualisation: bool
    host_only: tuple[IPv4Network, ...]
    missing_capabilities: tuple[str, ...]
    programs: Mapping[str, str]
    vagrant: tuple[int, ...] | None
    engine: Engine
    docker_host: str
    archive_lacks: tuple[str, ...]
    free_inotify: int | None

    @property
    def emulated(self) -> bool:
        """Whether libvirt's machines get their processors from a program here."""
        return self.driver == Driver.QEMU or self.kvm is not Kvm.USABLE


def facts_from(raw: RawHost) -> HostFacts:
    """Interpret a recording; what could not be read becomes an empty or zero fact."""
    release = parse_os_release(raw.files.get("/etc/os-release") or "")
    memory = parse_meminfo(raw.files.get("/proc/meminfo") or "")
    engine = engine_from(raw.said(ENGINE_COMMAND), raw.docker_host)
    # The unified hierarchy has this file at its root; on hybrid hosts it is one level down.
    unified = raw.files.get("/sys/fs/cgroup/cgroup.controllers") is not None
    vagrant = raw.said(VAGRANT_COMMAND)
    flags = vms.parse_cpu_flags(raw.files.get(vms.CPU_FILE) or "")
    libvirt = _libvirt(raw)
    return HostFacts(
        system=raw.system,
        release=(release.get("ID", ""), release.get("VERSION_ID", "")),
        like=tuple(release.get("ID_LIKE", "").split()),
        name=release.get("PRETTY_NAME", raw.system),
        architecture=raw.architecture,
        kernel=raw.kernel,
        cpus=raw.cpus,
        user=raw.user,
        sudo=_sudo(raw),
        init=(raw.files.get("/proc/1/comm") or "").strip(),
        systemd=raw.systemd,
        memory_mib=memory.get("MemTotal", 0),
        available_mib=memory.get("MemAvailable", 0),
        free_mib=raw.free_mib,
        cgroup=engine.cgroup or (2 if unified else 1),
        kvm=vms.kvm_from(
            libvirt,
            there=raw.kvm_there or raw.kvm,
            opens=raw.kvm,
            flags=flags,
            architecture=raw.architecture,
        ),
        kvm_kept_from_qemu=libvirt.reachable
        and not libvirt.host
        and vms.keeps_qemu_out(raw.kvm_access),
        driver=raw.driver,
        box_url=raw.box_url,
        libvirt=libvirt,
        plugin=vms.parse_plugin(raw.programs.get(vms.PLUGIN, "")),
        virtualisation=vms.can_virtualise(raw.architecture, flags),
        host_only=vms.parse_ranges(raw.files.get(vms.RANGES_FILE)),
        missing_capabilities=missing_capabilities(raw.files.get("/proc/self/status") or ""),
        programs=raw.programs,
        vagrant=parse_version(vagrant.stdout) if vagrant is not None else None,
        engine=engine,
        docker_host=raw.docker_host,
        archive_lacks=tuple(dict.fromkeys(_archive_lacks(raw))),
        free_inotify=_free_inotify(raw),
    )


def _sudo(raw: RawHost) -> str:
    if raw.uid == 0:
        return "root"
    if "sudo" not in raw.programs:
        return "none"
    said = raw.said(SUDO_COMMAND)
    return "passwordless" if said is not None and said.status == 0 else "password"


def _archive_lacks(raw: RawHost) -> Iterator[str]:
    for line, answer in raw.answers.items():
        command = shlex.split(line)
        if tuple(command[: len(ARCHIVE_COMMAND)]) == ARCHIVE_COMMAND:
            yield from absent_packages(answer.stdout, command[len(ARCHIVE_COMMAND) :])


def _free_inotify(raw: RawHost) -> int | None:
    limit = (raw.files.get(host_inotify.LIMIT_FILE) or "").strip()
    if raw.root_inotify is None or not limit.isdigit():
        return None
    # A lab of containers raises it where that may be done.
    allowed = max(int(limit), host_inotify.RAISED if raw.raises_inotify else 0)
    return max(allowed - raw.root_inotify, 0)


def _libvirt(raw: RawHost) -> Libvirt:
    uri, pool = raw.libvirt_uri, raw.pool
    return vms.libvirt_from(
        uri,
        pool,
        version=raw.said(vms.version_command(uri)),
        pool_info=raw.said(vms.pool_info_command(uri, pool)),
        pool_xml=raw.said(vms.pool_path_command(uri, pool)),
        capabilities=raw.said(vms.capabilities_command(uri)),
        memory=raw.said(vms.memory_command(uri)),
    )
