"""A disk that boots, from a tar of its root file system; nothing is mounted and root not needed.

    sector 0        GRUB's first stage and the partition table
    sector 1 ...    GRUB's core image, which reads /boot/grub/grub.cfg
    1 MiB ...       one ext4 file system, as large as the disk

The same tar gives the same bytes: identifiers and times are fixed. Tools of other versions may put
the same files elsewhere.
"""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.base.process import Runner
from harness.images.rootfs import as_root, tool_path

SECTOR = 512
BLOCK = 4096
MIB = 1024 * 1024
# Room for the images, containers and logs of a lab; the file is as large as what is in it.
DISK_GIB = 20
# Where people's tools put the first partition, too; the space before it is the boot loader's.
PARTITION_SECTOR = 2048

# `boxes/vm/files` names the file system by this. The words are k0s-harness, in hexadecimal.
FILE_SYSTEM_ID = "6b307368-6172-4e65-7373-000000000001"
_HASH_SEED = "6b307368-6172-4e65-7373-000000000002"
_DISK_ID = bytes.fromhex("6b307368")

GRUB = Path("/usr/lib/grub/i386-pc")
_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "linux", "normal", "configfile")
_GRUB_PREFIX = "(hd0,msdos1)/boot/grub"

# Said in full, so that no default of this host's mke2fs.conf decides. GRUB 2.06 reads all of these.
_FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,"
    "large_file,huge_file,dir_nlink,extra_isize,64bit,metadata_csum"
)
_CONFIG = "[defaults]\n\tbase_features = none\n[fs_types]\n\text4 = {\n\t}\n"

# 1.6 GB of a seeded machine: unpacked in 2 s, written in 5 s, packed in 10 s; a slow disk needs
# many times that.
FILL_SECONDS = 600.0
GRUB_SECONDS = 60.0
TIMES_SECONDS = 120.0
CONVERT_SECONDS = 900.0

_TIMED_FIELDS = ("atime", "ctime")


def make_disk(
    runner: Runner, root: Path, work: Path, *, epoch: int, seed: Path | None = None
) -> Path:
    """Return a raw disk image in `work` with what is in the tar `root`, and `seed` laid over it.

    `epoch` is the time that everything in the file system has at most.
    """
    disk, shared = work / "disk.raw", work / "shared"
    # Whoever is root in a namespace of this user's is nobody to these two otherwise.
    shared.mkdir()
    shared.chmod(0o777)
    disk.touch()
    disk.chmod(0o666)
    _write_front(disk, _grub_core(runner, work))
    if root.parent != work and as_root():
        # Nor can they look into this user's home.
        root = Path(shutil.copyfile(root, work / "root.tar"))
    tree = shared / "tree"
    doing = "Making the machines' disk"
    commands = [
        ["mkdir", str(tree)],
        [
            *("tar", f"--directory={tree}", "--xattrs", "--xattrs-include=*"),
            # The kernel makes these at boot, and an ordinary user cannot.
            *("--exclude=./dev/*", f"--file={root}", "--extract"),
        ],
    ]
    if seed is not None:
        commands.append(["cp", "--archive", f"{seed}/.", f"{tree}/"])
    commands += [_mke2fs(tree, disk), ["rm", "--recursive", str(tree)]]
    config = work / "mke2fs.conf"
    config.write_text(_CONFIG)
    env = {
        **tool_path(),
        "MKE2FS_CONFIG": str(config),
        "E2FSPROGS_FAKE_TIME": str(epoch),
        "SOURCE_DATE_EPOCH": str(epoch),
    }
    for command in commands:
        runner.run([*as_root(), *command], doing=doing, deadline=FILL_SECONDS, env=env)
    _fix_times(runner, disk, work, epoch=epoch, env=env)
    return disk


def layout() -> tuple[str, ...]:
    """Return in words all that decides how the disk is laid out, beside what is in it."""
    return (*_mke2fs(Path("tree"), Path("disk")), _CONFIG, _GRUB_PREFIX, *_GRUB_MODULES)


def qcow2(runner: Runner, disk: Path, target: Path) -> None:
    """Write the raw image `disk` as a compressed qcow2 (zstd: a VM reads it three times faster)."""
    _convert(runner, disk, target, "qcow2", "compression_type=zstd,compat=1.1", "-c")


def stream_optimized(runner: Runner, disk: Path, target: Path) -> None:
    """Write the raw image `disk` as the kind of vmdk that VirtualBox imports."""
    _convert(runner, disk, target, "vmdk", "subformat=streamOptimized")


