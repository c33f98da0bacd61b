"""The root file system of machines: a distribution's packages and the files of a recipe, as a tar.

The node image and the box are made of it. mmdebstrap makes it, as an ordinary user too, through the
package sources that this host is set up with.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.base.errors import HarnessError, HostLacksError, InfrastructureError
from harness.base.own_files import folder_problem
from harness.base.process import Runner
from harness.base.shipped import SHIPPED
from harness.base.untrusted import MIB
from harness.host.raw import SBIN
from harness.state.removal import NotOursError

BOXES = SHIPPED / "boxes"

# Measured 60-125 s on two cores with a distant package archive; a slow line needs several times
# that, and the build shows its progress.
BUILD_SECONDS = 1200.0
# 15000 files of a seeded machine: 1 s measured, minutes beside machines under emulation.
REMOVE_SECONDS = 600.0
APT_SECONDS = 60.0
# 23 MB of lists: 8 s measured.
APT_UPDATE_SECONDS = 300.0

# Whose packages may be used. A third party's source may carry the same suite's name.
DISTRIBUTIONS = ("Debian", "Ubuntu", "")

# What mmdebstrap's apt must share with the host's to reach the same sources.
_APT_SETTINGS = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)

# Options for dpkg: what nobody reads in a machine that lives for minutes, and no fsync per file.
_DPKG_OPTIONS = (
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "force-unsafe-io",
)
# Without it `usrmerge` is installed, which brings all of perl, 50 MB.
_MERGED_USR = Path("/usr/share/mmdebstrap/hooks/maybe-merged-usr")
_ELSEWHERE = "set TMPDIR to a folder of your own"
_VAR_TMP = Path("/var/tmp")  # noqa: S108  # the folder's name in it is this user's own


@dataclass(frozen=True)
class Distribution:
    """A distribution: code name (`bookworm`), package sources and settings for apt."""

    codename: str
    sources: tuple[str, ...]
    apt_settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What a kind of machine is made of: `boxes/common`, and a folder beside it of its own.

    `extra` are packages that no file lists.
    """

    folder: Path
    extra: tuple[str, ...] = field(default=())

    @property
    def common(self) -> Path:
        """The folder that all machines share."""
        return self.folder.parent / "common"

    def packages(self) -> tuple[str, ...]:
        """Return the packages to install, beside the distribution's essential ones."""
        lines: list[str] = []
        for folder in (self.common, self.folder):
            path = folder / "packages.txt"
            lines += path.read_text().splitlines() if path.exists() else []
        named = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return (*named, *self.extra)

    def hooks(self) -> tuple[str, ...]:
        """Return mmdebstrap's options for the recipe's scripts."""
        hooks = [f"--hook-dir={_MERGED_USR}"] if _MERGED_USR.is_dir() else []
        for name in ("essential", "customize"):
            script = self.folder / f"{name}.sh"
            if script.exists():
                hooks.append(f"--{name}-hook={script}")
        return tuple(hooks)

    def digest(self, *texts: str) -> str:
        """Return 12 hex digits over all that decides what comes out; `texts` is what is no file."""
        digest = hashlib.sha256()
        for text in (*texts, *self.extra, *_DPKG_OPTIONS):
            digest.update(text.encode() + b"\0")
        for folder in (self.common, self.folder):
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                executable = os.access(path, os.X_OK)
                name = f"{folder.name}/{path.relative_to(folder)}"
                digest.update(f"{name}\0{executable}\0".encode())
                digest.update(path.read_bytes() + b"\0")
        return digest.hexdigest()[:12]


def build_folder() -> Path:
    """Return where this user's builds work; a killed build leaves it, and `clean` removes it.

    Not in the state folder: apt fetches as a user of its own, who must be able to reach it. And not
    in /tmp, which is memory on many hosts: a box takes 4 GB on its way.
    """
    place = Path(os.environ["TMPDIR"]) if os.environ.get("TMPDIR") else _VAR_TMP
    if not os.access(place, os.W_OK):
        place = Path(tempfile.gettempdir())
    return place / f"k0s-harness-image-{os.getuid()}"


def lacks_room(place: Path, need: int) -> str | None:
    """Return why a build that needs so many MiB in `place` has no room there, None where it has."""
    free = shutil.disk_usage(place).free // MIB
    return f"it needs {need} MiB in {place}, and {free} are free" if free < need else None


def as_root() -> tuple[str, ...]:
    """Return what a command begins with that must own files as root: nothing for root itself.

    An ordinary user is root in a namespace of their own, as for mmdebstrap.
    """
    return () if os.getuid() == 0 else ("mmdebstrap", "--unshare-helper")


def tool_path() -> dict[str, str]:
    """Return the environment in which the system's own tools are found."""
    return {"PATH": os.pathsep.join([os.environ.get("PATH", ""), *SBIN])}


def remove_build_folder(runner: Runner) -> None:
    """Remove what a build left; never what is mounted in it, such as a killed build's /proc.

    Raises `NotOursError` for what is not this user's own: its place is where all may write.
    """
    folder = build_folder()
    if not os.path.lexists(folder):
        return
    problem = folder_problem(folder)
    if problem is not None:
        raise NotOursError("Removing the build folder", f"{folder}: {problem}", remedy=_ELSEWHERE)
    # What a build's namespace made belongs to users of that namespace only, the folder to this one.
    for helper in {as_root(), ()}:
        runner.run(
            [*helper, "rm", "--recursive", "--force", "--one-file-system", str(folder)],
            doing="Removing the build folder",
            deadline=REMOVE_SECONDS,
            check=False,
        )


