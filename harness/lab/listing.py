"""What is on this host of labs, and whose each is to the one who asks.

Own folders are looked at first, then what docker and libvirt have that says it is a run's. What
says so falsely is shown as not ours, and nothing is ever computed from what it says.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from harness.base.errors import HarnessError, InfrastructureError
from harness.base.own_files import folder_problem
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.base.settings import ProviderName
from harness.providers.docker.engine import Docker, Labelled, ObjectKind
from harness.providers.libvirt.virsh import Libvirt
from harness.state import owner, records
from harness.state.locks import is_held
from harness.state.owner import Owner, is_named_after
from harness.state.record_fields import moment
from harness.state.records import LOCK, RECORD, LabRecord

WITHOUT_RECORD = "without a record"
# What a claim that was killed before it had its record leaves in the folder.
_OF_A_CLAIM = {LOCK, "record.new"}
# How much of what others wrote is shown.
_QUOTED = 200


class LabState(StrEnum):
    """What a lab on this host is to the one who asks."""

    LIVE = "live"
    """Its run is alive: never removed."""
    KEPT = "kept"
    """Left standing on purpose: removed when named, with all, or after its expiry."""
    DEAD = "dead"
    """Its run was killed, or its time is over: removed by `clean`."""
    DOUBTFUL = "doubtful"
    """Its folder is this user's, and its record is not to be believed: removed when named."""
    FOREIGN = "foreign"
    """Another user's, of another state folder, or not what it says: shown only."""


@dataclass(frozen=True)
class LabEntry:
    """A lab on this host; `record` is None where only its machines or its folder are seen.

    `provider` is None where a damaged folder does not tell. What is no lab, or none that it says to
    be, has no `run_id` but is `called` something, in somebody's own words.
    """

    run_id: RunId | None
    state: LabState
    text: str
    record: LabRecord | None = None
    folder: Path | None = None
    provider: ProviderName | None = None
    called: str = ""

    @property
    def title(self) -> str:
        """What it is listed by: the lab's id, or what it is called."""
        return self.run_id or self.called


def list_labs(labs_dir: Path, runner: Runner, *, now: datetime) -> tuple[LabEntry, ...]:
    """Return every lab on this host, this user's first, and what says falsely that it is one.

    Of a provider that does not answer only the records are seen.
    """
    own = list(_in_folder(labs_dir, now))
    seen: list[LabEntry] = []
    for look in (_seen_by_docker, _seen_by_libvirt):
        with contextlib.suppress(HarnessError):
            seen += look(runner, labs_dir)
    # Ours first: somebody may have put our id on a thing of theirs.
    seen.sort(key=lambda entry: entry.state is LabState.FOREIGN)
    labs: dict[RunId, LabEntry] = {}
    for entry in (*own, *seen):
        if entry.run_id is not None:
            labs.setdefault(entry.run_id, entry)
    providers = {
        entry.run_id: entry.provider for entry in seen if entry.state is not LabState.FOREIGN
    }
    # Of a damaged record what was seen tells the provider.
    found = [
        replace(entry, provider=entry.provider or providers.get(run_id))
        for run_id, entry in labs.items()
    ]
    strangers = [entry for entry in (*own, *seen) if entry.run_id is None]
    return (*found, *dict.fromkeys(strangers))


def own_labs(labs_dir: Path) -> tuple[RunId, ...]:
    """Return the labs that have a folder of this user's in the state folder."""
    if _own_problem(labs_dir) is not None:
        return ()
    ids = (RunId.parse(name) for name in _names_in(labs_dir))
    return tuple(found for found in ids if found and _own_problem(labs_dir / found) is None)


def _own_problem(folder: Path) -> str | None:
    try:
        return folder_problem(folder)
    except OSError as problem:
        return problem.strerror or str(problem)


def _names_in(folder: Path) -> tuple[str, ...]:
    """Return the names of what is in one's own folder, of none that cannot be read."""
    try:
        return tuple(path.name for path in folder.iterdir())
    except OSError:
        return ()


