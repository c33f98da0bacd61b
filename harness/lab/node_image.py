"""The node image: what the docker provider's machines are made of.

Built from the packages of this host's own distribution, through the package sources that this host
is set up with, and never pulled. Its tag is the hash of its recipe (`boxes/docker`), so it is made
again only when the recipe, the distribution or the architecture changes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HostLacksError
from harness.lab.docker import LABEL_RECIPE
from harness.lab.docker import Docker
from harness.process import Runner

REPOSITORY = "k0s-harness/node"
RECIPE = Path(__file__).resolve().parents[2] / "boxes" / "docker"
ENTRYPOINT = "/usr/local/sbin/machine-init"

# Measured 90-125 s on two cores with a distant package archive; a slow line needs several times
# that, and the build shows its progress.
BUILD_SECONDS = 1200.0
# 160 MB into the engine's store: 3 s measured.
IMPORT_SECONDS = 120.0
# A root file system of 8000 files: 1 s measured.
REMOVE_SECONDS = 120.0
APT_SECONDS = 60.0
# 23 MB of lists: 8 s measured.
APT_UPDATE_SECONDS = 300.0

# Whose packages may go into the image. A third party's source may carry the same suite's name.
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


@dataclass(frozen=True)
class ImageRef:
    """An image in the engine's store: its tag, its id (`sha256:…`), and whether it was just made.

    `recipe` is the hash in the tag.
    """

    tag: str
    digest: str
    built: bool
    recipe: str


@dataclass(frozen=True)
class Distribution:
    """This host's distribution: code name (`bookworm`), package sources and settings for apt."""

    codename: str
    sources: tuple[str, ...]
    apt_settings: tuple[str, ...] = ()


def ensure(
    runner: Runner,
    *,
    log: Path,
    narrate: Callable[[str], None] = lambda _line: None,
    mark: Mapping[str, str] | None = None,
    recipe: Path = RECIPE,
) -> ImageRef:
    """Return the node image, made now if it is not there yet.

    `log` gets the build's output, `mark` lies in the environment of what is started. Raises
    `HostLacksError` where this host's distribution has no package sources to make it from,
    `CommandFailedError` when the build fails.
    """
    docker = Docker(runner)
    codename = _codename(_os_release())
    wanted = recipe_hash(recipe, codename, platform.machine())
    tag = f"{REPOSITORY}:{wanted}"
    present = docker.image_id(tag)
    if present is not None:
        return ImageRef(tag, present, built=False, recipe=wanted)
    work = build_folder()
    remove_build_folder(runner)
    work.mkdir(mode=0o755)
    root = work / "node.tar"
    try:
        narrate(f"making {tag} from {codename} packages")
        distribution = Distribution(
            codename, package_sources(runner, codename, work), apt_settings(runner)
        )
        runner.run(
            mmdebstrap_command(distribution, recipe, root),
            doing="Making the node image",
            deadline=BUILD_SECONDS,
            env={**(mark or {}), "TMPDIR": str(work)},
            log=log,
            on_line=narrate,
        )
        docker.run(
            "import",
            "--change",
            f'ENTRYPOINT ["{ENTRYPOINT}"]',
            "--change",
            f"LABEL {LABEL_RECIPE}={wanted}",
            "--message",
            f"{codename} packages through mmdebstrap, recipe {wanted}",
            str(root),
            tag,
            doing="Importing the node image",
            deadline=IMPORT_SECONDS,
        )
    finally:
        remove_build_folder(runner)
    made = docker.image_id(tag)
    assert made is not None, "docker import succeeded without an image"
    return ImageRef(tag, made, built=True, recipe=wanted)


def build_folder() -> Path:
    """Return where this user's builds work; a killed build leaves it, and `clean` removes it.

    Not in the state folder: apt fetches as a user of its own, who must be able to reach it.
    """
    return Path(tempfile.gettempdir()) / f"k0s-harness-image-{os.getuid()}"


def remove_build_folder(runner: Runner) -> None:
    """Remove what a build left; never what is mounted in it, such as a killed build's /proc."""
    runner.run(
        ["rm", "--recursive", "--force", "--one-file-system", str(build_folder())],
        doing="Removing the node image's build folder",
        deadline=REMOVE_SECONDS,
        check=False,
    )


def recipe_hash(recipe: Path, codename: str, architecture: str) -> str:
    """Return 12 hex digits over all that decides what is in the image."""
    digest = hashlib.sha256()
    for text in (codename, architecture, ENTRYPOINT, *_DPKG_OPTIONS):
        digest.update(text.encode() + b"\0")
    for path in sorted(path for path in recipe.rglob("*") if path.is_file()):
        executable = os.access(path, os.X_OK)
        digest.update(f"{path.relative_to(recipe)}\0{executable}\0".encode())
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def packages(recipe: Path = RECIPE) -> tuple[str, ...]:
    """Return the packages the image is made of, beside the distribution's essential ones."""
    lines = (recipe / "packages.txt").read_text().splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def mmdebstrap_command(distribution: Distribution, recipe: Path, target: Path) -> list[str]:
    """Return the command that makes the root file system `target` (a tar file)."""
    return [
        "mmdebstrap",
        # Essential packages without apt: nothing is installed in a machine later.
        "--variant=essential",
        f"--include={','.join(packages(recipe))}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--aptopt={line}" for line in distribution.apt_settings),
        *(f"--dpkgopt={option}" for option in _DPKG_OPTIONS),
        f"--customize-hook={recipe / 'customize.sh'}",
        "--format=tar",
        distribution.codename,
        str(target),
        *distribution.sources,
    ]


def package_sources(runner: Runner, codename: str, work: Path) -> tuple[str, ...]:
    """Return this host's own apt sources for its distribution, in one-line form.

    apt knows a source's distribution only from fetched lists, which many hosts throw away; so they
    are fetched into `work`. Raises `HostLacksError` where there is no source.
    """
    lists = [
        f"--option=Dir::State::lists={work / 'lists'}",
        f"--option=Dir::Cache={work / 'cache'}",
    ]
    (work / "lists" / "partial").mkdir(parents=True)
    runner.run(
        ["apt-get", *lists, "--option=APT::Sandbox::User=root", "--quiet=2", "update"],
        doing="Fetching this host's package lists",
        deadline=APT_UPDATE_SECONDS,
    )
    done = runner.run(
        [
            "apt-get",
            *lists,
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
            "Making the node image",
            f"apt knows no package source for {codename} on this host",
            remedy="add your distribution's source to /etc/apt/sources.list.d",
        )
    return sources


def apt_settings(runner: Runner) -> tuple[str, ...]:
    """Return how this host's apt reaches its sources, as lines of its configuration."""
    done = runner.run(
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


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _codename(release: Mapping[str, str]) -> str:
    name = release.get("VERSION_CODENAME", "")
    if release.get("ID") not in {"debian", "ubuntu"} or not name:
        raise HostLacksError(
            "Making the node image",
            "its packages come from Debian's or Ubuntu's archive, and this host runs neither",
            remedy="use PROVIDER=libvirt or PROVIDER=virtualbox here",
        )
    return name
