"""The big files of a seed where containers share them, with links in their old places.

What lies in an image's layers is on a host once, and a container that writes to it gets a copy of
its own. What lies on `/var` every container gets as a copy from its start: containerd keeps what
pods write there, which cannot lie on docker's overlay. What pods only read can.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from harness.images.seed import BIN_PATH, STORE_PATH

# Where the files are that machines share.
_SHARED = Path("usr/lib/k0s-harness/seed")
# Where containerd has the files of an image's layers, and the image as it was packed.
_SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs/snapshots"
_BLOBS = "io.containerd.content.v1.content/blobs"
# How overlayfs says that a folder hides the one of its name below.
_OPAQUE = "trusted.overlay.opaque"


def share(tree: Path) -> tuple[Path, ...]:
    """Move what machines share out of `/var` in `tree`, a seed's files, and leave links to it.

    Returns the layers of pod images, as paths in `tree`, that stay where they are: they say of
    files of the layers below that these are gone, in words that docker's overlay takes for its own.

    k0s removes a program before it writes another in its place (`copyTo` in pkg/assets/stage.go of
    v1.32.3+k0s.0), and containerd moves a layer away before it removes it: links are safe there.
    """
    store = tree / STORE_PATH.lstrip("/")
    files = (store / _BLOBS, tree / BIN_PATH.lstrip("/"))
    for path in sorted(path for place in files for path in place.rglob("*") if path.is_file()):
        _move(tree, path)
    own = []
    for layer in sorted((store / _SNAPSHOTS).glob("*/fs")):
        if _hides(layer):
            own.append(layer.relative_to(tree))
        else:
            _move(tree, layer)
    return tuple(own)


def _hides(layer: Path) -> bool:
    """Return whether a layer says of anything below it that it is not there."""
    return any(
        _is_whiteout(Path(folder, name))
        for folder, folders, files in os.walk(layer)
        for name in (*folders, *files)
    )


def _is_whiteout(path: Path) -> bool:
    if sys.platform != "linux":
        # Where no containers are made, and files have no such marks.
        return False
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        return _OPAQUE in os.listxattr(path)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _move(tree: Path, path: Path) -> None:
    target = _SHARED / path.relative_to(tree)
    (tree / target).parent.mkdir(parents=True, exist_ok=True)
    path.rename(tree / target)
    path.symlink_to("/" / target)
