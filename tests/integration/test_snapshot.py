from __future__ import annotations

import pytest

from harness.lab import saved
from harness.providers.libvirt.virsh import Libvirt
from harness.state.records import KUBECONFIG

pytestmark = pytest.mark.machines

# What is between this host's clock and a machine's once that was set over SSH, under emulation.
CLOCK_SECONDS = 5.0


@pytest.fixture
def vms(lab):
    if lab.record.provider != "libvirt":
        pytest.skip("only machines of libvirt are saved with their memory")
    (lab.folder / KUBECONFIG).write_text("of no cluster\n")
    return lab


def on(lab, name, script):
    remote = lab.remote(name)
    return remote.run(["sh", "-c", script], doing="Looking", deadline=60, sudo=True).stdout


@pytest.mark.parametrize("off", [False, True])
def test_saved_machines_are_restored_with_disk_and_memory_and_the_time_of_day(vms, host, off):
    boots = {name: on(vms, name, "cat /proc/sys/kernel/random/boot_id") for name in vms.machines}
    for name in vms.machines:
        on(vms, name, "echo before >/root/disk; echo before >/run/memory; sync")
    saved.save(vms, host)
    for name in vms.machines:
        on(vms, name, "echo after >/root/disk; echo after >/run/memory; sync; date --set=-1day")
    if off:
        saved.stop(vms, host)
    saved.restore(vms, host)
    for name in vms.machines:
        assert on(vms, name, "cat /root/disk /run/memory") == "before\nbefore\n"
        assert on(vms, name, "cat /proc/sys/kernel/random/boot_id") == boots[name]
        assert abs(float(on(vms, name, "date +%s.%N")) - host.clock.now().timestamp()) < (
            CLOCK_SECONDS
        )
    for domain in Libvirt(host.runner).domains(f"{vms.run_id}-"):
        Libvirt(host.runner).run("snapshot-delete", domain.name, "settled", doing="T", deadline=60)
