"""What is on this host of labs, and whose each is to the one who asks.

Own folders are looked at first, then what docker and libvirt have that says it is a run's. What
says so falsely is shown as not ours, and nothing is ever computed from what it says.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from harness.base.errors import HarnessError, InfrastructureError
from harness.base.locks import is_held
from harness.base.own_files import folder_problem
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.providers.backend import backend
from harness.providers.registry import connections, providers
from harness.state import records
from harness.state.entries import WITHOUT_RECORD, LabEntry, LabState, stranger
from harness.state.record_fields import moment
from harness.state.records import LOCK, RECORD, SAVED_KUBECONFIG, WARM, LabRecord

# What a claim that was killed before it had its record leaves in the folder.
_OF_A_CLAIM = {LOCK, "record.new"}


def list_labs(labs_dir: Path, runner: Runner, *, now: datetime) -> tuple[LabEntry, ...]:
    """Return every lab on this host, this user's first, and what says falsely that it is one.

    Of a provider that does not answer only the records are seen.
    """
    own = list(in_folder(labs_dir, now))
    seen: list[LabEntry] = []
    for each in providers():
        with contextlib.suppress(HarnessError):
            seen += backend(each.name).seen(runner, labs_dir)
    # Ours first: somebody may have put our id on a thing of theirs.
    seen.sort(key=lambda entry: entry.state is LabState.FOREIGN)
    labs: dict[RunId, LabEntry] = {}
    for entry in (*own, *seen):
        if entry.run_id is not None:
            labs.setdefault(entry.run_id, entry)
    provider_of = {
        entry.run_id: entry.provider for entry in seen if entry.state is not LabState.FOREIGN
    }
    # Of a damaged record what was seen tells the provider.
    found = [
        replace(entry, provider=entry.provider or provider_of.get(run_id))
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


def in_folder(labs_dir: Path, now: datetime) -> Iterator[LabEntry]:
    """Yield what is in one's own folder of labs; no provider is asked."""
    if not os.path.lexists(labs_dir):
        return
    problem = _own_problem(labs_dir)
    if problem is not None:
        yield stranger(str(labs_dir), problem)
        return
    for name in sorted(_names_in(labs_dir)):
        run_id = RunId.parse(name)
        if run_id is None:
            yield stranger(f"{labs_dir / name}", "no lab is called so")
            continue
        problem = _own_problem(labs_dir / run_id)
        if problem is not None:
            yield LabEntry(run_id, LabState.FOREIGN, f"not ours: of its folder, {problem}")
            continue
        yield _entry(run_id, labs_dir / run_id, now)


def _entry(run_id: RunId, folder: Path, now: datetime) -> LabEntry:
    live = is_held(folder / LOCK)
    try:
        record = records.read(folder, connections())
    except InfrastructureError as unreadable:
        return _without_record(run_id, folder, unreadable.happened, live=live)
    text = f"{record.scenario}, {len(record.machines)} machines, made {record.created}"
    if live:
        text += f" by process {record.pid}"
    if record.kept_until is not None:
        text += f", kept until {record.kept_until}"
    if (folder / WARM).is_file():
        off = ", turned off, to be restored" if (folder / SAVED_KUBECONFIG).is_file() else ""
        text += f"{off} for the next run with REUSE=1 that begins alike"
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
