"""The verb `box`: the box that VMs are made of."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from harness.artifacts.commands import wanted
from harness.artifacts.model import ArtifactKind
from harness.artifacts.store import Store
from harness.base.context import Context
from harness.base.errors import ExitCode, UsageError
from harness.base.locks import IMAGE_LOCK, host_lock
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.images.box import boxes, cache, lockfile
from harness.images.making import Making
from harness.images.seed import cannot_unpack, seed_for
from harness.providers.registry import provider


def build_box(settings: Settings) -> ExitCode:
    """Make the box of `settings`, if the cache does not have it, and print a line about it.

    It is seeded where a run would seed it. Raises `UsageError` for a provider whose machines are
    made of no box, and what making it raises.
    """
    chosen = provider(settings.provider or boxes.CATALOGUED)
    if not chosen.boxed:
        raise UsageError(
            "Making the box",
            f"the {chosen.name} provider's machines are made of the node image, not of a box; the"
            " first run on this host makes that image",
            remedy="name the provider that the box is for: PROVIDER=libvirt or virtualbox",
        )
    store = Store(settings, say=say)
    refs = [ref for ref in wanted(store) if ref.kind in {ArtifactKind.K0S, ArtifactKind.BUNDLE}]
    found = {ref.kind: artifact for ref in refs if (artifact := store.look(ref)) is not None}
    seed = seed_for(settings, found, boxed=True)
    if seed is None and settings.seed is not False and settings.box_url is None:
        absent = [str(ref) for ref in refs if ref.kind not in found]
        reason = f"{' and '.join(absent)} not here" if absent else cannot_unpack()
        say(f"without a seed: {reason}")
    with _making(settings) as making:
        made = boxes.ensure(making, chosen.name, seed)
    show(f"{made.describe()}\ncatalogue {made.catalogue}")
    return ExitCode.OK


def list_boxes(settings: Settings) -> ExitCode:
    """Print a line for each box in the cache, the newest first."""
    found = cache.present_boxes(settings)
    for made in found:
        show(made.describe())
    if not found:
        say("no boxes in the cache")
    return ExitCode.OK


def remove_boxes(settings: Settings, versions: Sequence[str]) -> ExitCode:
    """Remove boxes from the cache, all of them without `versions`, and print a line for each."""
    for made in cache.remove(settings, versions):
        show(f"removed {made.name} {made.version} ({made.provider})")
    return ExitCode.OK


def renew_lock(settings: Settings) -> ExitCode:
    """Renew the lock of the box's packages and the catalogue, and print what came out."""
    with _making(settings) as making:
        made = boxes.renew_lock(making)
    show(f"{made.describe()}\nwritten: {lockfile.LOCK} and {boxes.CATALOGUE}")
    return ExitCode.OK


@contextlib.contextmanager
def _making(settings: Settings) -> Iterator[Making]:
    clock = SystemClock()
    with host_lock(
        IMAGE_LOCK,
        holder=f"process {os.getpid()}, which makes a box",
        bound=boxes.BUILD_SECONDS,
        clock=clock,
        narrate=say,
    ):
        context = Context(LocalRunner(), clock, settings, say)
        yield Making(context, settings.state_dir / "box-build.log")
