"""The boxes in the cache folder, each in a folder of its own, and root file systems on their way.

boxes/<provider>-<version>/     the box, its catalogue, what is known of it
boxes/root.<hash>.tar           the root file system that the last boxes were made of
boxes/partial/                  boxes on their way here
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.base.errors import UsageError
from harness.base.settings import Settings
from harness.images.box import package
from harness.images.box.package import Box
from harness.state import removal

# A k0s developer gets a seeded box a build, of half a gigabyte; these stay for going back.
KEPT = 3
PARTIAL = "partial"
_BOX = re.compile(r"([a-z0-9]+)-0\.[0-9a-f.]+")
# Also on its way here (`move`).
_ROOT = re.compile(r"\.?root\.[0-9a-f]+\.tar")


def boxes_dir(settings: Settings) -> Path:
    """Return the folder of all boxes in the cache."""
    return settings.cache_dir / "boxes"


def folder_of(settings: Settings, provider: str, version: str) -> Path:
    """Return where the box of that version is or would be."""
    return boxes_dir(settings) / f"{provider}-{version}"


def present_boxes(settings: Settings) -> tuple[Box, ...]:
    """Return the boxes in the cache, the newest first."""
    newest = sorted(_folders(settings), key=lambda path: path.stat().st_mtime, reverse=True)
    return tuple(box for box in map(package.load, newest) if box is not None)


def remove(settings: Settings, versions: Sequence[str] = ()) -> tuple[Box, ...]:
    """Remove boxes from the cache, all of them where no version is named, and return them.

    What Vagrant and libvirt hold of them stays. Raises `UsageError` for a version that is not here.
    """
    boxes = present_boxes(settings)
    unknown = set(versions) - {box.version for box in boxes}
    if unknown:
        raise UsageError(
            "Removing boxes",
            f"there is no box {', '.join(sorted(unknown))}",
            remedy="k0s-harness box list shows those there are",
        )
    gone = tuple(box for box in boxes if not versions or box.version in versions)
    for box in gone:
        removal.remove_folder(box.folder.parent, box.folder.name)
    if not versions:
        _remove_rest(settings)
    return gone


def _remove_rest(settings: Settings) -> None:
    """Remove all of ours that is no box; what is somebody's own in the folder stays, with it."""
    folder = boxes_dir(settings)
    for name in (*(path.name for path in _folders(settings)), PARTIAL):
        removal.remove_folder(folder, name)
    remove_roots(settings)
    with contextlib.suppress(OSError):
        folder.rmdir()


def remove_roots(settings: Settings) -> None:
    """Remove the root file systems that boxes were made of."""
    for file in boxes_dir(settings).glob("*root.*.tar"):
        if _ROOT.fullmatch(file.name):
            file.unlink(missing_ok=True)


def forget_old(settings: Settings, provider: str, *, keep: Box) -> None:
    """Remove boxes made here for `provider` but the newest, and what killed builds left."""
    others = [
        box
        for box in present_boxes(settings)
        if box.provider == provider and not box.brought and box.version != keep.version
    ]
    broken = [folder for folder in _folders(settings) if package.load(folder) is None]
    for folder in (*(box.folder for box in others[KEPT - 1 :]), *broken):
        removal.remove_folder(folder.parent, folder.name)


def move(source: Path, target: Path) -> None:
    """Move a large file, also to another file system, so that `target` is whole or not there."""
    on_its_way = target.with_name(f".{target.name}")
    shutil.move(source, on_its_way)
    on_its_way.replace(target)


def _folders(settings: Settings) -> tuple[Path, ...]:
    """Return the folders that are named as those of boxes are; a link is none."""
    return tuple(
        path
        for path in boxes_dir(settings).glob("*-*")
        if (named := _BOX.fullmatch(path.name))
        and named[1] in package.providers()
        and path.is_dir()
        and not path.is_symlink()
    )
