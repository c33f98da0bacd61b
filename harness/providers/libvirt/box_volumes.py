"""The images of boxes that vagrant-libvirt keeps in a storage pool, one a box for all labs.

It sends a box's image there at the first `vagrant up`, in the open: killed meanwhile, it leaves
half an image under the final name, and every later lab would boot from that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from harness.host.raw import vagrant_home
from harness.providers.libvirt.virsh import Libvirt

# The harness's own boxes only: of others, somebody's `vagrant up` may be sending one right now.
OWN_BOXES = "k0s-harness-VAGRANTSLASH-"


def remove_incomplete(virsh: Libvirt, pool: str, home: Path | None = None) -> tuple[str, ...]:
    """Delete box images in `pool` that were not sent whole; return their names.

    Only while no machines are being created on this host: the caller holds that lock. `home` is
    Vagrant's folder of this user, which has the images that the pool's are compared with.
    """
    whole = _lengths(home or vagrant_home(os.environ))
    removed = []
    # Without boxes libvirt is not even asked: many a host has none.
    for volume in virsh.volumes(OWN_BOXES, pool=pool) if whole else ():
        expected = whole.get(volume.name)
        if expected is not None and virsh.volume_bytes(volume) != expected:
            virsh.delete_volume(volume)
            removed.append(volume.name)
    return tuple(removed)


def _lengths(home: Path) -> Mapping[str, int]:
    """Return the bytes of each of our boxes' images, by the name that its volume has.

    A box lies in `boxes/<name>/<version>/libvirt`, since Vagrant 2.4 with the architecture between
    the last two (vagrant-libvirt's `HandleBoxImage.get_volume_name` has the volume's name).
    """
    found = {}
    for image in home.glob(f"boxes/{OWN_BOXES}*/**/libvirt/box.img"):
        name, version = image.relative_to(home / "boxes").parts[:2]
        found[f"{name}_vagrant_box_image_{version}_box.img"] = image.stat().st_size
    return found
