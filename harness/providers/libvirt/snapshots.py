"""Machines as they were at one moment, memory included.

libvirt keeps these snapshots in their disks, and they go with those.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.providers.libvirt.virsh import Libvirt

NAME = "settled"
# Under emulation saving three machines of 2 GiB took 6 s, restoring them 12 s, alone on two cores.
SECONDS = 300.0


def save(virsh: Libvirt, domains: Sequence[str]) -> None:
    """Keep how the running `domains` are, all as of one moment; they run again afterwards.

    They stand still meanwhile. One that went on would hear answers to what another, once restored,
    has never said, and connections between the two would hang.
    """
    with _standing_still(virsh, domains):
        _each(virsh, domains, "snapshot-create-as", NAME, doing="Saving")


def restore(virsh: Libvirt, domains: Sequence[str]) -> None:
    """Put the `domains` back to how they were saved, running or not; then they run."""
    stop(virsh, domains)
    _each(virsh, domains, "snapshot-revert", NAME, "--paused", doing="Restoring")
    _each(virsh, domains, "resume", doing="Starting")


def stop(virsh: Libvirt, domains: Sequence[str]) -> None:
    """Pull the plug: what is saved stays."""
    with ThreadPoolExecutor(max_workers=len(domains)) as pool:
        list(pool.map(virsh.stop_domain, domains))


@contextlib.contextmanager
def _standing_still(virsh: Libvirt, domains: Sequence[str]) -> Iterator[None]:
    try:
        _each(virsh, domains, "suspend", doing="Pausing")
        yield
    finally:
        _each(virsh, domains, "resume", doing="Starting")


def _each(virsh: Libvirt, domains: Sequence[str], command: str, *words: str, doing: str) -> None:
    def one(domain: str) -> None:
        virsh.run(command, domain, *words, doing=f"{doing} {domain}", deadline=SECONDS)

    with ThreadPoolExecutor(max_workers=len(domains)) as pool:
        list(pool.map(one, domains))
