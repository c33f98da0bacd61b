"""Making a box: root file system, disk, package; what that needs of this host."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.hashing import sha256_of
from harness.base.errors import HostLacksError
from harness.host.tools import UIDMAP, tools_in
from harness.images import disk, rootfs
from harness.images.box import cache, lockfile, package
from harness.images.box.cache import boxes_dir, folder_of, move
from harness.images.box.lockfile import PackageLock
from harness.images.box.package import Box
from harness.images.making import Making
from harness.images.rootfs import Archive, Recipe
from harness.images.seed import Seed, make_tree
from harness.state import removal

CODENAME = "bookworm"
RECIPE = Recipe(rootfs.BOXES / "vm")

# Root file system, tree, disk, its packed form and the box of a seeded build: 4.3 GB measured. What
# stays in the cache of one is 1 GB.
WORK_MIB = 5120
CACHE_MIB = 1280
READ_SECONDS = 60.0

_DOING = "Making the box"
_FILE = "k0s-harness-debian12.box"


@dataclass(frozen=True)
class Wanted:
    """A box that is to be made; `version` is the hash of all the rest."""

    provider: str
    lock: PackageLock
    seed: Seed | None = None

    @property
    def version(self) -> str:
        """The box's version, in a form that Vagrant can order: `0.<recipe>[.<seed>]`."""
        recipe = RECIPE.digest(
            CODENAME,
            self.lock.text(),
            *disk.layout(),
            self.provider,
        )
        return f"0.{recipe}" if self.seed is None else f"0.{recipe}.{self.seed.key}"


@dataclass(frozen=True)
class Build:
    """The steps of making a box."""

    making: Making

    def make(self, wanted: Wanted) -> Box:
        """Make the box, and keep it and its root file system in the cache."""
        self.check_host(seeded=wanted.seed is not None)
        self.making.say(f"making the box {package.NAME} {wanted.version} for {wanted.provider}")
        with rootfs.work_folder(self.making.runner) as work:
            return self.package(wanted, self._kept_root(wanted.lock, work), work)

    def check_host(self, *, seeded: bool) -> None:
        """Raise `HostLacksError` with all that a build lacks on this host."""
        if platform.machine() != "x86_64":
            raise HostLacksError(
                _DOING,
                f"its boot loader is for x86_64, and this host is {platform.machine()}",
                remedy="bring a box with BOX_URL= and BOX_SHA256=, or use PROVIDER=docker",
            )
        packages = missing_packages(seeded=seeded)
        if packages:
            raise HostLacksError(
                _DOING,
                f"this host does not have {', '.join(packages)}",
                remedy=f"sudo apt-get install --no-install-recommends {' '.join(packages)}",
            )
        rootfs.remove_build_folder(self.making.runner)
        folder = boxes_dir(self.making.settings)
        folder.mkdir(parents=True, exist_ok=True)
        for place, need, variable in (
            (rootfs.build_folder().parent, WORK_MIB, "TMPDIR"),
            (folder, CACHE_MIB, "K0S_HARNESS_CACHE"),
        ):
            lacking = rootfs.lacks_room(place, need)
            if lacking is not None:
                raise HostLacksError(
                    _DOING,
                    lacking,
                    remedy=f"make room there, or name a folder on a larger disk in {variable}",
                )

    def root(self, lock: PackageLock, work: Path) -> Path:
        """Return the root file system as a tar in `work`, of the lock's versions if it has any."""
        root = work / "root.tar"
        archive = Archive(self.making.runner, work, self.making.settings.box_sources)
        self.making.say("fetching the package lists")
        archive.update()
        pinned: list[str] = []
        if lock.versions:
            lockfile.check_available(lock, archive.versions(sorted(lock.versions)))
            preferences = work / "k0s-harness-lock"
            preferences.write_text(lock.preferences())
            pinned = [f"--setup-hook=copy-in {preferences} /etc/apt/preferences.d"]
        self.making.run(
            rootfs.mmdebstrap_command(archive.distribution(CODENAME), RECIPE, root, pinned),
            doing=_DOING,
            deadline=rootfs.BUILD_SECONDS,
            env={"TMPDIR": str(work), "SOURCE_DATE_EPOCH": str(lock.epoch)},
        )
        return root

    def package(self, wanted: Wanted, root: Path, work: Path) -> Box:
        """Make the disk and the box of it in `work`, and move it into the cache."""
        tree = None
        if wanted.seed is not None:
            tree = make_tree(self.making, wanted.seed, work)
        self.making.say("making the disk")
        epoch = wanted.lock.epoch
        image = disk.make_disk(self.making.runner, root, work, epoch=epoch, seed=tree)
        self.making.say("packing the box")
        packed = work / _FILE
        package.pack(self.making.runner, wanted.provider, image, packed, epoch=epoch)
        folder = folder_of(self.making.settings, wanted.provider, wanted.version)
        removal.remove_folder(folder.parent, folder.name)
        folder.mkdir(parents=True)
        box = Box(
            name=package.NAME,
            version=wanted.version,
            provider=wanted.provider,
            folder=folder,
            path=folder / _FILE,
            sha256=sha256_of(packed),
            seed=json.loads(wanted.seed.text()) if wanted.seed is not None else None,
        )
        move(packed, box.path)
        package.record(box)
        return box

    def installed_in(self, root: Path) -> Mapping[str, str]:
        """Return each package's version in the root file system `root` (a tar)."""
        done = self.making.runner.run(
            ["tar", "--extract", "--to-stdout", f"--file={root}", "./var/lib/dpkg/status"],
            doing="Reading what was installed",
            deadline=READ_SECONDS,
        )
        return lockfile.parse_status(done.stdout)

    def _kept_root(self, lock: PackageLock, work: Path) -> Path:
        """Return the root file system of the lock, made now if the cache does not have it.

        It stays there: another seed or another provider is then a matter of seconds.
        """
        folder = boxes_dir(self.making.settings)
        kept = folder / f"root.{RECIPE.digest(CODENAME, lock.text())}.tar"
        if not kept.is_file():
            made = self.root(lock, work)
            lockfile.check_installed(lock, self.installed_in(made), self.making.log)
            cache.remove_roots(self.making.settings)
            move(made, kept)
        return kept


def missing_packages(*, seeded: bool) -> tuple[str, ...]:
    """Return Debian's packages that a build needs and this host does not have."""
    tools = [
        tool for tool in tools_in(Path(__file__).parent) if seeded or tool.program != "containerd"
    ]
    tools += [UIDMAP] if os.getuid() != 0 else []
    return tuple(sorted({tool.package for tool in tools if not _is_here(tool.program)}))


def _is_here(program: str) -> bool:
    if program.startswith("/"):
        return (disk.GRUB / Path(program).name).is_file()
    return shutil.which(program, path=rootfs.tool_path()["PATH"]) is not None
