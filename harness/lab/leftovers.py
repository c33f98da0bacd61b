"""Removing a lab: the same steps for one that ends well and for what a killed run left.

Each step is done whatever became of the others, and each may be done again: a step that finds
nothing to remove has succeeded.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.errors import InfrastructureError
from harness.lab import isolation
from harness.lab import node_image
from harness.lab import records
from harness.lab import sysctls
from harness.lab.docker import Docker
from harness.lab.locks import FileLock
from harness.lab.locks import host_lock
from harness.lab.locks import is_held
from harness.lab.locks import lock_path
from harness.lab.records import LabEntry
from harness.lab.records import LabRecord
from harness.lab.records import LabState
from harness.lab.vagrant import STATE_FOLDER
from harness.lab.vagrant import Vagrant
from harness.lab.vagrant import mark
from harness.lab.vagrant import topology_path
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

Narrate = Callable[[str, str], None]
Step = tuple[str, Callable[[], None]]


@dataclass(frozen=True)
class Removal:
    """What became of one lab: what could not be removed, empty where all is gone."""

    run_id: str
    problems: tuple[str, ...] = ()


def remove(
    record: LabRecord,
    *,
    runner: Runner,
    clock: Clock,
    settings: Settings,
    log: Path | None,
    narrate: Narrate,
) -> Removal:
    """Remove all that `record` names; the caller holds its lock, or knows its run to be dead."""
    problems = _each(
        [
            ("processes", lambda: end_orphans(record, clock)),
            ("SSH connections", lambda: close_sockets(record.socket_dir, runner)),
        ],
        narrate,
    )
    if record.provider is ProviderName.DOCKER:
        # Not through `vagrant destroy`, which takes 7-11 s for what the engine does in two: all
        # that Vagrant knows of container machines lies in the run's folder and goes with it, and
        # labels find them also when that was never written or is damaged.
        problems += _sweep(Docker(runner), record.run_id, narrate)
    else:
        problems += _each([("machines", lambda: _destroy_vms(record, runner, log))], narrate)
    table = record.nft_table
    problems += _each(
        [("packet filter", lambda: isolation.remove_from_host(runner, table))], narrate
    )
    if not problems:
        # The record goes last: as long as something is left, a later `clean` must find it.
        problems = _each(
            [
                ("state folder", lambda: shutil.rmtree(record.folder)),
                ("sysctls", lambda: _restore_sysctls(settings, runner, clock, narrate)),
            ],
            narrate,
        )
    return Removal(record.run_id, tuple(problems))


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
    removals = []
    for entry in records.list_labs(settings.labs_dir, runner, now=clock.now()):
        wanted = entry.state is LabState.DEAD or (
            entry.state is LabState.KEPT and (kept_too or entry.run_id in named)
        )
        if wanted:
            removals.append(_clean_one(entry, runner, clock, settings, narrate))
    with contextlib.suppress(HarnessError):
        _restore_sysctls(settings, runner, clock, narrate)
        _remove_image_build(runner)
    return tuple(removals)


def _clean_one(
    entry: LabEntry, runner: Runner, clock: Clock, settings: Settings, narrate: Narrate
) -> Removal:
    if entry.record is not None:
        # Between listing and this a run cannot have come alive: a run id is used once. Holding the
        # lock keeps a second `clean` away.
        lock = FileLock(entry.record.lock_path)
        try:
            if not lock.try_acquire(f"clean, process {os.getpid()}"):
                return Removal(entry.run_id)
            return remove(
                entry.record,
                runner=runner,
                clock=clock,
                settings=settings,
                log=None,
                narrate=narrate,
            )
        except HarnessError as problem:
            return Removal(entry.run_id, (str(problem),))
        finally:
            lock.release()
    problems = _sweep(Docker(runner), entry.run_id, narrate)
    table = isolation.host_table(entry.run_id)
    steps = [("packet filter", lambda: isolation.remove_from_host(runner, table))]
    folder = entry.folder
    if folder is not None and not problems:
        steps.append(("state folder", lambda: shutil.rmtree(folder)))
    return Removal(entry.run_id, (*problems, *_each(steps, narrate)))


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


def end_orphans(record: LabRecord, clock: Clock) -> None:
    """End what a killed run started and left running, such as `vagrant up` in the middle.

    They are known by the mark in their environment, which no other process has.
    """
    marker = "=".join(*mark(record.folder).items()).encode()
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


def _destroy_vms(record: LabRecord, runner: Runner, log: Path | None) -> None:
    """Let Vagrant destroy what it knows of; without its state there is nothing it knows."""
    if topology_path(record.folder).exists() and (record.folder / STATE_FOLDER).exists():
        vagrant = Vagrant(runner, folder=record.folder, provider=record.provider, log=log)
        vagrant.destroy(len(record.machines))


def _sweep(docker: Docker, run_id: str, narrate: Narrate) -> list[str]:
    """Remove all that carries the run's label; return what stays."""
    steps: list[Step] = [
        ("containers", lambda: docker.remove_containers([c.id for c in docker.containers(run_id)])),
        ("networks", lambda: docker.remove_named("network", docker.named("network", run_id))),
        ("volumes", lambda: docker.remove_named("volume", docker.named("volume", run_id))),
    ]
    # Twice: the engine may have been in the middle of making a container for a killed run.
    return _each(steps, narrate) and _each(steps, narrate)


def _restore_sysctls(settings: Settings, runner: Runner, clock: Clock, narrate: Narrate) -> None:
    """Put the host's sysctls back if no lab is left; its record is gone already."""
    with host_lock(
        NAMES_LOCK,
        holder=f"process {os.getpid()}",
        bound=LOCK_SECONDS,
        clock=clock,
        narrate=lambda text: narrate("sysctls", text),
    ):
        if not any(settings.labs_dir.glob("k5-*")):
            sysctls.restore(settings.state_dir, runner)


def _remove_image_build(runner: Runner) -> None:
    """Remove what a killed build of the node image left, unless one is at work."""
    if node_image.build_folder().exists() and not is_held(lock_path(IMAGE_LOCK)):
        node_image.remove_build_folder(runner)


def _each(steps: Sequence[Step], narrate: Narrate) -> list[str]:
    problems = []
    for what, step in steps:
        narrate(what, "removing")
        try:
            step()
        except (HarnessError, OSError) as problem:
            problems.append(f"{what}: {problem}")
    return problems
