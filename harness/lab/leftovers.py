"""Removing a lab: the same steps for one that ends well and for what a killed run left.

Each step is done whatever became of the others, and each may be done again: a step that finds
nothing to remove has succeeded.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.errors import InfrastructureError
from harness.lab import box_volumes
from harness.lab import isolation
from harness.lab import records
from harness.lab import rootfs
from harness.lab import ssh_files
from harness.lab import sweeps
from harness.lab import sysctls
from harness.lab.docker import Docker
from harness.lab.libvirt import Libvirt
from harness.lab.locks import FileLock
from harness.lab.locks import host_lock
from harness.lab.locks import is_held
from harness.lab.locks import lock_path
from harness.lab.records import LabEntry
from harness.lab.records import LabRecord
from harness.lab.records import LabState
from harness.lab.sweeps import each
from harness.lab.sweeps import sweep_docker
from harness.lab.sweeps import sweep_libvirt
from harness.lab.sweeps import sweep_virtualbox
from harness.lab.vagrant import mark
from harness.lab.virtualbox import VirtualBox
from harness.process import Runner
from harness.settings import ProviderName
from harness.settings import Settings
from harness.wait import Clock
from harness.wait import WaitTimeoutError
from harness.wait import wait_until

# Orphans of a killed run get this long to end after each signal.
ORPHAN_SECONDS = 5.0
ORPHAN_EVERY = 0.1
SSH_EXIT_SECONDS = 10.0
# Another run creates three machines in about 20 s; behind several of them this is long enough.
LOCK_SECONDS = 600.0
NAMES_LOCK = "names"
# Making 160 MB of packages is the longest thing a first run does; another run may be at it.
IMAGE_LOCK = "image"
# Creating machines is the heaviest quarter minute of a run: two at once on a small host overrun the
# bound of a boot.
MACHINES_LOCK = "machines"

Narrate = sweeps.Narrate
# A provider without its program cannot have made anything here.
PROGRAMS = {
    ProviderName.DOCKER: "docker",
    ProviderName.LIBVIRT: "virsh",
    ProviderName.VIRTUALBOX: "VBoxManage",
}


@dataclass(frozen=True)
class Removal:
    """What became of one lab: what could not be removed, empty where all is gone."""

    run_id: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tools:
    """What removing needs: programs, time, settings, and whom to tell (step, detail)."""

    runner: Runner
    clock: Clock
    settings: Settings
    narrate: Narrate


def remove(record: LabRecord, tools: Tools) -> Removal:
    """Remove all that `record` names; the caller holds its lock."""
    return _remove(record.run_id, record.folder, tools, provider=record.provider, record=record)


def _remove(
    run_id: str,
    folder: Path,
    tools: Tools,
    *,
    provider: ProviderName | None,
    record: LabRecord | None = None,
) -> Removal:
    """Remove all that a run of this id makes, on `provider` or, where that is not known, on all.

    Machines do not go through `vagrant destroy`, which takes 7-11 s for what docker does in two:
    all that Vagrant knows of them lies in the run's folder and goes with it. Labels and names find
    them also when that was never written or is damaged.
    """
    runner, clock = tools.runner, tools.clock
    sockets = ssh_files.socket_dir(run_id)
    table = isolation.host_table(run_id)
    problems = each(
        [
            ("processes", lambda: end_orphans(folder, clock)),
            ("SSH connections", lambda: close_sockets(sockets, runner)),
        ],
        tools.narrate,
    )
    for one in ProviderName if provider is None else (provider,):
        if provider is not None or shutil.which(PROGRAMS[one]) is not None:
            problems += _sweep(one, run_id, tools, record)
    problems += each(
        [("packet filter", lambda: isolation.remove_from_host(runner, table))], tools.narrate
    )
    if not problems:
        # The record goes last: as long as something is left, a later `clean` must find it.
        problems = each(
            [
                ("state folder", lambda: _remove_folder(folder)),
                ("sysctls", lambda: _restore_sysctls(tools)),
            ],
            tools.narrate,
        )
    return Removal(run_id, tuple(problems))


def _sweep(
    provider: ProviderName, run_id: str, tools: Tools, record: LabRecord | None
) -> list[str]:
    """Remove what the run made on one provider; return what stays."""
    runner, narrate = tools.runner, tools.narrate
    if provider is ProviderName.DOCKER:
        return sweep_docker(Docker(runner), run_id, narrate)
    if provider is ProviderName.LIBVIRT:
        virsh = Libvirt(runner, record.libvirt_uri if record is not None else None)
        return sweep_libvirt(virsh, run_id, narrate, runner=runner, clock=tools.clock)
    private = record.networks.private.ipv4 if record is not None else None
    return sweep_virtualbox(VirtualBox(runner), run_id, private, narrate)


def clean(
    *,
    runner: Runner,
    clock: Clock,
    settings: Settings,
    narrate: Narrate,
    named: Sequence[str] = (),
    kept_too: bool = False,
) -> tuple[Removal, ...]:
    """Remove what dead runs left, kept labs that are `named` (or all, with `kept_too`).

    Live labs and other users' are never touched. Returns one removal for each lab there was to
    remove, in no case raising for a lab that could not be.
    """
    tools = Tools(runner, clock, settings, narrate)
    removals: list[Removal] = []
    for entry in records.list_labs(settings.labs_dir, runner, now=clock.now()):
        wanted = entry.state is LabState.DEAD or (
            entry.state is LabState.KEPT and (kept_too or entry.run_id in named)
        )
        if wanted:
            removals += _clean_one(entry, tools)
    with contextlib.suppress(HarnessError):
        _restore_sysctls(tools)
        _remove_image_build(runner)
    with contextlib.suppress(HarnessError, OSError):
        _remove_half_sent_boxes(runner)
    return tuple(removals)


def _clean_one(entry: LabEntry, tools: Tools) -> tuple[Removal, ...]:
    """Remove one lab; return nothing when another `clean` is at it."""
    if entry.record is None:
        # Its names follow from the run's id.
        folder = entry.folder or tools.settings.labs_dir / entry.run_id
        return (_remove(entry.run_id, folder, tools, provider=entry.provider),)
    # Between listing and this a run cannot have come alive: a run id is used once.
    lock = FileLock(entry.record.lock_path)
    try:
        if not lock.try_acquire(f"clean, process {os.getpid()}"):
            return ()
        return (remove(entry.record, tools),)
    except HarnessError as problem:
        return (Removal(entry.run_id, (str(problem),)),)
    finally:
        lock.release()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM off while a lab is being removed: a second Ctrl-C must not stop it.

    Every step in it has a bound. Elsewhere than in the main thread signals do not arrive anyway.
    """
    saved = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            # A handler and not SIG_IGN, which the programs that are started would inherit.
            saved[number] = signal.signal(number, lambda _number, _frame: None)
    except ValueError:
        saved = {}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


