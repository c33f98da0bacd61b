from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest

from harness.base.context import Context
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.lab import listing
from harness.lab.isolation import install_on_host
from harness.lab.kept import attach
from harness.lab.lab import bring_up
from harness.lab.reservation import reserve
from harness.providers.docker.engine import Docker, ObjectKind
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec
from harness.ssh.files import make_socket_dir
from harness.state.entries import LabState
from harness.state.owner import LABEL_USER
from harness.vocabulary.words import Role

pytestmark = pytest.mark.machines

# A run that is interrupted waits for Vagrant's action in progress, then removes: 8 s measured.
INTERRUPT_SECONDS = 60


def states(settings):
    entries = listing.list_labs(settings.labs_dir, LocalRunner(), now=SystemClock().now())
    return {entry.run_id: entry.state for entry in entries if entry.state is not LabState.FOREIGN}


def test_a_run_that_ends_leaves_nothing(start_run, left_behind):
    run = start_run()
    run.until_up()
    made = {line.split(":")[0] for line in left_behind(run.run_id)}
    assert made >= {"container", "network", "volume", "link", "route", "nft"}
    assert run.end(within=60) == 0
    assert left_behind(run.run_id) == set()
    assert list(run.settings.labs_dir.iterdir()) == []


def test_a_sysctl_that_a_machine_changed_on_the_host_is_put_back(start_run, clean):
    panic = Path("/proc/sys/kernel/panic")
    before = panic.read_text()
    run = start_run()
    run.until_up()
    # As a kubelet does in a container: the value is the host's.
    in_machine = ["docker", "exec", f"{run.run_id}-worker0"]
    subprocess.run([*in_machine, "sysctl", "-w", "kernel.panic=11"], check=True, timeout=30)
    assert panic.read_text() == "11\n"
    # Also when the run cannot do it itself any more.
    run.send(signal.SIGKILL)
    run.process.wait(timeout=30)
    clean(run.settings)
    assert panic.read_text() == before


def test_what_a_run_killed_while_it_creates_left_is_cleaned(start_run, clean, left_behind):
    run = start_run(machines=2)
    run.until_creating()
    run.send(signal.SIGKILL)
    run.process.wait(timeout=30)
    assert states(run.settings) == {run.run_id: LabState.DEAD}
    (removal,) = clean(run.settings)
    assert removal.problems == ()
    assert left_behind(run.run_id) == set()
    assert list(run.settings.labs_dir.iterdir()) == []
    # A second time there is nothing to do, and it says so.
    assert clean(run.settings) == ()


def test_what_a_run_killed_later_left_is_cleaned_and_a_live_one_stays(
    start_run, clean, left_behind
):
    killed, alive = start_run(), start_run()
    killed.until_up()
    alive.until_up()
    killed.send(signal.SIGKILL)
    killed.process.wait(timeout=30)
    assert states(alive.settings) == {
        killed.run_id: LabState.DEAD,
        alive.run_id: LabState.LIVE,
    }
    # Also when it is asked for by name, or all are.
    (removal,) = clean(alive.settings, named=(alive.run_id,), kept_too=True)
    assert (removal.run_id, removal.problems) == (killed.run_id, ())
    assert states(alive.settings) == {alive.run_id: LabState.LIVE}
    assert left_behind(killed.run_id) == set()
    assert alive.end(within=60) == 0
    assert left_behind(killed.run_id, alive.run_id) == set()


@pytest.mark.parametrize("when", ["creating", "up"])
def test_an_interrupted_run_removes_what_it_made(start_run, when, left_behind):
    run = start_run()
    run.until_creating() if when == "creating" else run.until_up()
    started = time.monotonic()
    run.send(signal.SIGINT)
    # Once more, as people do: it must not stop the cleaning up.
    time.sleep(1)
    with contextlib.suppress(ProcessLookupError):
        run.send(signal.SIGINT)
    assert run.process.wait(timeout=INTERRUPT_SECONDS) in {130, -signal.SIGINT}
    assert time.monotonic() - started < INTERRUPT_SECONDS
    assert left_behind(run.run_id) == set()
    assert list(run.settings.labs_dir.iterdir()) == []


