"""What this host is, read once: raw texts first, then facts by pure functions.

`read_host` is the edge: it looks at files, asks programs, and changes nothing. `facts_from` turns
what it read into `HostFacts`, so that every choice and refusal in `harness.preflight.choice` is
tested on recordings of real hosts.
"""

from __future__ import annotations

import grp
import os
import platform
import pwd
import shlex
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from harness.base.errors import HarnessError
from harness.base.process import Runner
from harness.base.settings import Driver, ProviderName, Settings
from harness.host import inotify as host_inotify
from harness.host import vm_facts as vms
from harness.host.raw import (
    ANSWER_SECONDS,
    ARCHIVE_COMMAND,
    ARCHIVED,
    ENGINE_COMMAND,
    FILES,
    PROGRAMS,
    SBIN,
    SUDO_COMMAND,
    VAGRANT_COMMAND,
    VM_ARCHIVE_COMMAND,
    VM_ARCHIVED,
    RawHost,
    vagrant_home,
)
from harness.host.texts import (
    Answer,
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


def read_host(
    runner: Runner,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    versions: bool = True,
    everything: bool = False,
) -> RawHost:
    """Read this host: files, programs on PATH, and a few short commands. Changes nothing.

    Without `versions` Vagrant is not asked for its own: it takes half a second to say it. libvirt
    is asked where its machines may be chosen, or with `everything`.
    """
    path = os.pathsep.join([environ.get("PATH", os.defpath), *SBIN])
    programs = {name: found for name in PROGRAMS if (found := _found(name, path))}
    home = vagrant_home(environ)
    programs |= _plugin(home)
    files = {name: _text(Path(name)) for name in FILES}
    commands: list[Sequence[str]] = []
    if "vagrant" in programs and versions:
        commands.append(VAGRANT_COMMAND)
    if "docker" in programs:
        commands.append(ENGINE_COMMAND)
    if "sudo" in programs and os.getuid() != 0:
        commands.append(SUDO_COMMAND)
    if "apt-cache" in programs and not programs.keys() >= ARCHIVED:
        commands.append(ARCHIVE_COMMAND)
    wanted = VM_ARCHIVED.get(settings.provider, set()) if settings.provider else set()
    if "apt-cache" in programs and not programs.keys() >= wanted:
        commands.append(VM_ARCHIVE_COMMAND)
    answers = {shlex.join(command): _ask(runner, command) for command in commands}
    kvm_there = Path(vms.KVM_DEVICE).exists()
    # Without a wish libvirt is taken where it has KVM, or where there is nothing else.
    flags = vms.parse_cpu_flags(files[vms.CPU_FILE] or "")
    capable = kvm_there and vms.can_virtualise(platform.machine(), flags)
    may_choose = settings.provider is None and (capable or "docker" not in programs)
    if everything or may_choose or settings.provider is ProviderName.LIBVIRT:
        answers |= _ask_libvirt(runner, settings) if "virsh" in programs else {}
    engine = engine_from(_answered(answers, ENGINE_COMMAND), "")
    places = {
        "docker": Path(engine.root or "/var/lib/docker"),
        "state": settings.state_dir,
        "cache": settings.cache_dir,
        "runs": settings.runs_dir,
        "boxes": home,
    }
    pool = _answered(answers, vms.pool_path_command(settings.libvirt_uri, settings.pool))
    if pool is not None and not vms.remote_host(settings.libvirt_uri):
        places["pool"] = Path(vms.parse_pool_path(pool.stdout) or "/var/lib/libvirt/images")
    return RawHost(
        system=sys.platform,
        architecture=platform.machine(),
        kernel=platform.release(),
        cpus=os.cpu_count() or 1,
        uid=os.getuid(),
        user=_user_name(),
        files=files,
        programs=programs,
        answers=answers,
        free_mib={name: _free_mib(place) for name, place in places.items()},
        kvm=_opens(Path(vms.KVM_DEVICE)),
        # What sd_booted(3) looks at.
        systemd=Path("/run/systemd/system").is_dir(),
        docker_host=environ.get("DOCKER_HOST", ""),
        kvm_there=kvm_there,
        kvm_access=_access(Path(vms.KVM_DEVICE)),
        libvirt_uri=settings.libvirt_uri,
        pool=settings.pool,
        driver=settings.driver or "",
        box_url=settings.box_url or "",
        root_inotify=host_inotify.held_by_root(),
    )


def _ask_libvirt(runner: Runner, settings: Settings) -> dict[str, Answer]:
    """Ask libvirt what the harness needs of it; stops where it does not answer."""
    uri, pool = settings.libvirt_uri, settings.pool
    if vms.uri_problem(uri):
        return {}
    first = vms.version_command(uri)
    answers = {shlex.join(first): _ask(runner, first)}
    if answers[shlex.join(first)].status != 0:
        return answers
    rest = [
        vms.pool_info_command(uri, pool),
        vms.pool_path_command(uri, pool),
        vms.capabilities_command(uri),
    ]
    if vms.remote_host(uri):
        rest.append(vms.memory_command(uri))
    return answers | {shlex.join(command): _ask(runner, command) for command in rest}


def facts_from(raw: RawHost) -> HostFacts:
    """Interpret a recording; what could not be read becomes an empty or zero fact."""
    release = parse_os_release(raw.files.get("/etc/os-release") or "")
    memory = parse_meminfo(raw.files.get("/proc/meminfo") or "")
    engine = engine_from(_answered(raw.answers, ENGINE_COMMAND), raw.docker_host)
    # The unified hierarchy has this file at its root; on hybrid hosts it is one level down.
    unified = raw.files.get("/sys/fs/cgroup/cgroup.controllers") is not None
    vagrant = _answered(raw.answers, VAGRANT_COMMAND)
    sudo = _answered(raw.answers, SUDO_COMMAND)
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
        archive_lacks=tuple(
            dict.fromkeys(
                name
                for command in (ARCHIVE_COMMAND, VM_ARCHIVE_COMMAND)
                if (answer := _answered(raw.answers, command)) is not None
                for name in absent_packages(answer.stdout, command[2:])
            )
        ),
        free_inotify=_free_inotify(raw),
    )


