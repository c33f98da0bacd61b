"""A run's claim on this host: a name, two subnets, and that nothing of the run stays behind.

`reserve` claims them and writes the record from which `clean` works; leaving the reservation's
context removes whatever is still there, unless the lab is kept.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.base.errors import HarnessError, InfrastructureError
from harness.base.process import Runner
from harness.base.run_id import RunId
from harness.base.settings import ProviderName, Settings
from harness.base.wait import Clock
from harness.host import subnets
from harness.lab import leftovers, listing
from harness.lab.creation import STEP_NETWORKS
from harness.lab.leftovers import LOCK_SECONDS, NAMES_LOCK, Tools
from harness.providers.docker import sysctls
from harness.providers.docker.engine import Docker
from harness.providers.libvirt.forwards import networks_of
from harness.providers.libvirt.virsh import Libvirt
from harness.state import records
from harness.state.locks import FileLock, host_lock
from harness.state.records import LabRecord

Narrate = leftovers.Narrate


def _silent(_step: str, _detail: str) -> None:
    return


@dataclass(frozen=True)
class Host:
    """What a lab needs of this host: programs, time, settings."""

    runner: Runner
    clock: Clock
    settings: Settings


class Reservation:
    """A run's claim on a name and two subnets; leaving the context removes what is left of it."""

    def __init__(self, host: Host, record: LabRecord, lock: FileLock, narrate: Narrate) -> None:
        self.host = host
        self.record = record
        self.narrate = narrate
        self._lock = lock
        self.log: Path | None = None
        self.done = False

    @property
    def run_id(self) -> RunId:
        """The run's id, such as `k5-4fz09c`."""
        return self.record.run_id

    @property
    def subnet(self) -> IPv4Network:
        """The private network, which carries the cluster."""
        return self.record.networks.private.ipv4

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what is left; a failure to do so is raised only if nothing else was."""
        try:
            self.remove()
        except HarnessError:
            if problem is None:
                raise

    def remove(self) -> None:
        """Remove everything of this run, once.

        Raises `InfrastructureError` naming what is left.
        """
        if self.done:
            return
        with leftovers.uninterrupted():
            host = self.host
            tools = Tools(host.runner, host.clock, host.settings, self.narrate)
            removal = leftovers.remove(self.record, tools)
            self.done = True
            self._lock.release()
        if removal.problems:
            raise InfrastructureError(
                f"Removing the lab {self.run_id}",
                "; ".join(removal.problems),
                remedy="make clean-labs tries again",
                where=self.log,
            )

    def keep(self, until: datetime) -> None:
        """Leave everything standing until then."""
        self.record = records.keep(self.record, until)
        self.done = True
        self._lock.release()


def reserve(
    host: Host, *, scenario: str, provider: ProviderName, narrate: Narrate = _silent
) -> Reservation:
    """Claim a run id and free subnets, and write the record from which `clean` works."""
    settings = host.settings
    names_lock = functools.partial(
        host_lock,
        NAMES_LOCK,
        holder=f"process {os.getpid()}",
        bound=LOCK_SECONDS,
        clock=host.clock,
        narrate=lambda text: narrate(STEP_NETWORKS, text),
    )
    with names_lock():
        used = [*subnets.host_networks(host.runner)]
        if provider is ProviderName.DOCKER:
            used += Docker(host.runner).subnets()
        if provider is ProviderName.LIBVIRT:
            virsh = Libvirt(host.runner)
            if not virsh.is_local:
                used += networks_of(virsh.uri, host.runner)
            for network in virsh.networks():
                used += network.subnets
        for entry in listing.list_labs(settings.labs_dir, host.runner, now=host.clock.now()):
            if entry.record is not None:
                networks = entry.record.networks
                used += [networks.nat.ipv4, networks.private.ipv4]
        record = records.make_record(
            run_id=RunId.new(),
            scenario=scenario,
            provider=provider,
            labs_dir=settings.labs_dir,
            machines=(),
            private=subnets.choose_private(used, provider),
            nat=subnets.choose_nat(used),
            created=host.clock.now(),
        )
        reservation = Reservation(host, record, records.claim(record), narrate)
    if provider is ProviderName.DOCKER:
        # No other lab's end can put values back in between: this one has its folder by now.
        with files_written(), removing(reservation), names_lock():
            sysctls.record(settings.state_dir)
    return reservation


@contextlib.contextmanager
def removing(
    reservation: Reservation, keep_evidence: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Remove everything of the run when what is inside fails or is interrupted."""
    try:
        yield
    except BaseException:
        with leftovers.uninterrupted():
            keep_evidence()
            # The first error is the one to show; what is left is found by its record.
            with contextlib.suppress(HarnessError):
                reservation.remove()
        raise


@contextlib.contextmanager
def files_written() -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into a sentence."""
    try:
        yield
    except OSError as problem:
        raise InfrastructureError(
            "Writing the lab's files",
            f"{problem.filename or 'a file'}: {problem.strerror or problem}",
            remedy="free some space, or set K0S_HARNESS_STATE and K0S_HARNESS_RUNS elsewhere",
        ) from problem