def test_two_labs_stand_side_by_side_and_a_kept_one_goes_only_when_named(
    lab, host, tmp_path, clean, left_behind
):
    with reserve(host, scenario="beside", provider="docker") as place:
        assert not place.subnet.overlaps(lab.subnet)
        assert not place.record.networks.nat.ipv4.overlaps(lab.record.networks.nat.ipv4)
        spec = MachineSpec("worker0", Role.WORKER, str(place.subnet[10]))
        beside = bring_up(place, LabRequest((spec,), tmp_path))
        beside.remote("worker0").run(["true"], doing="Looking", deadline=10)
        # Each is its own world: no way from one into the other.
        across = beside.remote("worker0").dial(lab.machines["worker0"].address, 22, deadline=1.5)
        assert across.outcome == "timed-out"
        beside.keep(SystemClock().now() + timedelta(hours=1))
    run_id = beside.run_id
    assert states(host.settings) == {lab.run_id: LabState.LIVE, run_id: LabState.KEPT}
    assert clean(host.settings) == ()
    entered = attach(host, run_id)
    said = entered.remote("worker0").run(["hostname"], doing="Looking", deadline=10).stdout
    assert said == "worker0\n"
    entered.close()
    (removal,) = clean(host.settings, named=(run_id,))
    assert (removal.run_id, removal.problems) == (run_id, ())
    assert states(host.settings) == {lab.run_id: LabState.LIVE}
    assert left_behind(run_id) == set()


@pytest.fixture
def own_host(tmp_path):
    """This host with a state folder of the test's own."""
    settings = Settings(state_dir=tmp_path / "state", cache_dir=tmp_path, runs_dir=tmp_path)
    return Context(LocalRunner(), SystemClock(), settings)


def test_a_kept_lab_goes_after_its_time(own_host, clean):
    with reserve(own_host, scenario="late", provider="docker") as place:
        place.keep(SystemClock().now() - timedelta(seconds=1))
    assert states(own_host.settings) == {place.run_id: LabState.DEAD}
    (removal,) = clean(own_host.settings)
    assert removal.problems == ()
    assert states(own_host.settings) == {}


def test_what_a_lab_with_a_damaged_record_made_goes_when_it_is_named(own_host, clean, left_behind):
    with reserve(own_host, scenario="damaged", provider="docker") as place:
        record = place.record
        install_on_host(
            own_host.runner,
            record.nft_table,
            record.networks,
            mark=record.mark_of(record.nft_table),
        )
        Docker(own_host.runner).create_network(
            record.networks.nat.name,
            bridge=record.networks.nat.bridge,
            subnet=record.networks.nat.ipv4,
            gateway=record.networks.nat.gateway,
            labels=record.labels,
        )
        make_socket_dir(record.run_id, record.folder)
        place.keep(SystemClock().now())
    (record.folder / "record.json").write_text("{")
    assert states(own_host.settings) == {record.run_id: LabState.DOUBTFUL}
    before = left_behind(record.run_id)
    assert before != set()
    assert clean(own_host.settings) == ()
    assert left_behind(record.run_id) == before
    (removal,) = clean(own_host.settings, named=(record.run_id,))
    assert (removal.run_id, removal.problems) == (record.run_id, ())
    assert left_behind(record.run_id) == set()
    assert states(own_host.settings) == {}


def test_what_carries_our_label_without_any_record_is_cleaned(own_host, clean, left_behind):
    with reserve(own_host, scenario="lost", provider="docker") as place:
        record = place.record
    Docker(own_host.runner).create_network(
        record.networks.nat.name,
        bridge=record.networks.nat.bridge,
        subnet=record.networks.nat.ipv4,
        gateway=record.networks.nat.gateway,
        labels=record.labels,
    )
    assert states(own_host.settings) == {record.run_id: LabState.DEAD}
    (removal,) = clean(own_host.settings)
    assert removal.problems == ()
    assert left_behind(record.run_id) == set()


def test_labs_of_another_user_are_shown_and_not_touched(own_host, clean):
    with reserve(own_host, scenario="theirs", provider="docker") as place:
        record = place.record
    docker = Docker(own_host.runner)
    docker.create_network(
        record.networks.nat.name,
        bridge=record.networks.nat.bridge,
        subnet=record.networks.nat.ipv4,
        gateway=record.networks.nat.gateway,
        labels={**record.labels, LABEL_USER: "somebody"},
    )
    try:
        entries = listing.list_labs(
            own_host.settings.labs_dir, own_host.runner, now=SystemClock().now()
        )
        (theirs,) = (entry for entry in entries if entry.run_id == record.run_id)
        assert theirs.state is LabState.FOREIGN
        assert "somebody" in theirs.text
        assert clean(own_host.settings, named=(record.run_id,), kept_too=True) == ()
        (left,) = docker.labelled(ObjectKind.NETWORK, record.run_id)
        assert left.name == record.networks.nat.name
    finally:
        docker.remove(docker.labelled(ObjectKind.NETWORK, record.run_id))
