"""BOX_URL=: a box that somebody brings, or a public cloud image that is made into one.

A cloud image knows no user that Vagrant could be; cloud-init makes one of what it finds in
`/var/lib/cloud/seed/nocloud`. The files are put there in the image itself, without mounting it, so
the machine needs neither a second disk nor a server that hands them out.
"""

from __future__ import annotations

import json
import lzma
import struct
import tarfile
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.download import HttpDownloader
from harness.artifacts.hashing import sha256_of
from harness.base.errors import UsageError
from harness.base.process import Runner
from harness.base.settings import Settings
from harness.base.untrusted import RefusedError, json_value
from harness.images import disk, rootfs
from harness.images.box import package
from harness.images.box.cache import PARTIAL, boxes_dir, folder_of, move
from harness.images.box.package import Box
from harness.images.disk import SECTOR
from harness.images.making import Making
from harness.images.rootfs import Recipe
from harness.state import removal

NAME = "k0s-harness/brought"
CONVERT_SECONDS = 900.0
WRITE_SECONDS = 60.0

_DOING = "Taking the box of BOX_URL"
_FILE = "brought.box"
_CLOUD = rootfs.BOXES / "cloud"
_SEED_FOLDER = "/var/lib/cloud/seed/nocloud"
_EXT_MAGIC = b"\x53\xef"
_EXT_MAGIC_AT = 1024 + 56
# Files in a box made of an image have this time: what they say does not depend on a day.
_EPOCH = 0


def ensure(making: Making, provider: str) -> Box:
    """Return the box that BOX_URL names, verified, made of an image now if it is one.

    Raises `UsageError` where the checksum is missing or another, or the file is neither a box for
    `provider` nor a cloud image, `HostLacksError` where it cannot be had.
    """
    settings = making.settings
    url = settings.box_url or ""
    expected = _expected(settings)
    version = f"0.{expected[:12]}.{Recipe(_CLOUD).digest()}"
    folder = folder_of(settings, provider, version)
    present = package.load(folder)
    if present is not None and present.brought == url:
        return present
    file = _fetch(making, url, expected)
    removal.remove_folder(folder.parent, folder.name)
    folder.mkdir(parents=True)
    if tarfile.is_tarfile(file):
        _check_provider(file, provider)
        path = folder / _FILE if file.parent == _partial(settings) else file
        if path != file:
            move(file, path)
    else:
        path = folder / _FILE
        _from_image(making, file, path, provider)
    box = Box(
        name=NAME,
        version=version,
        provider=provider,
        folder=folder,
        path=path,
        sha256=sha256_of(path),
        brought=url,
    )
    package.record(box)
    return box


def _expected(settings: Settings) -> str:
    expected = (settings.box_sha256 or "").lower()
    if len(expected) != 64 or set(expected) - set("0123456789abcdef"):  # noqa: PLR2004  # hex digits of a sha256
        raise UsageError(
            _DOING,
            "BOX_SHA256 is not set to a checksum (64 hexadecimal digits), and no box is used "
            "without one",
            remedy="set it to what the box's publisher says; SHA256SUMS is a usual name of that "
            "file, and where they publish SHA512SUMS only, verify the file and use its sha256sum",
        )
    return expected


def _partial(settings: Settings) -> Path:
    return boxes_dir(settings) / PARTIAL


