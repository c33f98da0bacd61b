"""Whose a thing on this host is: what every container, network and machine of a run is marked with.

Docker's objects have labels, libvirt's a UUID that follows from their name, the user and the state
folder. Labels can be written by anyone who may use the engine, and an image hands its own to each
container made of it: so a thing is a run's only where run, user, state folder and name all agree.
"""

from __future__ import annotations

import os
import pwd
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from harness.base.run_id import RunId

LABEL_RUN = "io.k0s-harness.run"
LABEL_USER = "io.k0s-harness.user"
LABEL_STATE = "io.k0s-harness.state"
_OWNER = UUID("6b35d8a0-5d0c-5c35-9a64-6d3b1f1a4c52")


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


def machine_name(run_id: RunId, machine: str) -> str:
    """Return what a machine is called by its provider: named after the run."""
    return f"{RunId(run_id)}-{machine}"


def owner_mark(name: str, *, user: str, state_folder: Path) -> UUID:
    """Return the UUID that a network or domain `name` gets from this user and state folder."""
    return uuid.uuid5(_OWNER, "\n".join((name, user, str(state_folder))))


def current_user() -> str:
    """Return the name of the user who runs this, by the kernel's word and not the environment's."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
