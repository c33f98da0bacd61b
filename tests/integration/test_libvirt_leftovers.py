from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from harness.base.context import Context
from harness.base.process import LocalRunner
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.lab import listing
from harness.lab.reservation import reserve
from harness.providers.libvirt import LibvirtProvider
from harness.providers.libvirt import virsh as libvirt
from harness.providers.libvirt.virsh import Libvirt
from harness.state.entries import LabState
from harness.state.networks import Network
from harness.state.owner import owner_mark

pytestmark = pytest.mark.machines("libvirt")

# How many real labs are killed, each at a random moment of its bring-up: one takes two minutes
# under emulation.
ROUNDS = int(os.environ.get("LIBVIRT_KILLS", "0"))
SEED = int(os.environ.get("LIBVIRT_KILLS_SEED", str(time.time_ns() % 100_000)))
TEST_POOL = "k0s-harness-test"


def virsh(*args):
    done = subprocess.run(
        ["virsh", "--quiet", "--connect", LibvirtProvider().connection(), *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def states(settings):
    entries = listing.list_labs(settings.labs_dir, LocalRunner(), now=SystemClock().now())
    return {entry.run_id: entry.state for entry in entries if entry.state is not LabState.FOREIGN}


@pytest.fixture(scope="module")
def chains():
    """libvirtd has put its own chains into the packet filter, as it does at its first network."""
    network = Network("k5-test-chains", "k5-test-chains", "172.30.127.0/24")
    xml = libvirt.private_network_xml(
        network, mark=owner_mark(network.name, user="test", state_folder=Path("/"))
    )
    connection = Libvirt(LocalRunner())
    connection.create_network(xml)
    connection.destroy_network(network.name)


@pytest.fixture(scope="module")
def pool(chains, tmp_path_factory):
    """A storage pool of the tests' own."""
    if TEST_POOL in virsh("pool-list", "--name").split():
        # Of a session that was killed.
        virsh("pool-destroy", TEST_POOL)
    folder = tmp_path_factory.mktemp("pool")
    virsh("pool-create-as", TEST_POOL, "dir", "--target", str(folder))
    yield TEST_POOL
    virsh("pool-destroy", TEST_POOL)


@pytest.fixture
def start(start_run, pool):
    return lambda: start_run(machines=2, program="one_libvirt_lab.py", words=(pool,))


def kill(run):
    run.send(signal.SIGKILL)
    run.process.wait(timeout=30)


def test_a_run_that_ends_leaves_nothing_in_libvirt(pool, left_behind, start):
    run = start()
    run.until_up()
    made = {line.split(":")[0] for line in left_behind(run.run_id)}
    assert made >= {"domain", "libvirt network", "image", "libvirt file", "link", "route", "nft"}
    assert run.end(within=60) == 0
    assert left_behind(run.run_id) == set()
    assert list(run.settings.labs_dir.iterdir()) == []


def test_what_a_killed_run_left_in_libvirt_is_cleaned_and_a_live_one_stays(
    pool, left_behind, start, clean
):
    killed = start()
    killed.until_up()
    kill(killed)
    # The half of an image goes on being sent by a child of the killed run.
    assert any(line.startswith("process: virsh") for line in left_behind(killed.run_id))
    assert states(killed.settings) == {killed.run_id: LabState.DEAD}
    alive = Context(LocalRunner(), SystemClock(), killed.settings)
    with reserve(alive, scenario="beside", provider="libvirt") as place:
        nat = place.record.networks.nat
        Libvirt(LocalRunner()).create_network(
            libvirt.nat_network_xml(nat, {}, mark=place.record.mark_of(nat.name))
        )
        (removal,) = clean(killed.settings, named=(place.run_id,), kept_too=True)
        assert (removal.run_id, removal.problems) == (killed.run_id, ())
        assert nat.name in virsh("net-list", "--name").split()
    assert left_behind(killed.run_id, place.run_id) == set()
    assert list(killed.settings.labs_dir.iterdir()) == []
    # A second time there is nothing to do, and it says so.
    assert clean(killed.settings) == ()


@pytest.mark.parametrize("damage", ["the record is unreadable", "the folder is gone"])
def test_machines_are_found_without_their_record(pool, left_behind, start, clean, damage):
    run = start()
    run.until_up()
    kill(run)
    folder = run.settings.labs_dir / run.run_id
    if damage == "the folder is gone":
        # What is marked with the folder, in its environment, goes with the folder's name.
        shutil.rmtree(folder)
    else:
        (folder / "record.json").write_text("{")
        assert states(run.settings) == {run.run_id: LabState.DOUBTFUL}
        assert clean(run.settings) == ()
    (removal,) = clean(run.settings, named=(run.run_id,))
    assert (removal.run_id, removal.problems) == (run.run_id, ())
    assert left_behind(run.run_id) == set()
    assert states(run.settings) == {}


def test_networks_of_another_user_are_shown_and_not_touched(chains, tmp_path, clean):
    settings = Settings(state_dir=tmp_path, cache_dir=tmp_path, runs_dir=tmp_path)
    run_id = RunId.new()
    network = Network(f"{run_id}-private", f"{run_id}p", "172.30.127.0/24")
    theirs = owner_mark(network.name, user="somebody", state_folder=settings.labs_dir)
    connection = Libvirt(LocalRunner())
    connection.create_network(libvirt.private_network_xml(network, mark=theirs))
    try:
        entries = listing.list_labs(settings.labs_dir, LocalRunner(), now=SystemClock().now())
        (entry,) = (entry for entry in entries if entry.run_id == run_id)
        assert entry.state is LabState.FOREIGN
        assert "another user" in entry.text
        assert clean(settings, named=(run_id,), kept_too=True) == ()
        (still,) = connection.networks(run_id)
        assert still.subnets == (IPv4Network("172.30.127.0/24"),)
    finally:
        connection.destroy_network(network.name)
    assert connection.networks(run_id) == ()


def test_a_disk_in_a_pool_that_is_not_active_keeps_its_lab_listed(
    chains, tmp_path, clean, left_behind
):
    """As after a reboot, when nobody has started the pool."""
    settings = Settings(state_dir=tmp_path, cache_dir=tmp_path, runs_dir=tmp_path)
    host = Context(LocalRunner(), SystemClock(), settings)
    images = tmp_path / "images"
    images.mkdir()
    reservation = reserve(host, scenario="rebooted", provider="libvirt")
    run_id, name = reservation.run_id, f"{reservation.run_id}-worker0"
    virsh("pool-create-as", run_id, "dir", "--target", str(images))
    virsh("vol-create-as", run_id, f"{name}.img", "16M", "--format", "qcow2")
    xml = tmp_path / "domain.xml"
    xml.write_text(
        f'<domain type="qemu"><name>{name}</name><uuid>{reservation.record.mark_of(name)}</uuid>'
        '<memory unit="MiB">16</memory>'
        '<os><type arch="x86_64">hvm</type></os><devices><disk type="file" device="disk">'
        f'<driver name="qemu" type="qcow2"/><source file="{images / name}.img"/>'
        '<target dev="vda" bus="virtio"/></disk></devices></domain>'
    )
    virsh("define", str(xml))
    virsh("snapshot-create-as", name, "before")
    virsh("pool-destroy", run_id)
    reservation.keep(SystemClock().now())
    (removal,) = clean(settings)
    assert f"{name}.img lies in no active storage pool" in removal.problems[0]
    assert states(settings) == {run_id: LabState.DEAD}
    virsh("pool-create-as", run_id, "dir", "--target", str(images))
    (removal,) = clean(settings)
    virsh("pool-destroy", run_id)
    assert removal.problems == ()
    assert list(images.iterdir()) == []
    assert left_behind(run_id) == set()
    assert states(settings) == {}


def test_a_bridge_that_libvirt_does_not_know_any_more_is_removed(tmp_path, clean, left_behind):
    """As a libvirtd that was killed while it made the network leaves it."""
    settings = Settings(state_dir=tmp_path, cache_dir=tmp_path, runs_dir=tmp_path)
    host = Context(LocalRunner(), SystemClock(), settings)
    reservation = reserve(host, scenario="killed", provider="libvirt")
    bridge = reservation.record.networks.nat.bridge
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True, timeout=30)
    reservation.keep(SystemClock().now())
    assert left_behind(reservation.run_id) == {f"link: {bridge}"}
    (removal,) = clean(settings)
    assert removal.problems == ()
    assert left_behind(reservation.run_id) == set()


# --- real labs, killed ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bring_up_seconds(tmp_path_factory):
    """How long a bring-up takes here; after it the box and its image are where they stay."""
    if not ROUNDS:
        pytest.skip("real labs are killed where LIBVIRT_KILLS says how many")
    return _one_whole_run(tmp_path_factory.mktemp("whole"))


def _one_whole_run(folder):
    started = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("one_lab.py")),
            str(folder / "state"),
            str(folder / "run"),
            "2",
            "libvirt",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return time.monotonic() - started


@pytest.fixture(params=range(max(1, ROUNDS)))
def moment(request, bring_up_seconds):
    """How many seconds after its record was written a run is killed."""
    chance = random.Random(f"{SEED}/{request.param}")  # noqa: S311  # no secret
    return chance.uniform(0.2, bring_up_seconds)


def test_a_real_lab_that_is_killed_at_any_moment_is_cleaned(moment, left_behind, start_run, clean):
    run = start_run(machines=2, words=("libvirt",))
    run.until(lambda said: "run_id" in said)
    time.sleep(moment)
    kill(run)
    said = f"LIBVIRT_KILLS_SEED={SEED}, killed after {moment:.1f}s"
    made = sorted({line.split(":")[0] for line in left_behind(run.run_id)})
    assert states(run.settings) == {run.run_id: LabState.DEAD}, said
    started = time.monotonic()
    (removal,) = clean(run.settings)
    took = time.monotonic() - started
    assert (removal.run_id, removal.problems) == (run.run_id, ()), said
    assert left_behind(run.run_id) == set(), said
    assert list(run.settings.labs_dir.iterdir()) == [], said
    # pytest -rP shows it.
    sys.stdout.write(f"{said}, when there were: {', '.join(made)}; cleaned in {took:.1f}s\n")
