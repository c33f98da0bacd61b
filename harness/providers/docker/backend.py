"""The docker provider's part of labs: what it makes of a record, what it has, how that goes."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

from harness.base.context import Context, Narrate
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.providers.backend import Backend
from harness.providers.docker import DockerProvider, sysctls
from harness.providers.docker.engine import Docker, Labelled, ObjectKind
from harness.providers.docker.machines import Containers
from harness.providers.substrate import LabRequest
from harness.state import owner
from harness.state.entries import WITHOUT_RECORD, LabEntry, LabState, stranger
from harness.state.networks import network_names
from harness.state.owner import Owner
from harness.state.records import LabRecord
from harness.state.removal import Step, each

# A volume that was given no name, as those of machines are.
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
# How much of what others wrote is shown.
_QUOTED = 200


class DockerBackend(Backend):
    """Containers, networks and volumes that carry the run's labels."""

    def substrate(self, record: LabRecord, request: LabRequest, context: Context) -> Containers:
        return Containers(record, request, context)

    def sweep(
        self,
        whose: Owner,
        context: Context,
        narrate: Narrate,
        record: LabRecord | None,
    ) -> list[str]:
        return sweep(Docker(context.runner), whose, narrate)

    def seen(self, runner: Runner, labs_dir: Path) -> Iterator[LabEntry]:
        docker = Docker(runner)
        for kind in (ObjectKind.CONTAINER, ObjectKind.NETWORK):
            for thing in docker.labelled(kind):
                yield _entry(thing, labs_dir)

    def networks(self, runner: Runner) -> Iterable[IPv4Network]:
        return Docker(runner).subnets()

    def record_host(self, state_dir: Path) -> None:
        sysctls.record(state_dir)

    def restore_host(self, state_dir: Path, runner: Runner) -> None:
        sysctls.restore(state_dir, runner)


BACKEND = DockerBackend()


def sweep(docker: Docker, whose: Owner, narrate: Narrate) -> list[str]:
    """Remove all that carries the run's labels, all of them, and is named as the run's are."""
    kinds = (ObjectKind.CONTAINER, ObjectKind.NETWORK, ObjectKind.VOLUME)
    steps: list[Step] = [
        (f"{kind}s", functools.partial(_remove_made, docker, kind, whose)) for kind in kinds
    ]
    # Twice: the engine may have been in the middle of making a container for a killed run.
    return each(steps, narrate) and each(steps, narrate)


def _remove_made(docker: Docker, kind: ObjectKind, whose: Owner) -> None:
    docker.remove(
        [thing for thing in docker.labelled(kind, whose.run_id) if is_made_by(thing, whose)]
    )


def is_made_by(thing: Labelled, whose: Owner) -> bool:
    """Return whether docker's `thing` is the run's: all its labels say so, and its name."""
    return thing.labels == whose.labels and is_named_after(thing, whose.run_id)


def is_named_after(thing: Labelled, run_id: RunId) -> bool:
    """Return whether docker's `thing` is called as those of the run are."""
    if thing.kind is ObjectKind.CONTAINER:
        return RunId.of_machine(thing.name) == run_id
    if thing.kind is ObjectKind.NETWORK:
        return thing.name in network_names(run_id)
    return _ANONYMOUS.fullmatch(thing.name) is not None


def _entry(thing: Labelled, labs_dir: Path) -> LabEntry:
    called = f"{thing.kind} {thing.name}"
    run_id = RunId.parse(thing.run)
    if run_id is None:
        return stranger(called, f"its label names the run {thing.run[:_QUOTED]!r}, no lab's id")
    if not is_named_after(thing, run_id):
        return stranger(called, f"its label names the run {run_id}, and its name does not")
    if is_made_by(thing, Owner(run_id, owner.current_user(), labs_dir)):
        return LabEntry(run_id, LabState.DEAD, WITHOUT_RECORD, provider=DockerProvider.name)
    text = f"of user {thing.user[:_QUOTED]}, state folder {thing.state_folder[:_QUOTED]}"
    return LabEntry(run_id, LabState.FOREIGN, text, provider=DockerProvider.name)