@contextlib.contextmanager
def work_folder(runner: Runner) -> Iterator[Path]:
    """Return the folder of a build, made anew, and remove it in the end."""
    work = build_folder()
    remove_build_folder(runner)
    try:
        work.mkdir(mode=0o755)
    except FileExistsError:
        raise InfrastructureError(
            "Making the build folder",
            f"{work} is there already and cannot be removed; something may be mounted in it",
            remedy=f"see what: findmnt --list | grep {work}; unmount it, then try again",
        ) from None
    try:
        yield work
    except BaseException:
        # What went wrong is said, not that a busy disk could not be cleaned in time as well.
        with contextlib.suppress(HarnessError):
            remove_build_folder(runner)
        raise
    remove_build_folder(runner)


def mmdebstrap_command(
    distribution: Distribution, recipe: Recipe, target: Path, extra: Sequence[str] = ()
) -> list[str]:
    """Return the command that makes the root file system `target` (a tar file)."""
    return [
        # For root it mounts /proc into the new root file system. One that is killed, or that finds
        # it busy, leaves it there; of a namespace of its own nothing is left (an ordinary user's
        # build has one by itself).
        *(("unshare", "--mount") if os.getuid() == 0 else ()),
        "mmdebstrap",
        # Essential packages without apt: nothing is installed in a machine later.
        "--variant=essential",
        f"--include={','.join(recipe.packages())}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--aptopt={line}" for line in distribution.apt_settings),
        *(f"--dpkgopt={option}" for option in _DPKG_OPTIONS),
        *recipe.hooks(),
        *extra,
        "--format=tar",
        distribution.codename,
        str(target),
        *distribution.sources,
    ]


@dataclass(frozen=True)
class Archive:
    """apt on this host with lists of its own in `work`; `sources` names a file in place of its own.

    apt knows a source's distribution only from fetched lists, which many hosts throw away.
    """

    runner: Runner
    work: Path
    sources: Path | None = None

    def _options(self) -> list[str]:
        own = (
            [
                f"--option=Dir::Etc::sourcelist={self.sources}",
                "--option=Dir::Etc::sourceparts=-",
            ]
            if self.sources is not None
            else []
        )
        return [
            f"--option=Dir::State::lists={self.work / 'lists'}",
            f"--option=Dir::Cache={self.work / 'cache'}",
            *own,
        ]

    def update(self) -> None:
        """Fetch the package lists."""
        (self.work / "lists" / "partial").mkdir(parents=True)
        self.runner.run(
            [
                "apt-get",
                *self._options(),
                "--option=APT::Sandbox::User=root",
                "--quiet=2",
                "update",
            ],
            doing="Fetching this host's package lists",
            deadline=APT_UPDATE_SECONDS,
        )

    def distribution(self, codename: str) -> Distribution:
        """Return the distribution `codename` as this host's apt reaches it.

        Raises `HostLacksError` where there is no source for it.
        """
        done = self.runner.run(
            [
                "apt-get",
                *self._options(),
                "indextargets",
                "--format",
                "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(SIGNED_BY)",
                "Created-By: Packages",
            ],
            doing="Reading this host's package sources",
            deadline=APT_SECONDS,
        )
        sources = tuple(parse_index_targets(done.stdout, codename))
        if not sources:
            raise HostLacksError(
                "Making the machines' image",
                f"apt knows no package source for {codename} on this host",
                remedy="add your distribution's source to /etc/apt/sources.list.d, or, for a box, "
                "name a file with sources of Debian 12 in BOX_SOURCES",
            )
        return Distribution(codename, sources, self._settings())

    def versions(self, packages: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Return the versions the sources have of each package."""
        done = self.runner.run(
            ["apt-cache", *self._options(), "madison", *packages],
            doing="Reading which package versions there are",
            deadline=APT_SECONDS,
        )
        return parse_madison(done.stdout)

    def _settings(self) -> tuple[str, ...]:
        """Return how this host's apt reaches its sources, as lines of its configuration."""
        done = self.runner.run(
            ["apt-config", "dump", "--no-empty", "--format", '%f "%v";%n', *_APT_SETTINGS],
            doing="Reading this host's apt settings",
            deadline=APT_SECONDS,
        )
        return tuple(line for line in done.stdout.splitlines() if line)


def parse_index_targets(text: str, codename: str) -> Iterator[str]:
    """Yield apt source lines from `apt-get indextargets`, those of the distribution only.

    apt leaves a field's name standing (`$(SIGNED_BY)`) where it has no value.
    """
    components: dict[tuple[str, str, str], list[str]] = {}
    for line in text.splitlines():
        uri, release, component, origin, signed_by = (
            "" if field.startswith("$(") else field for field in line.split("|")
        )
        suite = release.split("/")[0]
        if suite != codename and not suite.startswith(f"{codename}-"):
            continue
        if origin in DISTRIBUTIONS:
            known = components.setdefault((uri, release, signed_by), [])
            if component not in known:
                known.append(component)
    for (uri, release, signed_by), names in components.items():
        options = f"[signed-by={signed_by}] " if signed_by else ""
        yield f"deb {options}{uri} {release} {' '.join(names)}"


def parse_madison(text: str) -> Mapping[str, frozenset[str]]:
    """Return each package's versions from `apt-cache madison` (`name | version | source`)."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        name, version, *_ = (part.strip() for part in line.split("|"))
        found.setdefault(name, set()).add(version)
    return {name: frozenset(versions) for name, versions in found.items()}


def host_codename() -> str:
    """Return the code name of this host's distribution; raises `HostLacksError` for others."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    name = release.get("VERSION_CODENAME", "")
    if release.get("ID") not in {"debian", "ubuntu"} or not name:
        raise HostLacksError(
            "Making the node image",
            "its packages come from Debian's or Ubuntu's archive, and this host runs neither",
            remedy="use PROVIDER=libvirt or PROVIDER=virtualbox here",
        )
    return name