def _convert(runner: Runner, disk: Path, target: Path, kind: str, options: str, *more: str) -> None:
    how = ("qemu-img", "convert", "-f", "raw", "-O", kind, *more, "-o", options)
    runner.run(
        [*how, str(disk), str(target)],
        doing="Packing the machines' disk",
        deadline=CONVERT_SECONDS,
    )


def _mke2fs(tree: Path, disk: Path) -> list[str]:
    extended = (
        f"hash_seed={_HASH_SEED}",
        f"offset={PARTITION_SECTOR * SECTOR}",
        # The file is new, so what was not written is zeros: no machine has to write them.
        "assume_storage_prezeroed=1",
        "root_owner=0:0",
        "nodiscard",
    )
    blocks = (DISK_GIB * 1024 * MIB - PARTITION_SECTOR * SECTOR) // BLOCK
    return [
        *("mke2fs", "-q", "-F", "-t", "ext4", "-O", _FEATURES, "-b", str(BLOCK)),
        # 650000 files: a lab has 60000 at most.
        *("-i", "32768", "-I", "256", "-m", "0", "-J", "size=64", "-L", "root"),
        *("-U", FILE_SYSTEM_ID, "-E", ",".join(extended), "-d", str(tree), str(disk), str(blocks)),
    ]


def _grub_core(runner: Runner, work: Path) -> bytes:
    core = work / "core.img"
    runner.run(
        [
            *("grub-mkimage", "--format=i386-pc", f"--output={core}", f"--prefix={_GRUB_PREFIX}"),
            *(f"--directory={GRUB}", *_GRUB_MODULES),
        ],
        doing="Making the boot loader",
        deadline=GRUB_SECONDS,
        env=tool_path(),
    )
    return core.read_bytes()


def _write_front(disk: Path, core: bytes) -> None:
    """Write what comes before the partition, and make the file as long as the disk."""
    room = (PARTITION_SECTOR - 1) * SECTOR
    assert len(core) <= room, "GRUB's core image is larger than the space before the partition"
    with disk.open("r+b") as file:
        file.write(boot_sector((GRUB / "boot.img").read_bytes()))
        # `boot.img` looks for the core image in sector 1, and that for its rest behind itself.
        file.write(core)
        file.truncate(DISK_GIB * 1024 * MIB)


def boot_sector(boot_image: bytes) -> bytes:
    """Return the first sector: GRUB's first stage, and one active Linux partition to the end."""
    sectors = DISK_GIB * 1024 * MIB // SECTOR - PARTITION_SECTOR
    # Heads and cylinders as written where a disk has too many for them: nobody goes by them.
    beyond = b"\xfe\xff\xff"
    entry = struct.pack("<B3sB3sII", 0x80, beyond, 0x83, beyond, PARTITION_SECTOR, sectors)
    return boot_image[:440] + _DISK_ID + b"\0\0" + entry + bytes(48) + b"\x55\xaa"


def _fix_times(
    runner: Runner, disk: Path, work: Path, *, epoch: int, env: Mapping[str, str]
) -> None:
    """Set the times that mke2fs took from files that were unpacked just now.

    mke2fs does so itself from 1.47.1 on; Debian 12 and Ubuntu 24.04 have 1.47.0.
    """
    doing = "Fixing the times on the machines' disk"
    place = f"{disk}?offset={PARTITION_SECTOR * SECTOR}"
    listed = runner.run(
        ["dumpe2fs", place], doing=doing, deadline=TIMES_SECONDS, env={**env, "LC_ALL": "C"}
    )
    script = work / "times"
    script.write_text(
        "".join(
            f"set_inode_field <{inode}> {field} @{epoch}\n"
            for inode in used_inodes(listed.stdout)
            for field in _TIMED_FIELDS
        )
    )
    runner.run(
        ["debugfs", "-w", "-f", str(script), place], doing=doing, deadline=TIMES_SECONDS, env=env
    )


def used_inodes(text: str) -> Iterator[int]:
    """Yield the numbers of the inodes in use, from what `dumpe2fs` prints."""
    count = re.search(r"^Inode count: +(\d+)$", text, re.MULTILINE)
    assert count is not None, "dumpe2fs printed no inode count"
    free = set(_numbers(re.findall(r"^  Free inodes: (.*)$", text, re.MULTILINE)))
    yield from (inode for inode in range(1, int(count.group(1)) + 1) if inode not in free)


def _numbers(lists: Iterable[str]) -> Iterator[int]:
    """Yield the numbers of lists such as `12-20, 31`."""
    for text in lists:
        for part in filter(None, text.split(", ")):
            first, _, last = part.partition("-")
            yield from range(int(first), int(last or first) + 1)