def _in_folder(labs_dir: Path, now: datetime) -> Iterator[LabEntry]:
    if not os.path.lexists(labs_dir):
        return
    problem = _own_problem(labs_dir)
    if problem is not None:
        yield _stranger(str(labs_dir), problem)
        return
    for name in sorted(_names_in(labs_dir)):
        run_id = RunId.parse(name)
        if run_id is None:
            yield _stranger(f"{labs_dir / name}", "no lab is called so")
            continue
        problem = _own_problem(labs_dir / run_id)
        if problem is not None:
            yield LabEntry(run_id, LabState.FOREIGN, f"not ours: of its folder, {problem}")
            continue
        yield _entry(run_id, labs_dir / run_id, now)


def _stranger(called: str, why: str) -> LabEntry:
    return LabEntry(None, LabState.FOREIGN, f"not ours: {why}", called=called)


def _seen_by_docker(runner: Runner, labs_dir: Path) -> Iterator[LabEntry]:
    docker = Docker(runner)
    for kind in (ObjectKind.CONTAINER, ObjectKind.NETWORK):
        for thing in docker.labelled(kind):
            yield _of_docker(thing, labs_dir)


def _of_docker(thing: Labelled, labs_dir: Path) -> LabEntry:
    called = f"{thing.kind} {thing.name}"
    run_id = RunId.parse(thing.run)
    if run_id is None:
        return _stranger(called, f"its label names the run {thing.run[:_QUOTED]!r}, no lab's id")
    if not is_named_after(thing, run_id):
        return _stranger(called, f"its label names the run {run_id}, and its name does not")
    if Owner(run_id, owner.current_user(), labs_dir).made(thing):
        return LabEntry(run_id, LabState.DEAD, WITHOUT_RECORD, provider=ProviderName.DOCKER)
    text = f"of user {thing.user[:_QUOTED]}, state folder {thing.state_folder[:_QUOTED]}"
    return LabEntry(run_id, LabState.FOREIGN, text, provider=ProviderName.DOCKER)


def _seen_by_libvirt(runner: Runner, labs_dir: Path) -> Iterable[LabEntry]:
    virsh = Libvirt(runner)
    user = owner.current_user()
    marks: dict[str, UUID | None] = {found.name: found.uuid for found in virsh.domains("k5-")}
    marks |= {found.name: found.uuid for found in virsh.networks("k5-")}
    # An image says nothing of its owner, so without a machine or a network beside it it stays.
    marks |= {found.name: None for found in virsh.volumes("k5-") if found.name not in marks}
    for name, mark in marks.items():
        run_id = RunId.of(name)
        if run_id is None:
            continue
        # On another host a mark proves nothing: a third one may have a user and a folder of these
        # names, and a live run. There only a record makes a lab one's own.
        ours = virsh.is_local and mark == Owner(run_id, user, labs_dir).mark(name)
        state = LabState.DEAD if ours else LabState.FOREIGN
        text = WITHOUT_RECORD if ours else "of another user or another state folder, on libvirt"
        yield LabEntry(run_id, state, text, provider=ProviderName.LIBVIRT)


def _entry(run_id: RunId, folder: Path, now: datetime) -> LabEntry:
    live = is_held(folder / LOCK)
    try:
        record = records.read(folder)
    except InfrastructureError as unreadable:
        return _without_record(run_id, folder, unreadable.happened, live=live)
    text = f"{record.scenario}, {len(record.machines)} machines, made {record.created}"
    if live:
        text += f" by process {record.pid}"
    if record.kept_until is not None:
        text += f", kept until {record.kept_until}"
    return LabEntry(run_id, _state(record, live, now), text, record, folder, record.provider)


def _without_record(run_id: RunId, folder: Path, why: str, *, live: bool) -> LabEntry:
    if live:
        return LabEntry(run_id, LabState.LIVE, why, folder=folder)
    if not os.path.lexists(folder / RECORD) and set(_names_in(folder)) <= _OF_A_CLAIM:
        # A claim that was killed: nothing is made before there is a record.
        return LabEntry(run_id, LabState.DEAD, WITHOUT_RECORD, folder=folder)
    text = f"{why}; it stays: look at {folder}, then k0s-harness labs --clean {run_id} removes it"
    return LabEntry(run_id, LabState.DOUBTFUL, text, folder=folder)


def _state(record: LabRecord, live: bool, now: datetime) -> LabState:
    if live:
        return LabState.LIVE
    if record.kept_until is not None and now < moment(record.kept_until):
        return LabState.KEPT
    return LabState.DEAD
