"""The verb `box`: the box that VMs are made of."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator

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
from harness.cli.next_step import require_checkout
from harness.cli.options import settings_of
from harness.images.box import boxes, cache, lockfile
from harness.images.making import Making
from harness.images.seed import cannot_unpack, seed_for
from harness.providers.registry import provider

Action = Callable[[Settings, argparse.Namespace], list[str]]


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the actions, each with what it is given."""
    actions = verb.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, lines: Action, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, help=text)
        added.set_defaults(command=command, lines=lines)
        return added

    build = action("build", _build, "build the box, unless the cache has it")
    build.add_argument("--provider", metavar="NAME", help="libvirt or virtualbox; default: libvirt")
    action("list", _list, "the boxes in the cache")
    remove = action("remove", _remove, "remove boxes from the cache")
    remove.add_argument("versions", nargs="*", metavar="VERSION", help="which ones; default: all")
    action("lock", _lock, "renew the lock of its packages and boxes/catalog.json")


def command(options: argparse.Namespace) -> ExitCode:
    """Do the action, and print a line for each thing it did or found."""
    for line in options.lines(settings_of(options), options):
        show(line)
    return ExitCode.OK


def _build(settings: Settings, _options: argparse.Namespace) -> list[str]:
    """Make the box of `settings`, if the cache does not have it; seeded where a run would seed it.

    Raises `UsageError` for a provider whose machines are made of no box, and what
    making it raises.
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
    return [made.describe(), f"catalogue {made.catalogue}"]


def _list(settings: Settings, _options: argparse.Namespace) -> list[str]:
    """Return a line for each box in the cache, the newest first."""
    found = [made.describe() for made in cache.present_boxes(settings)]
    if not found:
        say("no boxes in the cache")
    return found


def _remove(settings: Settings, options: argparse.Namespace) -> list[str]:
    return [
        f"removed {made.name} {made.version} ({made.provider})"
        for made in cache.remove(settings, options.versions)
    ]


def _lock(settings: Settings, _options: argparse.Namespace) -> list[str]:
    require_checkout("Renewing the box's lock")
    with _making(settings) as making:
        made = boxes.renew_lock(making)
    return [made.describe(), f"written: {lockfile.LOCK} and {boxes.CATALOGUE}"]


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
