"""The node image: what the docker provider's machines are made of.

Built from the packages of this host's own distribution, through the package sources that this host
is set up with, and never pulled. Its tag is the hash of its recipe (`boxes/docker` and
`boxes/common`), so it is made again only when the recipe, the distribution or the architecture
changes. A seeded image has the seed's key in its tag as well.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

from harness.images import rootfs
from harness.images.making import Making
from harness.images.rootfs import Archive, Recipe
from harness.images.seed import PLACES, UNPACK_SECONDS, Seed, make_tree
from harness.providers.docker.engine import LABEL_RECIPE, Docker

REPOSITORY = "k0s-harness/node"
RECIPE = Recipe(rootfs.BOXES / "docker")
ENTRYPOINT = "/usr/local/sbin/machine-init"

# All that `ensure` does before the engine's part, seeded or not.
BUILD_SECONDS = rootfs.BUILD_SECONDS + UNPACK_SECONDS
# 160 MB into the engine's store: 3 s measured, 850 MB of a seeded image 15 s.
IMPORT_SECONDS = 240.0
# 600 MB of a seed beside the rest: 2 s measured.
APPEND_SECONDS = 120.0


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
    wanted = recipe.digest(codename, platform.machine(), ENTRYPOINT)
    if seed is not None:
        wanted = f"{wanted}-{seed.key}"
    tag = f"{REPOSITORY}:{wanted}"
    present = docker.image_id(tag)
    if present is not None:
        return ImageRef(tag, present, built=False, recipe=wanted)
    with rootfs.work_folder(making.runner) as work:
        root = work / "node.tar"
        making.say(f"making {tag} from {codename} packages")
        archive = Archive(making.runner, work)
        archive.update()
        making.run(
            rootfs.mmdebstrap_command(archive.distribution(codename), recipe, root),
            doing="Making the node image",
            deadline=rootfs.BUILD_SECONDS,
            env={"TMPDIR": str(work)},
        )
        if seed is not None:
            tree = make_tree(making, seed, work)
            making.runner.run(
                # By name: docker refuses a tar that has a folder twice.
                ["tar", "--append", f"--file={root}", f"--directory={tree}", "--xattrs", *PLACES],
                doing="Laying the seed over the node image",
                deadline=APPEND_SECONDS,
            )
        docker.run(
            *("import", "--change", f'ENTRYPOINT ["{ENTRYPOINT}"]'),
            *("--change", f"LABEL {LABEL_RECIPE}={wanted}", "--message"),
            *(f"{codename} packages through mmdebstrap, recipe {wanted}", str(root), tag),
            doing="Importing the node image",
            deadline=IMPORT_SECONDS,
        )
    made = docker.image_id(tag)
    assert made is not None, "docker import succeeded without an image"
    return ImageRef(tag, made, built=True, recipe=wanted)
