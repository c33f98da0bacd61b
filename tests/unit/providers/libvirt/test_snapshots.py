"""Machines that are saved and restored together: what virsh is asked, and in which order."""

from __future__ import annotations

import pytest

from harness.base.completed import Completed
from harness.host.needs import LabNeeds
from harness.providers.libvirt import LibvirtProvider, snapshots
from harness.providers.libvirt.virsh import Libvirt, LibvirtError
from harness.testing import FakeRunner

DOMAINS = ("k5-abc123-controller0", "k5-abc123-worker0")
ASKING = "virsh --quiet --connect qemu:///system"
# As libvirt 9.0 says it.
NO_SNAPSHOT = "error: Domain snapshot not found: no domain snapshot with matching name 'settled'\n"


@pytest.fixture
def runner():
    return FakeRunner({ASKING: ""})


def commands(runner):
    """What was done, each command once however many machines it was done to."""
    return list(dict.fromkeys(command[4] for command in runner.commands))


def domains(runner, command):
    return {each[5] for each in runner.commands if each[4] == command}


def test_no_machine_runs_while_another_is_saved(runner):
    snapshots.save(Libvirt(runner, "qemu:///system"), DOMAINS)
    assert commands(runner) == ["suspend", "snapshot-create-as", "resume"]
    assert all(domains(runner, each) == set(DOMAINS) for each in commands(runner))


def test_machines_run_again_where_one_could_not_be_saved(runner):
    refused = Completed((), 1, "", "error: operation failed: No space left on device\n", 0.1)
    runner.answers[f"{ASKING} snapshot-create-as {DOMAINS[0]}"] = refused
    with pytest.raises(LibvirtError, match="No space left"):
        snapshots.save(Libvirt(runner, "qemu:///system"), DOMAINS)
    assert domains(runner, "resume") == set(DOMAINS)


def test_machines_are_restored_from_off_and_run_only_once_all_are_there(runner):
    snapshots.restore(Libvirt(runner, "qemu:///system"), DOMAINS)
    assert commands(runner) == ["destroy", "snapshot-revert", "resume"]
    assert all("--paused" in each for each in runner.commands if each[4] == "snapshot-revert")
    assert domains(runner, "resume") == set(DOMAINS)


def test_none_of_them_runs_where_one_has_no_snapshot(runner):
    refused = Completed((), 1, "", NO_SNAPSHOT, 0.1)
    runner.answers[f"{ASKING} snapshot-revert {DOMAINS[1]}"] = refused
    with pytest.raises(LibvirtError, match="no domain snapshot"):
        snapshots.restore(Libvirt(runner, "qemu:///system"), DOMAINS)
    assert "resume" not in commands(runner)


def test_the_pool_has_room_for_the_memory_too_before_machines_are_made_that_are_saved():
    pool, saving = (
        LibvirtProvider().places(LabNeeds(memory_mib=6144, saved=saved))["pool"]
        for saved in (False, True)
    )
    assert saving - pool == 6144
