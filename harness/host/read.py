"""Reads this host: looks at files, asks programs, and changes nothing.

What comes of it is a recording (`RawHost`); `harness.host.facts` interprets it.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base.errors import HarnessError
from harness.base.process import Runner
from harness.base.settings import Settings
from harness.host import inotify as host_inotify
from harness.host import vm_facts as vms
from harness.host.raw import (
    ANSWER_SECONDS,
    ARCHIVE_COMMAND,
    ENGINE_COMMAND,
    FILES,
    SBIN,
    SUDO_COMMAND,
    VAGRANT_COMMAND,
    RawHost,
    vagrant_home,
)
from harness.host.texts import Answer, engine_from

# Programs that set-up works with, beside those of `tools.txt`.
_OF_SET_UP = ("sudo", "systemctl", "start-stop-daemon", "apt-cache")


@dataclass(frozen=True)
class LookFor:
    """What is looked for, beside what every host has.

    Where one of the programs `needed` is missing the system's archive is asked for `packages`.
    `libvirt` is whether it is asked, None for where its machines may be chosen unasked.
    """

    programs: Sequence[str]
    needed: frozenset[str]
    packages: Sequence[str]
    libvirt: bool | None = None


def read_host(
    runner: Runner,
    settings: Settings,
    environ: Mapping[str, str],
    look_for: LookFor,
    *,
    versions: bool = True,
) -> RawHost:
    """Read this host: files, programs on PATH, and a few short commands. Changes nothing.

    Without `versions` Vagrant is not asked for its own: it takes half a second to say it.
    """
    home = vagrant_home(environ)
    programs = _programs(look_for, environ, home)
    files = {name: _text(Path(name)) for name in FILES}
    questions = _questions(programs, look_for, versions=versions)
    answers = {shlex.join(command): _ask(runner, command) for command in questions}
    kvm = Path(vms.KVM_DEVICE)
    libvirt = look_for.libvirt
    if libvirt is None:
        # Without a wish libvirt is taken where it has KVM, or where there is nothing else.
        flags = vms.parse_cpu_flags(files[vms.CPU_FILE] or "")
        capable = kvm.exists() and vms.can_virtualise(platform.machine(), flags)
        libvirt = capable or "docker" not in programs
    if libvirt and "virsh" in programs:
        answers |= _ask_libvirt(runner, settings)
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
        free_mib={
            name: _free_mib(place) for name, place in _places(settings, answers, home).items()
        },
        kvm=_opens(kvm),
        # What sd_booted(3) looks at.
        systemd=Path("/run/systemd/system").is_dir(),
        docker_host=environ.get("DOCKER_HOST", ""),
        kvm_there=kvm.exists(),
        kvm_access=_access(kvm),
        libvirt_uri=settings.libvirt_uri,
        pool=settings.pool,
        driver=settings.driver or "",
        box_url=settings.box_url or "",
        root_inotify=host_inotify.held_by_root(),
        raises_inotify=os.access(host_inotify.LIMIT_FILE, os.W_OK),
    )


def _programs(look_for: LookFor, environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return where each program is that is here; of a name with a path, whether the file is."""
    path = os.pathsep.join([environ.get("PATH", os.defpath), *SBIN])
    found = {}
    for name in dict.fromkeys((*look_for.programs, *_OF_SET_UP)):
        here = Path(name).exists() if name.startswith("/") else False
        place = name if here else shutil.which(name, path=path)
        if place is not None:
            found[name] = place
    return found | _plugin(home)


def _plugin(home: Path) -> dict[str, str]:
    """Return where Vagrant's plugin for libvirt is described, a user's own first."""
    folders = (home / vms.USER_PLUGINS, Path(vms.SYSTEM_PLUGINS))
    found = [str(path) for folder in folders for path in sorted(folder.glob(vms.PLUGIN_PATTERN))]
    return {vms.PLUGIN: found[0]} if found else {}


def _questions(
    programs: Mapping[str, str], look_for: LookFor, *, versions: bool
) -> Iterator[Sequence[str]]:
    if "vagrant" in programs and versions:
        yield VAGRANT_COMMAND
    if "docker" in programs:
        yield ENGINE_COMMAND
    if "sudo" in programs and os.getuid() != 0:
        yield SUDO_COMMAND
    if "apt-cache" in programs and not programs.keys() >= look_for.needed:
        yield (*ARCHIVE_COMMAND, *look_for.packages)


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


def _places(settings: Settings, answers: Mapping[str, Answer], home: Path) -> dict[str, Path]:
    """Return the places whose free disk counts."""
    engine = engine_from(answers.get(shlex.join(ENGINE_COMMAND)), "")
    places = {
        "docker": Path(engine.root or "/var/lib/docker"),
        "state": settings.state_dir,
        "cache": settings.cache_dir,
        "runs": settings.runs_dir,
        "boxes": home,
    }
    uri = settings.libvirt_uri
    pool = answers.get(shlex.join(vms.pool_path_command(uri, settings.pool)))
    if pool is not None and not vms.remote_host(uri):
        places["pool"] = Path(vms.parse_pool_path(pool.stdout) or "/var/lib/libvirt/images")
    return places


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
