"""The node image: what the docker provider's machines are made of.

Built from the packages of this host's own distribution, through the package sources that this host
is set up with, and never pulled. Its tag is the hash of its recipe (`boxes/docker` and
`boxes/common`), so it is made again only when the recipe, the distribution or the architecture
changes. A seeded image is the plain one with a seed laid over it, and has the seed's key in its tag
as well: that many bytes are made once on a host, and all machines share them.
"""

from __future__ import annotations

import gzip
import json
import platform
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from harness.images import rootfs
from harness.images.making import Making
from harness.images.rootfs import Archive, Recipe
from harness.images.seed import UNPACK_SECONDS, Seed, make_tree
from harness.images.shared import share
from harness.providers.docker.engine import LABEL_RECIPE, Docker

REPOSITORY = "k0s-harness/node"
RECIPE = Recipe(rootfs.BOXES / "docker")
ENTRYPOINT = "/usr/local/sbin/machine-init"

# All that `ensure` does before the engine's part, seeded or not.
BUILD_SECONDS = rootfs.BUILD_SECONDS + UNPACK_SECONDS
# 160 MB into the engine's store: 3 s measured, 850 MB of a seeded image 15 s.
IMPORT_SECONDS = 240.0
# 1.5 GB: 2 s measured.
TAR_SECONDS = 240.0
# A k0s developer gets a seeded image a build, of 1.6 GB; these stay for going back. One that was
# taken a little while ago may be what a lab is being made of.
SEEDS_KEPT = 3
IN_USE = timedelta(hours=1)
# Layers that machines cannot share: `machine-init` unpacks them.
_OWN_LAYERS = "var/lib/k0s-harness/layers.tar"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class ImageRef:
    """An image in the engine's store: its tag, its id (`sha256:…`), and whether it was just made.

    `recipe` is the hash in the tag, with the seed's key where it is seeded.
    """

    tag: str
    digest: str
    built: bool
    recipe: str


def ensure(making: Making, seed: Seed | None = None, recipe: Recipe = RECIPE) -> ImageRef:
    """Return the node image, made now if it is not there yet, with `seed` in it.

    Raises `HostLacksError` where this host's distribution has no package sources to make it from or
    cannot unpack pod images, `CommandFailedError` when the build fails.
    """
    docker = Docker(making.runner)
    codename = rootfs.host_codename()
    plain = recipe.digest(codename, platform.machine(), ENTRYPOINT)
    wanted = plain if seed is None else f"{plain}-{seed.key}"
    tag = f"{REPOSITORY}:{wanted}"
    present = docker.image_id(tag)
    if present is not None:
        if seed is not None:
            docker.tag_again(tag)
        return ImageRef(tag, present, built=False, recipe=wanted)
    if seed is not None:
        base = ensure(making, recipe=recipe)
    with rootfs.work_folder(making.runner) as work:
        root = work / "node.tar"
        if seed is None:
            making.say(f"making {tag} from {codename} packages")
            archive = Archive(making.runner, work)
            archive.update()
            making.run(
                rootfs.mmdebstrap_command(archive.distribution(codename), recipe, root),
                doing="Making the node image",
                deadline=rootfs.BUILD_SECONDS,
                env={"TMPDIR": str(work)},
            )
        else:
            making.say(f"making {tag} from {base.tag}")
            save_root(docker, base.tag, root)
            _lay_over(making, seed, root)
        docker.run(
            *("import", "--change", f'ENTRYPOINT ["{ENTRYPOINT}"]'),
            *("--change", f"LABEL {LABEL_RECIPE}={wanted}", "--message"),
            *(f"{codename} packages through mmdebstrap, recipe {wanted}", str(root), tag),
            doing="Importing the node image",
            deadline=IMPORT_SECONDS,
        )
    made = docker.image_id(tag)
    assert made is not None, "docker import succeeded without an image"
    if seed is not None:
        docker.remove_images(old_seeds(docker.tagged(REPOSITORY), making.context.clock.now()))
    return ImageRef(tag, made, built=True, recipe=wanted)


def old_seeds(used: Mapping[str, datetime], now: datetime) -> tuple[str, ...]:
    """Return which seeded images may go, of those there are and when each was last taken."""
    seeded = sorted((at, tag) for tag, at in used.items() if "-" in tag.rpartition(":")[2])
    return tuple(tag for at, tag in seeded[:-SEEDS_KEPT] if now - at > IN_USE)


def save_root(docker: Docker, tag: str, target: Path) -> None:
    """Write the root file system of the image `tag`, which has one layer, as a tar."""
    saved = target.with_suffix(".saved")
    docker.run(
        *("save", f"--output={saved}", tag),
        doing="Taking the plain node image",
        deadline=IMPORT_SECONDS,
    )
    with tarfile.open(saved) as archive, target.open("wb") as root:
        (image,) = json.load(_member(archive, "manifest.json"))
        (name,) = image["Layers"]
        layer = _member(archive, name)
        packed = layer.read(len(_GZIP)) == _GZIP
        layer.seek(0)
        with gzip.open(layer) if packed else layer as plain:
            shutil.copyfileobj(plain, root)
    saved.unlink()


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    assert file is not None, f"{name} is no file"
    return file


def _lay_over(making: Making, seed: Seed, root: Path) -> None:
    """Lay `seed` over the root file system `root` (a tar), its files where machines share them."""
    tree = make_tree(making, seed, root.parent)
    own = share(tree)
    # Not appended: docker writes a layer in a format that has no long names.
    _tar(making, "--extract", root, tree, "--xattrs-include=*")
    if own:
        layers = tree / _OWN_LAYERS
        layers.parent.mkdir(parents=True)
        _tar(making, "--create", layers, tree, *map(str, own))
        for each in own:
            shutil.rmtree(tree / each)
    root.unlink()
    _tar(making, "--create", root, tree, ".")


def _tar(making: Making, act: str, archive: Path, tree: Path, *args: str) -> None:
    making.runner.run(
        ["tar", act, f"--file={archive}", f"--directory={tree}", "--xattrs", *args],
        doing="Laying the seed over the node image",
        deadline=TAR_SECONDS,
    )
