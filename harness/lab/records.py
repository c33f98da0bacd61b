"""The record of a lab: written before anything is made, so that a killed run can be cleaned up.

One folder (0700) a run in the state folder: the record, the run's lock (held by the live run and
let go by the kernel when it dies), Vagrant's state, keys and known_hosts.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import secrets
import string
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from uuid import UUID

from harness.errors import HarnessError
from harness.errors import InfrastructureError
from harness.lab import isolation
from harness.lab import ssh_files
from harness.lab.docker import LABEL_RUN
from harness.lab.docker import LABEL_STATE
from harness.lab.docker import LABEL_USER
from harness.lab.docker import Docker
from harness.lab.host_vm_facts import remote_host
from harness.lab.libvirt import Libvirt
from harness.lab.libvirt import effective_uri
from harness.lab.libvirt import owner_mark
from harness.lab.locks import FileLock
from harness.lab.locks import is_held
from harness.lab.topology import Network
from harness.lab.topology import Networks
from harness.lab.topology import container_name
from harness.process import Runner
from harness.settings import ProviderName

FORMAT = 1
RECORD = "record.json"
LOCK = "lock"
_ID_LETTERS = string.digits + string.ascii_lowercase
_ID_LENGTH = 6
_NAMED_AFTER_RUN = re.compile(rf"(k5-[0-9a-z]{{{_ID_LENGTH}}})-")
WITHOUT_RECORD = "without a record"


@dataclass(frozen=True)
class LabRecord:
    """What a run is going to make, by name.

    `pid` and `pid_started` (clock ticks since boot) name the process that made it; `created` and
    `kept_until` are ISO 8601 in UTC, the latter None unless the lab is kept on purpose.
    `libvirt_uri` is where a libvirt lab's machines are, None on other providers.
    """

    run_id: str
    scenario: str
    provider: ProviderName
    user: str
    pid: int
    pid_started: str
    created: str
    folder: Path
    machines: tuple[str, ...]
    networks: Networks
    nft_table: str
    socket_dir: Path
    kept_until: str | None = None
    libvirt_uri: str | None = None

    @property
    def elsewhere(self) -> str:
        """The other host that the machines are on, nothing where it is this one."""
        return remote_host(self.libvirt_uri or "")

    def mark_of(self, name: str) -> UUID:
        """Return the UUID by which the network or domain `name` says that it is this run's."""
        return owner_mark(name, user=self.user, state_folder=self.folder.parent)

    @property
    def containers(self) -> tuple[str, ...]:
        """Names of the containers that the machines are on the docker provider."""
        return tuple(container_name(self.run_id, name) for name in self.machines)

    @property
    def labels(self) -> dict[str, str]:
        """What everything that docker makes for this run is labelled with."""
        return {
            LABEL_RUN: self.run_id,
            LABEL_USER: self.user,
            LABEL_STATE: str(self.folder.parent),
        }

    @property
    def known_hosts(self) -> Path:
        """The machines' pinned host keys."""
        return self.folder / "known_hosts"

    @property
    def key(self) -> Path:
        """The run's own private SSH key."""
        return self.folder / "id"

    @property
    def ssh_config(self) -> Path:
        """OpenSSH's configuration for the machines."""
        return self.folder / "ssh_config"

    @property
    def lock_path(self) -> Path:
        """The lock that the live run holds."""
        return self.folder / LOCK

    def holder(self) -> str:
        """Return the words for those who wait for this run."""
        return f"run {self.run_id} ({self.scenario}, process {self.pid}, user {self.user})"


class LabState(StrEnum):
    """What a lab on this host is to the one who asks."""

    LIVE = "live"
    """Its run is alive: never removed."""
    KEPT = "kept"
    """Left standing on purpose: removed when named, with all, or after its expiry."""
    DEAD = "dead"
    """Its run was killed, or its time is over: removed by `clean`."""
    FOREIGN = "foreign"
    """Another user's, or of another state folder: shown only."""


