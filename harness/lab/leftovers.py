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

from harness.base.context import Context, Narrate, silent
from harness.base.errors import HarnessError
from harness.base.locks import (
    IMAGE_LOCK,
    LOCK_SECONDS,
    MACHINES_LOCK,
    NAMES_LOCK,
    FileLock,
    host_lock,
    lock_path,
)
from harness.base.own_files import close_to_others, folder_problem
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.images import rootfs
from harness.lab import isolation
from harness.lab.listing import list_labs, own_labs
from harness.lab.orphans import end_orphans
from harness.providers.backend import backend
from harness.providers.registry import providers
from harness.ssh import files as ssh_files
from harness.ssh.files import is_socket_dir_of
from harness.state.entries import LabEntry, LabState
from harness.state.networks import host_table
from harness.state.owner import Owner, current_user
from harness.state.records import LOCK, LabRecord
from harness.state.removal import NotOursError, each, remove_folder, remove_lab

SSH_EXIT_SECONDS = 10.0


@dataclass(frozen=True)
class Removal:
    """What became of one lab: what could not be removed, empty where all is gone."""

    run_id: RunId
    problems: tuple[str, ...] = ()


def remove(record: LabRecord, context: Context, narrate: Narrate) -> Removal:
    """Remove all that `record` names; the caller holds its lock."""
    return _remove(record.owner, context, narrate, provider=record.provider, record=record)


def _remove(
    whose: Owner,
    context: Context,
    narrate: Narrate,
    *,
    provider: str | None,
    record: LabRecord | None = None,
) -> Removal:
    """Remove all that a run makes, on `provider` or, where that is not known, on all.

    Machines do not go through `vagrant destroy`, which takes 7-11 s for what docker does in two:
    all that Vagrant knows of them lies in the run's folder and goes with it. Labels and marks find
    them also when that was never written or is damaged.
    """
    problems = each(
        [
            ("processes", lambda: end_orphans(whose.folder, context.clock)),
            ("SSH connections", lambda: close_sockets(whose, context.runner)),
        ],
        narrate,
    )
    for one in providers():
        # Without its program a provider cannot have made anything here.
        if one.name == provider or (provider is None and shutil.which(one.command) is not None):
            problems += backend(one.name).sweep(whose, context, narrate, record)
    problems += each([("packet filter", lambda: _remove_filter(whose, context.runner))], narrate)
    if not problems:
        # The record goes last: as long as something is left, a later `clean` must find it.
        problems = each(
            [
                ("state folder", lambda: remove_lab(whose.labs_dir, whose.run_id)),
                ("sysctls", lambda: _restore_host(context, narrate)),
            ],
            narrate,
        )
    return Removal(whose.run_id, tuple(problems))


def clean(
    context: Context,
    narrate: Narrate,
    *,
    named: Sequence[str] = (),
    kept_too: bool = False,
) -> tuple[Removal, ...]:
    """Remove what dead runs left, and the labs that are `named`: kept ones (all, with `kept_too`).

    One whose record is not to be believed goes only when it is named. Live labs and other users'
    are never touched. Returns one removal for each lab there was to remove, in no case raising for
    a lab that could not be.
    """
    labs_dir = context.settings.labs_dir
    with contextlib.suppress(HarnessError, OSError):
        # What is another user's is shown as that, and nothing in it is removed.
        close_to_others(labs_dir)
    removals: list[Removal] = []
    for entry in list_labs(labs_dir, context.runner, now=context.clock.now()):
        wanted = (
            entry.state is LabState.DEAD
            or (entry.state in {LabState.KEPT, LabState.DOUBTFUL} and entry.run_id in named)
            or (entry.state is LabState.KEPT and kept_too)
        )
        if wanted and entry.run_id is not None:
            removals += _clean_one(entry, entry.run_id, context, narrate)
    for problem in each(
        [
            ("sysctls", lambda: _restore_host(context, narrate)),
            ("image build", lambda: _remove_image_build(context.runner)),
            ("half-sent boxes", lambda: _tidy(context)),
        ],
        silent,
    ):
        narrate("not done", problem)
    return tuple(removals)


def _clean_one(
    entry: LabEntry, run_id: RunId, context: Context, narrate: Narrate
) -> tuple[Removal, ...]:
    """Remove one lab; return nothing when another `clean` is at it."""
    whose = Owner(run_id, current_user(), context.settings.labs_dir)
    if entry.folder is None:
        if os.path.lexists(whose.folder):
            # A run that began after the folders were looked at.
            return ()
        return (_remove(whose, context, narrate, provider=entry.provider),)
    # Between listing and this a run cannot have come alive: a run id is used once.
    lock = FileLock(whose.folder / LOCK)
    try:
        if not lock.try_acquire(f"clean, process {os.getpid()}"):
            return ()
        return (_remove(whose, context, narrate, provider=entry.provider, record=entry.record),)
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
    table = host_table(whose.run_id)
    try:
        isolation.remove_from_host(runner, table, mark=whose.mark(table))
    except isolation.UnmarkedError:
        if _has_folder(whose):
            raise


def _restore_host(context: Context, narrate: Narrate) -> None:
    """Put back what labs change of the host itself if none is left; its record is gone already."""
    with host_lock(
        NAMES_LOCK,
        holder=f"process {os.getpid()}",
        bound=LOCK_SECONDS,
        clock=context.clock,
        narrate=lambda text: narrate("sysctls", text),
    ):
        if not own_labs(context.settings.labs_dir):
            for one in providers():
                backend(one.name).restore_host(context.settings.state_dir, context.runner)


def _remove_image_build(runner: Runner) -> None:
    """Remove what a killed build of an image left, unless one is at work."""
    if not os.path.lexists(rootfs.build_folder()):
        return
    with _alone(IMAGE_LOCK) as alone:
        if alone:
            rootfs.remove_build_folder(runner)


def _tidy(context: Context) -> None:
    """Remove what a killed run left that is no lab's, unless machines are being made."""
    with _alone(MACHINES_LOCK) as alone:
        for one in providers() if alone else ():
            backend(one.name).tidy(context)


@contextlib.contextmanager
def _alone(name: str) -> Iterator[bool]:
    """Hold this host's lock `name` if nobody has it, and yield whether."""
    lock = FileLock(lock_path(name))
    try:
        yield lock.try_acquire(f"clean, process {os.getpid()}")
    finally:
        lock.release()
