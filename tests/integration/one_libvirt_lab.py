"""What a run makes in libvirt, without Vagrant: for tests that kill it and look what stays.

Arguments: state folder, run folder, number of machines, a storage pool. Each machine is a domain
without an operating system under software emulation, with a disk image that is not attached, so
that any user may have the pool. Prints one JSON object a line, then waits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from harness.base.context import Context
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.lab.isolation import install_on_host
from harness.lab.reservation import reserve
from harness.providers.libvirt import virsh as libvirt
from harness.providers.libvirt.virsh import Libvirt
from harness.providers.vagrant import mark

DOMAIN = """
<domain type="qemu">
  <name>{name}</name>
  <uuid>{mark}</uuid>
  <memory unit="MiB">16</memory>
  <os><type arch="x86_64">hvm</type></os>
  <devices>
    <interface type="network"><source network="{nat}"/><mac address="{mac}"/></interface>
    <interface type="network"><source network="{private}"/></interface>
    <serial type="file"><source path="{console}"/></serial>
  </devices>
</domain>
"""


def say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> int:
    state, folder, count, pool = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    settings = Settings(state_dir=state, cache_dir=state / "cache", runs_dir=folder)
    host = Context(LocalRunner(), SystemClock(), settings)
    virsh = Libvirt(host.runner)

    def run(*args: str) -> None:
        virsh.run(*args, doing="Making the test's lab", deadline=60)

    with reserve(host, scenario="integration", provider="libvirt") as place:
        say(run_id=place.run_id)
        record, networks = place.record, place.record.networks
        names = [f"{place.run_id}-worker{index}" for index in range(count)]
        macs = {name: libvirt.mac_of(place.run_id, name, "nat") for name in names}
        leases = {mac: str(networks.nat.ipv4[10 + at]) for at, mac in enumerate(macs.values())}
        table = record.nft_table
        install_on_host(host.runner, table, networks, mark=record.mark_of(table))
        nat, private = networks.nat, networks.private
        virsh.create_network(libvirt.nat_network_xml(nat, leases, mark=record.mark_of(nat.name)))
        virsh.create_network(
            libvirt.private_network_xml(private, mark=record.mark_of(private.name))
        )
        for name in names:
            run("vol-create-as", pool, f"{name}.img", "16M", "--format", "qcow2")
            xml = folder.parent / f"{name}.xml"
            xml.write_text(
                DOMAIN.format(
                    name=name,
                    mark=record.mark_of(name),
                    nat=nat.name,
                    private=private.name,
                    mac=macs[name],
                    console=record.folder / f"{name}.console",
                )
            )
            run("define", str(xml))
            run("start", name)
        # A volume that is being sent and never will be whole, by a child that outlives its parent:
        # it holds both ends of what it reads from.
        run("vol-create-as", pool, f"{names[0]}-half.img", "16M")
        half = folder.parent / "half"
        os.mkfifo(half)
        beginning = os.open(half, os.O_RDWR)
        os.write(beginning, b"x" * 10_000)
        with subprocess.Popen(
            ["virsh", "-q", "-c", virsh.uri, "vol-upload", f"{names[0]}-half.img", half, pool],
            env={**os.environ, **mark(record.folder)},
            start_new_session=True,
            pass_fds=(beginning,),
        ) as sending:
            say(up=place.run_id)
            sys.stdin.read()
            sending.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
