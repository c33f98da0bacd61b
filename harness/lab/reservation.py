"""A run's claim on this host: a name, two subnets, and that nothing of the run stays behind.

`reserve` claims them and writes the record from which `clean` works; leaving the reservation's
context removes whatever is still there, unless the lab is kept.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.base.context import Context, Narrate, silent
from harness.base.errors import HarnessError, InfrastructureError
from harness.base.locks import LOCK_SECONDS, NAMES_LOCK, FileLock, host_lock
from harness.base.run_id import RunId
from harness.host import subnets
from harness.lab import claims, leftovers, listing
from harness.lab.creation import STEP_NETWORKS
from harness.providers import registry
from harness.providers.backend import backend
from harness.state import records
from harness.state.records import LabRecord


class Reservation:
    """A run's claim on a name and two subnets; leaving the context removes what is left of it."""

    def __init__(
        self, context: Context, record: LabRecord, locks: Sequence[FileLock], narrate: Narrate
    ) -> None:
        self.context = context
        self.record = record
        self.narrate = narrate
        self._locks = locks
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
            removal = leftovers.remove(self.record, self.context, self.narrate)
            self._end()
        if removal.problems:
            raise InfrastructureError(
                f"Removing the lab {self.run_id}",
                "; ".join(removal.problems),
                remedy="k0s-harness labs --clean tries again",
                where=self.log,
            )

    def keep(self, until: datetime) -> None:
        """Leave everything standing until then."""
        self.record = records.keep(self.record, until)
        self._end()

    def _end(self) -> None:
        self.done = True
        for lock in self._locks:
            lock.release()


def reserve(
    context: Context, *, scenario: str, provider: str, narrate: Narrate = silent
) -> Reservation:
    """Claim a run id and free subnets, and write the record from which `clean` works."""
    settings = context.settings
    chosen, making = registry.provider(provider), backend(provider)
    names_lock = functools.partial(
        host_lock,
        NAMES_LOCK,
        holder=f"process {os.getpid()}",
        bound=LOCK_SECONDS,
        clock=context.clock,
        narrate=lambda text: narrate(STEP_NETWORKS, text),
    )
    with names_lock():
        used = [*subnets.host_networks(context.runner), *claims.claimed()]
        used += making.networks(context.runner)
        for entry in listing.list_labs(settings.labs_dir, context.runner, now=context.clock.now()):
            if entry.record is not None:
                networks = entry.record.networks
                used += [networks.nat.ipv4, networks.private.ipv4]
        record = records.make_record(
            run_id=RunId.new(),
            scenario=scenario,
            provider=provider,
            labs_dir=settings.labs_dir,
            machines=(),
            private=subnets.choose_private(used, chosen.private_ranges),
            nat=subnets.choose_nat(used),
            created=context.clock.now(),
            libvirt_uri=chosen.connection(),
        )
        networks = record.networks
        subnets_claimed = [claims.claim(each.ipv4) for each in (networks.private, networks.nat)]
        locks = (records.claim(record), *subnets_claimed)
        reservation = Reservation(context, record, locks, narrate)
    # No other lab's end can put values back in between: this one has its folder by now.
    with files_written(), removing(reservation), names_lock():
        making.record_host(settings.state_dir)
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