def _fetch(making: Making, url: str, expected: str) -> Path:
    """Return the verified file that BOX_URL names, fetched into the cache where it is a URL."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise UsageError(_DOING, f"BOX_URL is no URL: {error}") from None
    if parts.scheme in {"http", "https"}:
        file = _partial(making.settings) / expected
        file.parent.mkdir(parents=True, exist_ok=True)
        if not (file.is_file() and sha256_of(file) == expected):
            making.say(f"fetching {parts.hostname}{parts.path}")
            HttpDownloader(making.context.clock, making.say).file(
                url, file, most_bytes=disk.DISK_GIB * 1024**3
            )
    elif parts.scheme in {"", "file"}:
        name = urllib.request.url2pathname(parts.path) if parts.scheme else url
        file = Path(name).expanduser().absolute()
        if not file.is_file():
            raise UsageError(_DOING, f"there is no file {file}", remedy="set BOX_URL to one")
    else:
        raise UsageError(
            _DOING,
            f"{parts.scheme}: is nothing it can be fetched from",
            remedy="name a file, or an http or https URL",
        )
    actual = sha256_of(file)
    if actual != expected:
        if file.parent == _partial(making.settings):
            file.unlink()
        raise UsageError(
            _DOING,
            "its sha256 is not the one of BOX_SHA256, so it is not used",
            details=f"expected {expected}\nactual   {actual}",
            remedy="find out which of the two is right before you change BOX_SHA256",
        )
    return file


def _check_provider(file: Path, provider: str) -> None:
    try:
        text = package.read_member(file, "metadata.json") or b""
        data = json_value(text.decode(errors="replace"), package.METADATA)
    except RefusedError:
        data = None
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise UsageError(
            _DOING,
            f"it is a tar that cannot be read ({type(error).__name__})",
            remedy="get the file again, and its checksum from its publisher",
        ) from None
    found = data.get("provider") if isinstance(data, dict) else None
    if found != provider:
        raise UsageError(
            _DOING,
            f"it is a box for {found}, not for {provider}"
            if found
            else "it is no Vagrant box: it has no metadata.json that names a provider",
            remedy=f"bring a box for {provider}, or set PROVIDER={found or '...'}",
        )


def _from_image(making: Making, file: Path, box: Path, provider: str) -> None:
    """Make the box of a cloud image."""
    runner = making.runner
    with rootfs.work_folder(runner) as work:
        raw = work / "disk.raw"
        making.say("unpacking the cloud image")
        _to_raw(runner, file, raw)
        _let_vagrant_in(runner, raw, work)
        making.say("packing the box")
        packed = work / _FILE
        package.pack(runner, provider, raw, packed, epoch=_EPOCH)
        move(packed, box)


def _to_raw(runner: Runner, file: Path, raw: Path) -> None:
    """Write the image as a raw disk as large as our own; cloud-init makes the file system fit."""
    done = runner.run(
        ["qemu-img", "info", "--output=json", str(file)],
        doing="Reading the cloud image",
        deadline=WRITE_SECONDS,
    )
    info = parse_info(done.stdout)
    size = disk.DISK_GIB * 1024 * disk.MIB
    with file.open("rb") as head:
        has_partitions = head.read(SECTOR)[-2:] == b"\x55\xaa"
    known = info.kind == "qcow2" or (info.kind == "raw" and has_partitions)
    if not known or info.size > size:
        raise UsageError(
            _DOING,
            "it is neither a Vagrant box (a tar) nor a disk image (qcow2 or raw) of up to "
            f"{disk.DISK_GIB} GiB",
            remedy="unpack it first where it is compressed",
        )
    if info.leans_on is not None:
        raise UsageError(
            _DOING,
            f"its content is in another file of this host, {info.leans_on}, and its checksum says "
            "nothing of that one",
            remedy="bring an image that is whole: qemu-img convert makes one",
        )
    runner.run(
        ["qemu-img", "convert", "-f", info.kind, "-O", "raw", str(file), str(raw)],
        doing="Unpacking the cloud image",
        deadline=CONVERT_SECONDS,
    )
    with raw.open("r+b") as disk_file:
        disk_file.truncate(size)


@dataclass(frozen=True)
class ImageInfo:
    """What a disk image is: its format in qemu's words, the size of its disk in bytes.

    `leans_on` names the file that holds its content, where it is not the image itself.
    """

    kind: str
    size: int
    leans_on: str | None = None


def parse_info(text: str) -> ImageInfo:
    """Return what `qemu-img info --output=json` says."""
    data = json.loads(text)
    specific = data.get("format-specific", {}).get("data", {})
    leans_on = data.get("backing-filename") or specific.get("data-file")
    return ImageInfo(data["format"], data["virtual-size"], leans_on)


def _let_vagrant_in(runner: Runner, raw: Path, work: Path) -> None:
    """Put what cloud-init reads at first boot into the image's root file system."""
    place = f"{raw}?offset={root_offset(raw)}"

    def debugfs(*arguments: str) -> str:
        done = runner.run(
            ["debugfs", *arguments, place],
            doing="Writing to the cloud image",
            deadline=WRITE_SECONDS,
            env=rootfs.tool_path(),
        )
        return done.stdout + done.stderr

    if "File not found" in debugfs("-R", "stat /etc/cloud/cloud.cfg"):
        raise UsageError(
            _DOING,
            "its root file system has no cloud-init, so nothing would let Vagrant in",
            remedy="bring a cloud image, or a Vagrant box",
        )
    script = work / "write"
    user_data = work / "user-data"
    key = (rootfs.BOXES / "vm" / "insecure.pub").read_text().strip()
    user_data.write_text((_CLOUD / "user-data").read_text().replace("INSECURE_KEY", key))
    script.write_text(
        "".join(f"mkdir {folder}\n" for folder in _parents(_SEED_FOLDER))
        + f"cd {_SEED_FOLDER}\n"
        + f"write {user_data} user-data\n"
        + f"write {_CLOUD / 'meta-data'} meta-data\n"
        + "cd /etc/cloud/cloud.cfg.d\n"
        + f"write {_CLOUD / '99_k0s_harness.cfg'} 99_k0s_harness.cfg\n"
    )
    debugfs("-w", "-f", str(script))


def _parents(folder: str) -> Iterator[str]:
    parts = folder.strip("/").split("/")
    yield from ("/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1))


def root_offset(raw: Path) -> int:
    """Return where the root file system begins in a raw disk image, in bytes.

    That is the largest partition with an ext4 file system; raises `UsageError` without any.
    """
    with raw.open("rb") as file:
        found = []
        for start, length in _partitions(file.read(34 * SECTOR)):
            file.seek(start + _EXT_MAGIC_AT)
            if file.read(2) == _EXT_MAGIC:
                found.append((length, start))
    if not found:
        raise UsageError(
            _DOING,
            "it has no partition with an ext4 file system, and no other can be written to here",
            remedy="bring the Debian or Ubuntu cloud image, or a Vagrant box",
        )
    return max(found)[1]


def _partitions(head: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, length) in bytes of each partition, from a disk's first 34 sectors."""
    if head[SECTOR : SECTOR + 8] == b"EFI PART":
        count, size = struct.unpack_from("<II", head, SECTOR + 80)
        for at in range(2 * SECTOR, min(2 * SECTOR + count * size, len(head)), size):
            first, last = struct.unpack_from("<QQ", head, at + 32)
            if first:
                yield first * SECTOR, (last - first + 1) * SECTOR
        return
    for at in range(446, 510, 16):
        first, sectors = struct.unpack_from("<II", head, at + 8)
        if sectors:
            yield first * SECTOR, sectors * SECTOR