@dataclass(frozen=True)
class LabEntry:
    """A lab on this host; `record` is None where only its machines or its folder are seen.

    `provider` is None where a damaged folder does not tell.
    """

    run_id: str
    state: LabState
    text: str
    record: LabRecord | None = None
    folder: Path | None = None
    provider: ProviderName | None = None


def new_run_id() -> str:
    """Return a new run id, such as `k5-4fz09c`: 2 thousand million of them, letters for names."""
    return "k5-" + "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))


def bridge_names(run_id: str) -> tuple[str, str]:
    """Return the names of the bridges of a run's NAT and private network.

    An interface's name has at most 15 characters; these have ten.
    """
    return f"{run_id}n", f"{run_id}p"


def current_user() -> str:
    """Return the name of the user who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def make_record(
    *,
    run_id: str,
    scenario: str,
    provider: ProviderName,
    labs_dir: Path,
    machines: Sequence[str],
    private: IPv4Network,
    nat: IPv4Network,
    created: datetime,
) -> LabRecord:
    """Return the record of a lab that is about to be made by this process."""
    nat_bridge, private_bridge = bridge_names(run_id)
    networks = Networks(
        nat=Network(f"{run_id}-nat", nat_bridge, str(nat)),
        private=Network(f"{run_id}-private", private_bridge, str(private)),
    )
    return LabRecord(
        run_id=run_id,
        scenario=scenario,
        provider=provider,
        user=current_user(),
        pid=os.getpid(),
        pid_started=process_started(os.getpid()) or "",
        created=created.isoformat(),
        folder=labs_dir / run_id,
        machines=tuple(machines),
        networks=networks,
        nft_table=isolation.host_table(run_id),
        socket_dir=ssh_files.socket_dir(run_id),
        libvirt_uri=effective_uri() if provider is ProviderName.LIBVIRT else None,
    )


def write(record: LabRecord) -> None:
    """Write the record, whole or not at all."""
    path = record.folder / RECORD
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(_to_json(record), indent=2) + "\n")
    temporary.replace(path)


def read(folder: Path) -> LabRecord:
    """Read the record in `folder`.

    Raises `InfrastructureError` for one that cannot be read.
    """
    path = folder / RECORD
    try:
        return _from_json(json.loads(path.read_text()), folder)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise InfrastructureError(
            f"Reading {path}", f"this is not the record of a lab: {problem}"
        ) from problem


def claim(record: LabRecord) -> FileLock:
    """Make the record's folder, take its lock, write the record; return the lock.

    Raises `InfrastructureError` when the state folder cannot be written.
    """
    lock = FileLock(record.lock_path)
    try:
        record.folder.mkdir(mode=0o700, parents=True)
        if not lock.try_acquire(record.holder()):
            raise InfrastructureError("Claiming a run's name", f"{record.run_id} is taken")
        write(record)
    except OSError as problem:
        lock.release()
        raise InfrastructureError(
            "Making the run's state folder",
            f"{record.folder}: {problem.strerror}",
            remedy="free some space, or set K0S_HARNESS_STATE to a folder you may write",
        ) from None
    return lock


def keep(record: LabRecord, until: datetime) -> LabRecord:
    """Mark the lab as kept until then; return its new record."""
    kept = replace(record, kept_until=until.isoformat())
    write(kept)
    return kept


def list_labs(labs_dir: Path, runner: Runner, *, now: datetime) -> tuple[LabEntry, ...]:
    """Return every lab on this host, this user's first.

    Of a provider that does not answer only the records are seen.
    """
    own = [_entry(folder, now) for folder in sorted(labs_dir.glob("k5-*")) if folder.is_dir()]
    others: dict[str, LabEntry] = {}
    for look in (_seen_by_docker, _seen_by_libvirt):
        with contextlib.suppress(HarnessError):
            for entry in look(runner, labs_dir):
                others.setdefault(entry.run_id, entry)
    # Of a damaged record what was seen tells the provider.
    own = [
        replace(entry, provider=others[entry.run_id].provider)
        if entry.provider is None and entry.run_id in others
        else entry
        for entry in own
    ]
    known = {entry.run_id for entry in own}
    return (*own, *(entry for run_id, entry in others.items() if run_id not in known))


def _seen_by_docker(runner: Runner, labs_dir: Path) -> Iterator[LabEntry]:
    docker = Docker(runner)
    for owner in [found.owner for found in docker.containers()] + [*docker.network_owners()]:
        if owner.user == current_user() and owner.state_folder == str(labs_dir):
            state, text = LabState.DEAD, WITHOUT_RECORD
        else:
            state = LabState.FOREIGN
            text = f"of user {owner.user}, state folder {owner.state_folder}"
        yield LabEntry(owner.run_id, state, text, provider=ProviderName.DOCKER)


def _seen_by_libvirt(runner: Runner, labs_dir: Path) -> Iterator[LabEntry]:
    virsh = Libvirt(runner)
    user = current_user()
    marks = {found.name: found.uuid for found in virsh.domains("k5-")}
    marks |= {found.name: found.uuid for found in virsh.networks("k5-")}
    marked = [
        # On another host a mark proves nothing: a third one may have a user and a folder of these
        # names, and a live run. There only a record makes a lab one's own.
        (name, virsh.is_local and mark == owner_mark(name, user=user, state_folder=labs_dir))
        for name, mark in marks.items()
    ]
    # An image says nothing of its owner, so without a machine or a network beside it it stays.
    images = [(found.name, False) for found in virsh.volumes("k5-")]
    # Ours first: Vagrant may have made one of a lab's networks anew, with a UUID of its own.
    for name, ours in sorted((*marked, *images), key=lambda pair: not pair[1]):
        run_id = _NAMED_AFTER_RUN.match(name)
        if run_id is None:
            continue
        state = LabState.DEAD if ours else LabState.FOREIGN
        text = WITHOUT_RECORD if ours else "of another user or another state folder, on libvirt"
        yield LabEntry(run_id.group(1), state, text, provider=ProviderName.LIBVIRT)


def _entry(folder: Path, now: datetime) -> LabEntry:
    live = is_held(folder / LOCK)
    try:
        record = read(folder)
    except InfrastructureError as unreadable:
        state = LabState.LIVE if live else LabState.DEAD
        return LabEntry(folder.name, state, unreadable.happened, folder=folder)
    state = _state(record, live=live, now=now)
    text = f"{record.scenario}, {len(record.machines)} machines, made {record.created}"
    if live:
        text += f" by process {record.pid}"
    if record.kept_until is not None:
        text += f", kept until {record.kept_until}"
    return LabEntry(record.run_id, state, text, record, folder, record.provider)


def _state(record: LabRecord, *, live: bool, now: datetime) -> LabState:
    if live:
        return LabState.LIVE
    if record.kept_until is not None and now < datetime.fromisoformat(record.kept_until):
        return LabState.KEPT
    return LabState.DEAD


def process_started(pid: int) -> str | None:
    """Return when process `pid` began, in clock ticks since boot, None where there is none."""
    try:
        # After the program's name in parentheses, which may hold anything, comes field 3; the
        # start time is field 22 (proc(5)).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _to_json(record: LabRecord) -> dict[str, Any]:
    plain = asdict(record)
    plain.update(
        format=FORMAT,
        provider=record.provider.value,
        folder=str(record.folder),
        socket_dir=str(record.socket_dir),
        machines=list(record.machines),
    )
    return plain


def _from_json(data: dict[str, Any], folder: Path) -> LabRecord:
    fields = dict(data)
    if fields.pop("format") != FORMAT:
        raise ValueError(f"format {data['format']} is not known")
    networks = fields["networks"]
    fields.update(
        provider=ProviderName(fields["provider"]),
        # Where it is, not where it was: a state folder may be moved.
        folder=folder,
        socket_dir=Path(fields["socket_dir"]),
        machines=tuple(fields["machines"]),
        networks=Networks(nat=Network(**networks["nat"]), private=Network(**networks["private"])),
    )
    return LabRecord(**fields)
