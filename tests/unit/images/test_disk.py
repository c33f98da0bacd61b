"""The disk of a box: what lies where, and that nothing in it depends on when it was made."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from harness.base.errors import UsageError
from harness.images import disk
from harness.images.box import brought
from tests.unit.paths import UNIT

RECORDINGS = UNIT / "recordings" / "box"
GIB = 1024**3


def test_the_first_sector_has_the_loader_and_one_partition_to_the_end_of_the_disk():
    loader = bytes(range(1, 256)) * 3
    sector = disk.boot_sector(loader[:512])
    assert len(sector) == 512
    assert sector[:440] == loader[:440]
    assert sector[510:] == b"\x55\xaa"
    active, kind = sector[446], sector[450]
    start, sectors = struct.unpack_from("<II", sector, 454)
    assert (active, kind) == (0x80, 0x83)
    assert (start + sectors) * disk.SECTOR == disk.DISK_GIB * GIB
    assert sector[462:510] == bytes(48)


def test_the_recipe_names_the_file_system_by_its_identifier():
    files = Path(disk.__file__).parents[2] / "boxes" / "vm" / "files"
    assert f"root=UUID={disk.FILE_SYSTEM_ID}" in (files / "boot/grub/grub.cfg").read_text()
    assert f"UUID={disk.FILE_SYSTEM_ID} /" in (files / "etc/fstab").read_text()


def test_inodes_in_use_are_those_that_are_not_free():
    text = (RECORDINGS / "dumpe2fs.txt").read_text()
    assert list(disk.used_inodes(text)) == list(range(1, 13))


def test_a_cloud_images_size_and_format_are_read():
    info = brought.parse_info((RECORDINGS / "qemu-img-info-qcow2.json").read_text())
    assert info == brought.ImageInfo("qcow2", disk.DISK_GIB * GIB)


def image(path, partitions, *, gpt):
    """Write a disk with partitions (start, sectors, whether ext4), as its standard has it."""
    with path.open("wb") as file:
        file.truncate(max(start + sectors for start, sectors, _ in partitions) * 512 + 34 * 512)
        for number, (start, sectors, is_ext4) in enumerate(partitions):
            if gpt:
                file.seek(1024 + 128 * number + 32)
                file.write(struct.pack("<QQ", start, start + sectors - 1))
            else:
                file.seek(446 + 16 * number + 8)
                file.write(struct.pack("<II", start, sectors))
            if is_ext4:
                file.seek(start * 512 + 1024 + 56)
                file.write(b"\x53\xef")
        if gpt:
            file.seek(512)
            file.write(b"EFI PART" + bytes(72) + struct.pack("<II", 128, 128))
        file.seek(510)
        file.write(b"\x55\xaa")
    return path


@pytest.mark.parametrize("gpt", [True, False])
def test_the_root_file_system_is_the_largest_that_is_ext4(tmp_path, gpt):
    parts = [(2048, 8, True), (4096, 64, True), (8192, 512, False)]
    assert brought.root_offset(image(tmp_path / "raw", parts, gpt=gpt)) == 4096 * 512


def test_an_image_without_ext4_is_refused_with_what_to_bring_instead(tmp_path):
    with pytest.raises(UsageError, match="no partition with an ext4") as refused:
        brought.root_offset(image(tmp_path / "raw", [(2048, 64, False)], gpt=True))
    assert "cloud image" in refused.value.text()
