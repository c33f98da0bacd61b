"""Removing a lab: the same steps for one that ends well and for what a killed run left.

Each step is done whatever became of the others, and each may be done again: a step that finds
nothing to remove has succeeded.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.base.errors import HarnessError
from harness.base.own_files import close_to_others, folder_problem
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.base.settings import ProviderName, Settings
from harness.base.wait import Clock
from harness.images import rootfs
from harness.lab import isolation, sweeps
from harness.lab.listing import LabEntry, LabState, list_labs, own_labs
from harness.lab.orphans import end_orphans
from harness.lab.sweeps import each, sweep_docker, sweep_libvirt, sweep_virtualbox
from harness.providers.docker import sysctls
from harness.providers.docker.engine import Docker
from harness.providers.libvirt import box_volumes
from harness.providers.libvirt.virsh import Libvirt
from harness.providers.virtualbox.vboxmanage import VirtualBox
from harness.ssh import files as ssh_files
from harness.ssh.files import is_socket_dir_of
from harness.state.locks import FileLock, host_lock, lock_path
from harness.state.owner import Owner, current_user
from harness.state.records import LOCK, LabRecord
from harness.state.removal import NotOursError, remove_folder, remove_lab

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

    run_id: RunId
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
    return _remove(record.owner, tools, provider=record.provider, record=record)


def _remove(
    whose: Owner,
    tools: Tools,
    *,
    provider: ProviderName | None,
    record: LabRecord | None = None,
) -> Removal:
    """Remove all that a run makes, on `provider` or, where that is not known, on all.

    Machines do not go through `vagrant destroy`, which takes 7-11 s for what docker does in two:
    all that Vagrant knows of them lies in the run's folder and goes with it. Labels and marks find
    them also when that was never written or is damaged.
    """
    runner, clock = tools.runner, tools.clock
    problems = each(
        [
            ("processes", lambda: end_orphans(whose.folder, clock)),
            ("SSH connections", lambda: close_sockets(whose, runner)),
        ],
        tools.narrate,
    )
    for one in ProviderName if provider is None else (provider,):
        if provider is not None or shutil.which(PROGRAMS[one]) is not None:
            problems += _sweep(one, whose, tools, record)
    problems += each([("packet filter", lambda: _remove_filter(whose, runner))], tools.narrate)
    if not problems:
        # The record goes last: as long as something is left, a later `clean` must find it.
        problems = each(
            [
                ("state folder", lambda: remove_lab(whose.labs_dir, whose.run_id)),
                ("sysctls", lambda: _restore_sysctls(tools)),
            ],
            tools.narrate,
        )
    return Removal(whose.run_id, tuple(problems))


def _sweep(
    provider: ProviderName, whose: Owner, tools: Tools, record: LabRecord | None
) -> list[str]:
    """Remove what the run made on one provider; return what stays."""
    runner, narrate = tools.runner, tools.narrate
    if provider is ProviderName.DOCKER:
        return sweep_docker(Docker(runner), whose, narrate)
    if provider is ProviderName.LIBVIRT:
        virsh = Libvirt(runner, record.libvirt_uri if record is not None else None)
        machines = record.machines if record is not None else ()
        return sweep_libvirt(
            virsh, whose, narrate, machines=machines, runner=runner, clock=tools.clock
        )
    private = record.networks.private.ipv4 if record is not None else None
    return sweep_virtualbox(VirtualBox(runner), whose.run_id, private, narrate)


def clean(
    *,
    runner: Runner,
    clock: Clock,
    settings: Settings,
    narrate: Narrate,
    named: Sequence[str] = (),
    kept_too: bool = False,
) -> tuple[Removal, ...]:
    """Remove what dead runs left, and the labs that are `named`: kept ones (all, with `kept_too`).

    One whose record is not to be believed goes only when it is named. Live labs and other users'
    are never touched. Returns one removal for each lab there was to remove, in no case raising for
    a lab that could not be.
    """
    tools = Tools(runner, clock, settings, narrate)
    with contextlib.suppress(HarnessError, OSError):
        # What is another user's is shown as that, and nothing in it is removed.
        close_to_others(settings.labs_dir)
    removals: list[Removal] = []
    for entry in list_labs(settings.labs_dir, runner, now=clock.now()):
        wanted = (
            entry.state is LabState.DEAD
            or (entry.state in {LabState.KEPT, LabState.DOUBTFUL} and entry.run_id in named)
            or (entry.state is LabState.KEPT and kept_too)
        )
        if wanted and entry.run_id is not None:
            removals += _clean_one(entry, entry.run_id, tools)
    for problem in each(
        [
            ("sysctls", lambda: _restore_sysctls(tools)),
            ("image build", lambda: _remove_image_build(runner)),
            ("half-sent boxes", lambda: _remove_half_sent_boxes(runner, settings.pool)),
        ],
        lambda *_: None,
    ):
        narrate("not done", problem)
    return tuple(removals)


def _clean_one(entry: LabEntry, run_id: RunId, tools: Tools) -> tuple[Removal, ...]:
    """Remove one lab; return nothing when another `clean` is at it."""
    whose = Owner(run_id, current_user(), tools.settings.labs_dir)
    if entry.folder is None:
        if os.path.lexists(whose.folder):
            # A run that began after the folders were looked at.
            return ()
        return (_remove(whose, tools, provider=entry.provider),)
    # Between listing and this a run cannot have come alive: a run id is used once.
    lock = FileLock(whose.folder / LOCK)
    try:
        if not lock.try_acquire(f"clean, process {os.getpid()}"):
            return ()
        return (_remove(whose, tools, provider=entry.provider, record=entry.record),)
    except HarnessError as problem:
        return (Removal(run_id, (str(problem),)),)
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


def close_sockets(whose: Owner, runner: Runner) -> None:
    """Close the run's multiplexed SSH connections and remove their folder.

    Raises `NotOursError` for a folder that has its name and is not the run's.
    """
    folder = ssh_files.socket_dir(whose.run_id)
    if not os.path.lexists(folder):
        return
    problem = folder_problem(folder)
    if problem is None and not is_socket_dir_of(folder, whose.folder):
        problem = "it does not say that it is this lab's"
    if problem is not None:
        if _has_folder(whose):
            raise NotOursError(
                "Closing SSH connections", f"{folder}: {problem}", remedy=f"rm -r {folder}"
            )
        return
    for socket in sorted(path for path in folder.iterdir() if path.is_socket()):
        runner.run(
            ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "lab"],
            doing="Closing SSH connections",
            deadline=SSH_EXIT_SECONDS,
            check=False,
        )
    remove_folder(folder.parent, folder.name)


def _has_folder(whose: Owner) -> bool:
    """Return whether the run's folder is here, so that a person hears of what of it must stay.

    Without it only labels tell of the run, which anyone can write.
    """
    return whose.run_id in own_labs(whose.labs_dir)


def _remove_filter(whose: Owner, runner: Runner) -> None:
    table = isolation.host_table(whose.run_id)
    try:
        isolation.remove_from_host(runner, table, mark=whose.mark(table))
    except isolation.UnmarkedError:
        if _has_folder(whose):
            raise


def _restore_sysctls(tools: Tools) -> None:
    """Put the host's sysctls back if no lab is left; its record is gone already."""
    with host_lock(
        NAMES_LOCK,
        holder=f"process {os.getpid()}",
        bound=LOCK_SECONDS,
        clock=tools.clock,
        narrate=lambda text: tools.narrate("sysctls", text),
    ):
        if not own_labs(tools.settings.labs_dir):
            sysctls.restore(tools.settings.state_dir, tools.runner)


def _remove_image_build(runner: Runner) -> None:
    """Remove what a killed build of an image left, unless one is at work."""
    if not os.path.lexists(rootfs.build_folder()):
        return
    with _alone(IMAGE_LOCK) as alone:
        if alone:
            rootfs.remove_build_folder(runner)


def _remove_half_sent_boxes(runner: Runner, pool: str) -> None:
    """Remove what a killed run left of sending a box to libvirt, unless one is at work."""
    with _alone(MACHINES_LOCK) as alone:
        if alone:
            box_volumes.remove_incomplete(Libvirt(runner), pool)


@contextlib.contextmanager
def _alone(name: str) -> Iterator[bool]:
    """Hold this host's lock `name` if nobody has it, and yield whether."""
    lock = FileLock(lock_path(name))
    try:
        yield lock.try_acquire(f"clean, process {os.getpid()}")
    finally:
        lock.release()
