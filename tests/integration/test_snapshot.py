from __future__ import annotations

import pytest

from harness.base.process import LocalRunner
from harness.base.shipped import SHIPPED
from harness.providers.vagrant import environment

pytestmark = pytest.mark.machines

# Saving three machines' memory took 5.6 s, restoring it 14.7 s, under emulation.
SECONDS = 300


def vagrant(lab, *words):
    LocalRunner().run(
        ["vagrant", "snapshot", *words],
        doing="Asking Vagrant for a snapshot",
        deadline=SECONDS,
        env=environment(lab.folder),
        cwd=SHIPPED,
    )


def on(lab, name, script):
    remote = lab.remote(name)
    return remote.run(["sh", "-c", script], doing="Looking", deadline=30, sudo=True).stdout


def test_a_snapshot_of_running_machines_brings_back_disk_and_memory(lab):
    if lab.record.provider != "libvirt":
        pytest.skip("Vagrant takes snapshots of VMs")
    boots = {name: on(lab, name, "cat /proc/sys/kernel/random/boot_id") for name in lab.machines}
    for name in lab.machines:
        on(lab, name, "echo before >/root/disk; echo before >/run/memory; sync")
    vagrant(lab, "save", "before")
    for name in lab.machines:
        on(lab, name, "echo after >/root/disk; echo after >/run/memory; sync")
    vagrant(lab, "restore", "--no-provision", "before")
    for name in lab.machines:
        assert on(lab, name, "cat /root/disk /run/memory") == "before\nbefore\n"
        assert on(lab, name, "cat /proc/sys/kernel/random/boot_id") == boots[name]
    vagrant(lab, "delete", "before")
