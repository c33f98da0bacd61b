"""Whose a thing on this host is: what every container, network and machine of a run is marked with.

Docker's objects have labels, libvirt's a UUID that follows from their name, the user and the state
folder. Labels can be written by anyone who may use the engine, and an image hands its own to each
container made of it: so a thing is a run's only where run, user, state folder and name all agree.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from harness.base.run_id import RunId
from harness.providers.docker.engine import LABEL_RUN, LABEL_STATE, LABEL_USER, Labelled, ObjectKind
from harness.providers.libvirt.virsh import owner_mark

# A volume that was given no name, as those of machines are.
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Owner:
    """A run, the user whose it is, and the state folder that has its record."""

    run_id: RunId
    user: str
    labs_dir: Path

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.labs_dir / RunId(self.run_id)

    @property
    def labels(self) -> Mapping[str, str]:
        """What everything that docker makes for this run is labelled with."""
        return {
            LABEL_RUN: self.run_id,
            LABEL_USER: self.user,
            LABEL_STATE: str(self.labs_dir),
        }

    def mark(self, name: str) -> UUID:
        """Return the UUID by which the network or domain `name` says that it is this run's."""
        return owner_mark(name, user=self.user, state_folder=self.labs_dir)

    def made(self, thing: Labelled) -> bool:
        """Return whether docker's `thing` is this run's: all its labels say so, and its name."""
        return thing.labels == self.labels and is_named_after(thing, self.run_id)


def network_names(run_id: RunId) -> tuple[str, str]:
    """Return the names of a run's NAT and private network."""
    return f"{RunId(run_id)}-nat", f"{RunId(run_id)}-private"


def is_named_after(thing: Labelled, run_id: RunId) -> bool:
    """Return whether docker's `thing` is called as those of the run are."""
    if thing.kind is ObjectKind.CONTAINER:
        return RunId.of_machine(thing.name) == run_id
    if thing.kind is ObjectKind.NETWORK:
        return thing.name in network_names(run_id)
    return _ANONYMOUS.fullmatch(thing.name) is not None


def current_user() -> str:
    """Return the name of the user who runs this, by the kernel's word and not the environment's."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
