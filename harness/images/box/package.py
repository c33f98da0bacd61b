"""The box as a file: a tar with the disk and what Vagrant wants to know, and its catalogue."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.process import Runner
from harness.base.untrusted import MIB, Limits, json_value, read_text, require_size
from harness.images import disk
from harness.images.rootfs import BOXES

NAME = "k0s-harness/debian12"
CATALOGUE = "catalog.json"
_NOTE = "box.json"
# Vagrant's own have a hundred bytes.
METADATA = Limits("a Vagrant box's metadata", most_bytes=MIB)
_PROVIDERS = BOXES / "vm" / "providers"


@dataclass(frozen=True)
class Box:
    """A box on this host: what Vagrant is told of it (`name`, `version`, the catalogue's place).

    `folder` has what is known of it, `path` is the box itself, `sha256` its checksum. `seed` is
    what it was seeded with, as in the machine's seed.json, None for a box without. `brought` says
    where a box came from that was not made here.
    """

    name: str
    version: str
    provider: str
    folder: Path
    path: Path
    sha256: str
    seed: Mapping[str, Any] | None = None
    brought: str | None = None

    @property
    def catalogue(self) -> Path:
        """Vagrant's metadata of this box, with its checksum; Vagrant verifies it when adding."""
        return self.folder / CATALOGUE

    def describe(self) -> str:
        """Return the line that stands for it in narration and lists."""
        origin = f"brought from {self.brought}" if self.brought else "made here"
        seed = f", seeded with k0s {self.seed['k0s']['version']}" if self.seed else ""
        size = self.path.stat().st_size // 1_000_000
        return (
            f"{self.name} {self.version} ({self.provider}), {origin}{seed}, {size} MB, "
            f"sha256 {self.sha256}"
        )


def providers() -> tuple[str, ...]:
    """Return the providers whose machines are made of a box."""
    return tuple(sorted(folder.name for folder in _PROVIDERS.iterdir()))


def pack(runner: Runner, provider: str, image: Path, target: Path, *, epoch: int) -> None:
    """Write the box `target` of the raw disk image `image`."""
    folder = _PROVIDERS / provider
    # Vagrant's plugin for libvirt wants to know the disk's format; VirtualBox imports one only.
    if "format" in json.loads((folder / "metadata.json").read_text()):
        name, convert = "box.img", disk.qcow2
    else:
        name, convert = "box.vmdk", disk.stream_optimized
    packed = image.with_name(name)
    convert(runner, image, packed)
    # Not compressed: the disk is already.
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in (*sorted(folder.iterdir()), packed):
            entry = tarfile.TarInfo(path.name)
            entry.size = path.stat().st_size
            entry.mtime = epoch
            with path.open("rb") as file:
                archive.addfile(entry, file)
    packed.unlink()


def metadata(box: Box, url: str) -> dict[str, Any]:
    """Return Vagrant's metadata of one box that lies at `url`."""
    return {
        "name": box.name,
        "versions": [
            {
                "version": box.version,
                "providers": [
                    {
                        "name": box.provider,
                        "url": url,
                        "checksum_type": "sha256",
                        "checksum": box.sha256,
                    }
                ],
            }
        ],
    }


def record(box: Box) -> None:
    """Write the box's catalogue and what is known of it beside it."""
    note = {
        "name": box.name,
        "version": box.version,
        "provider": box.provider,
        "path": str(box.path),
        "sha256": box.sha256,
        "seed": box.seed,
        "brought": box.brought,
    }
    box.catalogue.write_text(_json(metadata(box, box.path.as_uri())))
    # Last: a folder with this file is whole.
    (box.folder / _NOTE).write_text(_json(note))


def load(folder: Path) -> Box | None:
    """Return the box in `folder`, None where there is none that is whole."""
    try:
        note = json_value(read_text(folder / _NOTE, METADATA), METADATA)
        box = Box(
            name=note["name"],
            version=note["version"],
            provider=str(note["provider"]),
            folder=folder,
            path=Path(note["path"]),
            sha256=note["sha256"],
            seed=note["seed"],
            brought=note["brought"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (
        box
        if box.provider in providers() and box.path.is_file() and box.catalogue.is_file()
        else None
    )


def read_member(path: Path, name: str) -> bytes | None:
    """Return a small file of a box (a tar, also compressed), None where it has no such file.

    Raises `RefusedError` for one that is large, and what `tarfile` raises.
    """
    with tarfile.open(path) as archive:
        for entry in archive:
            if entry.name.removeprefix("./") == name:
                file = archive.extractfile(entry) or io.BytesIO()
                content = file.read(METADATA.most_bytes + 1)
                require_size(content, METADATA)
                return content
    return None


def _json(data: object) -> str:
    return json.dumps(data, indent=2) + "\n"
