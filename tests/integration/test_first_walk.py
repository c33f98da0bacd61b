"""A new user's walk on a Debian 12 with nothing: clone, `make demo`, and what it says to do next.

A container without systemd, and never a lab: it gets as far as a host without Vagrant and docker
gets. The steps that need a real cluster are in tests/cluster/test_first_walk.py, and
`make test-konnectivity-off` itself, from a fresh clone, is a step of `.ci/run`.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from harness.base.errors import HarnessError
from harness.base.process import LocalRunner
from harness.images import rootfs

pytestmark = pytest.mark.machines("docker")

PROJECT = Path(__file__).parents[2]
# What a clone needs, and what Debian's own images have.
PACKAGES = ("apt", "ca-certificates", "git", "make")
# Where the walk is longer the container ends by itself.
LIFE_SECONDS = 900
DEMO_SECONDS = 60
# How this host reaches packages, beside what pip's own variables name.
SETTINGS = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")


def call(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


def need(*words):
    done = call(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """The image of a Debian 12 with git and make, through this host's package sources."""
    work = tmp_path_factory.mktemp("debian")
    work.chmod(0o755)
    runner = LocalRunner()
    try:
        archive = rootfs.Archive(runner, work)
        archive.update()
        command = rootfs.mmdebstrap_command(
            archive.distribution("bookworm"),
            rootfs.Recipe(work / "clean", extra=PACKAGES),
            work / "root.tar",
        )
        runner.run(command, doing="Making a Debian 12", deadline=rootfs.BUILD_SECONDS)
    except HarnessError as error:
        pytest.skip(f"no Debian 12 can be made here: {error}")
    image = need("docker", "import", str(work / "root.tar"))
    (work / "root.tar").unlink()
    yield image
    call("docker", "image", "rm", image)


class Newcomer:
    """A user in a container of their own, whose clone comes from `origin`."""

    def __init__(self, image: str, origin: Path) -> None:
        ours = {
            name: text
            for name, text in os.environ.items()
            if name.startswith("PIP_") or name.lower().endswith("_proxy")
        }
        self.id = need(
            *("docker", "run", "--detach", "--rm", "--network=host"),
            *(f"--env={name}={text}" for name, text in ours.items()),
            *(image, "sleep", str(LIFE_SECONDS)),
        )
        self.copy(origin, Path("/origin"))
        for name in dict.fromkeys((*SETTINGS, *ours.values())):
            path = Path(name)
            if path.is_absolute() and path.exists():
                self.copy(path.resolve(), path)

    def copy(self, source: Path, target: Path) -> None:
        need("docker", "exec", self.id, "mkdir", "--parents", str(target.parent))
        need("docker", "cp", str(source), f"{self.id}:{target}")

    def types(self, line: str, folder: str = "/root/k0s-harness"):
        return call("docker", "exec", f"--workdir={folder}", self.id, "sh", "-c", line)


@pytest.fixture(scope="module")
def newcomer(debian, tmp_path_factory):
    origin = tmp_path_factory.mktemp("origin") / "k0s-harness"
    cloned = call("git", "clone", "--quiet", "--depth=1", f"file://{PROJECT}", str(origin))
    if cloned.returncode != 0:
        pytest.skip(f"this is no clone: {cloned.stderr.strip()}")
    user = Newcomer(debian, origin)
    yield user
    call("docker", "rm", "--force", user.id)


def suggested(done):
    """Return the commands under the lines that begin with `next:`."""
    return re.findall(r"^next: .*:\n    (\S.*)$", done.stderr, re.MULTILINE)


def test_each_step_of_a_newcomers_walk_names_the_next_one(newcomer):
    assert newcomer.types("git clone --quiet /origin k0s-harness", "/root").returncode == 0
    assert newcomer.types("command -v python3").returncode != 0

    # A host that others keep busy takes as much longer.
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    began = time.monotonic()
    demo = newcomer.types("make demo")
    seconds = time.monotonic() - began
    assert demo.returncode == 0, demo.stderr
    assert seconds < DEMO_SECONDS * busy, f"make demo took {seconds:.0f}s, load {busy:.1f}"
    (page,) = re.findall(r"^the page of this run.*: (/.*)$", demo.stderr, re.MULTILINE)
    assert newcomer.types(f"test -s {page}").returncode == 0

    diagnose, run = suggested(demo)
    there_is_no_file = newcomer.types(diagnose)
    assert there_is_no_file.returncode == 2
    assert "k0sctl.yaml" in there_is_no_file.stderr
    program = diagnose.split()[0]
    diagnosed = newcomer.types(f"{program} diagnose --bundle demo/konnectivity-off.tar.gz")
    assert diagnosed.returncode == 0, diagnosed.stderr
    assert suggested(diagnosed) == [run]

    refused = newcomer.types(f"NO_INSTALL=1 {run}")
    assert refused.returncode == 2
    assert "apt-get install" in refused.stderr
    assert "vagrant" in refused.stderr
    assert refused.stderr.splitlines()[-2].startswith("k0s-harness: exit 3:")