def _free_inotify(raw: RawHost) -> int | None:
    limit = (raw.files.get(host_inotify.LIMIT_FILE) or "").strip()
    if raw.root_inotify is None or not limit.isdigit():
        return None
    return max(int(limit) - raw.root_inotify, 0)


def _libvirt(raw: RawHost) -> Libvirt:
    uri, pool = raw.libvirt_uri, raw.pool

    return vms.libvirt_from(
        uri,
        pool,
        version=_answered(raw.answers, vms.version_command(uri)),
        pool_info=_answered(raw.answers, vms.pool_info_command(uri, pool)),
        pool_xml=_answered(raw.answers, vms.pool_path_command(uri, pool)),
        capabilities=_answered(raw.answers, vms.capabilities_command(uri)),
        memory=_answered(raw.answers, vms.memory_command(uri)),
    )


def _ask(runner: Runner, argv: Sequence[str]) -> Answer:
    try:
        # C: the words are matched; no update check may go out and hold the answer up.
        said = runner.run(
            argv,
            doing="Looking at this host",
            deadline=ANSWER_SECONDS,
            # Nor may ssh, under virsh, open a window to ask for a passphrase.
            env={
                "LC_ALL": "C.UTF-8",
                "VAGRANT_CHECKPOINT_DISABLE": "1",
                "SSH_ASKPASS_REQUIRE": "never",
            },
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


def _answered(answers: Mapping[str, Answer], command: Sequence[str]) -> Answer | None:
    """Return what was said to a question, None where it was not asked."""
    return answers.get(shlex.join(command))


def _found(name: str, path: str) -> str | None:
    """Return where a program is; a name with a path is a file, which is there or not."""
    if name.startswith("/"):
        return name if Path(name).exists() else None
    return shutil.which(name, path=path)


def _plugin(home: Path) -> dict[str, str]:
    """Return where Vagrant's plugin for libvirt is described, a user's own first."""
    folders = (home / vms.USER_PLUGINS, Path(vms.SYSTEM_PLUGINS))
    found = [str(path) for folder in folders for path in sorted(folder.glob(vms.PLUGIN_PATTERN))]
    return {vms.PLUGIN: found[0]} if found else {}


def _opens(device: Path) -> bool:
    """Return whether this process may use a device; root in a container may be kept from it."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _access(device: Path) -> str:
    """Return mode and group of a device as `ls -l` shows them, nothing where there is none."""
    try:
        status = device.stat()
    except OSError:
        return ""
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return f"{stat.filemode(status.st_mode)} {group}"


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
