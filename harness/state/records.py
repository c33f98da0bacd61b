"""The record of a lab: written before anything is made, so that a killed run can be cleaned up.

One folder (0700) a run in the state folder: the record, the run's lock (held by the live run and
let go by the kernel when it dies), Vagrant's state, keys and known_hosts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from uuid import UUID

from harness.base import untrusted
from harness.base.errors import InfrastructureError
from harness.base.locks import FileLock
from harness.base.own_files import folder_problem, make_private, write_own
from harness.base.run_id import RunId
from harness.base.untrusted import RefusedError
from harness.host.vm_facts import remote_host
from harness.ssh import files as ssh_files
from harness.state import owner, record_fields
from harness.state.networks import Network, Networks, bridge_names, host_table, network_names
from harness.state.owner import Owner
from harness.state.record_fields import RecordFields

RECORD = "record.json"
LOCK = "lock"
# What the next command must know to begin on a lab that was left for it (`harness.engine.warm`).
WARM = "warm.json"
# How the admin gets in, now and once the machines are put back to how they were saved.
KUBECONFIG = "kubeconfig"
SAVED_KUBECONFIG = "kubeconfig.saved"
# How much of what a record says is quoted.
_QUOTED = 100


@dataclass(frozen=True)
class LabRecord:
    """What a run is going to make, by name; all names follow from the run's id.

    `pid` is the process that made it; `created` and `kept_until` are ISO 8601 in UTC, the latter
    None unless the lab is kept on purpose.
    `libvirt_uri` is where a libvirt lab's machines are, None on other providers.
    """

    run_id: RunId
    scenario: str
    provider: str
    user: str
    pid: int
    created: str
    folder: Path
    machines: tuple[str, ...]
    networks: Networks
    kept_until: str | None = None
    libvirt_uri: str | None = None

    @property
    def owner(self) -> Owner:
        """Whose everything is that this run makes."""
        return Owner(self.run_id, self.user, self.folder.parent)

    @property
    def nft_table(self) -> str:
        """The name of the table that isolates the lab on this host."""
        return host_table(self.run_id)

    @property
    def socket_dir(self) -> Path:
        """Where its SSH control sockets lie."""
        return ssh_files.socket_dir(self.run_id)

    @property
    def elsewhere(self) -> str:
        """The other host that the machines are on, nothing where it is this one."""
        return remote_host(self.libvirt_uri or "")

    def mark_of(self, name: str) -> UUID:
        """Return the UUID by which the network or domain `name` says that it is this run's."""
        return self.owner.mark(name)

    @property
    def labels(self) -> Mapping[str, str]:
        """What everything that docker makes for this run is labelled with."""
        return self.owner.labels

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


def make_record(
    *,
    run_id: RunId,
    scenario: str,
    provider: str,
    labs_dir: Path,
    machines: Sequence[str],
    private: IPv4Network,
    nat: IPv4Network,
    created: datetime,
    libvirt_uri: str | None = None,
) -> LabRecord:
    """Return the record of a lab that is about to be made by this process."""
    return LabRecord(
        run_id=RunId(run_id),
        scenario=scenario,
        provider=provider,
        user=owner.current_user(),
        pid=os.getpid(),
        created=created.isoformat(),
        folder=labs_dir / run_id,
        machines=tuple(machines),
        networks=_networks(run_id, nat=str(nat), private=str(private)),
        libvirt_uri=libvirt_uri,
    )


def write(record: LabRecord) -> None:
    """Write the record, whole or not at all."""
    write_own(record.folder / RECORD, json.dumps(_to_json(record), indent=2) + "\n")


def read(folder: Path, providers: Mapping[str, bool]) -> LabRecord:
    """Read the record in `folder`, which is this user's own.

    `providers` says of each name whether its machines are made over a connection that is named.

    Raises `InfrastructureError` for one that cannot be read, and for one that is not to be
    believed: what it says must follow from where it lies and from who reads it.
    """
    path = folder / RECORD
    try:
        problem = folder_problem(folder)
        if problem is not None:
            raise RefusedError(f"of its folder: {problem}")
        text = untrusted.read_text(path, record_fields.LIMITS, own=True)
        fields = record_fields.parse(untrusted.json_value(text, record_fields.LIMITS))
        record = _from_fields(fields, folder)
        if record.provider not in providers:
            raise RefusedError(f"its provider is {record.provider}, which there is not")
        _require_agreement(fields, record, connects=providers[record.provider])
    except (OSError, ValueError) as problem:
        raise InfrastructureError(
            f"Reading {path}", f"this is not the record of a lab: {problem}"
        ) from problem
    return record


def claim(record: LabRecord) -> FileLock:
    """Make the record's folder, take its lock, write the record; return the lock.

    Raises `InfrastructureError` when the state folder cannot be written.
    """
    lock = FileLock(record.lock_path)
    try:
        make_private(record.folder.parent)
        record.folder.mkdir(mode=0o700)
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


def _networks(run_id: RunId, *, nat: str, private: str) -> Networks:
    nat_name, private_name = network_names(run_id)
    nat_bridge, private_bridge = bridge_names(run_id)
    return Networks(
        nat=Network(nat_name, nat_bridge, nat),
        private=Network(private_name, private_bridge, private),
    )


def _to_json(record: LabRecord) -> dict[str, Any]:
    return {
        "run_id": str(record.run_id),
        "scenario": record.scenario,
        "provider": record.provider,
        "user": record.user,
        "pid": record.pid,
        "created": record.created,
        "folder": str(record.folder),
        "machines": list(record.machines),
        "networks": asdict(record.networks),
        "nft_table": record.nft_table,
        "socket_dir": str(record.socket_dir),
        "kept_until": record.kept_until,
        "libvirt_uri": record.libvirt_uri,
        "format": record_fields.FORMAT,
    }


def _from_fields(fields: RecordFields, folder: Path) -> LabRecord:
    """Return the record of the lab in `folder`: what only its file can tell is taken from there."""
    run_id = RunId(folder.name)
    return LabRecord(
        run_id=run_id,
        scenario=fields.scenario,
        provider=fields.provider,
        user=owner.current_user(),
        pid=fields.pid,
        created=fields.created,
        folder=folder,
        machines=tuple(fields.machines),
        networks=_networks(
            run_id, nat=fields.networks.nat.subnet, private=fields.networks.private.subnet
        ),
        kept_until=fields.kept_until,
        libvirt_uri=fields.libvirt_uri,
    )


def _require_agreement(fields: RecordFields, record: LabRecord, *, connects: bool) -> None:
    """Raise `RefusedError` where the file says otherwise than what follows from its place."""
    said, follows = fields.model_dump(), _to_json(record)
    for name, value in said.items():
        if value != follows[name]:
            raise RefusedError(
                f"its {name} is {str(value)[:_QUOTED]}, and of a lab of this user in this folder"
                f" it is {follows[name]}"
            )
    if not connects and record.libvirt_uri is not None:
        raise RefusedError(f"it has a libvirt_uri, and its provider is {record.provider}")
