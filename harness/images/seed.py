"""Seeds: the k0s binary, the programs in it and the pod images that machines are made with.

Machines under software emulation need them: an uploaded image bundle does not unpack in time there.
All others start faster with them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.model import Artifact, ArtifactKind
from harness.base.errors import HostLacksError
from harness.base.settings import Settings
from harness.images import embedded
from harness.images.making import Making
from harness.images.rootfs import BOXES, build_folder, lacks_room, tool_path

# Where a seeded machine says what it was made with.
SEED_FILE = "/etc/k0s-harness/seed.json"
# Where k0s is installed, and where its containerd keeps images (k0s: `--data-dir` plus containerd).
K0S_PATH = "/usr/local/bin/k0s"
STORE_PATH = "/var/lib/k0s/containerd"
# Where k0s unpacks the programs that it carries.
BIN_PATH = "/var/lib/k0s/bin"

# The seed's files, 1.4 GB, and the root file system with them, as a tar.
WORK_MIB = 3072
# 7 images of 140 MB: 9 s measured.
UNPACK_SECONDS = 600.0
_SCRIPT = BOXES / "unpack-images.sh"
# The modules that say how a seed is laid out.
_HOW = ("embedded.py", "shared.py")
_DOING = "Unpacking the pod images"


@dataclass(frozen=True)
class Seed:
    """What machines are made with: a k0s binary and an image bundle, both verified."""

    k0s: Artifact
    bundle: Artifact

    @property
    def key(self) -> str:
        """12 hex digits that no other pair has, and no other way of unpacking it."""
        digest = hashlib.sha256(f"{self.k0s.sha256} {self.bundle.sha256} ".encode())
        for how in (_SCRIPT, *(Path(__file__).with_name(name) for name in _HOW)):
            digest.update(how.read_bytes())
        return digest.hexdigest()[:12]

    def text(self) -> str:
        """Return what stands in the machine's `/etc/k0s-harness/seed.json`."""
        data = {
            "k0s": {"version": self.k0s.ref.version, "sha256": self.k0s.sha256},
            "images": {"sha256": self.bundle.sha256},
        }
        return json.dumps(data) + "\n"

    def describe(self) -> str:
        """Return it in words."""
        return f"{self.k0s.ref} and its pod images"


def seed_for(
    settings: Settings, artifacts: Mapping[ArtifactKind, Artifact], *, boxed: bool
) -> Seed | None:
    """Return what the machines of a run are to be made with, None for machines without.

    By default machines are seeded where the release files are at hand and this host can unpack
    them; SEED= decides otherwise. `boxed` says that they are made of a box: one that somebody
    brings (BOX_URL=) is taken as it is.
    """
    if settings.seed is False or (boxed and settings.box_url is not None):
        return None
    k0s = artifacts.get(ArtifactKind.K0S)
    bundle = artifacts.get(ArtifactKind.BUNDLE)
    if k0s is None or bundle is None:
        return None
    if settings.seed is None and cannot_unpack() is not None:
        return None
    return Seed(k0s, bundle)


def cannot_unpack() -> str | None:
    """Return why this host cannot unpack pod images, None where it can."""
    if os.getuid() != 0:
        return "only root can unpack pod images as they have to lie on a machine's disk"
    path = tool_path()["PATH"]
    missing = [name for name in ("containerd", "ctr") if shutil.which(name, path=path) is None]
    if missing:
        return f"there is no program {' or '.join(missing)}"
    lacking = lacks_room(build_folder().parent, WORK_MIB)
    return None if lacking is None else f"{lacking} (TMPDIR= names another folder)"


def make_tree(making: Making, seed: Seed, work: Path) -> Path:
    """Return a folder in `work` with the files to lay over a machine's root, owned as there.

    Raises `HostLacksError` where this host cannot unpack images, `CommandFailedError` when it
    fails.
    """
    reason = cannot_unpack()
    if reason is not None:
        raise HostLacksError(
            _DOING,
            reason,
            remedy="run it as root with containerd installed (sudo apt-get install containerd), or "
            "set SEED=0 for machines that get the images when k0s is installed",
        )
    tree = work / "seed"
    store = tree / STORE_PATH.lstrip("/")
    store.mkdir(parents=True, mode=0o755)
    making.say(f"unpacking the pod images of {seed.bundle.ref}")
    # A namespace of its own for processes and mounts: a killed build leaves neither.
    alone = ("unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child")
    making.run(
        [*alone, str(_SCRIPT), str(seed.bundle.path), str(store), str(work / "unpack")],
        doing=_DOING,
        deadline=UNPACK_SECONDS,
        env=tool_path(),
    )
    note, k0s = tree / SEED_FILE.lstrip("/"), tree / K0S_PATH.lstrip("/")
    for target in (note, k0s):
        target.parent.mkdir(parents=True)
    note.write_text(seed.text())
    note.chmod(0o644)
    shutil.copyfile(seed.k0s.path, k0s)
    k0s.chmod(0o755)
    # A disk keeps whole seconds, and k0s wants its programs to be as old as itself.
    at = int(k0s.stat().st_mtime)
    os.utime(k0s, (at, at))
    programs = embedded.unpack(k0s, tree / BIN_PATH.lstrip("/"))
    left = "; it unpacks them by itself" if not programs else ""
    making.say(f"unpacked {len(programs)} programs of {seed.k0s.ref}{left}")
    return tree
