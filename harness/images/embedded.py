"""The programs that a k0s binary carries in itself, unpacked as it unpacks them at its start.

k0s appends etcd, the API server, containerd, the kubelet and others to its own executable, each
compressed, and writes those that a role needs into `/var/lib/k0s/bin` at its first start. One that
is there with the executable's time and the right size it takes as it is
(`EmbeddedBinaryNeedsUpdate` in pkg/assets/stage.go of v1.32.3+k0s.0). Unpacking costs an emulated
processor 45 s on a worker and 85 s on a controller.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from harness.state import removal

# In the ELF header of a 64-bit little-endian program: where its sections are listed (8 bytes), and
# how long an entry is and how many there are (2 bytes each). Go's linker puts that list last.
_MAGIC = b"\x7fELF\x02\x01"
_HEADER_SIZE = 64
_LIST_AT, _LIST_SIZE_AT = 40, 58
# As hack/gen-bindata of k0s names them, in the order of the files of one folder.
_NAME = re.compile(rb"bin/([a-z0-9-]+?)\.gz")
# zlib's word for a gzip header.
_GZIP = 16 + zlib.MAX_WBITS
_CHUNK = 1024 * 1024
# `BinDirMode` and the mode of a staged program in k0s.
FOLDER_MODE = 0o755
PROGRAM_MODE = 0o550


class _UnknownLayoutError(Exception):
    """The executable is not laid out as is known here."""


def unpack(k0s: Path, folder: Path) -> tuple[str, ...]:
    """Write the programs that `k0s` carries into `folder`; return their names.

    They get the time of `k0s`. Where the executable is not laid out as is known here, nothing is
    left in `folder` and there are no names: that k0s unpacks by itself.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True)
    try:
        with k0s.open("rb") as file:
            names = _names(file)
            _unpack_each(file, [folder / name for name in names])
    except _UnknownLayoutError:
        removal.remove_folder(folder.parent, folder.name)
        return ()
    at = k0s.stat().st_mtime_ns
    for name in names:
        (folder / name).chmod(PROGRAM_MODE)
        os.utime(folder / name, ns=(at, at))
    return names


def _names(file: BinaryIO) -> tuple[str, ...]:
    """Return the names of the programs in their order; `file` then stands where the first begins.

    The executable has them among its texts, in no order.
    """
    header = file.read(_HEADER_SIZE)
    if len(header) < _HEADER_SIZE or not header.startswith(_MAGIC):
        raise _UnknownLayoutError
    (listed_at,) = struct.unpack_from("<Q", header, _LIST_AT)
    size, count = struct.unpack_from("<HH", header, _LIST_SIZE_AT)
    executable = file.read(listed_at + size * count - _HEADER_SIZE)
    names = {name.decode() for name in _NAME.findall(executable)}
    if not names:
        raise _UnknownLayoutError
    return tuple(sorted(names))


def _unpack_each(file: BinaryIO, targets: list[Path]) -> None:
    """Write one compressed file after the other, from here to the end of `file`."""
    packed = file.read(_CHUNK)
    for path in targets:
        unpacking = zlib.decompressobj(_GZIP)
        with path.open("wb") as target:
            while not unpacking.eof:
                if not packed:
                    raise _UnknownLayoutError
                try:
                    target.write(unpacking.decompress(packed))
                except zlib.error as error:
                    raise _UnknownLayoutError from error
                packed = unpacking.unused_data or file.read(_CHUNK)
    if packed:
        raise _UnknownLayoutError