def end_orphans(folder: Path, clock: Clock) -> None:
    """End what a killed run started and left running, such as `vagrant up` in the middle.

    They are known by the mark in their environment, which no other process has.
    """
    marker = "=".join(*mark(folder).items()).encode()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        orphans = _marked(marker)
        if not orphans:
            return
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        with contextlib.suppress(WaitTimeoutError):
            wait_until(
                "the run's processes to end",
                lambda: _marked(marker),
                lambda left: not left,
                bound=ORPHAN_SECONDS,
                every=ORPHAN_EVERY,
                clock=clock,
            )
    left = _marked(marker)
    if left:
        raise InfrastructureError("Ending the run's processes", f"still there: {left}")


def close_sockets(folder: Path, runner: Runner) -> None:
    """Close the run's multiplexed SSH connections and remove their folder."""
    for socket in sorted(folder.glob("*")) if folder.is_dir() else ():
        runner.run(
            ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "lab"],
            doing="Closing SSH connections",
            deadline=SSH_EXIT_SECONDS,
            check=False,
        )
    shutil.rmtree(folder, ignore_errors=True)


def _marked(marker: bytes) -> tuple[int, ...]:
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        pid = int(environ.parent.name)
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if marker in environ.read_bytes().split(b"\0"):
                found.append(pid)
    return tuple(found)


def _remove_folder(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _restore_sysctls(tools: Tools) -> None:
    """Put the host's sysctls back if no lab is left; its record is gone already."""
    with host_lock(
        NAMES_LOCK,
        holder=f"process {os.getpid()}",
        bound=LOCK_SECONDS,
        clock=tools.clock,
        narrate=lambda text: tools.narrate("sysctls", text),
    ):
        if not any(tools.settings.labs_dir.glob("k5-*")):
            sysctls.restore(tools.settings.state_dir, tools.runner)


def _remove_image_build(runner: Runner) -> None:
    """Remove what a killed build of an image left, unless one is at work."""
    if rootfs.build_folder().exists() and not is_held(lock_path(IMAGE_LOCK)):
        rootfs.remove_build_folder(runner)


def _remove_half_sent_boxes(runner: Runner) -> None:
    """Remove what a killed run left of sending a box to libvirt, unless one is at work."""
    lock = FileLock(lock_path(MACHINES_LOCK))
    if not lock.try_acquire(f"clean, process {os.getpid()}"):
        return
    try:
        box_volumes.remove_incomplete(Libvirt(runner))
    finally:
        lock.release()
