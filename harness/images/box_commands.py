"""What `k0s-harness box` does, as lines to print."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness.artifacts.commands import wanted
from harness.artifacts.model import ArtifactKind
from harness.artifacts.store import Store
from harness.base.errors import UsageError
from harness.base.process import Runner
from harness.base.settings import ProviderName, Settings
from harness.base.wait import Clock
from harness.images.box import boxes, cache, lockfile
from harness.images.seed import cannot_unpack, seed_for
from harness.lab.leftovers import IMAGE_LOCK
from harness.state.locks import host_lock

Say = Callable[[str], None]


def build_lines(
    settings: Settings, store: Store, *, runner: Runner, clock: Clock, say: Say
) -> list[str]:
    """Make the box of `settings` if it is not in the cache, and return a line about it.

    It is seeded where a run would seed it. Raises `UsageError` for a provider whose machines are
    made of no box, and what `harness.images.box.boxes.ensure` raises.
    """
    provider = settings.provider or ProviderName.LIBVIRT
    if provider is ProviderName.DOCKER:
        raise UsageError(
            "Making the box",
            "the docker provider's machines are made of the node image, not of a box; the first "
            "run on this host makes that image",
            remedy="name the provider that the box is for: PROVIDER=libvirt or virtualbox",
        )
    refs = [ref for ref in wanted(store) if ref.kind in {ArtifactKind.K0S, ArtifactKind.BUNDLE}]
    found = {ref.kind: artifact for ref in refs if (artifact := store.look(ref)) is not None}
    seed = seed_for(provider, settings, found)
    if seed is None and settings.seed is not False and settings.box_url is None:
        absent = [str(ref) for ref in refs if ref.kind not in found]
        reason = f"{' and '.join(absent)} not here" if absent else cannot_unpack()
        say(f"without a seed: {reason}")
    with _building(clock, say):
        made = boxes.ensure(
            runner,
            settings,
            provider,
            seed=seed,
            log=_log(settings),
            clock=clock,
            narrate=say,
        )
    return [made.describe(), f"catalogue {made.catalogue}"]


def lock_lines(settings: Settings, *, runner: Runner, clock: Clock, say: Say) -> list[str]:
    """Renew the lock of the box's packages and the catalogue; return lines about what came out."""
    with _building(clock, say):
        made = boxes.renew_lock(runner, settings, log=_log(settings), clock=clock, narrate=say)
    return [made.describe(), f"written: {lockfile.LOCK} and {boxes.CATALOGUE}"]


def list_lines(settings: Settings) -> list[str]:
    """Return a line for each box in the cache, the newest first."""
    return [made.describe() for made in cache.present_boxes(settings)]


def remove_lines(settings: Settings, versions: Sequence[str]) -> list[str]:
    """Remove boxes from the cache and return a line for each."""
    return [
        f"removed {made.name} {made.version} ({made.provider})"
        for made in cache.remove(settings, versions)
    ]


def _log(settings: Settings) -> Path:
    return settings.state_dir / "box-build.log"


@contextlib.contextmanager
def _building(clock: Clock, say: Say) -> Iterator[None]:
    with host_lock(
        IMAGE_LOCK,
        holder=f"process {os.getpid()}, which makes a box",
        bound=boxes.BUILD_SECONDS,
        clock=clock,
        narrate=say,
    ):
        yield
