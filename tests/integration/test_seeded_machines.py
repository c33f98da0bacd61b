"""Machines that share a seed: none changes another's files, or the seed."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from harness.images import rootfs
from harness.images.seed import STORE_PATH, cannot_unpack
from harness.lab.lab import bring_up
from harness.lab.reservation import reserve
from harness.providers.docker.node_image import REPOSITORY
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec
from harness.vocabulary.words import Role
from tests.integration.made_seed import made_seed

pytestmark = [
    pytest.mark.machines("docker"),
    pytest.mark.skipif(cannot_unpack() is not None, reason=cannot_unpack() or ""),
]

SNAPSHOTS = f"{STORE_PATH}/io.containerd.snapshotter.v1.overlayfs/snapshots"
BLOBS = f"{STORE_PATH}/io.containerd.content.v1.content/blobs/sha256"
SHARED = "/usr/lib/k0s-harness/seed"
MEMBERS = ("worker0", "worker1")


def sh(lab, name, script):
    done = lab.remote(name).run(["sh", "-euc", script], doing="Looking", deadline=60, sudo=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    seed = made_seed(tmp_path_factory.mktemp("seed"), "first")
    yield seed
    listed = ["docker", "image", "ls", "--quiet", f"{REPOSITORY}:*-{seed.key}"]
    images = subprocess.run(listed, capture_output=True, text=True, check=True, timeout=60)
    for image in images.stdout.split():
        subprocess.run(["docker", "image", "rm", image], check=True, timeout=120)


@pytest.fixture(scope="module")
def seeded(host, seed):
    """Two machines made with `seed`."""
    with reserve(host, scenario="integration", provider="docker") as place:
        machines = tuple(
            MachineSpec(name, Role.WORKER, str(place.subnet[10 + index]))
            for index, name in enumerate(MEMBERS)
        )
        request = LabRequest(machines, host.settings.runs_dir / "seeded", seed=seed)
        yield bring_up(place, request)


SUMS = f"cd / && sha256sum /usr/local/bin/k0s {BLOBS}/* $(find {SNAPSHOTS}/*/fs/ -type f)"


def sums_in_the_image(lab):
    container = f"{lab.run_id}-worker0"
    image = subprocess.run(
        ["docker", "inspect", "--format={{.Image}}", container],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()
    # The files that machines share only: what is on /var is each machine's own.
    return subprocess.run(
        [
            *("docker", "run", "--rm", "--network=none", "--entrypoint=/bin/sh", image, "-euc"),
            f"sha256sum /usr/local/bin/k0s $(find {SHARED} -type f)",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_no_file_that_a_machine_has_for_itself_is_another_machines_too(seeded):
    script = "find /var -xdev -type f -printf '%i\\n'"
    devices = {sh(seeded, name, "stat --format=%d /var") for name in MEMBERS}
    first, second = (set(sh(seeded, name, script).split()) for name in MEMBERS)
    assert first
    # Both are folders of one file system, so that numbers of files can be compared.
    assert len(devices) == 1
    assert not first & second


def test_a_layer_without_files_that_hide_others_is_shared_and_the_others_are_not(seeded):
    links = sh(seeded, "worker0", f"find {SNAPSHOTS} -maxdepth 2 -name fs -type l -printf '%l\\n'")
    own = sh(seeded, "worker0", f"find {SNAPSHOTS} -maxdepth 2 -name fs -type d")
    assert [line.startswith(f"{SHARED}/") for line in links.splitlines()] == [True, True]
    assert len(own.splitlines()) == 1


def test_layers_of_both_kinds_give_what_the_image_says(seeded):
    mounted = sh(
        seeded,
        "worker0",
        f"""
        mkdir -p /var/tmp/t/upper /var/tmp/t/work /var/tmp/t/all; cd {SNAPSHOTS}
        mount -t overlay overlay -o \
            lowerdir=3/fs:2/fs:1/fs,upperdir=/var/tmp/t/upper,workdir=/var/tmp/t/work /var/tmp/t/all
        cd /var/tmp/t/all; find . -type f | sort; echo written >etc/kept; cat etc/kept
        cd /; umount /var/tmp/t/all; cat {SNAPSHOTS}/1/fs/etc/kept
        """,
    )
    assert mounted.split() == ["./etc/added", "./etc/kept", "./opaque/new", "written", "kept"]


def test_a_machine_that_writes_over_its_seed_changes_its_own_files_only(seeded):
    before = {name: sh(seeded, name, SUMS) for name in MEMBERS}
    shared = sums_in_the_image(seeded)
    assert len(set(before.values())) == 1
    sh(
        seeded,
        "worker0",
        f"for file in /usr/local/bin/k0s {BLOBS}/* $(find {SNAPSHOTS}/*/fs/ -type f); do"
        ' echo changed >"$file"; done',
    )
    assert not set(before["worker0"].splitlines()) & set(sh(seeded, "worker0", SUMS).splitlines())
    assert sh(seeded, "worker1", SUMS) == before["worker1"]
    assert sums_in_the_image(seeded) == shared


def test_what_a_run_killed_while_it_fills_a_seed_left_is_cleaned(start_run, clean, left_behind):
    run = start_run(words=("docker", "seed"))
    run.until(lambda said: "unpacking the pod images" in said.get("detail", ""))
    run.send(signal.SIGKILL)
    run.process.wait(timeout=30)
    assert rootfs.build_folder().exists()
    (removal,) = clean(run.settings)
    assert removal.problems == ()
    assert not rootfs.build_folder().exists()
    assert left_behind(run.run_id) == set()
    assert not Path(run.settings.labs_dir, run.run_id).exists()
