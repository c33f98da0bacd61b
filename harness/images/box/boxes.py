"""The box: what VM providers make their machines of.

Debian 12 with a kernel of its own, from `boxes/vm` and `boxes/common`, in the package versions of
the lock. Its version is the hash of all that, and of the seed where it is seeded, so it is made
again only when something of it changes. It lies in the cache folder with a catalogue that has its
checksum. BOX_URL= brings another (`harness.images.box.brought`).
"""

from __future__ import annotations

import json
from typing import Any

from harness.base.settings import Settings
from harness.images import disk, rootfs
from harness.images.box import brought, lockfile, package
from harness.images.box.build import Build, Wanted
from harness.images.box.cache import folder_of, forget_old
from harness.images.box.lockfile import PackageLock
from harness.images.box.package import Box
from harness.images.making import Making
from harness.images.seed import UNPACK_SECONDS, Seed

# The unseeded libvirt box as the project's own build of this lock had it, committed.
CATALOGUE = rootfs.BOXES / package.CATALOGUE
CATALOGUED = "libvirt"

# All of it: 100 s measured for a seeded box on two cores, 30 s where only the seed is new.
BUILD_SECONDS = (
    rootfs.BUILD_SECONDS + UNPACK_SECONDS + disk.FILL_SECONDS + disk.CONVERT_SECONDS + 300.0
)
_DAY = 24 * 60 * 60


def ensure(making: Making, provider: str, seed: Seed | None) -> Box:
    """Return the box for `provider` with `seed` in it, made now if it is not in the cache yet.

    Call it with the lock of the node image held: both are made in the same folder. Raises
    `HostLacksError` for what this host lacks (a tool, room, a package version of the lock),
    `UsageError` for BOX_URL= without a good BOX_SHA256=, and `CommandFailedError` when the build
    fails.
    """
    settings = making.settings
    if settings.box_url is not None:
        return brought.ensure(making, provider)
    ready = present(settings, provider, seed=seed)
    if ready is not None:
        return ready
    wanted = Wanted(provider, lockfile.read_lock(), seed)
    made = Build(making).make(wanted)
    forget_old(settings, provider, keep=made)
    expected = catalogued(made)
    if expected not in {None, made.sha256}:
        making.say(
            f"its sha256 is {made.sha256}, in boxes/catalog.json it is {expected}: docs/boxes.md "
            "says what makes the difference"
        )
    return made


def present(settings: Settings, provider: str, *, seed: Seed | None) -> Box | None:
    """Return the box that `ensure` would, where it is in the cache; no lock is needed for that.

    None for one that is brought (BOX_URL=), which is looked at each time.
    """
    if settings.box_url is not None:
        return None
    version = Wanted(provider, lockfile.read_lock(), seed).version
    return package.load(folder_of(settings, provider, version))


def renew_lock(making: Making) -> Box:
    """Make the box of today's package versions, and write the lock and the catalogue of it.

    Returns the box; the two files are changed in the working tree.
    """
    build = Build(making)
    build.check_host(seeded=False)
    # The day, not the second: the same archive on the same day gives the same lock.
    epoch = int(making.context.clock.now().timestamp()) // _DAY * _DAY
    with rootfs.work_folder(making.runner) as work:
        root = build.root(PackageLock(epoch, {}), work)
        lock = PackageLock(epoch, build.installed_in(root))
        box = build.package(Wanted(CATALOGUED, lock), root, work)
    lockfile.LOCK.write_text(lock.text())
    CATALOGUE.write_text(catalogue_text(box))
    return box


def catalogue_text(box: Box) -> str:
    """Return the committed catalogue: Vagrant's metadata, with a name in place of a location."""
    url = f"k0s-harness-debian12-{box.version}-{box.provider}.box"
    return json.dumps(package.metadata(box, url), indent=2) + "\n"


def catalogued(box: Box) -> str | None:
    """Return the checksum that the committed catalogue has of a box, None where it has none."""
    data: dict[str, Any] = json.loads(CATALOGUE.read_text())
    for listed in data["versions"]:
        for entry in listed["providers"]:
            if (listed["version"], entry["name"]) == (box.version, box.provider):
                return str(entry["checksum"])
    return None
